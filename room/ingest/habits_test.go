package ingest

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"foyer/server/flv"
	"foyer/server/rtmp"
)

// Units of H.264, HEVC and AV1, without what they would say.
var (
	slice264, rest264 = "\x65\x88aaaa", "\x65\x08aaaa" // the first bit of the header says where it begins
	sei264, sps264    = "\x06\x05aaaa", "\x67\x42aaaa"
	slice265, rest265 = "\x26\x01\x80aaaa", "\x26\x01\x00aaaa"
	sei265            = "\x4e\x01aaaa"
	frameAV1, meta1   = "\x32\x04aaaa", "\x2a\x04aaaa"
	tilesAV1          = "\x22\x04aaaa"
)

// sized puts a length before each unit, and coded a start code.
func sized(units ...string) (s string) {
	for _, u := range units {
		s += string([]byte{0, 0, byte(len(u) >> 8), byte(len(u))}) + u
	}
	return s
}

func coded(units ...string) string { return "\x00\x00\x00\x01" + strings.Join(units, "\x00\x00\x01") }

// adts puts an ADTS header before a frame.
func adts(frame string) string {
	n := len(frame) + adtsHeader
	return string([]byte{0xFF, 0xF1, 0x4C, 0x80 | byte(n>>11), byte(n >> 3), byte(n<<5) | 0x1F, 0xFC}) + frame
}

// odd is an encoder with a habit: what it sends each second, 25 times, and for each sound.
type odd struct {
	header   string
	pictures []string // messages of one picture
	sounds   []string
	late     time.Duration // pictures come so much later than their sound
	stuck    bool          // the timestamps of sound stay 0
	frozen   bool          // those of pictures do
}

func usual() odd {
	return odd{header: "\x17\x00\x00\x00\x00" + string(unhex(pictures[0].record)),
		pictures: []string{"\x17\x01\x00\x00\x00" + sized(sps264, sei264, slice264, rest264)}, sounds: []string{"\xaf\x01" + strings.Repeat("a", 400)}}
}

// healthOfOdd lets an encoder send for some seconds, and returns its health.
func healthOfOdd(t *testing.T, e odd) (h Health) {
	t.Helper()
	synctest.Test(t, func(*testing.T) {
		in := NewMonitor(time.Now())
		write := func(kind rtmp.MessageType, at time.Duration, payloads ...string) {
			for _, p := range payloads {
				in.WriteMessage(rtmp.Message{Type: kind, Timestamp: uint32(at.Milliseconds()), Payload: []byte(p)})
			}
		}
		write(rtmp.TypeVideo, 0, e.header)
		write(rtmp.TypeAudio, 0, "\xaf\x00\x11\x90")
		for at := time.Duration(0); at < 14*time.Second; at += 40 * time.Millisecond {
			when := at
			if e.stuck {
				when = 0
			}
			write(rtmp.TypeAudio, when, e.sounds...)
			if late := at - e.late; late >= 0 {
				if e.frozen {
					late = 0
				}
				write(rtmp.TypeVideo, late, e.pictures...)
			}
			time.Sleep(40 * time.Millisecond)
		}
		h = in.Health("live", time.Now())
	})
	return h
}

