package guard

import (
	"net/netip"
	"time"
)

// What an address may be answered, by HTTP and by calls of all its clients. A
// request is charged for its answer, and for at least the cost that its kind
// names: it is work even when there is little to answer.
const (
	AnswerBurst = 16 << 20 // bytes at once
	AnswerRate  = 1 << 20  // and bytes a second
)

// tooManyAnswers is what a refusal says.
const tooManyAnswers = "Too many requests from your address."

// Ask charges addr for a request, before it is answered: the least that it
// costs. A refusal is for the caller to report.
func (g *Guard) Ask(addr netip.Addr, least int) *Refusal {
	wait := g.charge(addr, least, false)
	if wait == 0 {
		return nil
	}
	return &Refusal{Limit: "answers", Reason: tooManyAnswers, RetryAfter: max(wait, time.Second)}
}

// Charge is Ask for those who wait: it takes bytes from the allowance of addr, or
// returns how long there is none.
func (g *Guard) Charge(addr netip.Addr, bytes int) (wait time.Duration) {
	return g.charge(addr, bytes, false)
}

// Answered charges addr for what an answer took beyond that.
func (g *Guard) Answered(addr netip.Addr, bytes int) { g.charge(addr, bytes, true) }

// charge takes bytes from the allowance of addr. Unless they have been sent
// already, it takes none when that is used up, and returns how long to wait.
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
