package guard

import (
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// A Guard counts what addresses have and do. The zero value is ready and
// limits nothing but wrong credentials. It is safe for concurrent use.
type Guard struct {
	Log *slog.Logger // set before use; nil: nothing is logged

	limits    atomic.Pointer[Limits]
	failures  failures
	addresses addresses
	sockets   atomic.Int64 // of Listen that are open
	partial   Budget

	mu      sync.Mutex        // guards what follows; a leaf
	refused map[string]uint64 // by limit
	lines   recent
	abouts  recent // of refusals that are About something
}

// Set puts new limits in the place of the old ones. What is over a lower one
// stays until it ends by itself.
func (g *Guard) Set(l Limits) { g.limits.Store(&l) }

// Limits are the ones in force.
func (g *Guard) Limits() Limits {
	if l := g.limits.Load(); l != nil {
		return *l
	}
	return Limits{}
}

// Limiting reports whether limits were ever set.
func (g *Guard) Limiting() bool { return g.limits.Load() != nil }

// Exempt reports whether the limits for addresses leave addr alone.
func (g *Guard) Exempt(addr netip.Addr) bool {
	l := g.limits.Load()
	return l != nil && Contains(l.Exempt, addr)
}

// LimitCredentials is the label of wrong credentials.
const LimitCredentials = "credentials"

// Shown is for a credential that addr has shown, right or wrong, of any kind and
// by any way: it returns how long the answer has to wait, and counts a wrong one,
// for the answers after that. attrs say in the log what the credential was for,
// and never hold it.
func (g *Guard) Shown(addr netip.Addr, right bool, attrs ...any) (wait time.Duration) {
	wait = g.Wait(addr)
	if !right {
		g.Failed(addr, attrs...)
	}
	return wait
}

// Failed counts a wrong credential of addr. attrs are as for Shown.
func (g *Guard) Failed(addr netip.Addr, attrs ...any) {
	g.failures.failed(addr, time.Now())
	g.Refuse(addr, &Refusal{Limit: LimitCredentials, Reason: "Wrong credential.", RetryAfter: g.Wait(addr)}, attrs...)
}

// Wait is how long an answer to a credential of addr, right or wrong, has to
// wait now: nothing for the first five failures of a minute. A client that
// shows no credential never waits.
func (g *Guard) Wait(addr netip.Addr) time.Duration { return g.failures.wait(addr, time.Now()) }

// Barred is how much of that wait is left since the last failure. Until then a
// way in on which answers cannot wait does not look at credentials of addr.
func (g *Guard) Barred(addr netip.Addr) time.Duration { return g.failures.barred(addr, time.Now()) }
