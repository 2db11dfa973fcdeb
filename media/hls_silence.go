package media

import "foyer/server/flv"

// silentAAC is the configuration of sound that stands for sound to come: AAC-LC, 48 kHz,
// stereo.
var silentAAC = []byte{0x11, 0x90}

// silence is a frame without sound, or nil if none is known for the codec.
func (c *codec) silence() []byte {
	switch {
	case c.fourCC == flv.Opus && c.channels <= 2:
		return []byte{0xf8 | byte(c.channels-1)<<2, 0xff, 0xfe} // 20 ms of CELT that say nothing
	case c.fourCC == flv.AAC && plainAAC[int(c.aac.Type)]:
		return silentFrame(int(c.aac.ChannelConfig))
	}
	return nil
}

// plainAAC are the object types whose frames are raw_data_block of AAC: Main, LC, SSR,
// LTP, SBR and PS.
var plainAAC = map[int]bool{1: true, 2: true, 3: true, 4: true, 5: true, 29: true}

// An element of a frame, and the bits of its silence: gains and flags of 0, and no
// scale factor bands (ISO/IEC 14496-3 §4.4.2.1).
const (
	elementSCE = 0 // one channel
	elementCPE = 1 // two
	elementLFE = 3
	elementEnd = 7

	silentSCE = 22 // global_gain, ics_info, and the three flags of a channel
	silentCPE = 35 // ics_info, ms_mask_present, and twice the gain and the flags
)

// aacElements are the elements of each channel configuration (ISO/IEC 14496-3 table
// 1.19). That of 0 is in the configuration; most have two channels.
var aacElements = [][]int{
	{elementCPE}, {elementSCE}, {elementCPE}, {elementSCE, elementCPE}, {elementSCE, elementCPE, elementSCE},
	{elementSCE, elementCPE, elementCPE}, {elementSCE, elementCPE, elementCPE, elementLFE},
	{elementSCE, elementCPE, elementCPE, elementCPE, elementLFE},
}

// silentFrame is a frame of AAC without sound.
func silentFrame(channels int) []byte {
	if channels >= len(aacElements) {
		return nil
	}
	var w bitWriter
	var tags [elementEnd + 1]uint
	for _, e := range aacElements[channels] {
		w.put(uint(e), 3)
		w.put(tags[e], 4)
		tags[e]++
		if e == elementCPE {
			w.put(1, 1) // common_window
			w.put(0, silentCPE)
		} else {
			w.put(0, silentSCE)
		}
	}
	w.put(elementEnd, 3)
	return w.bytes
}

// A bitWriter writes bits, the highest first.
type bitWriter struct {
	bytes []byte
	n     int
}

func (w *bitWriter) put(v uint, bits int) {
	for i := bits - 1; i >= 0; i-- {
		if w.n%8 == 0 {
			w.bytes = append(w.bytes, 0)
		}
		w.bytes[w.n/8] |= byte(v>>min(i, 63)&1) << (7 - w.n%8)
		w.n++
	}
}
