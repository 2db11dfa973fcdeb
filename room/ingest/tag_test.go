package ingest

import (
	"testing"

	"foyer/server/rtmp"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
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
	{"H.264 end", true, "\x17\x02\x00\x00\x00", tag{codec: codecAVC}},
	{"a key frame without data", true, "\x17\x01\x00\x00\x00", tag{codec: codecAVC}},
	{"cut short", true, "\x17\x01\x00", tag{}},
	{"command", true, "\x57\x00", tag{codec: codecAVC, payload: []byte("\x00")}},
	{"an unknown FourCC", true, "\x91wxyzkey", tag{frame: true, key: true, payload: []byte("key")}},
	{"HDR", true, "\x94hvc1hdr", tag{codec: codecHEVC, payload: []byte("hdr")}},
	{"track 2 alone", true, "\x96\x01av01\x02key", tag{track: 2}},
	{"tracks 1 and 0", true, "\x96\x11av01\x01\x00\x00\x01x\x00\x00\x00\x03key", tag{codec: codecAV1, frame: true, key: true, payload: []byte("key")}},
	{"AAC", false, "\xaf\x01data", tag{codec: codecAAC, frame: true, payload: []byte("data")}},
	{"Opus header", false, "\x90OpusHead", tag{codec: codecOpus, header: true, payload: []byte("Head")}},
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
		if d := cmp.Diff(c.want, parseTag(tagged(c.video, c.bytes)), cmp.AllowUnexported(tag{}), cmpopts.EquateEmpty()); d != "" {
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
		in := NewMonitor(epoch)
		for range 3 {
			in.WriteMessage(m)
		}
		if r := in.Health("live", epoch); r.Advice == nil {
			t.Error("no list of advice")
		}
	})
}
