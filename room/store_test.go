package room_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"foyer/room"
	"foyer/server"
	"foyer/server/amf"
	"foyer/server/rtmp"
)

var errAway = errors.New("the store is away")

// keptIn returns a configuration with a store.
func keptIn(v *vault) room.Config {
	cfg := config()
	cfg.Open = v.Open
	return cfg
}

// reply is an answer that may not have come yet.
type reply struct {
	mu   sync.Mutex
	done bool
	v    amf.Value
	err  error
}

// ask calls without waiting.
func (p *peer) ask(method string, args ...amf.Value) *reply {
	a := new(reply)
	p.client.ServeCall(method, args, func(v amf.Value, err error) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.done, a.v, a.err = true, v, err
	})
	return a
}

// String returns the answer, as far as it is known.
func (a *reply) String() string {
	synctest.Wait()
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case !a.done:
		return "pending"
	case a.err != nil:
		reason, wait := application(a.err)
		if reason == "" {
			reason = a.err.Error()
		}
		return fmt.Sprintf("%s (%v)", reason, wait)
	}
	return brief(a.v)
}

// restart lets everybody go and waits until the room has stopped.
func restart(t *testing.T, people ...*peer) {
	t.Helper()
	for _, p := range people {
		p.client.Leave(rtmp.ErrClosed)
	}
	time.Sleep(time.Minute)
	synctest.Wait()
}

func query(pairs ...any) amf.Value {
	o := amf.Object{}
	for i := 0; i < len(pairs); i += 2 {
		o = append(o, amf.Field{Name: pairs[i].(string), Value: amf.Number(pairs[i+1].(float64))})
	}
	return o
}

// told returns a page in short: "1,2,3 complete more".
func told(v amf.Value) string {
	var ids []string
	for _, m := range amf.Lookup(v, "messages").(amf.StrictArray) {
		n, _ := amf.AsNumber(amf.Lookup(m, "id"))
		ids = append(ids, fmt.Sprint(n))
	}
	s := strings.Join(ids, ",")
	for _, name := range []string{"complete", "more"} {
		if yes, _ := amf.AsBool(amf.Lookup(v, name)); yes {
			s += " " + name
		}
	}
	return s
}

func epochOf(v amf.Value) float64 {
	n, _ := amf.AsNumber(amf.Lookup(v, "epoch"))
	return n
}

func TestSayIsAnsweredWhenStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := new(vault)
		h := newHost(t, keptIn(v))
		ann, bob := join(t, h, "ann"), join(t, h, "bob")
		v.hold()
		first, second := ann.ask("say", amf.String("one")), bob.ask("say", amf.String("two"))
		if got := first.String() + second.String() + ann.heard(); got != "pendingpending" {
			t.Errorf("before it is stored: %s", got)
		}
		if got := told(bob.must("history")); got != " complete" {
			t.Errorf("before it is stored: history %s", got)
		}
		v.let()
		if got := first.String() + second.String(); got != "{id:1}{id:2}" {
			t.Errorf("got %s", got)
		}
		want := "message({id:1 user:{id:u1 nick:ann role:user} text:one}) message({id:2 user:{id:u2 nick:bob role:user} text:two})"
		if got := bob.heard(); got != want {
			t.Errorf("got %s", got)
		}
	})
}

func TestSayThatIsNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := new(vault)
		h := newHost(t, keptIn(v))
		ann, mod := join(t, h, "ann"), moderate(t, h)
		v.set(func() { v.away = true })
		for range 3 * room.Burst { // each one gives its allowance back
			if got := ann.ask("say", amf.String("x")).String(); got != "Messages cannot be stored at the moment. (2000)" {
				t.Fatalf("got %s", got)
			}
		}
		if s := ann.refused("say", amf.String("x")); s.Description != "Messages cannot be stored at the moment." {
			t.Errorf("got %q", s.Description)
		}
		if got := mod.heard(); got != "" {
			t.Errorf("others heard %s", got)
		}
		v.set(func() { v.away = false })
		mod.must("slow", amf.Number(30))
		v.set(func() { v.away = true })
		ann.refused("say", amf.String("x"))
		v.set(func() { v.away = false })
		if got := brief(ann.must("say", amf.String("y"))); got != "{id:1}" {
			t.Errorf("ids have a gap: %s", got)
		}
		if got := ann.ask("say", amf.String("z")).String(); !strings.HasPrefix(got, "Slow mode") {
			t.Errorf("got %s", got)
		}
	})
}

func TestFoundLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := new(vault)
		h := newHost(t, keptIn(v))
		ann := join(t, h, "ann")
		ann.say("one")
		v.set(func() { v.silent = true })
		ann.refused("say", amf.String("two"))
		v.set(func() { v.silent = false })
		ann.heard()
		for range 2 { // the second time is no news
			go v.found(v.lost[0])
			synctest.Wait()
		}
		ann.say("three")
		want := "message({id:2 user:{id:u1 nick:ann role:user} text:two}) message({id:3 user:{id:u1 nick:ann role:user} text:three})"
		if got := ann.heard(); got != want {
			t.Errorf("got %s", got)
		}
		if got := told(ann.must("history")); got != "1,2,3 complete" {
			t.Errorf("got %s", got)
		}
		v.found([]byte("{")) // a damaged message is ignored
		v.set(func() { v.silent = true })
		ann.refused("say", amf.String("four"))
		v.set(func() { v.silent = false })
		ann.say("five")    // told before
		v.found(v.lost[1]) // one from before
		if got := told(ann.must("history")); got != "1,2,3,4,5 complete" {
			t.Errorf("got %s", got)
		}
	})
}

func TestTheSameRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := new(vault)
		h := newHost(t, keptIn(v))
		from := func(ip, nick string) server.Request {
			return server.Request{Args: amf.Args{amf.String(nick)}, Addr: netip.AddrPortFrom(netip.MustParseAddr(ip), 1)}
		}
		ann, _ := connectAs(t, h, from("203.0.113.6", "ann"))
		mod := moderate(t, h)
		bob, err := connectAs(t, h, from("203.0.113.5", "bob"))
		if err != nil {
			t.Fatal(err)
		}
		ann.say("hello")
		before := epochOf(ann.must("history"))
		mod.must("title", amf.String("Blue"))
		mod.must("topic", amf.String("tea"))
		mod.must("tags", amf.StrictArray{amf.String("jazz")})
		mod.must("slow", amf.Number(30))
		mod.must("unlist", amf.Bool(true))
		mod.must("ban", amf.String("bob"), amf.Number(600), amf.String("spam"))
		mod.must("mute", amf.String("ann"), amf.Number(600))
		mod.must("lock", amf.Bool(true))
		restart(t, ann, mod, bob)
		if v.closed != 1 {
			t.Fatalf("closed %d times", v.closed)
		}

		mod = moderate(t, h)
		mod.use(room.ObjectRoom, false)
		for slot, want := range map[string]string{"title": "Blue", "topic": "tea", "slow": "30", "locked": "true"} {
			if got := mod.slot(room.ObjectRoom, slot); got != want {
				t.Errorf("%s: got %q", slot, got)
			}
		}
		_, err = connectAs(t, h, from("203.0.113.5", "carl"))
		if reason, _ := application(err); reason != "spam" {
			t.Errorf("from bob's address: %v", err)
		}
		if _, err := connect(t, h, amf.String("ann")); err == nil || err.(*rtmp.StatusError).Description != "Room is locked." {
			t.Errorf("the room is not locked: %v", err)
		}
		mod.must("lock", amf.Bool(false))
		if _, wait := application(join(t, h, "ann").refused("say", amf.String("x"))); wait < 400e3 || wait > 600e3 {
			t.Errorf("ann is muted for %v", wait)
		}
		page := mod.must("history")
		if got := brief(amf.Lookup(page, "messages")); got != "[{id:1 user:{id:u1 nick:ann role:user} text:hello}]" || epochOf(page) != before {
			t.Errorf("got %s, epoch %v", got, epochOf(page))
		}
		mod.heard()
		mod.say("again")
		if got := mod.heard(); got != "message({id:2 user:{id:u104 nick:mod role:moderator} text:again})" {
			t.Errorf("got %s: u1 is somebody else", got)
		}
	})
}

func TestModeratorsAreAnsweredWhenStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := new(vault)
		h := newHost(t, keptIn(v))
		ann, mod := join(t, h, "ann"), moderate(t, h)
		v.hold()
		first, again := mod.ask("topic", amf.String("tea")), mod.ask("topic", amf.String("tea"))
		if got := first.String() + again.String(); got != "pendingpending" {
			t.Errorf("got %s", got)
		}
		if got := ann.heard(); got != "notice({text:The topic is now: tea})" {
			t.Errorf("it holds at once: %s", got)
		}
		v.let()
		if got := first.String() + again.String(); got != "nullnull" {
			t.Errorf("got %s", got)
		}
		n := v.saves
		mod.must("topic", amf.String("tea"))
		if v.saves != n {
			t.Error("stored what is stored")
		}
		v.set(func() { v.away = true })
		want := "This holds now, but it cannot be stored at the moment. (2000)"
		if got := mod.ask("topic", amf.String("coffee")).String(); got != want {
			t.Errorf("got %s", got)
		}
		time.Sleep(time.Minute)
		v.set(func() { v.away = false })
		time.Sleep(room.SaveRetry) // it is tried again
		synctest.Wait()
		restart(t, ann, mod)
		mod = moderate(t, h)
		mod.use(room.ObjectRoom, false)
		if got := mod.slot(room.ObjectRoom, "topic"); got != "coffee" {
			t.Errorf("got %s", got)
		}
		v.set(func() { v.away = true })
		mod.refused("topic", amf.String("water"))
		mod.client.Leave(rtmp.ErrClosed)
		synctest.Wait()
		v.set(func() { v.away = false })
		restart(t) // the last chance is when the room stops
		mod = moderate(t, h)
		mod.use(room.ObjectRoom, false)
		if got := mod.slot(room.ObjectRoom, "topic"); got != "water" {
			t.Errorf("got %s", got)
		}
	})
}

// TestStateIsBounded has a room with as many and as long sentences as there can be.
func TestStateIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sentences := func(reason string) string {
			var list []string
			for i := range room.MaxSentences {
				nick := fmt.Sprintf("%05d", i) + strings.Repeat("\\u003c", room.MaxNick-5)
				list = append(list, fmt.Sprintf(`{"nick":"%s","addr":"2001:db8:1111:2222::/64","until":"2000-06-01T00:00:00.123456789Z","reason":"%s"}`, nick, reason))
			}
			return "[" + strings.Join(list, ",") + "]"
		}
		var m room.Memory
		k, _ := m.Open(t.Context(), "blue", nil)
		k.Save([]byte(`{"bans":`+sentences(strings.Repeat("<", room.MaxReason))+`,"mutes":`+sentences("")+`}`), func(error) {})
		cfg := config()
		cfg.Open = m.Open
		h := newHost(t, cfg)
		moderate(t, h).must("topic", amf.String("tea"))
		if n := len(k.State()); n > room.MaxState || !strings.Contains(string(k.State()), "tea") {
			t.Errorf("a state of %d bytes", n)
		}
		if _, err := connect(t, h, amf.String("00999"+strings.Repeat("<", room.MaxNick-5))); err == nil {
			t.Error("somebody who is banned came in")
		}
	})
}

// TestNameIsKept: a room is called as it was first opened, however the first client after
// a restart writes it.
func TestNameIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := new(vault)
		var r *room.Room
		comes := func(path string) *peer {
			h := newHost(t, config())
			h.Handle("room", func() server.Application {
				r = room.New(keptIn(v)).(*room.Room)
				return r
			})
			p, err := connectAs(t, h, server.Request{Path: path, Args: amf.Args{amf.String("ann"), amf.String(token)}})
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		p := comes("room/Blue")
		p.must("topic", amf.String("tea"))
		restart(t, p)
		p = comes("room/bLUE")
		if got := r.Status().RTMP; got != "rtmp://h:1935/room/Blue" {
			t.Errorf("it is at %s", got)
		}
		if got := p.refused("move", amf.String("BLUE")).Description; got != "This is the room BLUE already." {
			t.Errorf("got %q", got)
		}
	})
}

// TestSentencesOfBefore: older programs kept nicks in capitals.
func TestSentencesOfBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m room.Memory
		k, _ := m.Open(t.Context(), "blue", nil)
		k.Save([]byte(`{"bans":[{"nick":"BOB","until":"2000-06-01T00:00:00Z"}],"mutes":[{"nick":"ANN","until":"2000-06-01T00:00:00Z"}]}`), func(error) {})
		cfg := config()
		cfg.Open = m.Open
		h := newHost(t, cfg)
		mod := moderate(t, h)
		for _, nick := range []string{"bob", "Bob", "b\u043eb", "B0B"} {
			if _, err := connect(t, h, amf.String(nick)); err == nil {
				t.Errorf("%+q came in", nick)
			}
		}
		if got := join(t, h, "Ann").refused("say", amf.String("x")).Description; got != "You are muted." {
			t.Errorf("got %q", got)
		}
		mod.must("ban", amf.String("bob"), amf.Number(0))
		join(t, h, "bob")
		mod.must("ban", amf.String("Carl"), amf.Number(60))
		if state := string(k.State()); !strings.Contains(state, `"nick":"Carl"`) || strings.Contains(state, "BOB") {
			t.Errorf("kept: %s", state)
		}
	})
}

func TestRemoveIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := new(vault)
		h := newHost(t, keptIn(v))
		ann, mod := join(t, h, "ann"), moderate(t, h)
		ann.say("a")
		ann.say("b")
		ann.heard()
		v.set(func() { v.away = true })
		if got := mod.ask("remove", amf.Number(2)).String(); got != "The message cannot be removed at the moment. (2000)" {
			t.Errorf("got %s", got)
		}
		v.set(func() { v.away = false })
		v.hold()
		a := mod.ask("remove", amf.Number(2))
		if got := a.String() + ann.heard(); got != "pending" {
			t.Errorf("got %s", got)
		}
		v.let()
		if got := a.String() + ann.heard(); got != "nullremoved(2)" {
			t.Errorf("got %s", got)
		}
		mod.refused("remove", amf.Number(2))
		restart(t, ann, mod)
		ann = join(t, h, "ann")
		if got := told(ann.must("history")); got != "1 complete" {
			t.Errorf("got %s", got)
		}
		if got := brief(ann.must("say", amf.String("c"))); got != "{id:3}" {
			t.Errorf("an id was given twice: %s", got)
		}
	})
}

func TestHistoryEpoch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := new(vault)
		h := newHost(t, keptIn(v))
		ann := join(t, h, "ann")
		for range 5 {
			ann.say("x")
		}
		epoch := epochOf(ann.must("history"))
		restart(t, ann)
		ann = join(t, h, "ann")
		for _, c := range []struct {
			q    amf.Value
			want string
		}{
			{query("after", 3.0, "epoch", epoch), "4,5 complete"},
			{query("after", 5.0, "epoch", epoch), " complete"},
			{query("after", 3.0, "epoch", epoch-1, "limit", 3.0), "3,4,5 more"},
			{query("after", 9.0, "epoch", epoch), "1,2,3,4,5"}, // has seen more than there is
			{query("before", 3.0, "epoch", epoch+1), "1,2,3,4,5"},
			{query("before", 3.0, "epoch", epoch), "1,2 complete"},
			{query("after", 9.0), "1,2,3,4,5"},
			{query("after", 6.0, "before", 8.0), "1,2,3,4,5"},
			{query("after", 5.0), " complete"},
		} {
			if got := told(ann.must("history", c.q)); got != c.want {
				t.Errorf("%s: got %q, want %q", brief(c.q), got, c.want)
			}
		}
		v.Memory = room.Memory{} // all is lost
		restart(t, ann)
		ann = join(t, h, "ann")
		page := ann.must("history", query("after", 3.0, "epoch", epoch))
		if told(page) != "" || epochOf(page) <= epoch {
			t.Errorf("got %s, epoch %v after %v", told(page), epochOf(page), epoch)
		}
	})
}

// TestEmptyChat has a state whose chat is gone.
func TestEmptyChat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, state := range map[string]string{
			"no chat":   `{"chatEpoch":5,"users":100,"topic":"tea"}`,
			"no state":  `{"topic":"tea"}`,
			"untouched": `{"chatEpoch":5,"topic":"tea"}`,
		} {
			var m room.Memory
			k, _ := m.Open(t.Context(), "blue", nil)
			k.Save([]byte(state), func(error) {})
			cfg := config()
			cfg.Open = m.Open
			p := spectate(t, newHost(t, cfg))
			if got := epochOf(p.must("history")); (got == 5) != (name == "untouched") {
				t.Errorf("%s: epoch %v", name, got)
			}
			p.use(room.ObjectRoom, false)
			if got := p.slot(room.ObjectRoom, "topic"); got != "tea" {
				t.Errorf("%s: topic %q", name, got)
			}
		}
	})
}

