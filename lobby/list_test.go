package lobby_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"foyer/lobby"
	"foyer/server"
	"foyer/server/amf"
	"foyer/server/sharedobject"
)

func long(n int) string { return strings.Repeat("x", n) }

func setSlot(slot string, v amf.Value) *sharedobject.Message {
	return &sharedobject.Message{Name: lobby.ObjectRooms, Events: []sharedobject.Event{{Type: sharedobject.RequestChange, Slot: slot, Value: v}}}
}

func TestListedFromAcceptance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newLobby(t)
		visitor := must(t, h).watch()
		room := mustRoom(t, h, "blue", "n1")
		e, ok := visitor.slot("blue")
		if !ok || e.State != lobby.StateLive || e.Users != 0 || e.Since != float64(time.Now().UnixMilli()) {
			t.Errorf("got %+v, %v", e, ok)
		}
		room.report(lobby.Status{Epoch: 1, Seq: 1, Users: 12, Title: "Blue"})
		time.Sleep(lobby.PublishInterval)
		if e, _ := visitor.slot("blue"); e.Users != 12 || e.Title != "Blue" {
			t.Errorf("got %+v", e)
		}
	})
}

func TestLateReports(t *testing.T) {
	for _, c := range []struct {
		name       string
		epoch, seq float64
		ignored    bool
	}{
		{"the next one", 5, 11, false},
		{"the same again", 5, 10, false},
		{"an older seq", 5, 9, true},
		{"an older epoch", 4, 99, true},
		{"a newer epoch", 6, 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newLobby(t)
				room := mustRoom(t, h, "blue", "n1")
				room.report(lobby.Status{Epoch: 5, Seq: 10, Users: 1})
				if got := room.report(lobby.Status{Epoch: c.epoch, Seq: c.seq, Users: 2}); got != c.ignored {
					t.Errorf("ignored: got %v, want %v", got, c.ignored)
				}
				if got := must(t, h).entries()[0].Users == 1; got != c.ignored {
					t.Errorf("kept the older state: %v, want %v", got, c.ignored)
				}
			})
		})
	}
}

func TestBadReports(t *testing.T) {
	field := func(name string, v amf.Value) amf.Value { return amf.Object{{Name: name, Value: v}} }
	for _, c := range []struct {
		name string
		arg  amf.Value
		want string
	}{
		{"nothing", amf.Null{}, "The report cannot be read: status: want an object, got nothing."},
		{"a number", amf.Number(12), "The report cannot be read: status: want an object, got a number."},
		{"an array", amf.StrictArray{}, "The report cannot be read: status: want an object, got an array."},
		{"users in words", field("users", amf.String("many")), "The report cannot be read: status: users: want a number, got a string."},
		{"a title that is an object", field("title", amf.Object{}), "The report cannot be read: status: title: want a string, got an object."},
		{"live as a number", field("live", amf.Number(1)), "The report cannot be read: status: live: want a boolean, got a number."},
		{"tags that are no strings", field("tags", amf.StrictArray{amf.Number(1)}), "The report cannot be read: status: tags: item 0: want a string, got a number."},
		{"streams as a string", field("streams", amf.String("live")), "The report cannot be read: status: streams: want an array, got a string."},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newLobby(t)
				_, err := mustRoom(t, h, "blue", "n1").call(lobby.MethodReport, c.arg)
				if code, got := rejection(err); got != c.want || code != "NetConnection.Call.Failed" {
					t.Errorf("got %s %q, want %q", code, got, c.want)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		h := newLobby(t)
		for _, who := range []*peer{must(t, h), must(t, h, amf.String("admin"), amf.String(token))} {
			_, err := who.call(lobby.MethodReport, lobby.Status{}.Value())
			if _, got := rejection(err); got != "Not allowed." {
				t.Errorf("report from no room: got %q", got)
			}
		}
	})
}

func TestStates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, lobby.Config{Secret: secret, StaleAfter: 15 * time.Second, GoneAfter: 30 * time.Second})
		visitor := must(t, h)
		room := mustRoom(t, h, "blue", "n1")
		at := func(d time.Duration, want string) {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			if got := visitor.state("blue"); got != want {
				t.Errorf("got state %q, want %q", got, want)
			}
		}
		at(10*time.Second, lobby.StateLive)
		room.report(lobby.Status{Users: 7}) // heard at 10 s: stale at 25 s
		at(14*time.Second, lobby.StateLive)
		at(time.Second, lobby.StateStale)
		if got := visitor.entries()[0].Users; got != 7 {
			t.Errorf("a stale entry has %d users", got)
		}
		at(29*time.Second, lobby.StateStale)
		at(time.Second, "")
		room.report(lobby.Status{Users: 8}) // any later report brings it back
		at(0, lobby.StateLive)
		if e := visitor.entries()[0]; e.Users != 8 || e.Since != float64(time.Now().UnixMilli()) {
			t.Errorf("back as %+v", e)
		}
		at(15*time.Second, lobby.StateStale)
		room.report(lobby.Status{Users: 8})
		at(14*time.Second, lobby.StateLive)
		at(time.Second, lobby.StateStale)
	})
}

