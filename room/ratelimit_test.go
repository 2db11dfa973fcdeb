package room_test

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"foyer/room"
	"foyer/server"
	"foyer/server/amf"
	"foyer/server/guard"
	"foyer/server/rtmp"
)

// newLimited returns a host whose guard limits all addresses but 127.0.0.0/8.
func newLimited(t *testing.T, cfg room.Config) *server.Host {
	h := newHost(t, cfg)
	h.Guard = new(guard.Guard)
	h.Guard.Set(guard.Limits{Exempt: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	return h
}

// from comes to the room blue from an address.
func from(t *testing.T, h *server.Host, addr string, args ...amf.Value) *peer {
	t.Helper()
	p, err := connectAs(t, h, server.Request{Args: args, Addr: netip.AddrPortFrom(netip.MustParseAddr(addr), 1)})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// talks talks until it is refused, and returns how many messages that took and how long
// to wait.
func (p *peer) talks() (said int, wait float64) {
	p.t.Helper()
	for {
		if _, err := p.call("say", amf.String("x")); err != nil {
			_, wait = application(err)
			return said, wait
		}
		said++
	}
}

func TestAllowanceOfAnAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newLimited(t, config())
		check := func(who string, p *peer, want int) {
			t.Helper()
			if said, wait := p.talks(); said != want || wait <= 0 || wait > 1000 {
				t.Errorf("%s: said %d, then waits %v ms, want %d", who, said, wait, want)
			}
		}
		ann := from(t, h, "198.51.100.1", amf.String("ann"))
		check("new", ann, 1)
		time.Sleep(2 * time.Second)
		check("new for two seconds", ann, 2)
		time.Sleep(8 * time.Second)
		check("new no longer", ann, room.Burst)
		check("from the same address", from(t, h, "198.51.100.1", amf.String("bob")), 0)
		ann.client.Leave(rtmp.ErrClosed)
		synctest.Wait()
		check("with another nick", from(t, h, "198.51.100.1", amf.String("carl")), 0)
		check("from another address", from(t, h, "198.51.100.2", amf.String("dora")), 1)
		green, err := connectAs(t, h, server.Request{Path: "room/green", Args: amf.Args{amf.String("ann")}, Addr: netip.MustParseAddrPort("198.51.100.1:1")})
		if err != nil {
			t.Fatal(err)
		}
		check("in another room", green, 1)

		six := from(t, h, "2001:db8::1", amf.String("eve"))
		time.Sleep(room.NewTime)
		check("IPv6", six, room.Burst)
		check("the same /64", from(t, h, "2001:db8::2", amf.String("fred")), 0)

		local := from(t, h, "127.0.0.1", amf.String("gina"))
		check("exempt", local, room.Burst)
		check("exempt, another connection", from(t, h, "127.0.0.1", amf.String("hans")), room.Burst)
		if got := h.Guard.Refused()["talk"]; got != 11 {
			t.Errorf("%d refusals were counted", got)
		}
	})
}

func TestAllowanceOfARoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newLimited(t, config())
		said, refused := 0, 0
		for i := range room.RoomBurst + 10 {
			p := from(t, h, fmt.Sprint("198.51.100.", i), amf.String(fmt.Sprint("p", i)))
			_, err := p.call("say", amf.String("x"))
			if err == nil {
				said++
				continue
			}
			refused++
			if reason, wait := application(err); reason != "Too much is being said in this room." || wait != 20 {
				t.Errorf("got %q, %v", reason, wait)
			}
		}
		if said != room.RoomBurst || h.Guard.Refused()["room-talk"] != uint64(refused) {
			t.Errorf("%d said something, %d were refused, %v counted", said, refused, h.Guard.Refused())
		}
		from(t, h, "127.0.0.1", amf.String("bot")).say("exempt")
		time.Sleep(time.Second)
		from(t, h, "198.51.100.99", amf.String("late")).say("a second later")
	})
}

// TestNobodyEmptiesAHistory: whatever an address does, it pushes no more messages out of
// the history than it is allowed to say.
func TestNobodyEmptiesAHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m room.Memory
		cfg := config()
		cfg.Open = m.Open
		h := newLimited(t, cfg)
		from(t, h, "198.51.100.7", amf.String("ann")).say("keep me")
		const seconds = 60
		for i := range seconds {
			for j := range 20 { // with a nick and a connection each
				p := from(t, h, "203.0.113.1", amf.String(fmt.Sprintf("n%d.%d", i, j)))
				for range 10 {
					p.call("say", amf.String("x"))
				}
				p.client.Leave(rtmp.ErrClosed)
			}
			time.Sleep(time.Second)
		}
		k, _ := m.Open(t.Context(), "blue", nil)
		if got := int(k.Last()); got > 1+room.Burst+seconds || got < seconds {
			t.Errorf("%d messages are stored", got)
		}
		if got := len(k.Newest()); got != int(k.Last()) {
			t.Errorf("%d of %d messages are left", got, k.Last())
		}
	})
}

func TestRenamesOfAnAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newLimited(t, config())
		ann, bob := from(t, h, "198.51.100.1", amf.String("ann")), from(t, h, "198.51.100.1", amf.String("bob"))
		for i := range room.Burst {
			ann.must("nick", amf.String(fmt.Sprint("ann", i)))
		}
		if reason, wait := application(bob.refused("nick", amf.String("robert"))); reason != "You change your nick too fast." || wait != 1000 {
			t.Errorf("got %q, %v", reason, wait)
		}
		from(t, h, "198.51.100.2", amf.String("carl")).must("nick", amf.String("karl"))
		time.Sleep(time.Second)
		bob.must("nick", amf.String("robert"))
	})
}

func TestSlowHoldsForAnAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newLimited(t, config())
		from(t, h, "127.0.0.1", amf.String("mod"), amf.String(token)).must("slow", amf.Number(30))
		ann, bob := from(t, h, "198.51.100.1", amf.String("ann")), from(t, h, "198.51.100.1", amf.String("bob"))
		ann.say("x")
		time.Sleep(time.Second)
		bob.say("somebody else at that address")
		ann.client.Leave(rtmp.ErrClosed)
		time.Sleep(time.Second)
		ann = from(t, h, "198.51.100.1", amf.String("anna"))
		if reason, wait := application(ann.refused("say", amf.String("y"))); wait != 28000 {
			t.Errorf("with another nick: %q, %v", reason, wait)
		}
		time.Sleep(28 * time.Second)
		ann.say("y")
	})
}

// TestArrivalsOfAnAddress: somebody who comes and goes all the time does not make a room
// look busy.
func TestArrivalsOfAnAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newLimited(t, config())
		comes := func(addr string) {
			from(t, h, addr, amf.String("ann")).client.Leave(rtmp.ErrClosed)
			synctest.Wait()
		}
		var r *room.Room
		h.Handle("room", func() server.Application {
			r = room.New(config()).(*room.Room)
			return r
		})
		for range 300 {
			comes("198.51.100.1")
		}
		// Burst times 2 of heat, of 30 that make 0.5.
		if got := r.Status().Activity; got != 0.25 {
			t.Errorf("one address makes it %v", got)
		}
		for i := range 10 {
			comes(fmt.Sprint("198.51.100.", 10+i))
		}
		if got := r.Status().Activity; got != 0.5 {
			t.Errorf("ten more make it %v", got)
		}
	})
}
