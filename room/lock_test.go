package room_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"foyer/room"
	"foyer/server"
	"foyer/server/amf"
	"foyer/server/rtmp"
)

// again comes back with what one is known by.
func again(t *testing.T, h *server.Host, nick, resume string) (*peer, string) {
	p, err := connect(t, h, amf.String(nick), amf.Null{}, amf.String(resume))
	if err != nil {
		reason, _ := application(err)
		return nil, reason
	}
	return p, "in"
}

func TestInsidersComeBack(t *testing.T) {
	const ann, bob, carl = "ann's own secret string", "bob's own secret string", "carl's own secret string"
	synctest.Test(t, func(t *testing.T) {
		v := new(vault)
		h := newHost(t, keptIn(v))
		p, _ := again(t, h, "ann", ann)
		q, _ := again(t, h, "bob", bob)
		r, _ := again(t, h, "carl", carl)
		dan := join(t, h, "dan")
		mod := moderate(t, h)
		mod.must("lock", amf.Bool(true))
		mod.must("kick", amf.String("carl"))
		q.client.Leave(rtmp.ErrClosed)
		synctest.Wait()
		check := func(when, nick, resume, want string) *peer {
			t.Helper()
			p, got := again(t, h, nick, resume)
			if got != want {
				t.Errorf("%s, %s: %s, want %s", when, nick, got, want)
			}
			return p
		}
		check("bob left", "bob", "", "Room is locked.")
		check("bob left", "eve", "nobody's secret string", "Room is locked.")
		q = check("bob left", "bob", bob, "in")
		check("bob is in", "eve", bob, "Room is locked.") // a proof is good once

		// Killed: another server finds what was stored, and nobody in.
		time.Sleep(time.Hour)
		first := h
		h = newHost(t, keptIn(v))
		check("after a kill", "carl", carl, "Room is locked.")
		check("after a kill", "dan", "", "Room is locked.")
		p2, q2 := check("after a kill", "ann", ann, "in"), check("after a kill", "bob", bob, "in")
		check("after a kill", "eve", ann, "Room is locked.")
		restart(t, p2, q2)
		h = first
		restart(t, p, q, r, dan, mod)

		// Stopped. Anyone who takes too long may not come back.
		h = newHost(t, keptIn(v))
		p = check("after a stop", "ann", ann, "in")
		time.Sleep(room.ReturnTime)
		check("too late", "bob", bob, "Room is locked.")
		mod = moderate(t, h)
		mod.must("lock", amf.Bool(false))
		restart(t, p, mod)
		check("open", "dan", "", "in")
	})
}

func TestInsidersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := new(vault)
		cfg := keptIn(v)
		cfg.MaxUsers = room.MaxMembers + 2
		h := newHost(t, cfg)
		mod := moderate(t, h)
		people := []*peer{mod}
		for i := range room.MaxMembers + 1 {
			p, _ := again(t, h, fmt.Sprint("p", i), fmt.Sprint("a long secret string ", i))
			people = append(people, p)
		}
		mod.must("lock", amf.Bool(true))
		restart(t, people...)
		h = newHost(t, cfg)
		for i, want := range map[int]string{0: "Room is locked.", 1: "in", room.MaxMembers: "in"} { // user 0 left first
			if _, got := again(t, h, fmt.Sprint("p", i), fmt.Sprint("a long secret string ", i)); got != want {
				t.Errorf("number %d: %s, want %s", i, got, want)
			}
		}
	})
}
