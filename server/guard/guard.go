package guard

import (
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// A Guard counts what addresses have and do. The zero value is ready; it
// enforces no limits but the one for wrong credentials. It is safe for
// concurrent use.
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

// Set replaces the limits. Whatever exceeds a lower limit stays until it ends
// by itself.
func (g *Guard) Set(l Limits) { g.limits.Store(&l) }

// Limits returns the limits in force.
func (g *Guard) Limits() Limits {
	if l := g.limits.Load(); l != nil {
		return *l
	}
	return Limits{}
}

// Limiting reports whether limits were ever set.
func (g *Guard) Limiting() bool { return g.limits.Load() != nil }

// Exempt reports whether the limits for addresses do not apply to addr.
func (g *Guard) Exempt(addr netip.Addr) bool {
	l := g.limits.Load()
	return l != nil && Contains(l.Exempt, addr)
}

// LimitCredentials is the label of wrong credentials.
const LimitCredentials = "credentials"

// Shown is for a credential of any kind that addr has shown. It returns how
// long the answer has to wait, and then counts the credential if it was wrong.
// attrs say in the log what the credential was for, and never contain it.
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

// Wait is how long the answer to a credential of addr, right or wrong, has to
// wait now: not at all for the first five failures of a minute. A client that
// shows no credential never waits.
func (g *Guard) Wait(addr netip.Addr) time.Duration { return g.failures.wait(addr, time.Now()) }

// Barred is how much of that wait is left since the last failure. Until then,
// credentials of addr are not looked at where answers cannot wait.
func (g *Guard) Barred(addr netip.Addr) time.Duration { return g.failures.barred(addr, time.Now()) }
