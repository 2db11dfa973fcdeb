package room

import (
	"testing"

	"foyer/server/rtmp"

	"github.com/google/go-cmp/cmp"
)

// tags are what encoders send, by name. They are the fuzz seeds, too.
var tags = []struct {
	name  string
	video bool
	bytes string
	want  tag
}{
	{"H.264 header", true, "\x17\x00\x00\x00\x00head", tag{codec: codecAVC, header: true, payload: []byte("head")}},
	{"H.264 key frame", true, "\x17\x01\x00\x00\x50key", tag{codec: codecAVC, frame: true, key: true, shift: 80, payload: []byte("key")}},
	{"H.264 frame shown early", true, "\x27\x01\xff\xff\xd8next", tag{codec: codecAVC, frame: true, shift: -40, payload: []byte("next")}},
	{"H.264 end", true, "\x17\x02\x00\x00\x00", tag{codec: codecAVC}},
	{"H.264 cut short", true, "\x17\x01\x00", tag{codec: codecAVC}},
	{"command", true, "\x57\x00", tag{codec: codecAVC}},
	{"H.265 of the dialect", true, "\x1c\x01\x00\x00\x00key", tag{codec: codecHEVC, frame: true, key: true, payload: []byte("key")}},
	{"Sorenson", true, "\x12key", tag{codec: "Sorenson H.263", frame: true, key: true, payload: []byte("key")}},
	{"a number without a name", true, "\x1fkey", tag{frame: true, key: true, payload: []byte("key")}},
	{"empty video", true, "", tag{}},
	{"enhanced H.265 header", true, "\x90hvc1head", tag{codec: codecHEVC, header: true, payload: []byte("head")}},
	{"enhanced H.265 key frame", true, "\x91hvc1\x00\x00\x28key", tag{codec: codecHEVC, frame: true, key: true, shift: 40, payload: []byte("key")}},
	{"enhanced H.265 frame", true, "\xa3hvc1next", tag{codec: codecHEVC, frame: true, payload: []byte("next")}},
	{"AV1 key frame", true, "\x91av01key", tag{codec: codecAV1, frame: true, key: true, payload: []byte("key")}},
	{"an unknown FourCC", true, "\x91wxyzkey", tag{frame: true, key: true, payload: []byte("key")}},
	{"enhanced metadata", true, "\x94hvc1hdr", tag{codec: codecHEVC, payload: []byte("hdr")}},
	{"enhanced command", true, "\xd1hvc1", tag{codec: codecHEVC}},
	{"enhanced, cut short", true, "\x91hvc", tag{}},
	{"enhanced without its shift", true, "\x91avc1\x00", tag{codec: codecAVC}},
	{"past ModEx", true, "\x97\x02abc\x01avc1\x00\x00\x00key", tag{codec: codecAVC, frame: true, key: true, payload: []byte("key")}},
	{"ModEx that lies", true, "\x97\x09abc", tag{}},
	{"ModEx without size", true, "\x97", tag{}},
	{"one track of several", true, "\x96\x01av01\x02key", tag{codec: codecAV1, track: 2, frame: true, key: true, payload: []byte("key")}},
	{"many tracks", true, "\x96\x11av01\x01\x00\x00\x03key\x02\x00\x00\x03key", tag{codec: codecAV1, track: 1, frame: true, key: true}},
	{"tracks, cut short", true, "\x96\x11av01\x01\x00", tag{codec: codecAV1, track: 1}},
	{"AAC header", false, "\xaf\x00\x12\x10", tag{codec: codecAAC, header: true, payload: []byte("\x12\x10")}},
	{"AAC", false, "\xaf\x01data", tag{codec: codecAAC, frame: true, payload: []byte("data")}},
	{"AAC, cut short", false, "\xaf", tag{codec: codecAAC}},
	{"MP3", false, "\x2fdata", tag{codec: codecMP3, frame: true, payload: []byte("data")}},
	{"Speex", false, "\xb6data", tag{codec: "Speex", frame: true, payload: []byte("data")}},
	{"Opus header", false, "\x90OpusHead", tag{codec: codecOpus, header: true, payload: []byte("Head")}},
	{"Opus", false, "\x91Opusdata", tag{codec: codecOpus, frame: true, payload: []byte("data")}},
	{"enhanced sound has no shorter frames", false, "\x93Opusdata", tag{codec: codecOpus, payload: []byte("data")}},
	{"Opus in a second track", false, "\x95\x01Opus\x01data", tag{codec: codecOpus, track: 1, frame: true, payload: []byte("data")}},
	{"empty audio", false, "", tag{}},
}

func tagged(video bool, payload string) rtmp.Message {
	m := rtmp.Message{Type: rtmp.TypeAudio, Payload: []byte(payload)}
	if video {
		m.Type = rtmp.TypeVideo
	}
	return m
}

func TestParseTag(t *testing.T) {
	for _, c := range tags {
		if d := cmp.Diff(c.want, parseTag(tagged(c.video, c.bytes)), cmp.AllowUnexported(tag{})); d != "" {
			t.Errorf("%s: (-want +got)\n%s", c.name, d)
		}
	}
}

// FuzzTag: whatever an encoder sends, what is read makes sense, and an ingest
// survives it.
func FuzzTag(f *testing.F) {
	for _, c := range tags {
		f.Add(c.video, []byte(c.bytes))
	}
	for _, c := range pictures {
		f.Add(true, append([]byte("\x17\x00\x00\x00\x00"), unhex(c.record)...))
	}
	f.Fuzz(func(t *testing.T, video bool, b []byte) {
		m := tagged(video, string(b))
		p := parseTag(m)
		switch {
		case p.header && p.frame:
			t.Errorf("%x is a header and a frame", b)
		case p.key && (!p.frame || !video):
			t.Errorf("%x is a key frame and no frame", b)
		case len(p.payload) > len(b):
			t.Errorf("%x has grown", b)
		case string(m.Payload) != string(b):
			t.Error("the message was changed")
		}
		if picture, ok := parseAVC(p.payload); ok && (picture.width < 1 || picture.width > MaxSide || picture.height < 1 || picture.height > MaxSide) {
			t.Errorf("%x: a picture of %d x %d", b, picture.width, picture.height)
		}
		in := newMonitor(epoch)
		for range 3 {
			in.WriteMessage(m)
		}
		if r := in.health("live", epoch); r.Advice == nil {
			t.Error("no list of advice")
		}
	})
}
