package media

// A size is that of a picture, in pixels; zero is not known.
type size struct{ width, height int }

// maxSide bounds what a header may say: a sample entry has 16 bits for it.
const maxSide = 1<<14 - 1

func (s size) ok() bool {
	return s.width > 0 && s.height > 0 && s.width <= maxSide && s.height <= maxSide
}

// sizeOfAVC reads a sequence parameter set (H.264 §7.3.2.1.1) up to the size.
func sizeOfAVC(nalu []byte) size {
	r := &bitReader{b: unescape(nalu)}
	r.skip(8)
	profile := r.bits(8)
	r.skip(16)
	r.golomb()
	chroma, separate := uint32(1), false
	switch profile {
	case 100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135:
		if chroma = r.golomb(); chroma == 3 {
			separate = r.flag()
		}
		r.golomb()
		r.golomb()
		r.skip(1)
		if r.flag() {
			skipScaling(r, chroma)
		}
	}
	r.golomb()
	switch r.golomb() {
	case 0:
		r.golomb()
	case 1:
		r.skip(1)
		r.golomb()
		r.golomb()
		for n := r.golomb(); n > 0 && !r.short; n-- {
			r.golomb()
		}
	}
	r.golomb()
	r.skip(1)
	width, height := 16*(int(r.golomb())+1), 16*(int(r.golomb())+1)
	fields := 2
	if r.flag() { // frame_mbs_only_flag
		fields = 1
	} else {
		r.skip(1)
	}
	height *= fields
	r.skip(1)
	unitX, unitY := 1, fields
	if !separate && (chroma == 1 || chroma == 2) {
		unitX = 2
	}
	if !separate && chroma == 1 {
		unitY = 2 * fields
	}
	return crop(r, size{width, height}, unitX, unitY)
}

// crop reads the cropping flag and what it stands for.
func crop(r *bitReader, s size, unitX, unitY int) size {
	if r.flag() {
		s.width -= unitX * (int(r.golomb()) + int(r.golomb()))
		s.height -= unitY * (int(r.golomb()) + int(r.golomb()))
	}
	if r.short || !s.ok() {
		return size{}
	}
	return s
}

func skipScaling(r *bitReader, chroma uint32) {
	lists := 8
	if chroma == 3 {
		lists = 12
	}
	for i := range lists {
		if !r.flag() {
			continue
		}
		n := 16
		if i >= 6 {
			n = 64
		}
		last, next := 8, 8
		for range n {
			if next != 0 {
				k := r.golomb()
				delta := int(k+1) / 2
				if k%2 == 0 {
					delta = -delta
				}
				next = (last + delta + 256) & 0xff
			}
			if next != 0 {
				last = next
			}
		}
	}
}

// sizeOfHEVC reads a sequence parameter set (H.265 §7.3.2.2.1) up to the size.
func sizeOfHEVC(nalu []byte) size {
	r := &bitReader{b: unescape(nalu)}
	r.skip(16 + 4)
	layers := int(r.bits(3))
	r.skip(1)
	r.skip(88 + 8) // general profile, general level
	var profile, level [8]bool
	for i := range layers {
		profile[i], level[i] = r.flag(), r.flag()
	}
	if layers > 0 {
		r.skip(2 * (8 - layers))
	}
	for i := range layers {
		if profile[i] {
			r.skip(88)
		}
		if level[i] {
			r.skip(8)
		}
	}
	r.golomb()
	chroma, separate := r.golomb(), false
	if chroma == 3 {
		separate = r.flag()
	}
	s := size{int(r.golomb()), int(r.golomb())}
	unitX, unitY := 1, 1
	if !separate && (chroma == 1 || chroma == 2) {
		unitX = 2
	}
	if !separate && chroma == 1 {
		unitY = 2
	}
	return crop(r, s, unitX, unitY)
}

// sizeOfAV1 finds a sequence header among OBUs (AV1 §5.5.1) and reads it up to
// the size.
func sizeOfAV1(obus []byte) size {
	const sequenceHeader = 1
	for len(obus) > 0 {
		kind, extended, sized := obus[0]>>3&15, obus[0]&4 != 0, obus[0]&2 != 0
		obus = obus[1:]
		if extended && len(obus) > 0 {
			obus = obus[1:]
		}
		n := len(obus)
		if sized {
			if n, obus = leb128(obus); n > len(obus) {
				return size{}
			}
		}
		if kind == sequenceHeader {
			return sizeOfSequence(&bitReader{b: obus[:n]})
		}
		obus = obus[n:]
	}
	return size{}
}

// leb128 reads a number (AV1 §4.10.5); one that is too long is larger than
// what follows.
func leb128(b []byte) (n int, rest []byte) {
	for i := 0; i < min(len(b), 4); i++ {
		n |= int(b[i]&0x7f) << (7 * i)
		if b[i]&0x80 == 0 {
			return n, b[i+1:]
		}
	}
	return 1, nil
}

func sizeOfSequence(r *bitReader) size {
	r.skip(3 + 1)
	if r.flag() { // reduced_still_picture_header
		r.skip(5)
	} else {
		delay := 0
		decoderModel := false
		if r.flag() { // timing_info_present_flag
			r.skip(64)
			if r.flag() {
				r.golomb()
			}
			if decoderModel = r.flag(); decoderModel {
				delay = int(r.bits(5)) + 1
				r.skip(32 + 5 + 5)
			}
		}
		initialDelay := r.flag()
		for n := r.bits(5) + 1; n > 0 && !r.short; n-- {
			r.skip(12)
			if r.bits(5) > 7 {
				r.skip(1)
			}
			if decoderModel && r.flag() {
				r.skip(2*delay + 1)
			}
			if initialDelay && r.flag() {
				r.skip(4)
			}
		}
	}
	w, h := int(r.bits(4))+1, int(r.bits(4))+1
	s := size{int(r.bits(w)) + 1, int(r.bits(h)) + 1}
	if r.short || !s.ok() {
		return size{}
	}
	return s
}

// sizeOfVP9 reads the header of a key frame (VP9 §6.2).
func sizeOfVP9(frame []byte) size {
	r := &bitReader{b: frame}
	marker := r.bits(2)
	profile := r.bit() | r.bit()<<1
	if profile == 3 {
		r.skip(1)
	}
	existing, inter := r.flag(), r.flag()
	r.skip(2)
	if marker != 2 || existing || inter || r.bits(24) != 0x498342 {
		return size{}
	}
	if profile >= 2 {
		r.skip(1)
	}
	const sRGB = 7
	if r.bits(3) != sRGB {
		r.skip(1)
		if profile == 1 || profile == 3 {
			r.skip(3)
		}
	} else if profile == 1 || profile == 3 {
		r.skip(1)
	}
	s := size{int(r.bits(16)) + 1, int(r.bits(16)) + 1}
	if r.short || !s.ok() {
		return size{}
	}
	return s
}
