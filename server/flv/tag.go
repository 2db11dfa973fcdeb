package flv

import "encoding/binary"

// Media is the type of a tag: what it carries. RTMP's types of messages have the
// same numbers.
type Media uint8

// The types of tags (FLV 10.1 §E.4.1).
const (
	Audio  Media = 8
	Video  Media = 9
	Script Media = 18 // data in AMF0
)

// A Kind is the purpose of a tag.
type Kind uint8

// The kinds of tags, by the names of Enhanced RTMP v2.
const (
	Other                Kind = iota // of a packet type that is reserved, or data that is no metadata
	SequenceStart                    // the decoder's configuration, also called sequence header
	CodedFrames                      // pictures or sound
	SequenceEnd                      // nothing of this track follows
	Metadata                         // of video, about the pictures to come (HDR); of data, onMetaData
	MPEG2TSSequenceStart             // a SequenceStart in the form of MPEG-2 TS
	MultichannelConfig               // of audio: which channel is which speaker
	Command                          // of video: a seek begins or ends
	ClearMetadata                    // of data: the last onMetaData holds no longer
)

// A Tag is the payload of an audio, video or data message, or one track of it.
type Tag struct {
	Media    Media
	Kind     Kind
	Enhanced bool  // it has a FourCC, and no number for its codec
	Key      bool  // decoding can begin with these CodedFrames; true of all sound
	Several  bool  // the message may have more tracks: see Next
	Track    uint8 // 0 is the one that most people want, or the only one
	Sound    uint8 // of old audio: rate, size and type (FLV 10.1 §E.4.2.1)
	Codec    Codec
	Shift    int32  // composition time offset, in ms: when to show the frame, from its timestamp
	Nanos    uint32 // to be added to the timestamp (TimestampOffsetNano), in ns
	At       int    // where Body is in the payload
	Body     []byte

	message []byte // the payload
	layout  layout
	packet  uint8 // the packet type that all tracks have
	frame   uint8 // the frame type
}

// Frame types of video (§E.4.3.1).
const (
	frameKey     = 1
	frameInter   = 2
	frameCommand = 5
)

// soundEnhanced is the sound format that says that a FourCC follows.
const soundEnhanced = 9

// Packet types of Enhanced RTMP v2 that change how a message is read.
const (
	packetCodedFrames     = 1
	packetCodedFramesX    = 3 // of video: CodedFrames that are shown at their timestamp
	packetMetadata        = 4 // of video
	packetAudioMultitrack = 5
	packetVideoMultitrack = 6
	packetModEx           = 7
)

// The kinds by packet type.
var (
	videoKinds = [16]Kind{SequenceStart, CodedFrames, SequenceEnd, CodedFrames, Metadata, MPEG2TSSequenceStart}
	audioKinds = [16]Kind{SequenceStart, CodedFrames, SequenceEnd, 4: MultichannelConfig}
)

// A layout is how the tracks lie in a message: an AvMultitrackType, plus one.
type layout uint8

const (
	plain      layout = iota
	oneTrack          // a track that has a number
	manyTracks        // of one codec
	manyCodecs
)

// Parse makes t the payload of a message, or its first track if it has several.
// It is false if the payload is empty or cut short, or contradicts itself: t is
// of no use then.
func (t *Tag) Parse(media Media, payload []byte) bool {
	*t = Tag{Media: media, message: payload}
	if len(payload) == 0 {
		return false // empty audio means silence; nobody needs to know
	}
	switch first := payload[0]; {
	case media == Video && first&0x80 != 0:
		t.frame = first >> 4 & 7
		return t.parseEnhanced(first&0x0F, packetVideoMultitrack)
	case media == Video:
		t.frame = first >> 4
		return t.parseVideo(first & 0x0F)
	case media == Audio && first>>4 == soundEnhanced:
		return t.parseEnhanced(first&0x0F, packetAudioMultitrack)
	case media == Audio:
		t.Sound = first & 0x0F
		return t.parseAudio(first >> 4)
	case media == Script:
		t.parseScript()
		return true
	}
	return false
}

// parseVideo reads a VIDEODATA (§E.4.3.1).
func (t *Tag) parseVideo(number byte) bool {
	t.Codec = numbered(Video, &videoNumbers, number)
	switch {
	case t.frame == frameCommand:
		return t.take(Command, 1)
	case t.Codec.Old():
		return t.take(CodedFrames, 1)
	case len(t.message) < 5:
		return false
	}
	kind := Other
	switch t.message[1] {
	case 0:
		kind = SequenceStart
	case 1:
		kind, t.Shift = CodedFrames, int24(t.message[2:])
	case 2:
		kind = SequenceEnd
	}
	return t.take(kind, 5)
}

// parseAudio reads an AUDIODATA (§E.4.2.1).
func (t *Tag) parseAudio(number byte) bool {
	t.Codec = numbered(Audio, &audioNumbers, number)
	switch {
	case t.Codec != AAC:
		return t.take(CodedFrames, 1)
	case len(t.message) < 2:
		return false
	case t.message[1] == 0:
		return t.take(SequenceStart, 2)
	case t.message[1] == 1:
		return t.take(CodedFrames, 2)
	}
	return t.take(Other, 2)
}

