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

	"foyer/server/flv"
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

// apartStreams are streams whose tracks do not keep time with each other.
func apartStreams() map[string][]rtmp.Message {
	all := map[string][]rtmp.Message{
		"together": apart(0), "520 ms apart": apart(520), "1,200 ms apart": apart(1200), "2,900 ms apart": apart(2900),
		"sound late": late(1200), "sound without times": timeless(rtmp.TypeAudio), "pictures without times": timeless(rtmp.TypeVideo),
		"1,200 ms apart, in tracks": tracked(apart(1200)), "sound without times, in tracks": tracked(timeless(rtmp.TypeAudio)),
	}
	return all
}

// late is a stream whose sound arrives some milliseconds behind its picture.
func late(by uint32) []rtmp.Message {
	list := apart(0)
	slices.SortStableFunc(list, func(a, b rtmp.Message) int { return arrival(a, by) - arrival(b, by) })
	return list
}

// arrival is when a message arrives whose sound is late. A header is first.
func arrival(m rtmp.Message, by uint32) int {
	if m.Type == rtmp.TypeAudio && string(m.Payload) != aacHeader {
		return int(m.Timestamp + by)
	}
	return int(m.Timestamp)
}

// timeless is a stream of which one track has no times.
func timeless(kind rtmp.MessageType) []rtmp.Message {
	list := apart(0)
	for i := range list {
		if list[i].Type == kind {
			list[i].Timestamp = 0
		}
	}
	return list
}

// tracked is a stream as track 0 of Enhanced RTMP's several, each in a message of
// its own.
func tracked(list []rtmp.Message) []rtmp.Message {
	list = slices.Clone(list)
	for i, m := range list {
		t, ok := parse(m)
		if !ok {
			continue
		}
		head := byte(0x95) // of sound: a multitrack packet
		packet := byte(t.Kind - flv.SequenceStart)
		body := t.Body
		if t.picture() {
			head = 0xA6
			if t.Key || t.Kind == flv.SequenceStart {
				head = 0x96
			}
			if t.Kind == flv.CodedFrames {
				body = append([]byte{0, 0, 0}, body...)
			}
		}
		list[i].Payload = append([]byte{head, packet, byte(t.Codec >> 24), byte(t.Codec >> 16), byte(t.Codec >> 8), byte(t.Codec), 0}, body...)
	}
	return list
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
		if strings.HasPrefix(name, "pictures without times") {
			if len(got) != len(want) || !slices.IsSorted(got) || got[len(got)-1] < 1000*(apartSeconds-1) {
				t.Errorf("%s: %d pictures, the last at %d", name, len(got), got[len(got)-1])
			}
			continue
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
		shown, longest := 0, int64(34)
		switch name {
		case "sound late": // pages begin with the key frame that came last before it
			shown = 30
		case "pictures without times": // it takes half a second to see that
			longest = 500
		}
		var heard int
		var end, shows int64 // of the sound, and of the pictures, in ms
		for _, s := range samples(t, segments) {
			if s.track == trackID(audioLane) {
				heard++
				end = (s.dts + s.dur) * 1000 / 44100
				continue
			}
			at := int64(shown/30*1000 + shown%30*1000/30)
			if longest == 34 && (s.dts != at || s.dur < 33) || s.dur > longest {
				t.Fatalf("%s: picture %d is at %d and lasts %d", name, shown, s.dts, s.dur)
			}
			shown++
			shows = s.dts + s.dur
		}
		for what, at := range map[string]int64{"pictures": shows, "sound": end} {
			if at < 1000*(apartSeconds-1) || at > 1000*(apartSeconds+1) {
				t.Errorf("%s: the %s end at %d", name, what, at)
			}
		}
		if shown != 30*apartSeconds || heard != 43*apartSeconds {
			t.Errorf("%s: %d pictures and %d sounds", name, shown, heard)
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
