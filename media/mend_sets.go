package media

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/bluenviron/mediacommon/v2/pkg/bits"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/av1"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"

	"foyer/server/flv"
)

// maxSets is how many parameter sets a stream has at most. Those beyond it are
// left among the pictures.
const maxSets = 64

// A setList is the parameter sets of a stream: those of H.264 and H.265, and the
// sequence header of AV1.
type setList struct {
	codec flv.Codec
	sets  []paramSet
}

// A paramSet is one, by the type of its unit.
type paramSet struct {
	kind byte
	data []byte
}

// sequence is the type of the sets that say the size of the picture.
func (l *setList) sequence() byte {
	switch l.codec {
	case flv.AVC:
		return byte(h264.NALUTypeSPS)
	case flv.HEVC:
		return byte(h265.NALUType_SPS_NUT)
	}
	return byte(av1.OBUTypeSequenceHeader)
}

// kind is the type of a set, or 0 if it does not count.
func (l *setList) kind(unit []byte) byte {
	switch l.codec {
	case flv.AVC:
		if k := unit[0] & 0x1F; k == byte(h264.NALUTypeSPS) || k == byte(h264.NALUTypePPS) {
			return k
		}
		return 0
	case flv.HEVC:
		return unit[0] >> 1 & 0x3F
	}
	return unit[0] >> 3 & 0x0F
}

// read makes l the sets in a body, of which it has parts.
func (l *setList) read(c flv.Codec, body []byte, f flv.Framing) {
	l.codec, l.sets = c, l.sets[:0]
	for r := flv.Units(body, f); r.Next(); {
		if role, _ := c.Role(r.Unit); role == flv.Set {
			l.add(r.Unit)
		}
	}
}

func (l *setList) add(unit []byte) {
	if k := l.kind(unit); k != 0 && len(l.sets) < maxSets && len(unit) <= MaxRecord/2 {
		l.sets = append(l.sets, paramSet{k, unit})
	}
}

// fill makes l the sets of a configuration.
func (l *setList) fill(c *codec) {
	l.codec, l.sets = c.fourCC, nil
	for _, unit := range slices.Concat(c.vps, c.sps, c.pps) {
		l.add(unit)
	}
	if c.fourCC == flv.AV1 {
		if unit, _, ok := sequenceOf(c.record[4:]); ok {
			l.add(c.fourCC.AppendUnit(nil, unit))
		}
	}
}

// merge takes over sets that came with a picture, and reports whether that was a
// change. With another sequence, those of its kinds from before hold no longer.
func (l *setList) merge(fresh *setList) (changed bool) {
	l.codec = fresh.codec
	news := 0
	another := false
	for _, s := range fresh.sets {
		if !l.has(s) {
			news++
			another = another || s.kind == l.sequence()
		}
	}
	if news == 0 {
		return false
	}
	if another {
		l.sets = slices.DeleteFunc(l.sets, func(old paramSet) bool {
			return slices.ContainsFunc(fresh.sets, func(s paramSet) bool { return s.kind == old.kind })
		})
	}
	for _, s := range fresh.sets {
		l.put(s)
	}
	return true
}

func (l *setList) has(s paramSet) bool {
	return slices.ContainsFunc(l.sets, func(o paramSet) bool { return o.kind == s.kind && bytes.Equal(o.data, s.data) })
}

// put takes over a set, which replaces the one with its number.
func (l *setList) put(s paramSet) {
	if l.has(s) {
		return
	}
	s.data = bytes.Clone(s.data)
	number := l.number(s)
	for i, o := range l.sets {
		if o.kind == s.kind && l.number(o) == number {
			l.sets[i] = s
			return
		}
	}
	if len(l.sets) < maxSets {
		l.sets = append(l.sets, s)
	}
}

// number is what other sets and pictures know the set by.
func (l *setList) number(s paramSet) uint32 {
	at, b := 0, s.data
	switch {
	case l.codec == flv.AVC && s.kind == byte(h264.NALUTypeSPS):
		at = 4
	case l.codec == flv.AVC:
		at = 1
	case l.codec == flv.HEVC && s.kind == byte(h265.NALUType_PPS_NUT):
		at = 2
	case l.codec == flv.HEVC && s.kind == byte(h265.NALUType_SPS_NUT):
		var sps h265.SPS
		if sps.Unmarshal(b) != nil {
			return 0
		}
		return uint32(sps.ID)
	case l.codec == flv.HEVC && len(b) > 2: // VPS
		return uint32(b[2] >> 4)
	default:
		return 0
	}
	if len(b) <= at {
		return 0
	}
	pos := 0
	n, _ := bits.ReadGolombUnsigned(b[at:], &pos)
	return n
}

