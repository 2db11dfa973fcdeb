package room

import (
	"encoding/hex"
	"strings"
	"testing"
)

// pictures are sequence headers that ffmpeg wrote, without what follows the
// first parameter set.
var pictures = []struct {
	name, record, profile string
	width, height         int
	common                bool
}{
	{"baseline", "0142c01effe100196742c01ed900a02ff97011000003000100000300320f162e48", "Baseline", 640, 360, true},
	{"cropped by 8 rows", "01640028ffe1001b67640028acd940780227e5c044000003000400000300c83c60c658", "High", 1920, 1080, true},
	{"cropped by 10 columns", "014d401effe10018674d401eeca06c1ef37808800000030080000019078b16cb", "Main", 854, 480, true},
	{"10 bits", "016e001effe1001b676e001ea6cd940a02ff97011000000300100000300320f162d960", "High 10", 640, 360, false},
	{"all the colour", "01f4001effe1001867f4001e919b281405ff1380880000030008000003019078b16cb0", "High 4:4:4", 640, 360, false},
	{"half the colour, cropped by 6 rows", "017a001effe1001a677a001ebcd940a02ff9f011000003000100000300320f162d96", "High 4:2:2", 640, 362, false},
	{"interlaced", "0164001effe100186764001eacd940b424d8088000000300800000190f8a14cb", "High", 720, 576, true},
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

func TestParseAVC(t *testing.T) {
	for _, c := range pictures {
		p, ok := parseAVC(unhex(c.record))
		if want := (avcPicture{c.profile, c.width, c.height, c.common}); !ok || p != want {
			t.Errorf("%s: got %+v, %v, want %+v", c.name, p, ok, want)
		}
	}
}

// TestParseAVCCutShort: no part of a header is taken for a picture of another size.
func TestParseAVCCutShort(t *testing.T) {
	record := unhex(pictures[0].record)
	for n := range len(record) {
		if p, ok := parseAVC(record[:n]); ok {
			t.Errorf("%d bytes: got %+v", n, p)
		}
	}
	for name, record := range map[string]string{
		"another version": "02" + pictures[0].record[2:],
		"no set":          "0142c01effe0" + pictures[0].record[12:],
		"no such unit":    "0142c01effe100196842c01e" + pictures[0].record[24:],
		"only zeros":      "0142c01effe1000a674200000000000000000000",
	} {
		if p, ok := parseAVC(unhex(record)); ok {
			t.Errorf("%s: got %+v", name, p)
		}
	}
}

// writer writes parameter sets bit by bit.
type writer struct{ strings.Builder }

func (w *writer) ue(ns ...int) *writer {
	for _, n := range ns {
		digits := 0
		for v := n + 1; v > 1; v >>= 1 {
			digits++
		}
		w.WriteString(strings.Repeat("0", digits))
		for i := digits; i >= 0; i-- {
			w.WriteByte('0' + byte((n+1)>>i&1))
		}
	}
	return w
}

func (w *writer) bits(s string) *writer { w.WriteString(s); return w }

// record is a header of what was written.
func (w *writer) record(profile byte) []byte {
	sps := []byte{0x67, profile, 0, 30}
	s := w.String() + strings.Repeat("0", 7)
	for ; len(s) >= 8; s = s[8:] {
		var b byte
		for _, c := range s[:8] {
			b = b<<1 | byte(c-'0')
		}
		sps = append(sps, b)
	}
	return append([]byte{1, profile, 0, 30, 0xFF, 0xE1, 0, byte(len(sps))}, sps...)
}

// TestParseAVCRare: what common encoders do not write.
func TestParseAVCRare(t *testing.T) {
	var lists, cycle, huge writer
	lists.ue(0, 1, 0, 0).bits("0").bits("1") // scaling lists
	lists.bits("1").ue(make([]int, 16)...)   // one of 16 differences
	lists.bits("1").ue(16)                   // one that ends at once: 8-8 = 0
	lists.bits("000000")
	lists.ue(0, 0, 0, 1).bits("0").ue(39, 22).bits("1").bits("0").bits("0")
	cycle.ue(0, 0, 1).bits("0").ue(1, 2, 3, 1, 2, 3).ue(1).bits("0").ue(39, 22).bits("1").bits("0").bits("0")
	huge.ue(0, 0, 2).ue(1).bits("0").ue(2000, 22).bits("1").bits("0").bits("0")
	for name, record := range map[string][]byte{"scaling lists": lists.record(100), "order by cycle": cycle.record(66)} {
		if p, ok := parseAVC(record); !ok || p.width != 640 || p.height != 368 {
			t.Errorf("%s: got %+v, %v", name, p, ok)
		}
	}
	if p, ok := parseAVC(huge.record(66)); ok {
		t.Errorf("got %+v", p)
	}
}
