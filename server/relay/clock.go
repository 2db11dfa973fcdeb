package relay

import "foyer/server/rtmp"

// How far the time of a track may go, in milliseconds, to be taken for its
// course. What jumps farther goes on where the stream is.
const (
	maxBack  = 1000
	maxAhead = 10000
	restart  = 1 // from the last message to the one after a jump
)

// A clock gives the messages of a stream times that never go back, whatever the
// publisher's do when it begins again, loops or loses count. It wraps as they
// do, after 2^32 ms.
type clock struct {
	now    uint32 // the latest time given
	ran    bool   // a time was given, by this publisher or one before
	tracks [2]track
}

// A track is the course of the audio, or of the video.
type track struct {
	ran     bool   // a message came, from this publisher or one before
	begun   bool   // from this one
	in, out uint32 // of the last message
	offset  uint32 // from in to out
}

// begin makes ready for another publisher.
func (c *clock) begin() {
	for i := range c.tracks {
		c.tracks[i].begun = false
	}
}

// stamp returns the time of m for the players.
func (c *clock) stamp(m *rtmp.Message) uint32 {
	var t *track
	switch m.Type {
	case rtmp.TypeAudio:
		t = &c.tracks[0]
	case rtmp.TypeVideo:
		t = &c.tracks[1]
	default:
		return c.stampData(m.Timestamp)
	}
	if !t.begun || !near(m.Timestamp, t.in) {
		t.offset = c.offset(t, m.Timestamp)
	}
	out := m.Timestamp + t.offset
	if t.ran && int32(out-t.out) < 0 {
		out = t.out
	}
	t.ran, t.begun, t.in, t.out = true, true, m.Timestamp, out
	if !c.ran || int32(out-c.now) > 0 {
		c.now = out
	}
	c.ran = true
	return out
}

// stampData places data among the pictures: by its own time if that makes
// sense. Metadata often has none.
func (c *clock) stampData(in uint32) uint32 {
	for _, t := range c.tracks {
		if out := in + t.offset; t.begun && near(out, c.now) {
			return out
		}
	}
	if !c.ran {
		return in
	}
	return c.now
}

// offset returns what to add to in, at which t begins or goes on after a jump:
// what the other track has added if that fits, for then both have jumped.
func (c *clock) offset(t *track, in uint32) uint32 {
	if !c.ran {
		return 0
	}
	for i := range c.tracks {
		if o := &c.tracks[i]; o != t && o.begun && near(in+o.offset, c.now) {
			return o.offset
		}
	}
	return c.now + restart - in
}

// near reports whether time may go from b to a.
func near(a, b uint32) bool {
	d := int32(a - b)
	return -maxBack <= d && d <= maxAhead
}
