package media

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/Eyevinn/mp4ff/mp4"

	"foyer/server/rtmp"
)

// Messages of a publisher: real parameter sets, and things shaped like frames.
const (
	spsSmall  = "\x67\x42\xc0\x28\xd9\x00\x78\x02\x27\xe5\x84\x00\x00\x03\x00\x04\x00\x00\x03\x00\xf0\x3c\x60\xc9\x20"
	avcHeader = "\x17\x00\x00\x00\x00\x01\x42\xc0\x28\xff\xe1\x00\x19" + spsSmall + "\x01\x00\x04\x68\xcb\x8c\xb2"
	avcOther  = "\x17\x00\x00\x00\x00\x01\x42\xc0\x28\xff\xe1\x00\x19" + spsSmall + "\x01\x00\x04\x68\xcb\x8c\xb3"
	avcKey    = "\x17\x01\x00\x00\x00\x00\x00\x00\x05\x65\x88\x84\x00\x10"
	avcInter  = "\x27\x01\x00\x00\x00\x00\x00\x00\x05\x41\x9a\x00\x00\x10"
	aacHeader = "\xaf\x00\x12\x10" // 44,100 Hz, stereo
	aacOther  = "\xaf\x00\x11\x90" // 48,000 Hz
	aacFrame  = "\xaf\x01\x21\x00\x49\x90"
	metaBoth  = "\x02\x00\x0aonMetaData\x08\x00\x00\x00\x02\x00\x0cvideocodecid\x00\x40\x1c\x00\x00\x00\x00\x00\x00\x00\x0caudiocodecid\x00\x40\x24\x00\x00\x00\x00\x00\x00\x00\x00\x09"
	metaVideo = "\x02\x00\x0aonMetaData\x08\x00\x00\x00\x01\x00\x0cvideocodecid\x00\x40\x1c\x00\x00\x00\x00\x00\x00\x00\x00\x09"
	metaAudio = "\x02\x00\x0aonMetaData\x08\x00\x00\x00\x01\x00\x0caudiocodecid\x00\x40\x24\x00\x00\x00\x00\x00\x00\x00\x00\x09"
)

func video(at uint32, body string) rtmp.Message {
	return rtmp.Message{Type: rtmp.TypeVideo, Timestamp: at, Payload: []byte(body)}
}

func audio(at uint32, body string) rtmp.Message {
	return rtmp.Message{Type: rtmp.TypeAudio, Timestamp: at, Payload: []byte(body)}
}

func meta(body string) rtmp.Message {
	return rtmp.Message{Type: rtmp.TypeDataAMF0, Payload: []byte(body)}
}

// show is what comes out, one word each; a fragment with its samples by track.
func show(t *testing.T, segments []Segment) []string {
	t.Helper()
	var words []string
	for _, s := range segments {
		switch s.Kind {
		case Init:
			_, codecs, _ := strings.Cut(s.Mime, `codecs="`)
			words = append(words, "init:"+strings.TrimSuffix(codecs, `"`))
		case End:
			words = append(words, "end")
		case Unsupported:
			words = append(words, "unsupported:"+s.Codec)
		case Fragment:
			word := "f"
			if s.Key {
				word = "K"
			}
			words = append(words, word)
		}
	}
	return words
}

// A timed sample is one as it was read back.
type timed struct {
	track    uint32
	dts, pts int64
	dur      int64
}

// samples reads back what was written, and checks that every track advances.
func samples(t testing.TB, segments []Segment) []timed {
	t.Helper()
	var list []timed
	last := map[uint32]int64{}
	for _, s := range segments {
		if s.Kind != Fragment {
			if s.Kind == Init {
				last = map[uint32]int64{} // scales may be others
			}
			continue
		}
		f, err := mp4.DecodeFile(bytes.NewReader(s.Data))
		if err != nil {
			t.Fatalf("fragment: %v", err)
		}
		for _, traf := range f.Segments[0].Fragments[0].Moof.Trafs {
			at := int64(traf.Tfdt.BaseMediaDecodeTime())
			for _, k := range traf.Trun.Samples {
				id := traf.Tfhd.TrackID
				if before, ok := last[id]; ok && at <= before {
					t.Fatalf("track %d goes from %d to %d", id, before, at)
				}
				last[id] = at
				list = append(list, timed{id, at, at + int64(k.CompositionTimeOffset), int64(k.Dur)})
				at += int64(k.Dur)
			}
		}
	}
	return list
}

