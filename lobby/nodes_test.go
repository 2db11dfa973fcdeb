package lobby_test

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"foyer/lobby"
	"foyer/server"
	"foyer/server/amf"
	"foyer/server/rtmp"
	"foyer/server/sharedobject"
)

// nodes is a directory and a bus that several lobbies have in common.
type nodes struct {
	mu    sync.Mutex
	all   []*place
	heard map[string][]func([]byte)
	away  bool
}

// place is one lobby's share of them.
type place struct {
	nodes   *nodes
	entries map[string][]byte
	puts    int
	changed func(string, []byte)
	fresh   func(bool)
}

func (n *nodes) place() *place {
	p := &place{nodes: n, entries: make(map[string][]byte)}
	n.all = append(n.all, p)
	return p
}

func (p *place) Put(room string, entry []byte) {
	p.nodes.mu.Lock()
	defer p.nodes.mu.Unlock()
	p.puts++
	p.entries[room] = entry
	p.tell(room, entry)
}

func (p *place) Delete(room string) {
	p.nodes.mu.Lock()
	defer p.nodes.mu.Unlock()
	if p.entries[room] != nil {
		delete(p.entries, room)
		p.tell(room, nil)
	}
}

func (p *place) tell(room string, entry []byte) {
	for _, q := range p.nodes.all {
		if q != p && q.changed != nil && !p.nodes.away {
			q.changed(room, entry)
		}
	}
}

func (p *place) Watch(changed func(string, []byte), fresh func(bool)) (stop func()) {
	p.nodes.mu.Lock()
	defer p.nodes.mu.Unlock()
	p.changed, p.fresh = changed, fresh
	for _, q := range p.nodes.all {
		for room, entry := range q.entries {
			if q != p {
				changed(room, entry)
			}
		}
	}
	fresh(true)
	return func() {
		p.nodes.mu.Lock()
		defer p.nodes.mu.Unlock()
		p.changed = nil
	}
}

// renew tells the entries of p again, as the directory does every few seconds.
func (p *place) renew() {
	p.nodes.mu.Lock()
	defer p.nodes.mu.Unlock()
	for room, entry := range p.entries {
		p.tell(room, entry)
	}
}

func (n *nodes) setAway(away bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.away = away
	for _, p := range n.all {
		p.fresh(!away)
	}
}

func (n *nodes) Publish(subject string, data []byte) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.away {
		return fmt.Errorf("away")
	}
	for _, f := range n.heard[subject] {
		f(data)
	}
	return nil
}

func (n *nodes) Subscribe(subject string, f func([]byte)) (stop func(), err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.heard == nil {
		n.heard = make(map[string][]func([]byte))
	}
	n.heard[subject] = append(n.heard[subject], f)
	return func() {}, nil
}

// newNode returns the host of one more lobby.
func (n *nodes) newNode(t *testing.T) (*server.Host, *place) {
	p := n.place()
	h := newHost(t, lobby.Config{Secret: secret, AdminToken: token, Directory: p, Bus: n})
	if err := h.Start("lobby"); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	return h, p
}

// News for other nodes does not wait for the lobby's own publishing: it waits for theirs
// anyway.
func TestSharedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := new(nodes)
		a, p := n.newNode(t)
		blue, red := mustRoom(t, a, "blue", "n1"), mustRoom(t, a, "red", "n1")
		for i := range 3 {
			for name, r := range map[string]*peer{"blue": blue, "red": red} {
				r.report(lobby.Status{Epoch: 1, Seq: float64(i + 1), Users: i + 5, Node: "n1"})
				synctest.Wait()
				var e lobby.Entry
				if err := json.Unmarshal(p.entries[name], &e); err != nil || e.Users != i+5 {
					t.Errorf("report %d of %s: shared is %+v, %v", i, name, e, err)
				}
			}
		}
		if puts := p.puts; puts < 6 {
			t.Errorf("%d puts", puts)
		}
		red.client.Leave(rtmp.ErrGoodbye)
		synctest.Wait()
		if p.entries["red"] != nil {
			t.Error("red is gone, and shared still")
		}
	})
}

func TestRoomsOfOtherNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := new(nodes)
		a, _ := n.newNode(t)
		b, _ := n.newNode(t)
		visitor := must(t, b).watch()
		room := mustRoom(t, a, "blue", "n1")
		if e, ok := visitor.slot("blue"); !ok || e.State != lobby.StateLive || e.Node != "n1" {
			t.Fatalf("got %+v, %v", e, ok)
		}
		time.Sleep(lobby.PublishInterval)
		synctest.Wait()
		room.report(lobby.Status{Epoch: 1, Seq: 1, Users: 7, Activity: 0.5, Node: "n1"})
		time.Sleep(lobby.PublishInterval)
		synctest.Wait()
		if e, _ := visitor.slot("blue"); e.Users != 7 {
			t.Errorf("got %+v", e)
		}
		if got := visitor.entries(); len(got) != 1 || got[0].Users != 7 || got[0].Node != "n1" {
			t.Errorf("rooms: got %+v", got)
		}
		late, _ := n.newNode(t)
		if got := must(t, late).entries(); len(got) != 1 {
			t.Errorf("a late lobby lists %+v", got)
		}
		time.Sleep(lobby.TrendStep)
		synctest.Wait()
		trends, err := visitor.call(lobby.MethodTrends)
		if err != nil || lobby.ParseTrends(trends).Rooms["blue"] == "" {
			t.Errorf("trends: %v, %v", trends, err)
		}
		room.client.Leave(rtmp.ErrGoodbye)
		time.Sleep(lobby.PublishInterval)
		synctest.Wait()
		if e, ok := visitor.slot("blue"); ok {
			t.Errorf("gone, but listed as %+v", e)
		}
	})
}

func TestUnlistedRoomsOfOtherNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := new(nodes)
		a, _ := n.newNode(t)
		b, _ := n.newNode(t)
		visitor := must(t, b).watch()
		room := mustRoom(t, a, "blue", "n1")
		room.report(lobby.Status{Epoch: 1, Seq: 1, Unlisted: true})
		time.Sleep(lobby.PublishInterval)
		synctest.Wait()
		if _, ok := visitor.slot("blue"); ok || len(visitor.entries()) != 0 {
			t.Error("visitors see it")
		}
		if got := must(t, b, amf.String("admin"), amf.String(token)).entries(); len(got) != 1 {
			t.Errorf("operators see %v", got)
		}
	})
}

func TestNodeFallsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := new(nodes)
		a, pa := n.newNode(t)
		b, _ := n.newNode(t)
		room := mustRoom(t, a, "blue", "n1")
		visitor := must(t, b)
		for range 5 {
			time.Sleep(5 * time.Second)
			synctest.Wait()
			room.report(lobby.Status{Epoch: 1, Seq: 1})
			pa.renew()
			synctest.Wait()
		}
		if got := visitor.state("blue"); got != lobby.StateLive {
			t.Errorf("renewed, but %q", got)
		}
		time.Sleep(15*time.Second + time.Millisecond)
		synctest.Wait()
		if got := visitor.state("blue"); got != lobby.StateStale {
			t.Errorf("not renewed, but %q", got)
		}
		pa.Put("blue", entryJSON(t, lobby.Entry{Name: "blue", State: lobby.StateLive}))
		synctest.Wait()
		if got := visitor.state("blue"); got != lobby.StateLive {
			t.Errorf("heard of again, but %q", got)
		}
		time.Sleep(45*time.Second + time.Millisecond)
		synctest.Wait()
		if got := visitor.state("blue"); got != "" {
			t.Errorf("silent for 45 s, but %q", got)
		}
	})
}

// While the other nodes cannot be heard, nothing stops here, and their rooms do not count
// as gone.
func TestViewGrowsOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := new(nodes)
		a, pa := n.newNode(t)
		b, _ := n.newNode(t)
		far, here := mustRoom(t, a, "blue", "n1"), mustRoom(t, b, "red", "n2")
		far.report(lobby.Status{Epoch: 1, Seq: 1})
		visitor := must(t, b)
		view := must(t, b)
		view.client.ServeSharedObject(&sharedobject.Message{Name: lobby.ObjectView, Events: []sharedobject.Event{{Type: sharedobject.Use}}})
		fresh := func() (bool, float64) {
			synctest.Wait()
			view.mu.Lock()
			defer view.mu.Unlock()
			f, _ := amf.AsBool(view.rooms.Slots["fresh"])
			at, _ := amf.AsNumber(view.rooms.Slots["at"])
			answer, err := visitor.call(lobby.MethodView)
			if w := lobby.ParseView(answer); w == nil || w.Fresh != f || w.At != int64(at) {
				t.Errorf("the method view answers %v, %v", answer, err)
			}
			return f, at
		}
		if f, _ := fresh(); !f {
			t.Error("not fresh at first")
		}
		n.setAway(true)
		cut := float64(time.Now().UnixMilli())
		for range 60 {
			time.Sleep(5 * time.Second)
			synctest.Wait()
			here.report(lobby.Status{Epoch: 1, Seq: 1})
		}
		if f, at := fresh(); f || at != cut {
			t.Errorf("after five minutes: fresh %v, at %v, want %v", f, at, cut)
		}
		if got := visitor.state("blue"); got != lobby.StateStale {
			t.Errorf("the far room is %q", got)
		}
		if got := visitor.state("red"); got != lobby.StateLive {
			t.Errorf("the room here is %q", got)
		}
		n.setAway(false)
		if f, _ := fresh(); !f {
			t.Error("not fresh again")
		}
		pa.Put("blue", entryJSON(t, lobby.Entry{Name: "blue", State: lobby.StateLive}))
		synctest.Wait()
		if got := visitor.state("blue"); got != lobby.StateLive {
			t.Errorf("the far room is %q again", got)
		}
		n.setAway(true)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		n.setAway(false)
		time.Sleep(31 * time.Second)
		synctest.Wait()
		if got := visitor.state("blue"); got != "" {
			t.Errorf("not heard of again, but %q", got)
		}
	})
}

