package media

import (
	"bytes"
	"io"
	"slices"
	"testing"
	"time"

	"foyer/server/rtmp"
)

// apartSeconds is how long the streams of apart are.
const apartSeconds = 12

// apart is a stream whose sound arrives some milliseconds before its picture.
func apart(by uint32) []rtmp.Message {
	begin := []rtmp.Message{meta(metaBoth), video(0, avcHeader), audio(0, aacHeader)}
	arrival := func(m rtmp.Message) int {
		if m.Type == rtmp.TypeVideo {
			return int(m.Timestamp + by)
		}
		return int(m.Timestamp)
	}
	var list []rtmp.Message
	for i := range uint32(apartSeconds) {
		list = append(append(list, pictures(1000*i)...), sounds(1000*i)...)
	}
	slices.SortStableFunc(list, func(a, b rtmp.Message) int { return arrival(a) - arrival(b) })
	return append(begin, list...)
}

// apartStreams are streams whose tracks do not keep time with each other. The
// last one's sound has no times.
func apartStreams() map[string][]rtmp.Message {
	timeless := apart(0)
	for i := range timeless {
		if timeless[i].Type == rtmp.TypeAudio {
			timeless[i].Timestamp = 0
		}
	}
	return map[string][]rtmp.Message{"together": apart(0), "520 ms apart": apart(520), "1,200 ms apart": apart(1200), "sound without times": timeless}
}

// TestFLVApart: the file is as long as the stream, and the pictures in it are
// where they were.
func TestFLVApart(t *testing.T) {
	for name, messages := range apartStreams() {
		var f FLV
		var b []byte
		for _, m := range messages {
			b = f.Append(b, m)
		}
		if d := f.Duration(); d < (apartSeconds-1)*time.Second || d > (apartSeconds+1)*time.Second {
			t.Errorf("%s: lasts %v", name, d)
		}
		var want []uint32
		for _, m := range messages {
			if m.Type == rtmp.TypeVideo {
				want = append(want, m.Timestamp)
			}
		}
		var got []uint32
		r, err := NewFLVReader(bytes.NewReader(b))
		for err == nil {
			var m rtmp.Message
			if m, err = r.Next(); err == nil && m.Type == rtmp.TypeVideo {
				got = append(got, m.Timestamp)
			}
		}
		if err != io.EOF || !slices.Equal(got, want) {
			t.Errorf("%s: pictures at %v, %v", name, got, err)
		}
	}
}
