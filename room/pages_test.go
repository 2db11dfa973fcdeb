package room_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"foyer/room"
	"foyer/server"
	"foyer/server/amf"
	"foyer/server/rtmp"
)

// long fills a room with more messages than it has in memory.
func long(t *testing.T, h *server.Host) *peer {
	t.Helper()
	ann := join(t, h, "ann")
	for range room.MaxCached + 100 {
		time.Sleep(time.Second)
		ann.say("x")
	}
	return ann
}

func TestReadingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &vault{Memory: room.Memory{History: 2000}}
		h := newHost(t, keptIn(v))
		ann := long(t, h)
		v.set(func() { v.pages = make(chan bool) })
		q := query("after", 10.0, "limit", 2.0)
		var asked []*reply
		for range 5 {
			asked = append(asked, ann.ask("history", q))
		}
		synctest.Wait()
		if v.on != 1 {
			t.Errorf("one client reads %d pages", v.on)
		}
		if got := told(ann.must("history", query("limit", 1.0))); got != "600 complete more" {
			t.Errorf("what is at hand waits: %s", got)
		}
		var others []*peer
		for range 2 * room.MaxPages {
			p := spectate(t, h)
			others = append(others, p)
			asked = append(asked, p.ask("history", q), p.ask("history", q))
		}
		for range 2 * room.MaxPages {
			go h.Call(t.Context(), "room/blue", "history", q)
		}
		synctest.Wait()
		if v.on != room.MaxPages || v.most != room.MaxPages {
			t.Errorf("%d pages are read", v.on)
		}
		others[len(others)-1].client.Leave(rtmp.ErrClosed)
		others[0].client.Leave(rtmp.ErrClosed)
		synctest.Wait()
		close(v.pages)
		for i, a := range asked {
			gone := i == 5 || i == 6 || i >= len(asked)-2
			if got := a.String(); got == "pending" || !gone && !strings.Contains(got, "id:11") {
				t.Errorf("%d: got %s", i, got)
			}
		}
		if v.most != room.MaxPages || v.on != 0 {
			t.Errorf("%d pages were read at a time", v.most)
		}
	})
}

func TestTooManyReadings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &vault{Memory: room.Memory{History: 2000}}
		h := newHost(t, keptIn(v))
		long(t, h)
		v.set(func() { v.pages = make(chan bool) })
		for range room.MaxPagesLocal + room.MaxWaiting {
			go h.Call(t.Context(), "room/blue", "history", query("after", 1.0))
		}
		synctest.Wait()
		if v.on != room.MaxPagesLocal {
			t.Errorf("%d pages are read for the process itself", v.on)
		}
		if got := spectate(t, h).ask("history", query("after", 1.0)).String(); got != "Too many people are reading old messages at the moment. (1000)" {
			t.Errorf("got %s", got)
		}
		close(v.pages)
	})
}

func TestRemovedWhileReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &vault{Memory: room.Memory{History: 2000}}
		h := newHost(t, keptIn(v))
		ann, mod := long(t, h), moderate(t, h)
		v.set(func() { v.pages = make(chan bool) })
		a := ann.ask("history", query("after", 10.0, "limit", 3.0))
		synctest.Wait()
		mod.must("remove", amf.Number(12))
		close(v.pages)
		if got := a.String(); strings.Contains(got, "id:12") || !strings.Contains(got, "id:13") {
			t.Errorf("got %s", got)
		}
	})
}

func TestReadingFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &vault{Memory: room.Memory{History: 2000}}
		h := newHost(t, keptIn(v))
		ann := long(t, h)
		v.set(func() { v.away = true })
		q := query("after", 10.0)
		if got := ann.ask("history", q).String(); got != "Old messages cannot be read at the moment. (2000)" {
			t.Errorf("got %s", got)
		}
		v.set(func() { v.away, v.pages = false, make(chan bool) })
		a := ann.ask("history", q)
		time.Sleep(room.ReadTimeout)
		if got := a.String(); got != "Old messages cannot be read at the moment. (2000)" {
			t.Errorf("a store that does not answer: %s", got)
		}
	})
}