// TestRoomsSeenFrom: a visitor is not sent to their own machine.
func TestRoomsSeenFrom(t *testing.T) {
	h := newLobby(t)
	mustRoom(t, h, "blue", "n1").report(lobby.Status{Epoch: 1, Seq: 1, RTMP: "rtmp://localhost:1936/room/blue", HTTP: "http://127.0.0.1:8081/room/blue"})
	for _, c := range []struct{ uri, want string }{
		{"rtmp://live.example.org:1935/lobby", "rtmp://live.example.org:1936/room/blue http://live.example.org:8081/room/blue"},
		{"", "rtmp://localhost:1936/room/blue http://127.0.0.1:8081/room/blue"},
		{"rtmp://<b>/lobby", "rtmp://localhost:1936/room/blue http://127.0.0.1:8081/room/blue"},
	} {
		p := &peer{t: t}
		var err error
		if p.client, err = h.Connect(t.Context(), p, server.Request{Path: "lobby", URI: c.uri, Protocol: "rtmp"}); err != nil {
			t.Fatal(err)
		}
		if e := p.entries()[0]; e.RTMP+" "+e.HTTP != c.want {
			t.Errorf("from %q: got %s %s, want %s", c.uri, e.RTMP, e.HTTP, c.want)
		}
	}
}

func TestPublishedTwiceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newLobby(t)
		visitor := must(t, h).watch()
		var rooms []*peer
		for i := range 20 {
			rooms = append(rooms, mustRoom(t, h, fmt.Sprint("r", i), "n1"))
		}
		time.Sleep(time.Second)
		before := visitor.received()
		for range 100 { // ten seconds of changes
			for i, room := range rooms {
				room.report(lobby.Status{Users: i + int(time.Now().UnixMilli()%97)})
			}
			time.Sleep(100 * time.Millisecond)
		}
		if got := visitor.received() - before; got < 19 || got > 21 {
			t.Errorf("got %d messages in 10 s, want 20", got)
		}
		time.Sleep(time.Second)
		before = visitor.received()
		rooms[0].report(lobby.Status{Users: 1000})
		if got := visitor.received() - before; got != 1 {
			t.Errorf("a change after silence came with %d messages at once, want 1", got)
		}
		time.Sleep(time.Second)
		before = visitor.received()
		for seq := range 10 {
			rooms[0].report(lobby.Status{Users: 1000, Seq: float64(seq)})
			time.Sleep(time.Second)
		}
		if got := visitor.received() - before; got != 0 {
			t.Errorf("reports without news caused %d messages", got)
		}
	})
}

func TestUnlisted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newLobby(t)
		visitor, operator := must(t, h).watch(), must(t, h, amf.String("admin"), amf.String(token))
		room := mustRoom(t, h, "blue", "n1")
		room.report(lobby.Status{Unlisted: true})
		time.Sleep(time.Second)
		if _, ok := visitor.slot("blue"); ok {
			t.Error("in the shared object")
		}
		if got := visitor.entries(); len(got) != 0 {
			t.Errorf("visitors see %v", got)
		}
		if got := room.entries(); len(got) != 0 {
			t.Errorf("rooms see %v", got)
		}
		if got := operator.entries(); len(got) != 1 {
			t.Errorf("operators see %v", got)
		}
		local := func(query ...amf.Value) int {
			v, err := h.Call(t.Context(), "lobby", lobby.MethodRooms, query...)
			if err != nil {
				t.Fatal(err)
			}
			return len(v.(amf.StrictArray))
		}
		if n := local(); n != 0 {
			t.Errorf("the process sees %d without asking for them", n)
		}
		if n := local(amf.Object{{Name: "unlisted", Value: amf.Bool(true)}}); n != 1 {
			t.Errorf("the process sees %d", n)
		}
		room.report(lobby.Status{})
		time.Sleep(time.Second)
		if _, ok := visitor.slot("blue"); !ok {
			t.Error("not in the shared object when listed again")
		}
	})
}
