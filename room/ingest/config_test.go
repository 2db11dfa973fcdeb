package ingest

import (
	"encoding/hex"
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
	{"10 bits", "016e001effe1001b676e001ea6cd940a02ff97011000000300100000030320f162d960", "High 10", 640, 360, false},
	{"all the colour", "01f4001effe1001b67f4001e919b281405ff1380880000030008000003019078b16cb0", "High 4:4:4", 640, 360, false},
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
		"too wide":        "0142c01effe1000c6742001effe1000c6742001e",
		"only zeros":      "0142c01effe1000a674200000000000000000000",
	} {
		if p, ok := parseAVC(unhex(record)); ok {
			t.Errorf("%s: got %+v", name, p)
		}
	}
}

func TestParseAAC(t *testing.T) {
	for record, want := range map[string][2]int{
		"1210": {44100, 2}, "118856e500": {48000, 1}, "11b8": {48000, 8}, "1780604090": {49281, 2}, "2b920800": {22050, 2},
		"1180": {48000, 0}, "12": {}, "1710": {},
	} {
		if rate, channels := parseAAC(unhex(record)); rate != want[0] || channels != want[1] {
			t.Errorf("%s: got %d Hz, %d channels", record, rate, channels)
		}
	}
}
