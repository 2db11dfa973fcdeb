package media

import (
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"

	"foyer/server/flv"
)

// configurations are records that encoders write, and their meaning.
var configurations = []struct {
	name, fourCC, record string
	mime                 string
	size                 size
	timescale, frame     uint32
	channels             uint16
}{
	{"cropped by 8 rows", "avc1", "0142c028ffe100196742c028da01e0089f97011000000300100000030320f1832a01000468ce0fc8",
		"avc1.42c028", size{1920, 1080}, 1000, 0, 0},
	{"4:2:2, 10 bits", "avc1", "017a001fffe1001b677a001fb6cb406c1ff347e022000003000200000300641e30654001000468ce0fc8fefafa00",
		"avc1.7a001f", size{854, 482}, 1000, 0, 0},
	{"interlaced", "avc1", "0164001effe100186764001eacd940b424d8088000000300800000190f8a14cb01000668faa3cb22c0fdf8f800",
		"avc1.64001e", size{720, 576}, 1000, 0, 0},
	{"a reference decoder's buffers", "avc1", "0164001effe100236764001eacd940b4126c0440000003004000000c9810003d090007a13930c01e2c5b2c01000568eaecb22cfdf8f800",
		"avc1.64001e", size{720, 576}, 1000, 0, 0},
	{"cropped by 2 columns", "hvc1", "0101600000009000000000005af000fcfdf8f800000f03a00001001840010c01ffff01600000030090000003000003005a959409a10001002b42010101600000030090000003000003005aa006c201e1cde595952930bc05a02000000300200000030321a2000100064401c073c189",
		"hvc1.1.6.L90.90", size{854, 480}, 1000, 0, 0},
	{"4:4:4, 10 bits", "hvc1", "0104080000009c08000000005af000fcfffafa00000f03a00001001740010c01ffff0408000003009c0800000300005a959409a10001002b4201010408000003009c0800000300005a9000d8403e38b8f6cb2b2a5261780b4040000003004000000642a2000100084401c07318301890",
		"hvc1.4.10.L90.9C.8", size{854, 482}, 1000, 0, 0},
	{"temporal layers", "hvc1", "0101600000009000000000005df000fcfdf8f800001303a00001001c40010c02ffff01600000030090000003000003005d00009598acc048a10001002d42010201600000030090000003000003005d0000a005a200905965662b349265780b4040000003004000000c82a2000100074401c172b46240",
		"hvc1.1.6.L93.90", size{720, 576}, 1000, 0, 0},
	{"AV1", "av01", "81050c000a0b0000002d4d55bfc02f8004", "av01.0.05M.08", size{1366, 768}, 1000, 0, 0},
	{"AV1 4:4:4", "av01", "812000000a0a200000043cfed4daf902", "av01.1.00M.08", size{320, 182}, 1000, 0, 0},
	{"AV1 that says no size", "av01", "81000c00", "av01.0.00M.08", size{}, 1000, 0, 0},
	{"VP9", "vp09", "000a820202020000", "vp09.00.10.08", size{}, 1000, 0, 0},
	{"VP9 with its box's version", "vp09", "01000000011f800202020000", "vp09.01.31.08", size{}, 1000, 0, 0},
	{"AAC", "mp4a", "1210", "mp4a.40.2", size{}, 44100, 1024, 2},
	{"AAC and a sync extension", "mp4a", "118856e500", "mp4a.40.2", size{}, 48000, 1024, 1},
	{"AAC 7.1", "mp4a", "11b8", "mp4a.40.2", size{}, 48000, 1024, 8},
	{"AAC of short frames", "mp4a", "1194", "mp4a.40.2", size{}, 48000, 960, 2},
	{"AAC at a rate of its own", "mp4a", "1780604090", "mp4a.40.2", size{}, 49281, 1024, 2},
	{"AAC whose frames say the channels", "mp4a", "1180", "mp4a.40.2", size{}, 48000, 1024, 2},
	{"HE-AAC", "mp4a", "2b920800", "mp4a.40.5", size{}, 22050, 1024, 2},
	{"HE-AAC v2", "mp4a", "eb8a0800", "mp4a.40.29", size{}, 22050, 1024, 1},
	{"Opus", "Opus", "4f707573486561640102380180bb0000000000", "opus", size{}, 48000, 0, 2},
	{"Opus 5.1", "Opus", "4f707573486561640106380180bb00000000010402000401020305", "opus", size{}, 48000, 0, 6},
}