func TestKeep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := new(vault)
		h := newHost(t, keptIn(v))
		ann, mod := join(t, h, "ann"), moderate(t, h)
		for range 30 {
			time.Sleep(time.Second)
			ann.say("x")
		}
		ann.heard()
		mod.must("keep", amf.Number(10), amf.Number(0))
		mod.must("keep", amf.Number(10), amf.Number(0)) // no news
		if got := told(ann.must("history")); got != "21,22,23,24,25,26,27,28,29,30" {
			t.Errorf("got %s", got)
		}
		ann.say("x")
		if got := told(ann.must("history")); got != "22,23,24,25,26,27,28,29,30,31" {
			t.Errorf("got %s", got)
		}
		mod.must("keep", amf.Number(10), amf.Number(0.5))
		time.Sleep(11 * time.Hour)
		ann.say("x")
		restart(t, ann, mod)
		time.Sleep(time.Hour)
		ann, mod = join(t, h, "ann"), moderate(t, h)
		if got := told(ann.must("history")); got != "32" {
			t.Errorf("after half a day: %s", got)
		}
		mod.use(room.ObjectRoom, false)
		if got := mod.slot(room.ObjectRoom, "keep"); got != "{count:10 days:0.5}" {
			t.Errorf("moderators see %q", got)
		}
		mod.must("keep", amf.Number(0), amf.Number(7))
		mod.must("keep", amf.Number(0), amf.Number(0))
		if got := mod.slot(room.ObjectRoom, "keep"); got != "" && got != "undefined" {
			t.Errorf("moderators see %q", got)
		}
		want := "notice({text:What is said here is kept for 7 days.}) notice({text:What is said here is kept as everywhere on this server.})"
		if got := ann.heard(); got != want {
			t.Errorf("got %s", got)
		}
		for _, bad := range [][]amf.Value{
			{}, {amf.Number(1)}, {amf.Number(-1), amf.Number(0)}, {amf.Number(1.5), amf.Number(0)}, {amf.Number(1), amf.Number(-1)},
			{amf.Number(room.MaxKeepCount + 1), amf.Number(0)}, {amf.Number(1), amf.Number(room.MaxKeepDays + 1)}, {amf.String("1"), amf.Number(1)},
		} {
			mod.refused("keep", bad...)
		}
		if got := ann.refused("keep", amf.Number(1), amf.Number(1)).Description; got != "Not allowed." {
			t.Errorf("got %q", got)
		}
	})
}

// TestServerKeepsLess has a server that keeps less than a room has in memory.
func TestServerKeepsLess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &vault{Memory: room.Memory{History: 5}}
		cfg := keptIn(v)
		cfg.History, cfg.HistoryAge = 5, time.Hour
		h := newHost(t, cfg)
		ann, mod := join(t, h, "ann"), moderate(t, h)
		mod.must("keep", amf.Number(100), amf.Number(1)) // that is more: nothing changes
		for range 9 {
			time.Sleep(time.Second)
			ann.say("x")
		}
		if got := told(ann.must("history")); got != "5,6,7,8,9" {
			t.Errorf("got %s", got)
		}
	})
}

func TestRoomThatCannotBeOpened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &vault{away: true}
		h := newHost(t, keptIn(v))
		_, err := connect(t, h, amf.String("ann"))
		s, _ := errors.AsType[*rtmp.StatusError](err)
		if s == nil || s.Code != rtmp.CodeConnectFailed || s.Description != "The room cannot be opened at the moment." {
			t.Fatalf("got %v", err)
		}
		if _, wait := application(err); wait != 5000 {
			t.Errorf("try again after %v", wait)
		}
		v.set(func() { v.away = false })
		join(t, h, "ann").say("hello")
	})
}

// TestStopWhileStoring stops a room whose store is slow: messages on their way are stored,
// pages are given up, and the store is closed once, at the end.
func TestStopWhileStoring(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &vault{Memory: room.Memory{History: 2000}}
		h := newHost(t, keptIn(v))
		ann := long(t, h)
		v.set(func() { v.pages = make(chan bool) })
		ann.ask("history", query("after", 10.0))
		v.hold()
		a := ann.ask("say", amf.String("last words"))
		synctest.Wait()
		h.Stop(t.Context())
		if got := a.String(); got != "{id:601}" {
			t.Errorf("got %s", got)
		}
		if v.closed != 1 || v.broken {
			t.Errorf("closed %d times, used after that: %v", v.closed, v.broken)
		}
	})
}

// TestPanicCloses has a room that breaks: its store is closed all the same.
func TestPanicCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := new(vault)
		h := newHost(t, keptIn(v))
		ann := join(t, h, "ann")
		ann.client.Instance().Post(func() { panic("for the test") })
		restart(t)
		if v.closed != 1 {
			t.Errorf("closed %d times", v.closed)
		}
	})
}