// parseEnhanced reads an ExVideoTagHeader or ExAudioTagHeader, and the first track.
func (t *Tag) parseEnhanced(packet, multitrack byte) (ok bool) {
	t.Enhanced = true
	p, at := t.message, 1
	for packet == packetModEx {
		if packet, at, ok = t.modEx(at); !ok {
			return false
		}
	}
	if t.frame == frameCommand && packet != packetMetadata {
		return t.take(Command, at)
	}
	if packet == multitrack {
		if at >= len(p) || p[at]>>4 > byte(manyCodecs-oneTrack) {
			return false
		}
		t.layout, packet = oneTrack+layout(p[at]>>4), p[at]&0x0F
		t.Several = t.layout > oneTrack
		at++
	}
	t.packet = packet
	if t.layout != manyCodecs {
		if at, ok = t.fourCC(at); !ok {
			return false
		}
	}
	return t.track(at)
}

// modEx reads a modifier of the packet, whose type follows it.
func (t *Tag) modEx(at int) (packet byte, next int, ok bool) {
	const timestampOffsetNano = 0
	p := t.message
	if at >= len(p) {
		return 0, 0, false
	}
	size := int(p[at]) + 1
	at++
	if size == 256 {
		if len(p)-at < 2 {
			return 0, 0, false
		}
		size = int(binary.BigEndian.Uint16(p[at:])) + 1
		at += 2
	}
	if len(p)-at < size+1 {
		return 0, 0, false
	}
	data, last := p[at:at+size], p[at+size]
	if last>>4 == timestampOffsetNano && size >= 3 {
		t.Nanos = uint24(data)
	}
	return last & 0x0F, at + size + 1, true
}

func (t *Tag) fourCC(at int) (next int, ok bool) {
	if len(t.message)-at < 4 {
		return 0, false
	}
	t.Codec = Codec(binary.BigEndian.Uint32(t.message[at:]))
	return at + 4, true
}

// track reads the track that begins at a place of the payload.
func (t *Tag) track(at int) bool {
	at, end, ok := t.bounds(at)
	if !ok {
		return false
	}
	p := t.message[:end]
	if t.packet == packetCodedFrames && t.shifts() {
		if len(p)-at < 3 {
			return false
		}
		t.Shift = int24(p[at:])
		at += 3
	}
	kinds := &audioKinds
	if t.Media == Video {
		kinds = &videoKinds
	}
	return t.takeFrom(kinds[t.packet], at, p)
}

// bounds reads the codec, number and size of a track, as far as it has them, and
// returns where its data begins and ends.
func (t *Tag) bounds(at int) (begin, end int, ok bool) {
	p := t.message
	if t.layout == manyCodecs {
		if at, ok = t.fourCC(at); !ok {
			return 0, 0, false
		}
	}
	if t.layout != plain {
		if at >= len(p) {
			return 0, 0, false
		}
		t.Track = p[at]
		at++
	}
	if !t.Several {
		return at, len(p), true
	}
	if len(p)-at < 3 {
		return 0, 0, false
	}
	begin = at + 3
	end = begin + int(uint24(p[at:]))
	return begin, end, end <= len(p)
}

// shifts reports whether the codec has frames that are not shown in the order
// in which they are decoded, so that CodedFrames begin with the time to show them.
func (t *Tag) shifts() bool {
	return t.Media == Video && (t.Codec == AVC || t.Codec == HEVC || t.Codec == VVC)
}

// take makes the rest of the payload the body.
func (t *Tag) take(kind Kind, at int) bool { return t.takeFrom(kind, at, t.message) }

// takeFrom makes the rest of p the body.
func (t *Tag) takeFrom(kind Kind, at int, p []byte) bool {
	t.Kind, t.At, t.Body = kind, at, p[at:len(p):len(p)]
	t.Key = kind == CodedFrames && (t.Media == Audio || t.frame == frameKey)
	return true
}

// Next makes t the track that follows in its message. It is false behind the
// last one, and if the rest is no track: t is of no use then.
func (t *Tag) Next() bool { return t.Several && t.next() }

func (t *Tag) next() bool {
	at := t.At + len(t.Body)
	t.Shift = 0
	return at < len(t.message) && t.track(at)
}

// The names that data begins with, as AMF0 strings.
const (
	OnMetaData     = "\x02\x00\x0AonMetaData"
	SetDataFrame   = "\x02\x00\x0D@setDataFrame" // in front of OnMetaData: the server keeps it
	clearDataFrame = "\x02\x00\x0F@clearDataFrame"
)

// parseScript reads the name that data begins with.
func (t *Tag) parseScript() {
	at := 0
	if hasPrefix(t.message, SetDataFrame) {
		at = len(SetDataFrame)
	}
	switch {
	case hasPrefix(t.message[at:], OnMetaData):
		t.take(Metadata, at+len(OnMetaData))
	case hasPrefix(t.message, clearDataFrame):
		t.take(ClearMetadata, len(clearDataFrame))
	default:
		t.take(Other, 0)
	}
}

func hasPrefix(b []byte, prefix string) bool {
	return len(b) >= len(prefix) && string(b[:len(prefix)]) == prefix
}

func uint24(b []byte) uint32 { return uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2]) }

// int24 reads a signed number.
func int24(b []byte) int32 { return int32(uint24(b)<<8) >> 8 }
