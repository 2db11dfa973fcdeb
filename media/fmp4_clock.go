package media

// How far timestamps may jump before it is taken for a new beginning (a
// publisher that restarted, a clock that was set), in milliseconds.
const (
	maxAhead  = 5000
	maxBehind = 1000
	newStep   = 20 // what a new beginning is taken to follow what was before by
)

// A clock makes one rising time, in milliseconds, of timestamps that wrap after
// 2^32 and may jump. It never goes below zero.
type clock struct {
	set  bool
	last uint32 // the timestamp that now belongs to
	now  int64
}

// at is the time of a timestamp.
func (c *clock) at(timestamp uint32) int64 {
	if !c.set {
		c.set, c.last = true, timestamp
		return c.now
	}
	step := int64(int32(timestamp - c.last))
	if step > maxAhead || step < -maxBehind {
		step = newStep
	}
	c.last = timestamp
	c.now = max(0, c.now+step)
	return c.now
}

// restart says that the next timestamp has nothing to do with the last.
func (c *clock) restart(now int64) { c.set, c.now = false, max(0, now) }

// move puts the last timestamp to another time.
func (c *clock) move(now int64) { c.now = max(0, now) }
