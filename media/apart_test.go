package media

import (
	"bytes"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Eyevinn/mp4ff/mp4"

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
		b = f.End(b)
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

// TestRemuxApart: each picture lasts as long as pictures do, and the sound that
// belongs to them is there.
func TestRemuxApart(t *testing.T) {
	for name, messages := range apartStreams() {
		var segments []Segment
		r := NewRemuxer(func(s Segment) { segments = append(segments, s) })
		for _, m := range messages {
			if err := r.Write(m); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.End(); err != nil {
			t.Fatal(err)
		}
		var shown, heard int
		var end int64 // of the sound, in ms
		for _, s := range samples(t, segments) {
			switch {
			case s.track == trackID(audioLane):
				heard++
				end = (s.dts + s.dur) * 1000 / 44100
			case s.dts != int64(shown*1000/30) && s.dts != int64(shown/30*1000+shown%30*1000/30) || s.dur < 33 || s.dur > 34:
				t.Fatalf("%s: picture %d is at %d and lasts %d", name, shown, s.dts, s.dur)
			default:
				shown++
			}
		}
		if shown != 30*apartSeconds || heard != 43*apartSeconds || end < 1000*(apartSeconds-1) || end > 1000*(apartSeconds+1) {
			t.Errorf("%s: %d pictures and %d sounds, the last of which ends at %d", name, shown, heard, end)
		}
		if n := len(segments); n < 100 || n > 400 {
			t.Errorf("%s: %d segments", name, n)
		}
	}
}

// TestIndexApart: a recording of such a stream is as long as the stream, too.
func TestIndexApart(t *testing.T) {
	for name, messages := range apartStreams() {
		f := FLV{File: true}
		var b []byte
		for _, m := range messages {
			b = f.Append(b, m)
		}
		b = f.End(b)
		m, err := IndexFLV(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		file, err := mp4.DecodeFile(m.Reader(bytes.NewReader(b)), mp4.WithDecodeMode(mp4.DecModeLazyMdat))
		if err != nil {
			t.Fatal(err)
		}
		if d := file.Moov.Mvhd.Duration; d < 1000*(apartSeconds-1) || d > 1000*(apartSeconds+1) {
			t.Errorf("%s: lasts %d ms", name, d)
		}
		for _, trak := range file.Moov.Traks {
			if d := trak.Tkhd.Duration; d < 1000*(apartSeconds-1) || d > 1000*(apartSeconds+1) {
				t.Errorf("%s: track %d lasts %d ms", name, trak.Tkhd.TrackID, d)
			}
		}
	}
}

// TestHLSApart: segments last as long as they should, however the tracks arrive.
func TestHLSApart(t *testing.T) {
	real := strings.NewReplacer(avcHeader, realAVC, avcKey, realKey, avcInter, realInt)
	for name, messages := range apartStreams() {
		synctest.Test(t, func(t *testing.T) {
			c := newCinema(t)
			for _, m := range messages {
				m.Payload = []byte(real.Replace(string(m.Payload)))
				c.stream.WriteMessage(m)
			}
			synctest.Wait()
			playlist, _, err := c.get("")
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for _, rendition := range partName.FindAllString(playlist, -1) {
				media, _, err := c.get(rendition)
				if err != nil {
					t.Fatalf("%s: %s: %v", name, rendition, err)
				}
				lasts := regexp.MustCompile(`#EXTINF:([0-9.]+)`).FindAllStringSubmatch(media, -1)
				for _, l := range lasts {
					if d, err := strconv.ParseFloat(l[1], 64); err != nil || d < 0.9 || d > 1.1 {
						t.Errorf("%s: a segment of %s lasts %s", name, rendition, l[1])
					}
				}
				if len(lasts) < hlsSegments-1 {
					t.Errorf("%s: %s has %d segments", name, rendition, len(lasts))
				}
			}
		})
	}
}
