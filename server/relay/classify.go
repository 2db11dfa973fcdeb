package relay

import (
	"bytes"

	"foyer/server/rtmp"
)

// kind is what a message means to somebody who begins to play.
type kind uint8

const (
	other          kind = iota
	metadata            // onMetaData
	clearMetadata       // @clearDataFrame
	sequenceHeader      // needed before the first frame; HDR metadata too
	keyFrame            // a player can begin here
)

type class struct {
	kind kind
	key  headerKey // of a sequenceHeader: which other one it replaces
}

// headerKey tells sequence headers apart: by codec and track.
type headerKey struct {
	media  rtmp.MessageType
	packet byte   // packet type of Enhanced RTMP; 0 in the old format
	codec  string // the FourCC; in the old format the codec's one number
	multi  byte   // multitrack type + 1; 0 for a single track
	track  byte   // the first one, if there are several in the message
}

func classify(m rtmp.Message) class {
	switch m.Type {
	case rtmp.TypeVideo:
		return classifyVideo(m.Payload)
	case rtmp.TypeAudio:
		return classifyAudio(m.Payload)
	case rtmp.TypeDataAMF0:
		return classifyData(m.Payload)
	case rtmp.TypeDataAMF3:
		return classifyData(bytes.TrimPrefix(m.Payload, []byte{0}))
	}
	return class{}
}

func classifyData(b []byte) class {
	switch {
	case bytes.HasPrefix(b, []byte("\x02\x00\x0aonMetaData")):
		return class{kind: metadata}
	case bytes.HasPrefix(b, []byte("\x02\x00\x0f@clearDataFrame")):
		return class{kind: clearMetadata}
	}
	return class{}
}

// Numbers of the old tags (FLV 10.1 §E.4.2.1, §E.4.3.1). HEVC and AV1 are a
// dialect of some CDNs, laid out like AVC.
const (
	audioAAC, audioEnhanced          = 10, 9
	videoAVC, videoHEVC, videoAV1    = 7, 12, 13
	frameKey, frameCommand           = 1, 5
	audioMultitrack, videoMultitrack = 5, 6
)

// Packet types of Enhanced RTMP v2, "Enhanced Video" and "Enhanced Audio".
const (
	packetSequenceStart       = 0
	packetMetadata            = 4 // video: HDR
	packetMultichannelConfig  = 4 // audio
	packetMPEG2TSSequenceHead = 5 // video
	packetModEx               = 7
)

func classifyVideo(b []byte) class {
	if len(b) == 0 {
		return class{}
	}
	frame := b[0] >> 4 & 0x07
	if b[0]&0x80 != 0 {
		key, ok := parseEnhanced(b, rtmp.TypeVideo, videoMultitrack)
		switch {
		case !ok:
			return class{}
		case key.packet == packetMetadata:
			return class{sequenceHeader, key}
		case frame == frameCommand:
			return class{}
		case key.packet == packetSequenceStart || key.packet == packetMPEG2TSSequenceHead:
			return class{sequenceHeader, key}
		case frame == frameKey && (key.packet == 1 || key.packet == 3): // CodedFrames, CodedFramesX
			return class{kind: keyFrame}
		}
		return class{}
	}
	switch codec := b[0] & 0x0f; codec {
	case videoAVC, videoHEVC, videoAV1:
		if len(b) < 2 || b[1] > 1 || frame == frameCommand {
			return class{}
		}
		if b[1] == 0 {
			return class{sequenceHeader, headerKey{media: rtmp.TypeVideo, codec: string(rune(codec))}}
		}
	}
	if frame == frameKey {
		return class{kind: keyFrame}
	}
	return class{}
}

func classifyAudio(b []byte) class {
	if len(b) < 2 {
		return class{}
	}
	switch b[0] >> 4 {
	case audioAAC:
		if b[1] == 0 {
			return class{sequenceHeader, headerKey{media: rtmp.TypeAudio, codec: string(rune(audioAAC))}}
		}
	case audioEnhanced:
		key, ok := parseEnhanced(b, rtmp.TypeAudio, audioMultitrack)
		if ok && (key.packet == packetSequenceStart || key.packet == packetMultichannelConfig) {
			return class{sequenceHeader, key}
		}
	}
	return class{}
}

// parseEnhanced reads the header of an enhanced tag up to the first track: past
// ModEx prefixes and into a multitrack body. A tag that is cut short is not ok.
func parseEnhanced(b []byte, media rtmp.MessageType, multitrack byte) (key headerKey, ok bool) {
	key = headerKey{media: media, packet: b[0] & 0x0f}
	b = b[1:]
	for key.packet == packetModEx {
		if len(b) == 0 {
			return key, false
		}
		size := int(b[0]) + 1
		b = b[1:]
		if size == 256 {
			if len(b) < 2 {
				return key, false
			}
			size = int(b[0])<<8 + int(b[1]) + 1
			b = b[2:]
		}
		if len(b) < size+1 {
			return key, false
		}
		key.packet = b[size] & 0x0f
		b = b[size+1:]
	}
	if key.packet == multitrack {
		if len(b) == 0 {
			return key, false
		}
		key.multi, key.packet = b[0]>>4+1, b[0]&0x0f
		b = b[1:]
	}
	if len(b) < 4 {
		return key, false
	}
	key.codec = string(b[:4])
	if key.multi != 0 {
		if len(b) < 5 {
			return key, false
		}
		key.track = b[4]
	}
	return key, true
}