// pictures is a second of video with a key frame first, from a time on.
func pictures(from uint32) (list []rtmp.Message) {
	list = append(list, video(from, avcKey))
	for i := range uint32(29) {
		list = append(list, video(from+(i+1)*1000/30, avcInter))
	}
	return list
}

func sounds(from uint32) (list []rtmp.Message) {
	for i := range uint32(43) {
		list = append(list, audio(from+i*1000/43, aacFrame))
	}
	return list
}

func mixed(from uint32) []rtmp.Message {
	list := append(pictures(from), sounds(from)...)
	slices.SortStableFunc(list, func(a, b rtmp.Message) int { return int(int32(a.Timestamp - b.Timestamp)) })
	return list
}

func TestRemuxBeginnings(t *testing.T) {
	all := func(parts ...[]rtmp.Message) []rtmp.Message { return slices.Concat(parts...) }
	one := func(m ...rtmp.Message) []rtmp.Message { return m }
	both := one(meta(metaBoth), video(0, avcHeader), audio(0, aacHeader))
	tests := []struct {
		name string
		in   []rtmp.Message
		want string // without f, and K only once in a row
	}{
		{"both", all(one(meta(metaBoth), video(0, avcHeader), audio(0, aacHeader)), mixed(0)), "init:avc1.42c028,mp4a.40.2 K end"},
		{"both, no metadata", all(one(video(0, avcHeader), audio(0, aacHeader)), mixed(0)), "init:avc1.42c028,mp4a.40.2 K end"},
		{"video only by metadata", all(one(meta(metaVideo), video(0, avcHeader)), pictures(0)), "init:avc1.42c028 K end"},
		{"video only, no metadata", all(one(video(0, avcHeader)), pictures(0), pictures(1000), pictures(2000)), "init:avc1.42c028 K end"},
		{"audio only by metadata", all(one(meta(metaAudio), audio(0, aacHeader)), sounds(0)), "init:mp4a.40.2 K end"},
		{"audio only, no metadata", all(one(audio(0, aacHeader)), sounds(0), sounds(1000), sounds(2000)), "init:mp4a.40.2 K end"},
		{"audio comes late", all(one(meta(metaVideo), video(0, avcHeader)), pictures(0), one(audio(1000, aacHeader)), mixed(1000), mixed(2000)),
			"init:avc1.42c028 K init:avc1.42c028,mp4a.40.2 K end"},
		{"video comes late", all(one(meta(metaAudio), audio(0, aacHeader)), sounds(0), one(video(1000, avcHeader)), mixed(1000)),
			"init:mp4a.40.2 K init:avc1.42c028,mp4a.40.2 K end"},
		{"the same header again", all(one(meta(metaVideo), video(0, avcHeader)), pictures(0), one(video(1000, avcHeader)), pictures(1000)), "init:avc1.42c028 K end"},
		{"another header", all(one(meta(metaVideo), video(0, avcHeader)), pictures(0), one(video(1000, avcOther)), pictures(1000)),
			"init:avc1.42c028 K init:avc1.42c028 K end"},
		{"another sound", all(one(meta(metaAudio), audio(0, aacHeader)), sounds(0), one(audio(1000, aacOther)), sounds(1000)),
			"init:mp4a.40.2 K init:mp4a.40.2 K end"},
		{"the sound ends", all(both, mixed(0), pictures(1000), pictures(2000), pictures(3000), pictures(4000)), "init:avc1.42c028,mp4a.40.2 K init:avc1.42c028 K end"},
		{"the sound ends and is back", all(both, mixed(0), pictures(1000), pictures(2000), pictures(3000), mixed(4000), mixed(5000)),
			"init:avc1.42c028,mp4a.40.2 K init:avc1.42c028 K init:avc1.42c028,mp4a.40.2 K end"},
		{"the sound is back as another", all(both, mixed(0), pictures(1000), pictures(2000), pictures(3000), one(audio(4000, aacOther)), mixed(4000), mixed(5000)),
			"init:avc1.42c028,mp4a.40.2 K init:avc1.42c028 K init:avc1.42c028,mp4a.40.2 K end"},
		{"the picture ends", all(both, mixed(0), sounds(1000), sounds(2000), sounds(3000)), "init:avc1.42c028,mp4a.40.2 K init:mp4a.40.2 K end"},
		{"the picture ends and is back", all(both, mixed(0), sounds(1000), sounds(2000), sounds(3000), mixed(4000)),
			"init:avc1.42c028,mp4a.40.2 K init:mp4a.40.2 K init:avc1.42c028,mp4a.40.2 K end"},
		{"the next publisher has no sound", all(both, mixed(0), one(meta(metaVideo), video(0, avcHeader)), pictures(0)), "init:avc1.42c028,mp4a.40.2 K init:avc1.42c028 K end"},
		{"both pause", all(both, mixed(0), mixed(4900), mixed(9800)), "init:avc1.42c028,mp4a.40.2 K end"},
		{"the sound pauses for a second", all(both, mixed(0), pictures(1000), mixed(2000), pictures(3000), mixed(4000)), "init:avc1.42c028,mp4a.40.2 K end"},
		{"mp3 beside", all(one(meta(metaBoth), video(0, avcHeader), audio(0, "\x2f\xff\xfb")), pictures(0)), "unsupported:MP3 init:avc1.42c028 K end"},
		{"vp6", one(video(0, "\x14\x00\x00\x00\x00\x00")), "unsupported:VP6 end"},
		{"unknown FourCC", one(video(0, "\x91zzzz\x00\x00\x00")), "unsupported:zzzz end"},
		{"a number without a codec", one(video(0, "\x1fxxxx")), "unsupported:codec 15 end"},
		{"the first track has number 1", one(meta(metaVideo), video(0, "\x96\x00avc1\x00"+avcHeader[5:]), video(0, "\x96\x11avc1\x01\x00\x00\x03\x00\x00\x00\x00\x00\x00"+string(rune(len(avcKey)-2))+"\x00\x00\x00"+avcKey[5:])), "init:avc1.42c028 K end"},
		{"a header of a second track alone", all(one(meta(metaVideo), video(0, "\x96\x00avc1\x01"+avcHeader[5:])), pictures(0)), ""},
		{"a header that lies", all(one(meta(metaVideo), video(0, avcHeader[:20]+"\xff\xff")), pictures(0)), ""},
		{"no header", pictures(0), ""},
		{"garbage between", all(one(meta(metaVideo), video(0, avcHeader)), pictures(0), one(video(1000, avcKey[:7]+"\xff\xff garbage")), pictures(1033)), "init:avc1.42c028 K end"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			segments := remux(t, test.in)
			samples(t, segments)
			var short []string
			for _, w := range show(t, segments) {
				if w != "f" && (w != "K" || short[len(short)-1] != "K") {
					short = append(short, w)
				}
			}
			if got := strings.Join(short, " "); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// TestRemuxTimes: whatever timestamps do, every track advances, without a longer
// jump than the publisher may have meant.
func TestRemuxTimes(t *testing.T) {
	jump := func(to func(i int) uint32) []rtmp.Message {
		list := []rtmp.Message{meta(metaBoth), video(0, avcHeader), audio(0, aacHeader)}
		for i := range 6 {
			list = append(list, mixed(to(i))...)
		}
		return list
	}
	tests := []struct {
		name string
		in   []rtmp.Message
		end  int64 // of the video, about, in ms
	}{
		{"as they should", jump(func(i int) uint32 { return uint32(i) * 1000 }), 6000},
		{"wrap", jump(func(i int) uint32 { return 1<<32 - 2500 + uint32(i)*1000 }), 6000},
		{"begin again", jump(func(i int) uint32 { return uint32(i%3)*1000 + 500000 }), 6000},
		{"jump ahead", jump(func(i int) uint32 { return uint32(i) * 100_000_000 }), 6000},
		{"stand still", jump(func(int) uint32 { return 0 }), 1100},
		{"backwards", jump(func(i int) uint32 { return 100000 - uint32(i)*3000 }), 6000},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var end int64
			for _, s := range samples(t, remux(t, test.in)) {
				if s.dur > 6*44100 {
					t.Errorf("sample of track %d at %d lasts %d", s.track, s.dts, s.dur)
				}
				if s.track == trackID(videoLane) {
					end = s.dts + s.dur
				}
			}
			if end < test.end-300 || end > test.end+900 {
				t.Errorf("ends at %d, want about %d", end, test.end)
			}
		})
	}
}

// TestRemuxSound: frames follow each other by their samples, not by rounded times.
func TestRemuxSound(t *testing.T) {
	in := []rtmp.Message{meta(metaAudio), audio(0, aacHeader)}
	for i := range uint32(100) {
		in = append(in, audio(i*1024*1000/44100, aacFrame))
	}
	for i, s := range samples(t, remux(t, in)) {
		if s.dts != int64(i)*1024 || s.dur != 1024 {
			t.Fatalf("sample %d at %d lasts %d", i, s.dts, s.dur)
		}
	}
}

// TestRemuxRestart: another publisher continues where the first one ended.
func TestRemuxRestart(t *testing.T) {
	var segments []Segment
	r := NewRemuxer(func(s Segment) { segments = append(segments, s) })
	for range 2 {
		for _, m := range slices.Concat([]rtmp.Message{meta(metaVideo), video(0, avcHeader)}, pictures(77000)) {
			if err := r.Write(m); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.End(); err != nil {
			t.Fatal(err)
		}
	}
	var last int64 = -1
	for _, s := range samples(t, segments) {
		if s.dts <= last {
			t.Fatalf("from %d to %d", last, s.dts)
		}
		last = s.dts
	}
	if last < 1900 || last > 2200 {
		t.Errorf("ends at %d", last)
	}
	if got := strings.Count(fmt.Sprint(show(t, segments)), "init"); got != 2 {
		t.Errorf("%d init segments", got)
	}
}

// TestRemuxEnhanced: Enhanced RTMP tags, plain and in a track of several.
func TestRemuxEnhanced(t *testing.T) {
	record := avcHeader[5:]
	nalu := avcKey[5:]
	for name, in := range map[string][2]string{
		"plain":      {"\x90avc1" + record, "\x91avc1\x00\x00\x00" + nalu},
		"x":          {"\x90avc1" + record, "\x93avc1" + nalu},
		"modex":      {"\x97\x02\x00\x00\x01\x00avc1" + record, "\x97\x02\x00\x00\x01\x03avc1" + nalu},
		"one track":  {"\x96\x00avc1\x00" + record, "\x96\x03avc1\x00" + nalu},
		"two tracks": {"\x96\x10avc1\x01\x00\x00\x01x\x00\x00\x00" + string(rune(len(record))) + record, "\x96\x13avc1\x00\x00\x00" + string(rune(len(nalu))) + nalu},
		"old number": {avcHeader, avcKey},
	} {
		t.Run(name, func(t *testing.T) {
			segments := remux(t, []rtmp.Message{meta(metaVideo), video(0, in[0]), video(0, in[1])})
			if got := fmt.Sprint(show(t, segments)); got != "[init:avc1.42c028 K end]" {
				t.Errorf("got %s", got)
			}
		})
	}
}

// TestRemuxHeld: what waits for the first init segment is bounded.
func TestRemuxHeld(t *testing.T) {
	r := NewRemuxer(func(Segment) {})
	r.Write(meta(metaBoth))
	r.Write(audio(0, aacHeader))
	for range 3 * MaxHeld / 60000 {
		r.Write(audio(0, "\xaf\x01"+strings.Repeat("x", 60000)))
		if r.size > MaxHeld+60000 {
			t.Fatalf("%d bytes held", r.size)
		}
	}
	if !r.started {
		t.Error("still waits")
	}
}

// FuzzFMP4 gives a Remuxer whatever a publisher may send. Its segments can be
// read, every track advances, and nothing is held beyond the limits.
func FuzzFMP4(f *testing.F) {
	pack := func(list ...rtmp.Message) (b []byte) {
		for _, m := range list {
			b = append(b, byte(m.Type), byte(m.Timestamp>>8), byte(m.Timestamp), byte(len(m.Payload)>>8), byte(len(m.Payload)))
			b = append(b, m.Payload...)
		}
		return b
	}
	f.Add(pack(slices.Concat([]rtmp.Message{meta(metaBoth), video(0, avcHeader), audio(0, aacHeader)}, mixed(0))...))
	f.Add(pack(slices.Concat([]rtmp.Message{video(0, avcHeader)}, pictures(0), []rtmp.Message{video(0, avcOther)}, pictures(40000))...))
	f.Add(pack(video(0, "\x90av01\x81\x00\x0c\x00\x0a\x0b\x00\x00\x00\x04\x3c\xff\xbc\xff\xf8\x08\x40"), video(0, "\x91av01\x0a\x0b\x00\x00\x00\x04\x3c\xff\xbc")))
	f.Add(pack(video(0, "\x90vp09\x00\x0a\x82\x02\x02\x02\x00\x00"), video(0, "\x91vp09\x82\x49\x83\x42\x00\x13\xf0\x0b\x3c")))
	f.Add(pack(audio(0, "\x90OpusHead\x01\x02\x38\x01\x80\xbb\x00\x00\x00\x00\x00"), audio(0, "\x91Opus\xfc\x00")))
	f.Add(pack(video(0, "\x1c\x00\x00\x00\x00\x01\x01\x60\x00\x00\x00\x90\x00\x00\x00\x00\x00\x5d\xf0\x00\xfc\xfd\xf8\xf8\x00\x00\x0f\x01\x21\x00\x01\x00\x04\x42\x01\x01\x01")))
	f.Fuzz(func(t *testing.T, b []byte) {
		var segments []Segment
		r := NewRemuxer(func(s Segment) { segments = append(segments, s) })
		for len(b) >= 5 {
			n := min(int(b[3])<<8|int(b[4]), len(b)-5)
			at := uint32(b[1])<<8 | uint32(b[2])
			m := rtmp.Message{Type: rtmp.MessageType(b[0]), Timestamp: at * 77777, Payload: b[5 : 5+n]}
			if err := r.Write(m); err != nil {
				t.Fatal(err)
			}
			b = b[5+n:]
		}
		if err := r.End(); err != nil {
			t.Fatal(err)
		}
		samples(t, segments)
		for _, s := range segments {
			if s.Kind == Init {
				if _, err := mp4.DecodeFile(bytes.NewReader(s.Data)); err != nil && !strings.Contains(err.Error(), "avcC") {
					t.Logf("init segment: %v", err) // the library reads configurations more strictly than browsers
				}
			}
		}
	})
}

// BenchmarkRemux is one second of a stream of 2.6 Mbit/s.
func BenchmarkRemux(b *testing.B) {
	frame := func(like string) string {
		return like[:5] + "\x00\x00\x28\x02" + like[9:11] + strings.Repeat("x", 10240)
	}
	r := NewRemuxer(func(Segment) {})
	r.Write(meta(metaBoth))
	r.Write(video(0, avcHeader))
	r.Write(audio(0, aacHeader))
	b.ReportAllocs()
	at := uint32(0)
	for b.Loop() {
		for i := range uint32(30) {
			like := avcInter
			if i == 0 {
				like = avcKey
			}
			r.Write(video(at+i*33, frame(like)))
			r.Write(audio(at+i*33, aacFrame))
		}
		at += 1000
	}
}
