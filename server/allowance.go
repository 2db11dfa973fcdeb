package server

import (
	"time"

	"foyer/server/guard"
)

// How much a client may ask of shared objects: what it writes goes to everybody
// who uses the object. MaxRequestBurst bytes at once, then MaxRequestRate bytes a
// second; then its reader waits. All clients of an object together may write as
// much to it; then who wants to write more waits, one behind the other.
const (
	MaxRequestBurst = 512 << 10
	MaxRequestRate  = 64 << 10
	requestCost     = 64 // of an event, beside the bytes in it
)

// How much a client may be answered: MaxAnswerBurst bytes at once, then
// MaxAnswerRate bytes a second. A call costs callCost at least, and what it keeps
// its instance busy: a client may use a tenth of it all the time. Then its next
// call waits, and so does its reader.
const (
	MaxAnswerBurst = 1 << 20
	MaxAnswerRate  = 256 << 10
	callCost       = 256
	busyCost       = 10 * MaxAnswerRate        // bytes, for a second
	pendingCost    = MaxAnswerBurst / MaxCalls // of a call that has no answer yet
)

// An allowance is what may be taken at once, and how much more a second.
type allowance struct{ burst, rate float32 }

var (
	requests = allowance{MaxRequestBurst, MaxRequestRate}
	answers  = allowance{MaxAnswerBurst, MaxAnswerRate}
)

// A debt is what was taken of an allowance and is not yet forgiven.
type debt struct {
	at    int64 // when that was, in Unix time
	bytes float32
	told  bool // somebody had to wait, since it was nothing
}

// take notes that so much is taken, and returns how long the next one has to
// wait.
func (d *debt) take(a allowance, bytes float32, now time.Time) time.Duration {
	d.forgive(a, now)
	d.bytes = max(0, d.bytes+bytes)
	return d.left(a)
}

// wait returns how long the next one has to wait.
func (d *debt) wait(a allowance, now time.Time) time.Duration {
	d.forgive(a, now)
	return d.left(a)
}

func (d *debt) forgive(a allowance, now time.Time) {
	passed := max(0, now.UnixNano()-d.at) // the clock may be set back
	d.at = now.UnixNano()
	if d.bytes -= a.rate * float32(time.Duration(passed).Seconds()); d.bytes <= 0 {
		d.bytes, d.told = 0, false
	}
}

func (d *debt) left(a allowance) time.Duration {
	if d.bytes <= a.burst {
		return 0
	}
	return max(time.Microsecond, time.Duration((d.bytes-a.burst)/a.rate*float32(time.Second)))
}

// first reports whether nobody has been told yet, and notes that it is done.
func (d *debt) first() bool {
	before := d.told
	d.told = true
	return !before
}

// slowed counts that a client has to wait, once for each time that a debt grows
// too large.
func (c *Client) slowed(d *debt, limit, reason string, wait time.Duration) {
	if d.first() {
		c.refused(limit, reason, wait)
	}
}

// refused counts that a limit was met.
func (c *Client) refused(limit, reason string, wait time.Duration) {
	c.in.Guard().Refuse(c.IP(), &guard.Refusal{Limit: limit, Reason: reason, RetryAfter: wait}, "instance", c.in.name, "client", c.ID())
}

// A task is something that a client asks for, when it has to wait for it. It
// returns how long it has to wait yet, byTurn if somebody resumes the client by
// himself, or 0: it is done. last says that the client is going: now or never.
type task func(last bool) (wait time.Duration)

const byTurn time.Duration = -1

// parked is what a client has asked for and has to wait for. While there is
// something, all else that it asks for waits behind that, and it is not read.
type parked struct {
	tasks []task
	turn  *object // whose next writer it is
}

// park has a task wait, behind those that wait already. Instance goroutine.
func (c *Client) park(t task) {
	if c.parked != nil {
		c.parked.tasks = append(c.parked.tasks, t)
		return
	}
	c.parked = &parked{tasks: []task{t}}
	c.calls.hold(MaxCalls)
	c.resume()
}

// resume does what need not wait any more. Instance goroutine.
func (c *Client) resume() {
	for p := c.parked; p != nil; {
		if wait := p.tasks[0](false); wait != 0 {
			if wait > 0 {
				c.in.After(wait, c.resume)
			}
			return
		}
		if p.tasks = p.tasks[1:]; len(p.tasks) == 0 {
			c.parked, p = nil, nil
			c.calls.hold(-MaxCalls)
		}
	}
}

// unpark does what waits, now or never. Instance goroutine.
func (c *Client) unpark() {
	p := c.parked
	if p == nil {
		return
	}
	c.parked = nil
	c.calls.hold(-MaxCalls)
	for _, t := range p.tasks {
		t(true)
	}
}