// fourCC is the codec with that name of four letters.
func fourCC(name string) flv.Codec { return flv.Codec(binary.BigEndian.Uint32([]byte(name))) }

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// TestNewCodec: a configuration is read, and one that is cut short anywhere, or
// too long, is refused or harmless, and never a panic.
func TestNewCodec(t *testing.T) {
	for _, test := range configurations {
		record := unhex(test.record)
		c, err := newCodec(fourCC(test.fourCC), record)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if c.mime != test.mime || c.size != test.size || c.timescale != test.timescale || c.frame != test.frame || c.channels != test.channels {
			t.Errorf("%s: got %s %v, scale %d, frames of %d, %d channels", test.name, c.mime, c.size, c.timescale, c.frame, c.channels)
		}
		if _, err := newCodec(fourCC(test.fourCC), make([]byte, MaxRecord+1)); err == nil {
			t.Errorf("%s: too long, and taken", test.fourCC)
		}
		for n := range record {
			if c, err := newCodec(fourCC(test.fourCC), record[:n]); err == nil && test.fourCC == "avc1" && n < len(record)-4 {
				t.Errorf("%s: %d bytes taken: %+v", test.name, n, c)
			}
		}
	}
}

// TestCodecBoxes: everything in the record is in the box.
func TestCodecBoxes(t *testing.T) {
	opus := "0006" + "0138" + "0000bb80" + "0000" + "01" + "0402000401020305"
	for _, test := range configurations {
		want := test.record
		switch test.name {
		case "VP9":
			want = "01000000" + want
		case "Opus":
			want = "0002" + opus[4:20] + "00"
		case "Opus 5.1":
			want = opus
		}
		c, err := newCodec(fourCC(test.fourCC), unhex(test.record))
		if err != nil {
			t.Fatal(err)
		}
		b, err := encoded(c.box)
		if err != nil || test.fourCC != "mp4a" && hex.EncodeToString(b[8:]) != want || !strings.Contains(hex.EncodeToString(b), want) {
			t.Errorf("%s: got %x, %v", test.name, b, err)
		}
		if _, err := initSegment([lanes]*codec{c}); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// keyFrames are beginnings of key frames that say their size.
var keyFrames = []struct {
	name, fourCC, frame string
	size                size
}{
	{"VP9", "vp09", "824983420055502ff60638241c184a18", size{1366, 768}},
	{"VP9 in RGB", "vp09", "a2498342e013f00b360638241c184a00", size{320, 180}},
	{"VP9 4:2:2, 10 bits", "vp09", "b124c1a10201aa80f0b031c120e0c2c0", size{854, 482}},
	{"VP9 that refers to another", "vp09", "860000000000000000000000", size{}},
	{"AV1", "av01", "12000a0b0000002d4d55bfc02f8004" + "32c03e" + "00112233", size{1366, 768}},
	{"AV1 without a sequence header", "av01", "1200320400112233", size{}},
}

func TestMeasure(t *testing.T) {
	for _, test := range keyFrames {
		c := &codec{fourCC: fourCC(test.fourCC)}
		if c.measure(append(unhex(test.frame), make([]byte, 8000)...)); c.size != test.size {
			t.Errorf("%s: got %v", test.name, c.size)
		}
	}
}

// FuzzCodec: a configuration and a key frame, whatever is in them, make a codec
// that can be written, or none.
func FuzzCodec(f *testing.F) {
	for _, test := range configurations {
		f.Add(test.fourCC, unhex(test.record), []byte(nil))
	}
	for _, test := range keyFrames {
		f.Add(test.fourCC, unhex("81000c0000000000"), unhex(test.frame))
	}
	f.Fuzz(func(t *testing.T, name string, record, frame []byte) {
		if len(name) != 4 {
			return
		}
		c, err := newCodec(fourCC(name), record)
		if err != nil {
			return
		}
		c.measure(frame)
		if c.channels == 0 && !c.size.ok() {
			return
		}
		c.ticks(frame)
		c.silence()
		recordOfVP9(frame)
		if _, err := initSegment([lanes]*codec{c}); err != nil {
			t.Fatal(err)
		}
	})
}
