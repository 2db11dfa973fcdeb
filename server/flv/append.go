package flv

import (
	"encoding/binary"
	"slices"
)

// Append appends the payload of a message that says t, of all its tracks only
// this one. Only Media, Kind, Key, Enhanced, Track, Sound, Codec, Shift, Nanos
// and Body count. Of Other sound and pictures there is nothing to append, since
// nobody knows what they are.
func (t *Tag) Append(b []byte) []byte {
	switch {
	case t.Media == Script:
		b = append(b, scriptNames[t.Kind]...)
	case t.Kind == Other:
		return b
	case t.Enhanced:
		b = t.appendEnhanced(b)
	case t.Media == Video:
		b = t.appendVideo(b)
	default:
		b = t.appendAudio(b)
	}
	return append(b, t.Body...)
}

var scriptNames = [...]string{Metadata: OnMetaData, ClearMetadata: clearDataFrame}

// frameType is the frame type to write. Whatever is no picture has the one that
// FFmpeg gives to a sequence header.
func (t *Tag) frameType() byte {
	switch {
	case t.Kind == Command:
		return frameCommand
	case t.Kind == CodedFrames && !t.Key:
		return frameInter
	}
	return frameKey
}

// number is the number of the codec in the old format.
func (t *Tag) number(fourCCs *[16]Codec) byte {
	if n := slices.Index(fourCCs[:], t.Codec); n >= 0 && t.Codec != 0 {
		return byte(n)
	}
	return byte(t.Codec & 0x0F)
}

func (t *Tag) appendVideo(b []byte) []byte {
	b = append(b, t.frameType()<<4|t.number(&videoNumbers))
	if t.Codec.Old() || t.Kind == Command {
		return b
	}
	packet := byte(slices.Index(videoKinds[:], t.Kind))
	return append(b, packet, byte(t.Shift>>16), byte(t.Shift>>8), byte(t.Shift))
}

func (t *Tag) appendAudio(b []byte) []byte {
	b = append(b, t.number(&audioNumbers)<<4|t.Sound)
	if t.Codec == AAC {
		b = append(b, byte(slices.Index(audioKinds[:], t.Kind)))
	}
	return b
}

func (t *Tag) appendEnhanced(b []byte) []byte {
	first, kinds, multitrack := byte(soundEnhanced<<4), &audioKinds, byte(packetAudioMultitrack)
	if t.Media == Video {
		first, kinds, multitrack = 0x80|t.frameType()<<4, &videoKinds, packetVideoMultitrack
	}
	packet := byte(max(0, slices.Index(kinds[:], t.Kind)))
	outer := packet
	if t.Track != 0 && t.Kind != Command {
		outer = multitrack
	}
	if t.Nanos != 0 {
		b = append(b, first|packetModEx, 2, byte(t.Nanos>>16), byte(t.Nanos>>8), byte(t.Nanos), outer)
	} else {
		b = append(b, first|outer)
	}
	if t.Kind == Command {
		return b
	}
	if outer == multitrack {
		b = append(b, packet)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(t.Codec))
	if outer == multitrack {
		b = append(b, t.Track)
	}
	if t.Kind == CodedFrames && t.shifts() {
		b = append(b, byte(t.Shift>>16), byte(t.Shift>>8), byte(t.Shift))
	}
	return b
}
