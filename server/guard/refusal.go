package guard

import (
	"log/slog"
	"net/netip"
	"time"
)

// A Refusal says which limit was met, in words for the peer, and when to try
// again. The host turns it into an information object, the web side into 429.
type Refusal struct {
	Limit      string        // the label of foyer_refused_total: "address-rate"
	Reason     string        // a sentence for the peer
	RetryAfter time.Duration // 0: trying again does not help
	Drop       bool          // so far over the limit that an answer is too much: close the socket
}

func (r *Refusal) Error() string { return r.Reason }

// How refusals are logged: the first of a minute for an address and limit.
const (
	logEvery  = time.Minute
	lookEvery = time.Second // for those to forget, when there are so many:
	maxLogged = 4096        // pairs of address and limit remembered; beyond it nothing is logged until some are forgotten
)

// logged is what a line of the log was written about.
type logged struct {
	limit  string
	source netip.Prefix
}

// Refuse counts a refusal to addr and logs the first of a minute. It returns r.
// attrs are more fields for the log.
func (g *Guard) Refuse(addr netip.Addr, r *Refusal, attrs ...any) *Refusal {
	now := time.Now()
	g.mu.Lock()
	if g.refused == nil {
		g.refused = make(map[string]uint64)
	}
	g.refused[r.Limit]++
	first := g.firstLocked(logged{r.Limit, Source(addr)}, now)
	g.mu.Unlock()
	if first && g.Log != nil {
		g.Log.Warn("refused", append([]any{"limit", r.Limit, "addr", addr.String(), slog.Duration("retryAfter", r.RetryAfter)}, attrs...)...)
	}
	return r
}

// firstLocked reports whether nothing was logged about l in the last minute.
func (g *Guard) firstLocked(l logged, now time.Time) bool {
	if at, ok := g.lines[l]; ok && now.Sub(at) < logEvery {
		return false
	}
	if g.lines == nil {
		g.lines = make(map[logged]time.Time)
	}
	if len(g.lines) >= maxLogged {
		if now.Before(g.look) {
			return false
		}
		g.look = now.Add(lookEvery)
		for k, at := range g.lines {
			if now.Sub(at) >= logEvery {
				delete(g.lines, k)
			}
		}
		if len(g.lines) >= maxLogged {
			return false
		}
	}
	g.lines[l] = now
	return true
}

// Refused is how often each limit was met, by name: foyer_refused_total.
func (g *Guard) Refused() map[string]uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := make(map[string]uint64, len(g.refused))
	for limit, n := range g.refused {
		all[limit] = n
	}
	return all
}
