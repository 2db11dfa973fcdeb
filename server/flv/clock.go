package flv

// How far the time of a track may go from one message to the next, in
// milliseconds, to be taken for its course.
const (
	maxBack  = 1000
	maxAhead = 10_000
)

const (
	// maxApart is by how much, in milliseconds, a track may begin before the
	// other one: encoders whose way for pictures is long send sound first.
	maxApart = 3000
	// restart is how long after everything else a track continues when its
	// timestamps say nothing.
	restart = 1
	// maxStill and maxStand are how many messages in a row may have the same
	// timestamp, and for how long, before they are taken to have none.
	maxStill = 8
	maxStand = 500
)

// A Clock gives the messages of a stream times in milliseconds. The times of a
// track never go back, whatever the publisher's timestamps do when it begins
// again, loops or loses count; and what one track does is not held against the
// other, which may arrive much earlier or later. Timestamps wrap after 2^32; the
// times do not. The zero value is ready: its first time is 0.
type Clock struct {
	ran    bool  // a time was given
	now    int64 // the latest one
	tracks [2]course
}

// A course is the time of the sound, or of the pictures.
type course struct {
	ran   bool // a message came, from this publisher or one before
	begun bool // from this one

	in  uint32 // the timestamp of the last message
	at  int64  // what it stands for
	out int64  // the time given, which is at unless that would be back

	still int   // messages since with the same timestamp
	stood int64 // at, when the timestamp last changed
	since int64 // the Clock's now, at that moment
}

// Begin says that another publisher follows.
func (c *Clock) Begin() {
	for i := range c.tracks {
		c.tracks[i].begun = false
	}
}

// Now is the latest time of a picture or sound, and 0 before any.
func (c *Clock) Now() int64 { return c.now }

// At is the time of a message. It is below 0 when the other track began with
// something later.
func (c *Clock) At(m Media, timestamp uint32) int64 {
	switch m {
	case Audio:
		return c.advance(&c.tracks[0], &c.tracks[1], timestamp)
	case Video:
		return c.advance(&c.tracks[1], &c.tracks[0], timestamp)
	}
	return c.data(timestamp)
}

func (c *Clock) advance(t, other *course, timestamp uint32) int64 {
	switch step := int64(int32(timestamp - t.in)); {
	case !t.begun, step < -maxBack, step > maxAhead, step != 0 && t.at != t.stood:
		t.move(c.join(t, other, timestamp))
	case step != 0:
		t.move(t.at + step)
	case t.still < maxStill:
		t.still++
	case c.now-t.since > maxStand: // it goes along with the other
		t.at = t.stood + c.now - t.since
	}
	if !t.ran || t.at > t.out {
		t.out = t.at
	}
	c.now = max(c.now, t.out)
	c.ran, t.ran, t.begun, t.in = true, true, true, timestamp
	if t.still == 0 {
		t.since = c.now
	}
	return t.out
}

// move says that the timestamp is another, and what it stands for.
func (t *course) move(at int64) { t.at, t.stood, t.still = at, at, 0 }

// join is where a track begins, or continues after a jump: where the other one
// says, if that fits, for then both have jumped.
func (c *Clock) join(t, other *course, timestamp uint32) int64 {
	if !c.ran {
		return 0
	}
	at := other.read(timestamp)
	if other.begun && (near(at, c.now) || t.begun && near(at, t.at) || !t.begun && at < c.now && at >= c.now-maxApart) {
		return at
	}
	return c.now + restart
}

// read is what a timestamp of another message stands for in this track.
func (t *course) read(timestamp uint32) int64 { return t.at + int64(int32(timestamp-t.in)) }

// data places data among the pictures: by its own timestamp if that makes
// sense. Metadata often has none.
func (c *Clock) data(timestamp uint32) int64 {
	for i := range c.tracks {
		if t := &c.tracks[i]; t.begun && near(t.read(timestamp), c.now) {
			return t.read(timestamp)
		}
	}
	return c.now
}

// near reports whether time may go from b to a.
func near(a, b int64) bool { return a-b >= -maxBack && a-b <= maxAhead }
