package relay

import (
	"foyer/server/flv"
	"foyer/server/rtmp"
)

// A clock gives the messages of a stream the times of an [flv.Clock], from the
// timestamp on with which the stream began. They wrap as timestamps do.
type clock struct {
	times flv.Clock
	ran   bool
	first uint32 // the timestamp that stands for 0
}

// begin makes ready for another publisher.
func (c *clock) begin() { c.times.Begin() }

// now is the latest time given.
func (c *clock) now() uint32 { return c.first + uint32(c.times.Now()) }

// stamp returns the time of m for the players.
func (c *clock) stamp(m *rtmp.Message) uint32 {
	media := flv.Script
	if m.Type == rtmp.TypeAudio || m.Type == rtmp.TypeVideo {
		media = flv.Media(m.Type)
	}
	switch {
	case c.ran:
	case media == flv.Script:
		return m.Timestamp
	default:
		c.ran, c.first = true, m.Timestamp
	}
	return c.first + uint32(c.times.At(media, m.Timestamp))
}
