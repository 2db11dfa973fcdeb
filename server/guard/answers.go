package guard

import (
	"net/netip"
	"time"
)

// How much an address may be answered, by HTTP and by calls of all its clients.
// A request is charged for its answer, and for at least the cost of its kind:
// it is work even when the answer is short.
const (
	AnswerBurst = 16 << 20 // bytes at once
	AnswerRate  = 1 << 20  // and bytes a second
)

// tooManyAnswers is the reason of such a refusal.
const tooManyAnswers = "Too many requests from your address."

// Ask charges addr for a request before it is answered, with the least that the
// request costs. The caller reports a refusal.
func (g *Guard) Ask(addr netip.Addr, least int) *Refusal {
	wait := g.charge(addr, least, false)
	if wait == 0 {
		return nil
	}
	return &Refusal{Limit: "answers", Reason: tooManyAnswers, RetryAfter: max(wait, time.Second)}
}

// Charge is Ask for callers that can wait: it takes bytes from the allowance of
// addr, or returns how long it takes until there are any.
func (g *Guard) Charge(addr netip.Addr, bytes int) (wait time.Duration) {
	return g.charge(addr, bytes, false)
}

// Answered charges addr for the bytes of an answer beyond the least.
func (g *Guard) Answered(addr netip.Addr, bytes int) { g.charge(addr, bytes, true) }

// charge takes bytes from the allowance of addr. When that is used up, it takes
// none and returns how long to wait, unless the bytes have been sent already.
func (g *Guard) charge(addr netip.Addr, bytes int, sent bool) (wait time.Duration) {
	l := g.limits.Load()
	if l == nil || bytes <= 0 || Contains(l.Exempt, addr) {
		return 0
	}
	const each = moment(time.Second) / AnswerRate // for a byte
	t := &g.addresses
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.nowLocked()
	a := t.getLocked(addr, now)
	if a == nil {
		return 0
	}
	next := max(moment(a.answered), now) + moment(bytes)*each
	if over := next - now - AnswerBurst*each; over > 0 && !sent {
		return time.Duration(over)
	}
	a.answered = pace(next)
	return 0
}