// of is the sets of a type.
func (l *setList) of(kind byte) (units [][]byte) {
	for _, s := range l.sets {
		if s.kind == kind {
			units = append(units, s.data)
		}
	}
	return units
}

// complete reports whether there is all that a configuration needs.
func (l *setList) complete() bool {
	has := func(kind byte) bool {
		return slices.ContainsFunc(l.sets, func(s paramSet) bool { return s.kind == kind })
	}
	switch l.codec {
	case flv.AVC:
		return has(byte(h264.NALUTypeSPS)) && has(byte(h264.NALUTypePPS))
	case flv.HEVC:
		return has(byte(h265.NALUType_VPS_NUT)) && has(byte(h265.NALUType_SPS_NUT)) && has(byte(h265.NALUType_PPS_NUT))
	}
	return len(l.sets) > 0
}

// record is a decoder configuration with the sets, or nil if they are not complete
// or cannot be read.
func (l *setList) record() []byte {
	if !l.complete() {
		return nil
	}
	switch l.codec {
	case flv.AVC:
		return recordAVC(l.of(byte(h264.NALUTypeSPS)), l.of(byte(h264.NALUTypePPS)))
	case flv.HEVC:
		return recordHEVC(l)
	}
	return recordAV1(l.sets[0].data)
}

// appendSized appends NAL units behind their lengths of 16 bits.
func appendSized(b []byte, units [][]byte) []byte {
	for _, u := range units {
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(u))), u...)
	}
	return b
}

// recordAVC is ISO/IEC 14496-15 §5.3.3.1.
func recordAVC(sps, pps [][]byte) []byte {
	var s h264.SPS
	if s.Unmarshal(sps[0]) != nil {
		return nil
	}
	sps = sps[:min(len(sps), 31)]
	b := append([]byte{1}, sps[0][1:4]...)
	b = appendSized(append(b, 0xFF, 0xE0|byte(len(sps))), sps)
	b = appendSized(append(b, byte(len(pps))), pps)
	switch s.ProfileIdc {
	case 66, 77, 88:
		return b
	}
	return append(b, 0xFC|byte(s.ChromaFormatIdc), 0xF8|byte(s.BitDepthLumaMinus8), 0xF8|byte(s.BitDepthChromaMinus8), 0)
}

// recordHEVC is ISO/IEC 14496-15 §8.3.3.1.
func recordHEVC(l *setList) []byte {
	sps := l.of(l.sequence())[0]
	var s h265.SPS
	plain := h264.EmulationPreventionRemove(sps)
	if s.Unmarshal(sps) != nil || len(plain) < 15 {
		return nil
	}
	b := append([]byte{1}, plain[3:15]...) // the profile, tier and level
	b = append(b, 0xF0, 0, 0xFC, 0xFC|byte(s.ChromaFormatIdc), 0xF8|byte(s.BitDepthLumaMinus8), 0xF8|byte(s.BitDepthChromaMinus8), 0, 0)
	nested := byte(0)
	if s.TemporalIDNestingFlag {
		nested = 1
	}
	b = append(b, (s.MaxSubLayersMinus1+1)<<3|nested<<2|3, 3)
	for kind := byte(h265.NALUType_VPS_NUT); kind <= byte(h265.NALUType_PPS_NUT); kind++ {
		units := l.of(kind)
		b = append(b, kind)
		b = appendSized(binary.BigEndian.AppendUint16(b, uint16(len(units))), units)
	}
	return b
}

// recordAV1 is AV1 in ISOBMFF §2.3.3, of a sequence header.
func recordAV1(obu []byte) []byte {
	_, s, ok := sequenceOf(obu)
	if !ok || len(s.SeqLevelIdx) == 0 || len(s.SeqTier) == 0 {
		return nil
	}
	flag := func(on bool, bit int) byte { return map[bool]byte{true: 1 << bit}[on] }
	c := s.ColorConfig
	b := []byte{0x81, s.SeqProfile<<5 | s.SeqLevelIdx[0]&0x1F, flag(s.SeqTier[0], 7) | flag(c.BitDepth > 8, 6) | flag(c.BitDepth == 12, 5) |
		flag(c.MonoChrome, 4) | flag(c.SubsamplingX, 3) | flag(c.SubsamplingY, 2) | byte(c.ChromaSamplePosition)&3, 0}
	return append(b, obu...)
}