func TestNoView(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, err := must(t, newHost(t, lobby.Config{Secret: secret})).call(lobby.MethodView)
		if err != nil || lobby.ParseView(v) != nil {
			t.Errorf("got %v, %v", v, err)
		}
	})
}

func TestSameRoomOnTwoNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := new(nodes)
		a, _ := n.newNode(t)
		b, pb := n.newNode(t)
		far := mustRoom(t, a, "blue", "n1")
		far.report(lobby.Status{Epoch: 1, Seq: 1, Users: 1, Node: "n1"})
		time.Sleep(lobby.PublishInterval)
		synctest.Wait()
		here := mustRoom(t, b, "blue", "n2")
		here.report(lobby.Status{Epoch: 2, Seq: 1, Users: 2, Node: "n2"})
		time.Sleep(lobby.PublishInterval)
		synctest.Wait()
		visitor := must(t, b).watch()
		if got := visitor.entries(); len(got) != 1 || got[0].Users != 2 {
			t.Errorf("got %+v, want the room here", got)
		}
		here.client.Leave(fmt.Errorf("broken"))
		time.Sleep(lobby.PublishInterval)
		synctest.Wait()
		if e, _ := visitor.slot("blue"); e.Users != 1 || e.State != lobby.StateLive {
			t.Errorf("got %+v, want the live one", e)
		}
		time.Sleep(31 * time.Second)
		synctest.Wait()
		pb.nodes.mu.Lock()
		defer pb.nodes.mu.Unlock()
		if len(pb.entries) != 0 {
			t.Error("still shared after it was gone")
		}
	})
}

func TestAnnounceOnAllNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := new(nodes)
		a, _ := n.newNode(t)
		b, _ := n.newNode(t)
		rooms := []*peer{mustRoom(t, a, "blue", "n1"), mustRoom(t, b, "red", "n2"), mustRoom(t, b, "green", "n2")}
		time.Sleep(lobby.PublishInterval)
		synctest.Wait()
		operator := must(t, a, amf.String("admin"), amf.String(token))
		say := func(s string, want float64) {
			t.Helper()
			v, err := operator.call(lobby.MethodAnnounce, amf.String(s))
			if got, _ := amf.AsNumber(amf.Lookup(v, "rooms")); err != nil || got != want {
				t.Errorf("%s: got %v, %v, want %v", s, got, err, want)
			}
			synctest.Wait()
		}
		say("At ten.", 3)
		n.setAway(true)
		say("At eleven.", 1)
		for i, want := range []int{2, 1, 1} {
			rooms[i].mu.Lock()
			if got := len(rooms[i].calls); got != want {
				t.Errorf("room %d heard %d announcements, want %d", i, got, want)
			}
			rooms[i].mu.Unlock()
		}
	})
}

func TestBadEntriesOfOtherNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := new(nodes)
		_, p := n.newNode(t)
		h, _ := n.newNode(t)
		p.Put("blue", []byte("no JSON"))
		p.Put("red", entryJSON(t, lobby.Entry{Name: "other"}))
		p.Put("<b>", entryJSON(t, lobby.Entry{Name: "<b>"}))
		p.Put("green", []byte(`{"name":"green","state":"odd","http":"javascript:1","users":1}`))
		synctest.Wait()
		got := must(t, h).entries()
		if len(got) != 1 || got[0].Name != "green" || got[0].State != lobby.StateStale || got[0].HTTP != "" {
			t.Errorf("got %+v", got)
		}
	})
}

// A lobby under another name has nothing to do with other nodes.
func TestOtherLobbyIsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := new(nodes)
		h := newHost(t, lobby.Config{Secret: secret, Directory: n.place(), Bus: n})
		if err := h.Start("lobby/other"); err != nil {
			t.Fatal(err)
		}
		if n.all[0].changed != nil || n.heard != nil {
			t.Error("it listens to other nodes")
		}
	})
}

func TestManyRoomsElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := new(nodes)
		_, p := n.newNode(t)
		h, _ := n.newNode(t)
		for i := range lobby.MaxElsewhere + 1 {
			name := fmt.Sprintf("r%d", i)
			p.Put(name, fmt.Appendf(nil, `{"name":%q,"state":"live","unlisted":true}`, name))
		}
		synctest.Wait()
		v, err := h.Call(t.Context(), "lobby", lobby.MethodSums, amf.Bool(true))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := lobby.ParseSums(v); err != nil || got.Live != lobby.MaxElsewhere {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}

func entryJSON(t *testing.T, e lobby.Entry) []byte {
	t.Helper()
	data, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
