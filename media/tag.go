package media

import (
	"foyer/server/flv"
	"foyer/server/rtmp"
)

// parse reads an audio or video message. Of several tracks it reads the one with
// the number 0, which most people want: our MP4 and HLS have no place for others,
// and few players of FLV can use them.
func parse(m rtmp.Message) (t flv.Tag, ok bool) {
	if m.Type != rtmp.TypeAudio && m.Type != rtmp.TypeVideo {
		return t, false
	}
	for ok = t.Parse(flv.Media(m.Type), m.Payload); ok && t.Track != 0; {
		ok = t.Next()
	}
	return t, ok
}

// A lane is the place of a track: a remux has one for each kind.
type lane uint8

const (
	videoLane lane = iota
	audioLane
	lanes
)

func (l lane) media() flv.Media { return [lanes]flv.Media{flv.Video, flv.Audio}[l] }

// A tagKind is the purpose of an audio or video message.
type tagKind uint8

const (
	skipped tagKind = iota // an end of sequence, a command, HDR metadata
	header                 // the decoder's configuration
	coded                  // a picture or sound
)

// A tag is an audio or video message taken apart.
type tag struct {
	lane  lane
	kind  tagKind
	codec string // FourCC, or its name if it has no place in our MP4
	key   bool   // decoding can begin with it
	cts   int32  // presentation minus decoding time, in milliseconds
	at    int    // where body is in the message
	body  []byte
}

// picture reports whether the tag is of the pictures' track.
func (t *tag) picture() bool { return t.lane == videoLane }

// parseTag takes an audio or video message apart. One that is cut short is not ok.
func parseTag(m rtmp.Message) (t tag, ok bool) {
	p, ok := parse(m)
	if !ok {
		return t, false
	}
	t = tag{codec: codecOf(p.Codec), key: p.Key, cts: p.Shift, at: p.At, body: p.Body}
	if p.Media == flv.Audio {
		t.lane = audioLane
	}
	switch p.Kind {
	case flv.SequenceStart:
		t.kind = header
	case flv.CodedFrames:
		t.kind = coded
	}
	return t, true
}

// codecOf is the FourCC of a codec that is put into MP4, or the name of another.
func codecOf(c flv.Codec) string {
	if fourCC := c.FourCC(); boxable[fourCC] {
		return fourCC
	}
	return c.String()
}

// FourCCs (Enhanced RTMP v2).
const (
	codecAVC, codecHEVC, codecAV1, codecVP9 = "avc1", "hvc1", "av01", "vp09"
	codecAAC, codecOpus                     = "mp4a", "Opus"
)
