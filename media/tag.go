package media

import (
	"foyer/server/flv"
	"foyer/server/rtmp"
)

// parse reads an audio or video message. Of several tracks it reads the one
// with the number 0, which most people want: our MP4 and HLS have a place for no
// other, and few players of FLV know what to do with one.
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

// A tagKind is what an audio or video message carries.
type tagKind uint8

const (
	skipped  tagKind = iota // nothing for a player
	header                  // the decoder's configuration
	coded                   // a frame
	stranger                // a frame of a codec that has no place in our MP4
)

// A tag is an audio or video message on its way into MP4.
type tag struct {
	lane  lane
	kind  tagKind
	codec string // FourCC, or its name if it has no place in our MP4
	key   bool
	cts   int32 // presentation minus decoding time, in milliseconds
	at    int   // where body is in the message
	body  []byte
}

// parseTag reads the tag of an audio or video message. One that is cut short or
// says nothing is skipped.
func parseTag(m rtmp.Message) tag {
	p, ok := parse(m)
	if !ok {
		return tag{}
	}
	t := tag{codec: codecOf(p.Codec), key: p.Key, cts: p.Shift, at: p.At, body: p.Body}
	if p.Media == flv.Audio {
		t.lane = audioLane
	}
	switch p.Kind {
	case flv.SequenceStart:
		t.kind = header
	case flv.CodedFrames:
		if t.kind = coded; !boxable[t.codec] {
			t.kind = stranger
		}
	}
	return t
}

// codecOf is the FourCC of a codec that is put into MP4, or the name of another.
func codecOf(c flv.Codec) string {
	if fourCC := c.FourCC(); boxable[fourCC] {
		return fourCC
	}
	return c.String()
}

// flvKind is what an audio or video message has in it.
type flvKind uint8

const (
	flvOther  flvKind = iota // end of sequence, commands, HDR metadata
	flvHeader                // the codec's configuration
	flvCoded                 // a picture or sound
)

// An flvFrame is an audio or video message taken apart.
type flvFrame struct {
	video  bool
	codec  string // as that of a tag
	kind   flvKind
	key    bool  // decoding can begin with it
	offset int32 // composition time offset, ms
	data   []byte
}

// FourCCs (Enhanced RTMP v2).
const (
	codecAVC, codecHEVC, codecAV1, codecVP9 = "avc1", "hvc1", "av01", "vp09"
	codecAAC, codecOpus                     = "mp4a", "Opus"
)

// parseFLV takes an audio or video message apart.
func parseFLV(m rtmp.Message) (f flvFrame, ok bool) {
	p, ok := parse(m)
	if !ok {
		return f, false
	}
	f = flvFrame{video: p.Media == flv.Video, codec: codecOf(p.Codec), key: p.Key, offset: p.Shift, data: p.Body}
	switch p.Kind {
	case flv.SequenceStart:
		f.kind = flvHeader
	case flv.CodedFrames:
		f.kind = flvCoded
	}
	return f, true
}
