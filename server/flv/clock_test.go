package flv

import (
	"fmt"
	"testing"
)

// at is a message in a test.
type at struct {
	media     Media
	timestamp uint32
}

// Times continue, whatever the publisher's do.
func TestClock(t *testing.T) {
	const a, v, d = Audio, Video, Script
	sounds := func(from, to, step uint32) (list []at) {
		for ; from < to; from += step {
			list = append(list, at{a, from})
		}
		return list
	}
	stood := append([]at{{v, 0}, {v, 400}, {v, 800}}, make([]at, 10)...)
	for i := range 10 {
		stood[3+i] = at{a, 0}
	}
	stood = append(stood, at{v, 1200}, at{a, 0}, at{a, 0}, at{v, 1600}, at{a, 0}, at{a, 1620})
	for _, tt := range []struct {
		name string
		in   []at
		want []int64 // of the last messages
	}{
		{"as they are", []at{{d, 0}, {v, 40}, {a, 30}, {v, 80}, {a, 53}}, []int64{0, 0, -10, 40, 13}},
		{"a little back", []at{{v, 1000}, {a, 990}, {v, 900}, {v, 1040}}, []int64{0, -10, 0, 40}},
		{"the publisher begins again", []at{{v, 5000}, {a, 5000}, {v, 0}, {a, 10}, {v, 40}}, []int64{0, 0, 1, 11, 41}},
		{"one track is late to jump", []at{{v, 5000}, {a, 5000}, {v, 0}, {a, 5020}, {v, 40}, {a, 30}}, []int64{0, 0, 1, 20, 41, 31}},
		{"far ahead", []at{{v, 0}, {a, 0}, {v, 60000}, {a, 60010}}, []int64{0, 0, 1, 11}},
		{"a pause", []at{{v, 0}, {v, 9000}}, []int64{0, 9000}},
		{"the wrap", []at{{v, 0xFFFFFFF0}, {a, 0xFFFFFFF8}, {v, 0x10}, {a, 0x18}}, []int64{0, 8, 32, 40}},
		{"tracks that count from elsewhere", []at{{v, 1000000}, {a, 0}, {v, 1000040}, {a, 23}}, []int64{0, 1, 40, 24}},
		{"metadata without a time", []at{{v, 50000}, {d, 0}, {d, 50010}}, []int64{0, 0, 10}},
		{"over and over", []at{{v, 9000}, {v, 0}, {v, 9000}, {v, 20000}, {v, 0}}, []int64{0, 1, 9001, 9002, 9003}},
		{"sound comes 1,200 ms before its picture", append(sounds(0, 1240, 20), at{v, 0}, at{a, 1240}, at{v, 40}, at{a, 1260}), []int64{1220, 0, 1240, 40, 1260}},
		{"and so does its header", append(append([]at{{v, 0}}, sounds(0, 1240, 20)...), at{v, 0}, at{a, 1240}, at{v, 40}), []int64{1220, 0, 1240, 40}},
		{"both jump, 1,200 ms apart", append(sounds(0, 1220, 20), at{v, 0}, at{a, 90000}, at{v, 88800}, at{a, 90020}), []int64{0, 1201, 1, 1221}},
		{"sound comes ages before", append(sounds(0, 9020, 20), at{v, 0}), []int64{9000, 9001}},
		{"the sound has no times", stood, []int64{1200, 0, 0, 1600, 800, 1620}},
	} {
		var c Clock
		var got []int64
		for _, m := range tt.in {
			got = append(got, c.At(m.media, m.timestamp))
		}
		if got := got[max(0, len(got)-len(tt.want)):]; fmt.Sprint(got) != fmt.Sprint(tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

// TestClockBegin: another publisher continues, with both tracks.
func TestClockBegin(t *testing.T) {
	var c Clock
	c.At(Video, 500)
	c.At(Audio, 1500)
	c.Begin()
	got := [...]int64{c.At(Script, 0), c.At(Audio, 7020), c.At(Video, 7000), c.At(Video, 7040), c.Now()}
	if want := [...]int64{1000, 1001, 981, 1021, 1021}; got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func FuzzClock(f *testing.F) {
	f.Add([]byte("\x00\x10\x01\x00\xff\xff\x02\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var c Clock
		var last [2]int64
		var seen [2]bool
		for ; len(b) >= 4; b = b[4:] {
			k := int(b[0] & 1)
			timestamp := uint32(b[1])<<24 | uint32(b[2])<<16 | uint32(b[3])<<4
			now := c.Now()
			got := c.At(Audio+Media(k), timestamp)
			if seen[k] && got < last[k] {
				t.Fatalf("time goes from %d to %d", last[k], got)
			}
			if got > now+maxAhead || c.Now() != max(now, got) {
				t.Fatalf("time goes from %d to %d, and is then %d", now, got, c.Now())
			}
			last[k], seen[k] = got, true
			if b[0]&0x80 != 0 {
				c.Begin()
			}
		}
	})
}
