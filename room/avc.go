package room

// avcPicture is what a decoder of H.264 is told of the pictures to come.
type avcPicture struct {
	profile       string
	width, height int
	common        bool // 8 bits and 4:2:0, as every browser plays it
}

// avcProfiles by profile_idc (H.264 §A.2).
var avcProfiles = map[byte]string{
	66: "Baseline", 77: "Main", 88: "Extended", 100: "High", 110: "High 10", 122: "High 4:2:2", 244: "High 4:4:4",
}

// parseAVC reads the size of the pictures out of a sequence header: an
// AVCDecoderConfigurationRecord (ISO 14496-15 §5.2.4.1) with a sequence
// parameter set (H.264 §7.3.2.1.1) in it.
func parseAVC(record []byte) (p avcPicture, ok bool) {
	if len(record) < 9 || record[0] != 1 || record[5]&0x1F == 0 {
		return p, false
	}
	size := int(record[6])<<8 | int(record[7])
	sps := record[8:]
	if size < 4 || len(sps) < size || sps[0]&0x1F != 7 {
		return p, false
	}
	b := bits{b: unescape(sps[4:size])}
	profile := sps[1]
	p.profile, p.common = avcProfiles[profile], true
	b.ue() // seq_parameter_set_id
	chroma, separate := 1, false
	switch profile {
	case 100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135:
		if chroma = b.ue(); chroma == 3 {
			separate = b.bit() == 1
		}
		luma, colour := b.ue(), b.ue()
		p.common = chroma <= 1 && luma == 0 && colour == 0
		b.bit()
		if b.bit() == 1 {
			b.scalingLists(chroma)
		}
	}
	b.frameNumbers()
	width, height := b.ue()+1, b.ue()+1
	fields := 2 - b.bit() // 2: the map counts pairs of rows
	if fields == 2 {
		b.bit()
	}
	b.bit()
	p.width, p.height = 16*width, 16*height*fields
	if b.bit() == 1 {
		left, right, top, bottom := b.ue(), b.ue(), b.ue(), b.ue()
		x, y := 1, fields
		if !separate {
			if chroma == 1 || chroma == 2 {
				x = 2
			}
			if chroma == 1 {
				y *= 2
			}
		}
		p.width -= x * (left + right)
		p.height -= y * (top + bottom)
	}
	return p, !b.short && p.width > 0 && p.height > 0 && p.width <= MaxSide && p.height <= MaxSide
}

// MaxSide is the largest width and height that is believed.
const MaxSide = 16384

// unescape takes out the bytes that keep start codes from appearing (§7.4.1).
func unescape(b []byte) []byte {
	clean, zeros := make([]byte, 0, len(b)), 0
	for _, c := range b {
		if zeros >= 2 && c == 3 {
			zeros = 0
			continue
		}
		if zeros++; c != 0 {
			zeros = 0
		}
		clean = append(clean, c)
	}
	return clean
}

// bits reads bits. Past the end there are zeros, and short is set.
type bits struct {
	b     []byte
	at    int
	short bool
}

func (r *bits) bit() int {
	if r.at/8 >= len(r.b) {
		r.short = true
		return 0
	}
	bit := r.b[r.at/8] >> (7 - r.at%8) & 1
	r.at++
	return int(bit)
}

// ue reads an Exp-Golomb number (§9.1).
func (r *bits) ue() int {
	zeros := 0
	for r.bit() == 0 {
		if zeros++; zeros > 31 || r.short {
			r.short = true
			return 0
		}
	}
	n := 1
	for range zeros {
		n = n<<1 | r.bit()
	}
	return n - 1
}

// se reads a signed one (§9.1.1).
func (r *bits) se() int {
	n := r.ue()
	if n%2 == 0 {
		return -n / 2
	}
	return (n + 1) / 2
}

// scalingLists goes past them (§7.3.2.1.1.1).
func (r *bits) scalingLists(chroma int) {
	lists := 8
	if chroma == 3 {
		lists = 12
	}
	for i := range lists {
		if r.bit() == 0 {
			continue
		}
		size, last, next := 16, 8, 8
		if i >= 6 {
			size = 64
		}
		for range size {
			if next != 0 {
				next = (last + r.se() + 256) % 256
			}
			if next != 0 {
				last = next
			}
		}
	}
}

// frameNumbers goes past how frames are numbered.
func (r *bits) frameNumbers() {
	r.ue() // log2_max_frame_num_minus4
	switch r.ue() {
	case 0:
		r.ue()
	case 1:
		r.bit()
		r.se()
		r.se()
		for range min(r.ue(), 255) {
			r.se()
		}
	}
	r.ue() // max_num_ref_frames
	r.bit()
}
