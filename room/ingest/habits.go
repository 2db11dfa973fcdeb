package ingest

import (
	"bytes"

	"foyer/server/flv"
)

// maxUnits is how many units of a frame are looked at.
const maxUnits = 64

// maxConfig is the longest configuration of sound that is compared with frames, in bytes.
const maxConfig = 16

// adtsHeader is the length of an ADTS header without a checksum (ISO 13818-7 §6.2).
const adtsHeader = 7

// habits are what some encoders do and most players do not expect. One that has done so
// once is told until it begins again.
type habits struct {
	startCodes bool // Annex B: start codes between the units, instead of their lengths
	apart      bool // what belongs to a picture comes in a message of its own
	slices     bool // each slice of a picture does
	empty      bool // messages and units that hold nothing
	config     bool // the configuration of the sound comes as if it were sound
	adts       bool // sound has the headers that it has in files and MPEG-TS
}

// A frame is what a message of video holds.
type frame struct {
	picture bool // or the first part of one; also if that cannot be told
	slice   bool // of a picture that has begun
	empty   bool
}

// lengthSize returns how many bytes the length of a unit has, by the configuration; 4 if
// that does not tell (ISO 14496-15 §5.2.4.1, §8.3.2.1).
func lengthSize(c flv.Codec, config []byte) int {
	switch {
	case c == flv.AVC && len(config) > 4:
		return int(config[4]&3) + 1
	case c == flv.HEVC && len(config) > 21:
		return int(config[21]&3) + 1
	}
	return 4
}

// hasStartCode reports whether units follow start codes (H.264 and H.265, Annex B). The
// same bytes may be the length of a unit of one byte, or of 256 and more: then the
// lengths lead to the end.
func hasStartCode(b []byte, size int) bool {
	if !bytes.HasPrefix(b, []byte{0, 0, 1}) && !bytes.HasPrefix(b, []byte{0, 0, 0, 1}) {
		return false
	}
	for range maxUnits {
		if len(b) == 0 {
			return false
		}
		if _, b = cutUnit(b, size); b == nil {
			return true
		}
	}
	return false
}

// cutUnit takes the first unit off b. The rest is nil if b is cut short.
func cutUnit(b []byte, size int) (unit, rest []byte) {
	if len(b) < size {
		return nil, nil
	}
	n := 0
	for _, c := range b[:size] {
		n = n<<8 | int(c)
	}
	if b = b[size:]; n > len(b) {
		return nil, nil
	}
	return b[:n], b[n:]
}

// lookAtUnits tells what a message of H.264 or HEVC holds.
func lookAtUnits(c flv.Codec, b []byte, size int) (f frame) {
	for range maxUnits {
		if len(b) == 0 {
			return f
		}
		unit, rest := cutUnit(b, size)
		if b = rest; b == nil {
			break
		}
		switch begins, slice := sliceOf(c, unit); {
		case len(unit) == 0:
			f.empty = true
		case slice && begins:
			f.picture = true
			return f
		case slice:
			f.slice = true
			return f
		}
	}
	return frame{picture: true} // nobody knows
}

// sliceOf reports whether a unit is a slice, and whether a picture begins with it: the
// first bit of its header says so (first_mb_in_slice is 0, H.264 §7.3.3;
// first_slice_segment_in_pic_flag, H.265 §7.3.6.1).
func sliceOf(c flv.Codec, unit []byte) (begins, slice bool) {
	if c == flv.AVC && len(unit) > 1 {
		kind := unit[0] & 0x1F
		return unit[1]&0x80 != 0, kind >= 1 && kind <= 5
	}
	if c == flv.HEVC && len(unit) > 2 {
		return unit[2]&0x80 != 0, unit[0]>>1&0x3F < 32
	}
	return false, false
}

// lookAtOBUs tells what a message of AV1 holds (AV1 §5.3). Only a tile group that comes
// alone is a part of a picture that has begun.
func lookAtOBUs(b []byte) (f frame) {
	for range maxUnits {
		if len(b) == 0 {
			return f
		}
		switch b[0] >> 3 { // with the bit that is always 0
		case 3, 6, 7: // frame header, frame, redundant frame header
			f.picture = true
			return f
		case 4: // tile group
			f.slice = true
			return f
		case 1, 2, 5, 8, 15: // sequence header, temporal delimiter, metadata, tile list, padding
			b = afterOBU(b)
		default:
			b = nil
		}
		if b == nil {
			break
		}
	}
	return frame{picture: true} // nobody knows
}

// afterOBU returns what follows the first OBU of b; nil if b is cut short.
func afterOBU(b []byte) []byte {
	at := 1 + int(b[0]>>2&1) // an extension is one byte
	if b[0]&2 == 0 {
		return b[len(b):] // without a size it is the last one
	}
	n := 0
	for i := 0; i < 4 && at < len(b); i++ {
		c := b[at]
		at++
		if n |= int(c&0x7F) << (7 * i); c&0x80 == 0 {
			if n > len(b)-at {
				return nil
			}
			return b[at+n:]
		}
	}
	return nil
}

// pictured notes the habits of a message of video, and reports whether a picture begins
// with it.
func (in *observed) pictured(t flv.Tag) bool {
	var f frame
	switch {
	case len(t.Body) == 0:
		in.habits.empty = true
		return false
	case (t.Codec == flv.AVC || t.Codec == flv.HEVC) && hasStartCode(t.Body, in.lengthSize):
		in.habits.startCodes = true
		return true
	case t.Codec == flv.AVC || t.Codec == flv.HEVC:
		f = lookAtUnits(t.Codec, t.Body, in.lengthSize)
	case t.Codec == flv.AV1:
		f = lookAtOBUs(t.Body)
	default:
		return true
	}
	in.habits.slices = in.habits.slices || f.slice
	in.habits.apart = in.habits.apart || !f.slice && !f.picture && !f.empty
	in.habits.empty = in.habits.empty || f.empty
	return f.picture
}

// sounds notes the habits of a message of sound, and reports whether it is sound.
func (in *observed) sounds(t flv.Tag) bool {
	b := t.Body
	switch {
	case len(b) == 0:
		in.habits.empty = in.habits.empty || t.Codec == flv.AAC
		return false
	case t.Codec != flv.AAC:
		return true
	case bytes.Equal(b, in.config[:in.configSize]):
		in.habits.config = true
		return false
	case isADTS(b):
		in.habits.adts = true
	}
	return true
}

// isADTS reports whether b begins with an ADTS header whose frame is b.
func isADTS(b []byte) bool {
	if len(b) < adtsHeader || b[0] != 0xFF || b[1]&0xF6 != 0xF0 {
		return false
	}
	return int(b[3]&3)<<11|int(b[4])<<3|int(b[5]>>5) == len(b)
}

// advise says what to change.
func (h habits) advise(video string, say func(bool, string, ...any)) {
	say(h.startCodes, "%s comes with start codes (Annex B), which players of RTMP do not expect: let the encoder write it as in MP4, with lengths (AVCC).", video)
	say(h.apart, "SEI or parameter sets come in messages of their own, which some players take for pictures: put them into the message of their picture.")
	say(h.slices, "Each slice of a picture comes in a message of its own, and some players show half a picture: send pictures whole, or set slices to 1.")
	say(h.empty, "Empty frames come now and then, and some players stop at them: update the encoder, or choose another one.")
	say(h.config, "The AAC configuration comes again as if it were sound, and some players stop at it: update the encoder, or choose another one.")
	say(h.adts, "AAC frames have ADTS headers, which players of RTMP do not expect: send raw AAC (ffmpeg: -bsf:a aac_adtstoasc).")
}
