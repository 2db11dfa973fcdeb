package relay

import (
	"bytes"

	"foyer/server/flv"
	"foyer/server/rtmp"
)

// kind is the purpose of a message for somebody who begins to play.
type kind uint8

const (
	other          kind = iota
	metadata            // onMetaData
	clearMetadata       // @clearDataFrame
	sequenceHeader      // needed before the first frame
	keyFrame            // of video: a player can begin here
)

type class struct {
	kind  kind
	key   headerKey // of a sequenceHeader: which other one it replaces
	track uint8     // of a keyFrame: the lowest one in the message
	part  flv.Role  // of coded pictures: what they are to a picture
}

// headerKey tells sequence headers apart.
type headerKey struct {
	media   flv.Media
	kind    flv.Kind
	several bool // they are those of several tracks, of which this is the first
	track   uint8
	codec   flv.Codec
}

func classify(m *rtmp.Message) class {
	media, payload := flv.Media(m.Type), m.Payload
	if m.Type == rtmp.TypeDataAMF3 {
		media, payload = flv.Script, bytes.TrimPrefix(payload, []byte{0})
	}
	var t flv.Tag
	if !t.Parse(media, payload) {
		return class{}
	}
	switch t.Kind {
	case flv.SequenceStart, flv.MPEG2TSSequenceStart, flv.MultichannelConfig:
		return headerOf(&t)
	case flv.Metadata:
		if media == flv.Video {
			return headerOf(&t) // HDR: without it the colours are wrong
		}
		return class{kind: metadata}
	case flv.ClearMetadata:
		return class{kind: clearMetadata}
	case flv.CodedFrames:
		if media == flv.Video {
			return pictureOf(&t)
		}
	}
	return class{}
}

func pictureOf(t *flv.Tag) (c class) {
	part, key := t.Part()
	if c.part = part; key {
		c.kind, c.track = keyFrame, lowest(t)
	}
	return c
}

func headerOf(t *flv.Tag) class {
	return class{kind: sequenceHeader, key: headerKey{t.Media, t.Kind, t.Several, t.Track, t.Codec}}
}

// lowest is the lowest track of the message that t is the first of.
func lowest(t *flv.Tag) uint8 {
	track := t.Track
	for t.Next() {
		track = min(track, t.Track)
	}
	return track
}
