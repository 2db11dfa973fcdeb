package ingest

import (
	"testing"

	"foyer/server/flv"
	"foyer/server/rtmp"
)

func tagged(video bool, payload string) rtmp.Message {
	m := rtmp.Message{Type: rtmp.TypeAudio, Payload: []byte(payload)}
	if video {
		m.Type = rtmp.TypeVideo
	}
	return m
}

// messages are what encoders send. They are the fuzz seeds, too.
var messages = []struct {
	name  string
	video bool
	bytes string
	track int       // the highest one
	codec flv.Codec // of the one with the number 0
}{
	{"H.264 header", true, "\x17\x00\x00\x00\x00head", 0, flv.AVC},
	{"H.264 key frame", true, "\x17\x01\x00\x00\x50key", 0, flv.AVC},
	{"a key frame without data", true, "\x17\x01\x00\x00\x00", 0, flv.AVC},
	{"cut short", true, "\x17\x01\x00", 0, 0},
	{"command", true, "\x57\x00", 0, flv.AVC},
	{"HDR", true, "\x94hvc1hdr", 0, flv.HEVC},
	{"track 2 alone", true, "\x96\x01av01\x02key", 2, 0},
	{"tracks 1 and 0", true, "\x96\x11av01\x01\x00\x00\x01x\x00\x00\x00\x03key", 1, flv.AV1},
	{"AAC", false, "\xaf\x01data", 0, flv.AAC},
	{"Opus header", false, "\x90OpusHead", 0, flv.Opus},
	{"empty audio", false, "", 0, 0},
}

// TestMainTrack: of several tracks, the one with the number 0 is watched, and all
// are counted.
func TestMainTrack(t *testing.T) {
	for _, c := range messages {
		in := NewMonitor(epoch)
		if got, ok := in.mainTrack(tagged(c.video, c.bytes)); in.tracks != c.track || got.Codec != c.codec || ok != (c.codec != 0) {
			t.Errorf("%s: got %v of %d tracks, want %v of %d", c.name, got.Codec, in.tracks, c.codec, c.track)
		}
	}
}

// FuzzMonitor: a monitor survives whatever an encoder sends, and changes nothing of it.
func FuzzMonitor(f *testing.F) {
	for _, c := range messages {
		f.Add(c.video, []byte(c.bytes))
	}
	for _, c := range pictures {
		f.Add(true, append([]byte("\x17\x00\x00\x00\x00"), unhex(c.record)...))
	}
	f.Fuzz(func(t *testing.T, video bool, b []byte) {
		m := tagged(video, string(b))
		in := NewMonitor(epoch)
		for range 3 {
			in.WriteMessage(m)
		}
		if string(m.Payload) != string(b) {
			t.Error("the message was changed")
		}
		h := in.Health("live", epoch)
		if h.Advice == nil {
			t.Error("no list of advice")
		}
		if h.Width < 0 || h.Width > MaxSide || h.Height < 0 || h.Height > MaxSide {
			t.Errorf("%x: a picture of %d x %d", b, h.Width, h.Height)
		}
	})
}
