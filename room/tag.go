package room

import "foyer/server/rtmp"

// tag is what the first bytes of an audio or video message say. Its payload is
// that of an FLV tag (FLV 10.1 §E.4.2, §E.4.3; Enhanced RTMP v2).
type tag struct {
	codec   codec
	track   byte   // of a multitrack message: the first one in it
	header  bool   // a sequence header
	frame   bool   // something to see or hear
	key     bool   // a frame that needs no other
	shift   int32  // of a frame: when to show it, in ms from its timestamp
	payload []byte // what follows all that; not of several tracks
}

// codec is how audio or video is packed, by the name that people know.
type codec string

const (
	codecAVC  codec = "H.264"
	codecHEVC codec = "H.265"
	codecAV1  codec = "AV1"
	codecAAC  codec = "AAC"
	codecOpus codec = "Opus"
	codecMP3  codec = "MP3"
)

// Names by the numbers of the old tags.
var (
	videoCodecs = [16]codec{
		2: "Sorenson H.263", 3: "Screen Video", 4: "VP6", 5: "VP6", 6: "Screen Video 2",
		7: codecAVC, 12: codecHEVC, 13: codecAV1, // the last two are a dialect
	}
	audioCodecs = [16]codec{
		0: "PCM", 1: "ADPCM", 2: codecMP3, 3: "PCM", 4: "Nellymoser", 5: "Nellymoser", 6: "Nellymoser",
		7: "G.711", 8: "G.711", 10: codecAAC, 11: "Speex", 14: codecMP3,
	}
)

// fourCCs are the names of Enhanced RTMP's codecs.
var fourCCs = map[string]codec{
	"avc1": codecAVC, "hvc1": codecHEVC, "vvc1": "H.266", "av01": codecAV1, "vp08": "VP8", "vp09": "VP9",
	"mp4a": codecAAC, "Opus": codecOpus, ".mp3": codecMP3, "fLaC": "FLAC", "ac-3": "AC-3", "ec-3": "E-AC-3",
}

// Packet types of Enhanced RTMP.
const (
	packetSequenceStart = 0
	packetCodedFrames   = 1
	packetCodedFramesX  = 3 // video: shown at its timestamp
	packetAudioTracks   = 5
	packetVideoTracks   = 6
	packetModEx         = 7
)

const (
	frameKey     = 1
	frameCommand = 5
)

// parseTag reads an audio or video message. What it does not know, or what is
// cut short, is neither header nor frame.
func parseTag(m rtmp.Message) (t tag) {
	b := m.Payload
	switch {
	case len(b) == 0:
	case m.Type == rtmp.TypeVideo && b[0]&0x80 != 0:
		frame := b[0] >> 4 & 7
		if t = parseEnhanced(b, packetVideoTracks); frame == frameCommand {
			return tag{codec: t.codec, track: t.track}
		}
		t.key = t.frame && frame == frameKey
	case m.Type == rtmp.TypeVideo:
		t = parseVideo(b)
	case m.Type == rtmp.TypeAudio && b[0]>>4 == 9:
		t = parseEnhanced(b, packetAudioTracks)
		t.shift, t.key = 0, false
	case m.Type == rtmp.TypeAudio:
		t = tag{codec: audioCodecs[b[0]>>4], payload: b[1:]}
		if t.codec == codecAAC {
			if len(b) < 2 {
				return tag{codec: t.codec}
			}
			t.header, t.payload = b[1] == 0, b[2:]
		}
		t.frame = !t.header && len(t.payload) > 0
	}
	return t
}

// parseVideo reads an old video tag.
func parseVideo(b []byte) tag {
	t := tag{codec: videoCodecs[b[0]&0x0F]}
	frame := b[0] >> 4
	switch {
	case frame == frameCommand:
		return t
	case t.codec == codecAVC || t.codec == codecHEVC || t.codec == codecAV1:
		if len(b) < 5 || b[1] > 1 {
			return t
		}
		t.header, t.frame = b[1] == 0, b[1] == 1
		t.shift, t.payload = int24(b[2:]), b[5:]
	default:
		t.frame, t.payload = len(b) > 1, b[1:]
	}
	t.key = t.frame && frame == frameKey
	return t
}

// parseEnhanced reads an enhanced tag, past ModEx prefixes and into the first
// track of several.
func parseEnhanced(b []byte, tracks byte) (t tag) {
	packet, b, ok := skipModEx(b[0]&0x0F, b[1:])
	if !ok {
		return t
	}
	several, multi := packet == tracks, false
	if several {
		if len(b) == 0 {
			return t
		}
		packet, multi, b = b[0]&0x0F, b[0]>>4 != 0, b[1:]
	}
	if len(b) < 4 {
		return t
	}
	t.codec, b = fourCCs[string(b[:4])], b[4:]
	if several {
		if len(b) == 0 {
			return t
		}
		t.track, b = b[0], b[1:]
	}
	if multi { // each track has its size before it
		if len(b) < 3 {
			return t
		}
		b = b[3:]
	}
	switch packet {
	case packetSequenceStart:
		t.header = true
	case packetCodedFramesX:
		t.frame = tracks == packetVideoTracks
	case packetCodedFrames:
		t.frame = true
		if t.codec == codecAVC || t.codec == codecHEVC || t.codec == "H.266" {
			if len(b) < 3 {
				t.frame = false
				return t
			}
			t.shift, b = int24(b), b[3:]
		}
	}
	if !multi {
		t.payload = b
	}
	return t
}

// skipModEx goes past what modifies the packet that follows.
func skipModEx(packet byte, b []byte) (byte, []byte, bool) {
	for packet == packetModEx {
		if len(b) == 0 {
			return 0, nil, false
		}
		size := int(b[0]) + 1
		b = b[1:]
		if size == 256 {
			if len(b) < 2 {
				return 0, nil, false
			}
			size = int(b[0])<<8 + int(b[1]) + 1
			b = b[2:]
		}
		if len(b) <= size {
			return 0, nil, false
		}
		packet, b = b[size]&0x0F, b[size+1:]
	}
	return packet, b, true
}

// int24 reads a signed number of three bytes.
func int24(b []byte) int32 { return int32(uint32(b[0])<<24|uint32(b[1])<<16|uint32(b[2])<<8) >> 8 }
