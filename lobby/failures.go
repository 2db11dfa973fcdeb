package lobby

import (
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Failed attempts to show a password make the next answers to their address
// slow: five are free, then each answer waits, twice as long as the one before.
const (
	FreeFailures  = 5
	FailureWindow = time.Minute
	MinWait       = 250 * time.Millisecond
	MaxWait       = 5 * time.Second
	MaxAddresses  = 4096 // remembered at a time; those that were quiet longest are forgotten first
)

// maxFailures is how many failures of one address matter: with more of them
// the wait does not grow.
const maxFailures = 10

// Failures remembers who failed to show a password lately. The zero value is
// ready, and safe for concurrent use: it outlives instances, which come and go
// with those who connect.
type Failures struct {
	mu     sync.Mutex                   // guards what follows
	byAddr map[netip.Prefix][]time.Time // oldest first, at most maxFailures
}

// Guesses is what every lobby and room of this process uses unless its Config
// says otherwise. An instance of its own name would be a fresh start for who
// guesses, and so would one that ends because it only refused somebody.
var Guesses Failures

// Wait returns how long an answer to addr has to wait now.
func (f *Failures) Wait(addr netip.Addr, now time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := len(f.recentLocked(source(addr), now))
	if n < FreeFailures {
		return 0
	}
	return min(MinWait<<(n-FreeFailures), MaxWait)
}

// Failed records a failure of addr.
func (f *Failures) Failed(addr netip.Addr, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.byAddr == nil {
		f.byAddr = make(map[netip.Prefix][]time.Time)
	}
	key := source(addr)
	times := f.recentLocked(key, now)
	if len(times) == maxFailures {
		times = times[1:]
	}
	if times == nil && len(f.byAddr) >= MaxAddresses {
		f.forgetLocked(now)
	}
	f.byAddr[key] = append(times, now)
}

// recentLocked returns the failures that still count, and drops the others.
func (f *Failures) recentLocked(key netip.Prefix, now time.Time) []time.Time {
	times := f.byAddr[key]
	for len(times) > 0 && now.Sub(times[0]) >= FailureWindow {
		times = times[1:]
	}
	if len(times) == 0 {
		delete(f.byAddr, key)
		return nil
	}
	f.byAddr[key] = times
	return times
}

// forgetLocked makes room: all that no longer counts goes, or at least the
// quarter of the addresses that was quiet longest. So it is rarely needed.
func (f *Failures) forgetLocked(now time.Time) {
	var last []time.Time
	for _, times := range f.byAddr {
		last = append(last, times[len(times)-1])
	}
	slices.SortFunc(last, time.Time.Compare)
	quiet := last[len(last)/4]
	if over := now.Add(-FailureWindow); over.After(quiet) {
		quiet = over
	}
	maps.DeleteFunc(f.byAddr, func(_ netip.Prefix, times []time.Time) bool {
		return !times[len(times)-1].After(quiet)
	})
}

// source is what counts as one address: an IPv4 address, or the /64 of an
// IPv6 one, all of which belongs to whoever has one of it.
func source(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	p, _ := addr.Prefix(bits) // the invalid address is a source like any other
	return p
}
