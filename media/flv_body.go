package media

import (
	"strconv"

	"foyer/server/rtmp"
)

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
	codec  string // a FourCC ("avc1"), or "video 2", "audio 2" in the old format
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

// parseFLV takes the body of an audio or video tag apart. Of several tracks it
// sees the one numbered 0.
func parseFLV(m rtmp.Message) (f flvFrame, ok bool) {
	b := m.Payload
	switch {
	case len(b) == 0:
		return f, false
	case m.Type == rtmp.TypeVideo && b[0]&0x80 != 0:
		f.video = true
		return f, f.enhanced(b, 6)
	case m.Type == rtmp.TypeVideo:
		f.video = true
		return f, f.oldVideo(b)
	case m.Type == rtmp.TypeAudio && b[0]>>4 == 9:
		return f, f.enhanced(b, 5)
	case m.Type == rtmp.TypeAudio:
		return f, f.oldAudio(b)
	}
	return f, false
}

// oldVideo reads a VIDEODATA (FLV 10.1 §E.4.3.1). HEVC and AV1 are a dialect of
// some CDNs, laid out like AVC.
func (f *flvFrame) oldVideo(b []byte) bool {
	frame, id := b[0]>>4, b[0]&0x0f
	f.codec = map[byte]string{7: codecAVC, 12: codecHEVC, 13: codecAV1}[id]
	if f.codec == "" {
		f.codec, f.data = "video "+strconv.Itoa(int(id)), b[1:]
		if frame != 5 { // a command
			f.kind, f.key = flvCoded, frame == 1
		}
		return true
	}
	if len(b) < 5 {
		return false
	}
	f.data = b[5:]
	switch {
	case frame == 5:
	case b[1] == 0:
		f.kind = flvHeader
	case b[1] == 1:
		f.kind, f.key, f.offset = flvCoded, frame == 1, flvInt24(b[2:])
	}
	return true
}

// oldAudio reads an AUDIODATA (FLV 10.1 §E.4.2.1).
func (f *flvFrame) oldAudio(b []byte) bool {
	f.kind, f.key, f.data = flvCoded, true, b[1:]
	if id := b[0] >> 4; id != 10 {
		f.codec = "audio " + strconv.Itoa(int(id))
		return true
	}
	if len(b) < 2 {
		return false
	}
	f.codec, f.data = codecAAC, b[2:]
	if b[1] == 0 {
		f.kind, f.key = flvHeader, false
	}
	return true
}

// enhanced reads an ExVideoTagHeader or ExAudioTagHeader and what follows it.
func (f *flvFrame) enhanced(b []byte, multitrack byte) bool {
	frame, packet := b[0]>>4&7, b[0]&0x0f
	b = b[1:]
	var ok bool
	for packet == 7 { // ModEx
		if packet, b, ok = skipModEx(b); !ok {
			return false
		}
	}
	if f.video && frame == 5 && packet != 4 {
		return true // a command: no FourCC
	}
	if packet == multitrack {
		if packet, b, ok = f.track0(b); !ok {
			return false
		}
	} else {
		if len(b) < 4 {
			return false
		}
		f.codec, b = string(b[:4]), b[4:]
	}
	return f.packet(packet, frame == 1 || !f.video, b)
}

// packet reads what is behind the FourCC.
func (f *flvFrame) packet(packet byte, key bool, b []byte) bool {
	switch packet {
	case 0:
		f.kind = flvHeader
	case 1, 3: // CodedFrames, CodedFramesX
		f.kind, f.key = flvCoded, key
		if f.video && packet == 1 && (f.codec == codecAVC || f.codec == codecHEVC || f.codec == "vvc1") {
			if len(b) < 3 {
				return false
			}
			f.offset, b = flvInt24(b), b[3:]
		}
	}
	f.data = b
	return true
}

// skipModEx skips a ModEx prefix and returns the packet type behind it.
func skipModEx(b []byte) (packet byte, rest []byte, ok bool) {
	if len(b) == 0 {
		return 0, nil, false
	}
	size, b := int(b[0])+1, b[1:]
	if size == 256 {
		if len(b) < 2 {
			return 0, nil, false
		}
		size, b = int(b[0])<<8+int(b[1])+1, b[2:]
	}
	if len(b) < size+1 {
		return 0, nil, false
	}
	return b[size] & 0x0f, b[size+1:], true
}

// track0 finds track 0 in a multitrack body.
func (f *flvFrame) track0(b []byte) (packet byte, body []byte, ok bool) {
	if len(b) < 6 {
		return 0, nil, false
	}
	kind, packet := b[0]>>4, b[0]&0x0f
	b = b[1:]
	if kind != 2 { // ManyTracksManyCodecs: a FourCC each
		f.codec, b = string(b[:4]), b[4:]
	}
	if kind == 0 {
		return packet, b[1:], b[0] == 0
	}
	for len(b) > 0 {
		if kind == 2 {
			if len(b) < 4 {
				return 0, nil, false
			}
			f.codec, b = string(b[:4]), b[4:]
		}
		if len(b) < 4 {
			return 0, nil, false
		}
		id, size := b[0], int(b[1])<<16|int(b[2])<<8|int(b[3])
		b = b[4:]
		if len(b) < size {
			return 0, nil, false
		}
		if id == 0 {
			return packet, b[:size], true
		}
		b = b[size:]
	}
	return 0, nil, false
}

// flvInt24 is a signed number of three bytes.
func flvInt24(b []byte) int32 {
	return int32(uint32(b[0])<<24|uint32(b[1])<<16|uint32(b[2])<<8) >> 8
}
