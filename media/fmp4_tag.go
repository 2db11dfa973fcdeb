package media

import (
	"encoding/binary"

	"foyer/server/rtmp"
)

// A lane is the place of a track: a remux has one for each kind.
type lane uint8

const (
	videoLane lane = iota
	audioLane
	lanes
)

// A tagKind is what an audio or video message carries.
type tagKind uint8

const (
	skipped  tagKind = iota // nothing for a player
	header                  // the decoder's configuration
	coded                   // a frame
	stranger                // a frame of a codec that has no place in our MP4
)

// A tag is the payload of an audio or video message, of the old format (FLV
// 10.1 §E.4.2, §E.4.3) or of Enhanced RTMP v2.
type tag struct {
	lane  lane
	kind  tagKind
	codec string // FourCC, also for the codecs that have a number in the old format
	key   bool
	cts   int32 // presentation minus decoding time, in milliseconds
	body  []byte
}

// Names that the old format's numbers stand for.
var (
	oldVideo = map[byte]string{2: "h263", 3: "screen", 4: "vp6", 5: "vp6a", 6: "screen2", 7: "avc1", 12: "hvc1", 13: "av01"}
	oldAudio = map[byte]string{
		0: "pcm", 1: "adpcm", 2: "mp3", 3: "pcm", 4: "nellymoser", 5: "nellymoser", 6: "nellymoser",
		7: "alaw", 8: "ulaw", 10: "mp4a", 11: "speex", 14: "mp3",
	}
)

const (
	frameKey, frameCommand                        = 1, 5
	soundEnhanced                                 = 9
	audioMultitrack, videoMultitrack, packetModEx = 5, 6, 7
	packetStart, packetCoded, packetCodedX        = 0, 1, 3
)

// parseTag reads the tag of an audio or video message. What is cut short or
// says nothing is skipped.
func parseTag(m rtmp.Message) tag {
	b := m.Payload
	switch {
	case len(b) < 2:
		return tag{}
	case m.Type == rtmp.TypeVideo && b[0]&0x80 != 0:
		return parseEnhanced(tag{lane: videoLane, key: b[0]>>4&7 == frameKey}, b, videoMultitrack)
	case m.Type == rtmp.TypeVideo:
		return parseOldVideo(b)
	case m.Type == rtmp.TypeAudio && b[0]>>4 == soundEnhanced:
		return parseEnhanced(tag{lane: audioLane, key: true}, b, audioMultitrack)
	case m.Type == rtmp.TypeAudio:
		return parseOldAudio(b)
	}
	return tag{}
}

func parseOldVideo(b []byte) tag {
	t := tag{lane: videoLane, codec: oldVideo[b[0]&0x0f], key: b[0]>>4 == frameKey}
	switch {
	case b[0]>>4 == frameCommand, t.codec == "":
		return tag{}
	case len(t.codec) != 4 || t.codec == "h263" || t.codec == "vp6a":
		t.kind = stranger
		return t
	case len(b) < 5:
		return tag{}
	}
	t.body = b[5:]
	switch b[1] {
	case 0:
		t.kind = header
	case 1:
		t.kind, t.cts = coded, int24(b[2:])
	}
	return t
}

func parseOldAudio(b []byte) tag {
	t := tag{lane: audioLane, codec: oldAudio[b[0]>>4], key: true, body: b[2:]}
	switch {
	case t.codec == "":
	case t.codec != "mp4a":
		t.kind = stranger
	case b[1] == 0:
		t.kind = header
	case b[1] == 1:
		t.kind = coded
	}
	return t
}

// parseEnhanced reads a tag of Enhanced RTMP v2: past ModEx prefixes, and of
// several tracks the one with number 0.
func parseEnhanced(t tag, b []byte, multitrack byte) tag {
	if t.lane == videoLane && b[0]>>4&7 == frameCommand {
		return tag{}
	}
	packet := b[0] & 0x0f
	b = b[1:]
	for packet == packetModEx {
		if packet, b = pastModEx(b); b == nil {
			return tag{}
		}
	}
	if packet == multitrack {
		if len(b) == 0 {
			return tag{}
		}
		packet = b[0] & 0x0f
		t.codec, b = firstTrack(b[0]>>4, b[1:])
	} else if len(b) >= 4 {
		t.codec, b = string(b[:4]), b[4:]
	}
	if t.codec == "" {
		return tag{}
	}
	return t.fill(packet, b)
}

func (t tag) fill(packet byte, b []byte) tag {
	t.body = b
	switch packet {
	case packetStart:
		t.kind = header
	case packetCoded:
		t.kind = coded
		if t.codec == "avc1" || t.codec == "hvc1" || t.codec == "vvc1" {
			if len(b) < 3 {
				return tag{}
			}
			t.cts, t.body = int24(b), b[3:]
		}
	case packetCodedX:
		if t.lane != videoLane {
			return tag{}
		}
		t.kind = coded
	}
	if t.kind != skipped && !boxable[t.codec] {
		t.kind = stranger
	}
	return t
}

// pastModEx returns the packet type behind a ModEx prefix, and what follows;
// nil when it is cut short.
func pastModEx(b []byte) (packet byte, rest []byte) {
	if len(b) == 0 {
		return 0, nil
	}
	size := int(b[0]) + 1
	b = b[1:]
	if size == 256 {
		if len(b) < 2 {
			return 0, nil
		}
		size = int(binary.BigEndian.Uint16(b)) + 1
		b = b[2:]
	}
	if len(b) < size+1 {
		return 0, nil
	}
	return b[size] & 0x0f, b[size+1:]
}

// firstTrack finds track 0 in the body of a multitrack tag.
func firstTrack(kind byte, b []byte) (codec string, body []byte) {
	const oneTrack, manyCodecs = 0, 2
	if kind != manyCodecs {
		if len(b) < 4 {
			return "", nil
		}
		codec, b = string(b[:4]), b[4:]
	}
	for len(b) > 0 {
		if kind == manyCodecs {
			if len(b) < 4 {
				return "", nil
			}
			codec, b = string(b[:4]), b[4:]
		}
		if len(b) < 1 {
			return "", nil
		}
		id := b[0]
		b = b[1:]
		size := len(b)
		if kind != oneTrack {
			if len(b) < 3 {
				return "", nil
			}
			size = int(b[0])<<16 | int(b[1])<<8 | int(b[2])
			b = b[3:]
		}
		if size > len(b) {
			return "", nil
		}
		if id == 0 {
			return codec, b[:size] // with what follows as its capacity: an index finds it by that
		}
		b = b[size:]
	}
	return "", nil
}

func int24(b []byte) int32 {
	return int32(uint32(b[0])<<24|uint32(b[1])<<16|uint32(b[2])<<8) >> 8
}
