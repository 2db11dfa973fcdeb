package guard

import (
	"encoding/binary"
	"net/netip"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

var stranger = netip.MustParseAddr("192.0.2.1")

// address4 is one of many addresses.
func address4(i int) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], 1<<24+uint32(i))
	return netip.AddrFrom4(b)
}

func TestEnterZero(t *testing.T) {
	var g Guard
	for range 1000 {
		if _, r := g.Enter(stranger); r != nil {
			t.Fatalf("the zero Guard refuses: %v", r)
		}
	}
	if n := g.Known(); n != 0 {
		t.Errorf("it knows %d addresses", n)
	}
}

// TestAddressConnections: so many at a time. As many more are told, and beyond
// that sockets are closed.
func TestAddressConnections(t *testing.T) {
	var g Guard
	g.Set(Limits{AddressConnections: 3, Exempt: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	var places []Place
	for i, c := range []struct{ refused, drop bool }{{}, {}, {}, {true, false}, {true, false}, {true, false}, {true, true}, {true, true}} {
		p, r := g.Enter(stranger)
		places = append(places, p)
		if got := r != nil; got != c.refused || got && (r.Drop != c.drop || r.Limit != "address-connections" || r.RetryAfter <= 0) {
			t.Errorf("connection %d: %+v", i, r)
		}
	}
	if _, r := g.Request(stranger); r == nil || r.Limit != "address-connections" {
		t.Errorf("a request beside them: %+v", r)
	}
	for _, addr := range []string{"192.0.2.2", "127.0.0.1"} {
		if _, r := g.Enter(netip.MustParseAddr(addr)); r != nil {
			t.Errorf("%s is refused: %v", addr, r)
		}
	}
	for i := range places {
		places[i].Leave()
		places[i].Leave() // does nothing
	}
	for range 3 {
		if _, r := g.Request(stranger); r != nil {
			t.Fatalf("after they have left: %v", r)
		}
	}
	if _, r := g.Enter(stranger); r == nil {
		t.Error("requests that run do not count")
	}
}

// TestAddressRate: so many at once, refilled evenly. As many more are told, and
// an honest client that comes when it was told to is let in.
func TestAddressRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Guard
		g.Set(Limits{AddressRate: 300})
		enter := func() *Refusal {
			p, r := g.Enter(stranger)
			p.Leave()
			return r
		}
		for i := range 300 {
			if r := enter(); r != nil {
				t.Fatalf("connection %d: %v", i, r)
			}
		}
		r := enter()
		if r == nil || r.Drop || r.Limit != "address-rate" || r.RetryAfter != time.Minute/300 {
			t.Fatalf("the 301st: %+v", r)
		}
		time.Sleep(r.RetryAfter)
		if r := enter(); r != nil {
			t.Fatalf("after the wait: %v", r)
		}
		for i := range 299 {
			if r := enter(); r == nil || r.Drop {
				t.Fatalf("refused connection %d: %+v", i, r)
			}
		}
		for range 10 {
			enter()
		}
		if r := enter(); r == nil || !r.Drop {
			t.Errorf("beyond twice the limit: %+v", r)
		}
		time.Sleep(time.Minute)
		for i := range 300 {
			if r := enter(); r != nil {
				t.Fatalf("a minute later, connection %d: %v", i, r)
			}
		}
	})
}

func TestAddressRooms(t *testing.T) {
	var g Guard
	g.Set(Limits{AddressRooms: 2})
	first, _ := g.OpenRoom(netip.MustParseAddr("2001:db8::1"))
	g.OpenRoom(netip.MustParseAddr("2001:db8::2"))
	if _, r := g.OpenRoom(netip.MustParseAddr("2001:db8::3")); r == nil || r.Limit != "address-rooms" || r.Reason != "You have opened too many rooms." {
		t.Errorf("the third room of a /64: %+v", r)
	}
	first.Leave()
	if _, r := g.OpenRoom(netip.MustParseAddr("2001:db8::3")); r != nil {
		t.Errorf("after one has ended: %v", r)
	}
}

// TestVouch: connections of this site are not counted, and their address is
// always answered.
func TestVouch(t *testing.T) {
	var g Guard
	g.Set(Limits{AddressConnections: 1, AddressRate: 5})
	var ours []Place
	for i := range 100 {
		p, r := g.Enter(stranger)
		if r != nil && r.Drop {
			t.Fatalf("connection %d is not answered: %+v", i, r)
		}
		p.Vouch()
		ours = append(ours, p)
	}
	p, r := g.Enter(stranger)
	if r == nil || r.Limit != "address-rate" {
		t.Errorf("a stranger from there: %+v", r)
	}
	p.Leave()
	for i := range ours {
		ours[i].Leave()
	}
	for range 10 {
		p, r = g.Enter(stranger)
		p.Leave()
	}
	if r == nil || !r.Drop {
		t.Errorf("when ours have left, a flood gets %+v", r)
	}
}

// TestManyAddresses: memory is bounded, and quiet addresses are forgotten.
func TestManyAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 8192
		g := Guard{addresses: addresses{most: most}}
		g.Set(Limits{AddressConnections: 2, AddressRate: 60})
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		held, _ := g.Enter(stranger)
		for i := range most * 3 / 2 {
			p, r := g.Enter(address4(i))
			p.Leave()
			if r != nil {
				t.Fatalf("address %d: %v", i, r)
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		if n := len(g.addresses.known); n > most || n < most/2 {
			t.Errorf("remembers %d", n)
		}
		if each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / most; each > 200 {
			t.Errorf("%d bytes an address", each)
		}
		g.Enter(stranger)
		if _, r := g.Enter(stranger); r == nil {
			t.Error("what somebody has was forgotten")
		}
		held.Leave()
		time.Sleep(time.Minute)
		if n := g.Known(); n != 1 {
			t.Errorf("a minute later %d are remembered, want 1", n)
		}
	})
}

// TestTooManyHolders: when nothing can be forgotten, further addresses are let in.
func TestTooManyHolders(t *testing.T) {
	const most = 2048
	g := Guard{addresses: addresses{most: most}}
	g.Set(Limits{AddressConnections: 1})
	for i := range most + 10 {
		if _, r := g.Enter(address4(i)); r != nil {
			t.Fatalf("address %d: %v", i, r)
		}
	}
	if n := len(g.addresses.known); n != most {
		t.Errorf("remembers %d", n)
	}
}

func BenchmarkEnterLeave(b *testing.B) {
	var g Guard
	g.Set(Limits{
		Exempt: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}, Connections: 1000,
		AddressConnections: DefaultAddressConnections, AddressRate: 1 << 30, AddressRooms: DefaultAddressRooms,
	})
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		p, _ := g.Enter(address4(i % 1024))
		p.Leave()
	}
}
