package guard

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"
)

func TestFailuresAreBounded(t *testing.T) {
	var f failures
	now := time.Unix(1e9, 0)
	addr := func(i int) netip.Addr {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], uint32(i))
		return netip.AddrFrom4(b)
	}
	for range FreeFailures {
		f.failed(addr(0), now)
	}
	for i := range 3 * MaxAddresses {
		f.failed(addr(i+1), now.Add(time.Duration(i)*time.Millisecond))
	}
	if got := len(f.byAddr); got < MaxAddresses/2 || got > MaxAddresses {
		t.Errorf("remembers %d addresses, want at most %d", got, MaxAddresses)
	}
	if got := f.wait(addr(0), now.Add(15*time.Second)); got != 0 {
		t.Errorf("the address that was quiet longest waits %v", got)
	}
	later := now.Add(2 * FailureWindow)
	for i := range MaxAddresses + 1 - len(f.byAddr) {
		f.failed(addr(1<<20+i), later)
	}
	if got := len(f.byAddr); got > MaxAddresses/2 {
		t.Errorf("remembers %d addresses when most are old", got)
	}
}

func TestFailuresBySource(t *testing.T) {
	for _, c := range []struct {
		name, failed, asked string
		waits               bool
	}{
		{"the same address", "192.0.2.1", "192.0.2.1", true},
		{"another", "192.0.2.1", "192.0.2.2", false},
		{"mapped into IPv6", "192.0.2.1", "::ffff:192.0.2.1", true},
		{"the same /64", "2001:db8::1", "2001:db8::ffff:1", true},
		{"another /64", "2001:db8::1", "2001:db8:0:1::1", false},
		{"a zone", "fe80::1%eth0", "fe80::1%eth1", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var f failures
			now := time.Unix(1e9, 0)
			for range FreeFailures {
				f.failed(netip.MustParseAddr(c.failed), now)
			}
			if got := f.wait(netip.MustParseAddr(c.asked), now) > 0; got != c.waits {
				t.Errorf("waits: got %v, want %v", got, c.waits)
			}
		})
	}
}

// TestBarred: where answers cannot wait, an address that tries as often as it
// may has five guesses at once, and about twelve more a minute.
func TestBarred(t *testing.T) {
	var f failures
	addr, now, tries := netip.MustParseAddr("192.0.2.1"), time.Unix(1e9, 0), 0
	for end := now.Add(10 * time.Minute); now.Before(end); now = now.Add(50 * time.Millisecond) {
		if f.barred(addr, now) > 0 {
			continue
		}
		f.failed(addr, now)
		if tries++; tries == FreeFailures && f.barred(addr, now) != MinWait {
			t.Errorf("after %d failures barred for %v", tries, f.barred(addr, now))
		}
	}
	if most := FreeFailures + 4 + 10*12; tries > most || tries < 10*11 {
		t.Errorf("%d guesses in ten minutes, want at most %d", tries, most)
	}
	if f.barred(netip.MustParseAddr("192.0.2.2"), now) > 0 {
		t.Error("another address is barred, too")
	}
	if f.barred(addr, now.Add(FailureWindow)) > 0 {
		t.Error("barred after a quiet minute")
	}
}

// TestShown: the failures before a credential count for its answer, the
// credential itself does not.
func TestShown(t *testing.T) {
	var g Guard
	addr := netip.MustParseAddr("192.0.2.1")
	for i := range FreeFailures {
		if wait := g.Shown(addr, false); wait != 0 {
			t.Errorf("the answer to failure %d waits %v", i+1, wait)
		}
	}
	for range 2 { // a right one neither helps nor hurts
		if wait := g.Shown(addr, true); wait != MinWait {
			t.Errorf("a right one waits %v, want %v", wait, MinWait)
		}
	}
	if n := g.Refused()[LimitCredentials]; n != FreeFailures {
		t.Errorf("%d were counted, want %d", n, FreeFailures)
	}
}
