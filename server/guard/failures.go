package guard

import (
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Wrong credentials slow down the next answers to their address. Five in a
// minute are free. After that each answer waits, twice as long as the one
// before.
const (
	FreeFailures  = 5
	FailureWindow = time.Minute
	MinWait       = 250 * time.Millisecond
	MaxWait       = 5 * time.Second
	MaxAddresses  = 4096 // remembered at a time; those that have been quiet longest are forgotten first
)

// maxFailures is how many failures of one address count: with more of them the
// wait does not get longer.
const maxFailures = 10

// failures remembers which addresses have shown wrong credentials lately.
type failures struct {
	mu     sync.Mutex                   // guards what follows
	byAddr map[netip.Prefix][]time.Time // oldest first, at most maxFailures
}

// wait returns how long an answer to addr has to wait now.
func (f *failures) wait(addr netip.Addr, now time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return waitAfter(len(f.recentLocked(Source(addr), now)))
}

// waitAfter is the wait after so many failures.
func waitAfter(n int) time.Duration {
	if n < FreeFailures {
		return 0
	}
	return min(MinWait<<(n-FreeFailures), MaxWait)
}

// barred returns how much of that wait is left, counted from the last failure.
func (f *failures) barred(addr netip.Addr, now time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	times := f.recentLocked(Source(addr), now)
	if len(times) < FreeFailures {
		return 0
	}
	return max(0, times[len(times)-1].Add(waitAfter(len(times))).Sub(now))
}

// failed records a failure of addr.
func (f *failures) failed(addr netip.Addr, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.byAddr == nil {
		f.byAddr = make(map[netip.Prefix][]time.Time)
	}
	key := Source(addr)
	times := f.recentLocked(key, now)
	if len(times) == maxFailures {
		times = times[1:]
	}
	if times == nil && len(f.byAddr) >= MaxAddresses {
		f.forgetLocked(now)
	}
	f.byAddr[key] = append(times, now)
}

// recentLocked returns the failures that still count, and removes the others.
func (f *failures) recentLocked(key netip.Prefix, now time.Time) []time.Time {
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

// forgetLocked makes room. It removes everything that no longer counts, and at
// least the quarter of the addresses that has been quiet longest, so it is
// rarely needed.
func (f *failures) forgetLocked(now time.Time) {
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