// TestAdviceOnHabits: an odd habit, and one sentence says what it is. A tag without a picture is
// not counted as one.
func TestAdviceOnHabits(t *testing.T) {
	hevc := "\x1c\x00\x00\x00\x00" + strings.Repeat("\x01", 21) + "\xff\x00"
	for _, c := range []struct {
		name   string
		change func(*odd)
		want   string // "" for nothing about it
	}{
		{"nothing", func(*odd) {}, ""},
		{"a picture late by 300 ms", func(e *odd) { e.late = 280 * time.Millisecond }, ""},
		{"a picture late by 520 ms", func(e *odd) { e.late = 520 * time.Millisecond }, "Sound comes 0.5 seconds before its picture"},
		{"a picture late by 1.2 s", func(e *odd) { e.late = 1200 * time.Millisecond }, "Sound comes 1.2 seconds before its picture"},
		{"sound that stays at 0", func(e *odd) { e.stuck = true }, "timestamps of the sound stand still"},
		{"pictures that stay at 0", func(e *odd) { e.frozen = true }, "timestamps of the picture stand still"},
		{"SEI alone", func(e *odd) { e.pictures = []string{"\x27\x01\x00\x00\x00" + sized(sei264), e.pictures[0]} }, "SEI or parameter sets come in messages of their own"},
		{"parameter sets alone", func(e *odd) { e.pictures = []string{"\x17\x01\x00\x00\x00" + sized(sps264), e.pictures[0]} }, "SEI or parameter sets come in messages"},
		{"slices alone", func(e *odd) {
			e.pictures = []string{"\x17\x01\x00\x00\x00" + sized(slice264), "\x17\x01\x00\x00\x00" + sized(rest264), "\x17\x01\x00\x00\x00" + sized(rest264)}
		}, "Each slice of a picture comes in a message of its own"},
		{"an empty unit", func(e *odd) { e.pictures = []string{"\x17\x01\x00\x00\x00" + sized("", slice264)} }, "Empty frames"},
		{"an empty frame", func(e *odd) { e.pictures = append(e.pictures, "\x27\x01\x00\x00\x00") }, "Empty frames"},
		{"start codes", func(e *odd) { e.pictures = []string{"\x17\x01\x00\x00\x00" + coded(sps264, slice264)} }, "H.264 comes with start codes (Annex B)"},
		{"a unit as long as a start code says", func(e *odd) { e.pictures = []string{"\x17\x01\x00\x00\x00" + sized(slice264+strings.Repeat("a", 300))} }, ""},
		{"a configuration as sound", func(e *odd) { e.sounds = append(e.sounds, "\xaf\x01\x11\x90") }, "AAC configuration comes again as if it were sound"},
		{"ADTS", func(e *odd) { e.sounds = []string{"\xaf\x01" + adts(strings.Repeat("a", 400))} }, "AAC frames have ADTS headers"},
		{"sound that only begins like ADTS", func(e *odd) { e.sounds = []string{"\xaf\x01" + adts("a") + "b"} }, ""},
		{"empty sound", func(e *odd) { e.sounds = append(e.sounds, "\xaf\x01") }, "Empty frames"},
		{"HEVC", func(e *odd) {
			e.header, e.pictures = hevc, []string{"\x1c\x01\x00\x00\x00" + sized(sei265, slice265, rest265)}
		}, ""},
		{"HEVC, SEI alone", func(e *odd) {
			e.header, e.pictures = hevc, []string{"\x1c\x01\x00\x00\x00" + sized(sei265), "\x1c\x01\x00\x00\x00" + sized(slice265)}
		}, "SEI or parameter sets come in messages"},
		{"HEVC, slices alone", func(e *odd) {
			e.header, e.pictures = hevc, []string{"\x1c\x01\x00\x00\x00" + sized(slice265), "\x1c\x01\x00\x00\x00" + sized(rest265)}
		}, "Each slice of a picture"},
		{"HEVC, start codes", func(e *odd) { e.header, e.pictures = hevc, []string{"\x1c\x01\x00\x00\x00" + coded(sei265, slice265)} }, "H.265 comes with start codes"},
		{"AV1", func(e *odd) { e.header, e.pictures = "\x90av01head", []string{"\x91av01" + meta1 + frameAV1} }, ""},
		{"AV1 that nobody can read", func(e *odd) { e.header, e.pictures = "\x90av01head", []string{"\x91av01data"} }, ""},
		{"zeros", func(e *odd) { e.pictures = []string{"\x17\x01\x00\x00\x00" + strings.Repeat("\x00", 1000)} }, ""},
		{"AV1, metadata alone", func(e *odd) {
			e.header, e.pictures = "\x90av01head", []string{"\x91av01" + meta1, "\x91av01" + frameAV1}
		}, "come in messages of their own"},
		{"AV1, tiles alone", func(e *odd) {
			e.header, e.pictures = "\x90av01head", []string{"\x91av01" + frameAV1, "\x91av01" + tilesAV1}
		}, "Each slice of a picture"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := usual()
			c.change(&e)
			h := healthOfOdd(t, e)
			var got []string
			for _, s := range h.Advice {
				if !strings.HasPrefix(s, "Many browsers") && !strings.HasPrefix(s, "Some browsers") { // of the codec
					got = append(got, s)
				}
			}
			if c.want == "" && len(got) > 0 || c.want != "" && (len(got) != 1 || !strings.Contains(got[0], c.want)) {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if h.FPS != 25 {
				t.Errorf("%v pictures a second, want 25", h.FPS)
			}
		})
	}
}

// TestUnitsWithLengthsOfAnySize: the configuration says how many bytes a length has.
func TestUnitsWithLengthsOfAnySize(t *testing.T) {
	for size := 1; size <= 4; size++ {
		config := append([]byte{1, 0x42, 0, 30, 0xFC | byte(size-1)}, 0xE0)
		if got := lengthSize(flv.AVC, config); got != size {
			t.Errorf("got %d, want %d", got, size)
		}
		unit := func(s string) string { return strings.Repeat("\x00", size-1) + string(rune(len(s))) + s }
		if f := lookAtUnits(flv.AVC, []byte(unit(sei264)+unit(slice264)), size); f != (frame{picture: true}) {
			t.Errorf("%d bytes: got %+v", size, f)
		}
		if f := lookAtUnits(flv.AVC, []byte(unit(sei264)), size); f != (frame{}) {
			t.Errorf("%d bytes, SEI: got %+v", size, f)
		}
	}
}

// TestManyUnits: a frame of very many units is taken for a picture, at a price that has a bound.
func TestManyUnits(t *testing.T) {
	many := []byte(strings.Repeat(sized(""), 1<<18))
	start := time.Now()
	for range 1000 {
		if f := lookAtUnits(flv.AVC, many, 4); !f.picture {
			t.Fatalf("got %+v", f)
		}
		if !hasStartCode([]byte("\x00\x00\x01"), 4) || hasStartCode(many, 4) {
			t.Fatal("start codes are told wrongly")
		}
	}
	if d := time.Since(start); d > time.Second {
		t.Errorf("1000 frames took %v", d)
	}
}
