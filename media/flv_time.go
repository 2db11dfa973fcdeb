package media

// Jumps of a stream's time, in milliseconds, that are taken for those of
// another clock and left out. Sound and pictures are never as far apart.
const (
	flvMaxForward = 10_000
	flvMaxBack    = 1_000
	flvStep       = 40 // what a jump becomes
)

// A timeline counts the time of a stream from 0. The times of messages wrap,
// and jump when the publisher is another; it does neither.
type timeline struct {
	begun, restart bool
	raw            uint32 // of the last message
	out, max       int64  // the last one's time, and the latest
}

// at is the time of a message.
func (t *timeline) at(raw uint32) int64 {
	d := int64(int32(raw - t.raw))
	switch {
	case !t.begun:
		t.begun = true
	case t.restart || d > flvMaxForward || d < -flvMaxBack:
		t.out = t.max + flvStep
	default:
		t.out += d
	}
	t.raw, t.restart = raw, false
	t.max = max(t.max, t.out)
	return max(t.out, 0)
}

// now is the latest time there was.
func (t *timeline) now() int64 { return t.max }
