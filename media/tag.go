package media

import (
	"foyer/server/flv"
	"foyer/server/rtmp"
)

// A lane is the place of a track: a remux has one for each kind.
type lane uint8

const (
	videoLane lane = iota
	audioLane
	lanes
)

// A tag is an audio or video message taken apart.
type tag struct {
	flv.Tag
	lane lane
}

// picture reports whether the tag is of the pictures' track.
func (t *tag) picture() bool { return t.lane == videoLane }

// parse takes an audio or video message apart; any other is not ok, nor is one
// that is cut short. Of several tracks it takes the one with the number 0, which
// most people want: our MP4 and HLS have no place for others, and few players of
// FLV can use them.
func parse(m rtmp.Message) (t tag, ok bool) {
	switch m.Type {
	case rtmp.TypeVideo:
		t.lane = videoLane
	case rtmp.TypeAudio:
		t.lane = audioLane
	default:
		return tag{}, false
	}
	for ok = t.Parse(flv.Media(m.Type), m.Payload); ok && t.Track != 0; {
		ok = t.Next()
	}
	if !ok {
		return tag{}, false
	}
	return t, true
}
