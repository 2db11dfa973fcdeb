package lobby_test

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"foyer/lobby"
)

func TestFailuresAreBounded(t *testing.T) {
	var f lobby.Failures
	now := time.Unix(1e9, 0)
	addr := func(i int) netip.Addr {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], uint32(i))
		return netip.AddrFrom4(b)
	}
	for range lobby.FreeFailures {
		f.Failed(addr(0), now)
	}
	for i := range 3 * lobby.MaxAddresses {
		f.Failed(addr(i+1), now.Add(time.Duration(i)*time.Millisecond))
	}
	if got := lobby.Remembered(&f); got < lobby.MaxAddresses/2 || got > lobby.MaxAddresses {
		t.Errorf("remembers %d addresses, want at most %d", got, lobby.MaxAddresses)
	}
	if got := f.Wait(addr(0), now.Add(15*time.Second)); got != 0 {
		t.Errorf("the address that was quiet longest waits %v", got)
	}
	later := now.Add(2 * lobby.FailureWindow)
	for i := range lobby.MaxAddresses + 1 - lobby.Remembered(&f) {
		f.Failed(addr(1<<20+i), later)
	}
	if got := lobby.Remembered(&f); got > lobby.MaxAddresses/2 {
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
			var f lobby.Failures
			now := time.Unix(1e9, 0)
			for range lobby.FreeFailures {
				f.Failed(netip.MustParseAddr(c.failed), now)
			}
			if got := f.Wait(netip.MustParseAddr(c.asked), now) > 0; got != c.waits {
				t.Errorf("waits: got %v, want %v", got, c.waits)
			}
		})
	}
}
