package server

import (
	"time"

	"foyer/server/guard"
)

// How much a client may ask of shared objects, since everything it writes goes
// to everybody who uses the object: MaxRequestBurst bytes at once, then
// MaxRequestRate bytes a second. With more its reader waits. All clients of an
// object together may write as much to it. With more they wait, one behind the
// other.
const (
	MaxRequestBurst = 512 << 10
	MaxRequestRate  = 64 << 10
	requestCost     = 64 // for an event, beside the bytes in it
)

// How much a client may be answered: MaxAnswerBurst bytes at once, then
// MaxAnswerRate bytes a second. A call costs at least callCost, and the time
// that it keeps the instance busy: one client may take a tenth of that all the
// time. With more its next call waits, and so does its reader.
const (
	MaxAnswerBurst = 1 << 20
	MaxAnswerRate  = 256 << 10
	callCost       = 256
	busyCost       = 10 * MaxAnswerRate        // bytes, for a second of the instance's time
	pendingCost    = MaxAnswerBurst / MaxCalls // for a call that has no answer yet
)

// An allowance is how much may be taken at once, and how much more in a second.
type allowance struct{ burst, rate float32 }

var (
	requests = allowance{MaxRequestBurst, MaxRequestRate}
	answers  = allowance{MaxAnswerBurst, MaxAnswerRate}
)

// A debt is the part of an allowance that was taken and has not been forgiven
// yet.
type debt struct {
	at    int64 // when bytes was right, in Unix time
	bytes float32
	told  bool // it was reported that somebody had to wait, since it was last nothing
}

// take adds to the debt, and returns how long the next one has to wait.
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

// first reports whether the debt has not been reported yet, and notes that it
// is now.
func (d *debt) first() bool {
	before := d.told
	d.told = true
	return !before
}

// slowed reports that a client has to wait, once for each time that a debt
// grows too large.
func (c *Client) slowed(d *debt, limit, reason string, wait time.Duration) {
	if d.first() {
		c.refused(limit, reason, wait)
	}
}

// refused reports that a client has met a limit.
func (c *Client) refused(limit, reason string, wait time.Duration) {
	c.in.Guard().Refuse(c.IP(), &guard.Refusal{Limit: limit, Reason: reason, RetryAfter: wait}, "instance", c.in.name, "client", c.ID())
}

// A task is a request of a client that may have to wait. It returns how long it
// still has to wait, byTurn if somebody else will resume the client, or 0 when
// it is done. last means that the client is going: now or never.
type task func(last bool) (wait time.Duration)

const byTurn time.Duration = -1

// parked are the requests of a client that have to wait. As long as there are
// any, everything else that it asks for waits behind them, and it is not read.
type parked struct {
	tasks []task
	turn  *object // to which it may write next
}

// park lets a task wait behind those that wait already. Instance goroutine.
func (c *Client) park(t task) {
	if c.parked != nil {
		c.parked.tasks = append(c.parked.tasks, t)
		return
	}
	c.parked = &parked{tasks: []task{t}}
	c.calls.hold(MaxCalls)
	c.resume()
}

// resume runs the tasks that need not wait any more. Instance goroutine.
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

// unpark runs all tasks for the last time. Instance goroutine.
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
