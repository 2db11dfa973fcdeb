package guard

import (
	"log/slog"
	"maps"
	"net/netip"
	"time"
)

// A Refusal names a limit that was met, with a reason for the peer and the time
// before another try. The host turns it into an information object, the web
// side into 429.
type Refusal struct {
	Limit      string        // the label of foyer_refused_total: "address-rate"
	Reason     string        // a sentence for the peer
	RetryAfter time.Duration // 0: trying again does not help
	About      string        // the subject of log lines, instead of addresses; "": addresses
	Drop       bool          // too far over the limit for an answer: close the socket
}

func (r *Refusal) Error() string { return r.Reason }

// How refusals are logged: only the first of a minute for an address and limit.
const (
	logEvery  = time.Minute
	lookEvery = time.Second // when to look for lines to forget, with so many:
	maxLogged = 4096        // pairs of address and limit; with more, nothing is logged until some are forgotten
	maxAbout  = 64          // subjects of Refusal.About
)

// logged is the subject of a line in the log.
type logged struct {
	limit  string
	source netip.Prefix
	about  string
}

// Refuse counts a refusal to addr, logs the first of a minute, and returns r.
// attrs are added to the line.
func (g *Guard) Refuse(addr netip.Addr, r *Refusal, attrs ...any) *Refusal {
	now := time.Now()
	g.mu.Lock()
	if g.refused == nil {
		g.refused = make(map[string]uint64)
	}
	g.refused[r.Limit]++
	var first bool
	if r.About == "" {
		first = g.lines.first(maxLogged, logged{limit: r.Limit, source: Source(addr)}, now)
	} else {
		first = g.abouts.first(maxAbout, logged{limit: r.Limit, about: r.About}, now)
	}
	g.mu.Unlock()
	if first && g.Log != nil {
		g.Log.Warn("refused", append([]any{"limit", r.Limit, "addr", addr.String(), slog.Duration("retryAfter", r.RetryAfter)}, attrs...)...)
	}
	return r
}

// recent are the lines of the last minute. The zero value has none.
type recent struct {
	at   map[logged]time.Time
	look time.Time // when to look again for lines to forget
}

// first reports whether nothing has been logged about l in the last minute, and
// remembers that it is now. At most so many are remembered.
func (r *recent) first(most int, l logged, now time.Time) bool {
	if at, ok := r.at[l]; ok && now.Sub(at) < logEvery {
		return false
	}
	if r.at == nil {
		r.at = make(map[logged]time.Time)
	}
	if len(r.at) >= most {
		if now.Before(r.look) {
			return false
		}
		r.look = now.Add(lookEvery)
		maps.DeleteFunc(r.at, func(_ logged, at time.Time) bool { return now.Sub(at) >= logEvery })
		if len(r.at) >= most {
			return false
		}
	}
	r.at[l] = now
	return true
}

// Refused is how often each limit has been met, by name: foyer_refused_total.
func (g *Guard) Refused() map[string]uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return maps.Clone(g.refused)
}
