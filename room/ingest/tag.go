package ingest

import (
	"foyer/server/flv"
	"foyer/server/rtmp"
)

// tag is an audio or video message, or the track of it that is watched.
type tag struct {
	codec   codec
	track   byte   // 0, unless the message has no such track
	header  bool   // a sequence header
	frame   bool   // something to see or hear
	key     bool   // a picture that needs no other
	shift   int32  // of a frame: when to show it, in ms from its timestamp
	payload []byte // what follows all that
}

// codec is how audio or video is packed, by the name that people know.
type codec string

var (
	codecAVC  = codec(flv.AVC.Name())
	codecHEVC = codec(flv.HEVC.Name())
	codecAV1  = codec(flv.AV1.Name())
	codecAAC  = codec(flv.AAC.Name())
	codecOpus = codec(flv.Opus.Name())
	codecMP3  = codec(flv.MP3.Name())
)

// parseTag reads an audio or video message. Of several tracks it reads the one
// with the number 0, which most people want, wherever that is in the message.
func parseTag(m rtmp.Message) tag {
	var t flv.Tag
	ok := t.Parse(flv.Media(m.Type), m.Payload)
	first := t
	for ok && t.Track != 0 {
		ok = t.Next()
	}
	if !ok {
		return tag{track: first.Track}
	}
	return tag{
		codec: codec(t.Codec.Name()), track: t.Track, shift: t.Shift, payload: t.Body,
		header: t.Kind == flv.SequenceStart,
		frame:  t.Kind == flv.CodedFrames && len(t.Body) > 0,
		key:    t.Key && t.Media == flv.Video && len(t.Body) > 0,
	}
}
