package ingest

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"foyer/server/amf"
	"foyer/server/rtmp"

	"github.com/google/go-cmp/cmp"
)

var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// encoder sends 50 messages of sound a second and fps pictures. Tests begin with good,
// which has no fault, and change it.
type encoder struct {
	codec               string // the first bytes of pictures, instead of those of H.264
	fps, keys           int    // a key frame every so many frames; 0: none
	size                int    // bytes of a frame
	shift               func(frame int) byte
	header              string
	noAudio, noVideo    bool
	audio               string // the first bytes of messages
	audioHeader         string
	speed               float64 // of its clock
	ahead               func(at time.Duration) time.Duration
	start               uint32
	meta                amf.Object
	back                bool // now and then
	silentAfter, length time.Duration
}

func good() encoder {
	return encoder{
		fps: 25, keys: 50, size: 10000, header: "\x17\x00\x00\x00\x00" + string(unhex(pictures[0].record)),
		shift: func(int) byte { return 0 }, audio: "\xaf\x01", audioHeader: "\xaf\x00\x11\x90", speed: 1,
		ahead: func(time.Duration) time.Duration { return 0 }, length: 15 * time.Second,
	}
}

// run sends it, in real time.
func (e encoder) run(in *Monitor) {
	write := func(kind rtmp.MessageType, at time.Duration, payload string) {
		in.WriteMessage(rtmp.Message{Type: kind, Timestamp: e.start + uint32(at.Milliseconds()), Payload: []byte(payload)})
	}
	if e.meta != nil {
		write(rtmp.TypeDataAMF0, 0, string(amf.Append(amf.Append(nil, amf.String("onMetaData")), e.meta)))
	}
	if e.header != "" && !e.noVideo {
		write(rtmp.TypeVideo, 0, e.header)
	}
	if e.audioHeader != "" && !e.noAudio {
		write(rtmp.TypeAudio, 0, e.audioHeader)
	}
	begun, frame := time.Now(), 0
	for i := 0; ; i++ {
		real := time.Duration(i) * 20 * time.Millisecond
		if real >= e.length {
			return
		}
		time.Sleep(time.Until(begun.Add(real)))
		if e.silentAfter > 0 && real >= e.silentAfter {
			continue
		}
		at := time.Duration(float64(real) * e.speed)
		if !e.noAudio {
			write(rtmp.TypeAudio, max(0, at+e.ahead(at)), e.audio+strings.Repeat("a", 400))
		}
		for ; !e.noVideo && frame*1000/e.fps <= int(real.Milliseconds()); frame++ {
			first := "\x27"
			if e.keys > 0 && frame%e.keys == 0 {
				first = "\x17"
			}
			when := at
			if e.back && frame%100 == 99 {
				when -= time.Second
			}
			payload := first + "\x01\x00\x00" + string(rune(e.shift(frame)))
			if e.codec != "" {
				payload = string(first[0]&0xF0|e.codec[0]) + e.codec[1:]
			}
			write(rtmp.TypeVideo, when, payload+strings.Repeat("v", e.size))
		}
	}
}

// healthOf runs an encoder and returns its health.
func healthOf(t *testing.T, e encoder) (r Health) {
	t.Helper()
	synctest.Test(t, func(*testing.T) {
		in := NewMonitor(time.Now())
		for range 2 { // somebody looks after the first window, and later
			e.length = 12 * time.Second
			done := make(chan struct{})
			go func() { e.run(in); close(done) }()
			<-done
			r = in.Health("live", time.Now())
			e.start += uint32(float64(e.length.Milliseconds()) * e.speed)
			if e.silentAfter > 0 {
				return
			}
		}
	})
	return r
}

func TestIngest(t *testing.T) {
	e := good()
	e.meta = amf.Object{{Name: "width", Value: amf.Number(1)}, {Name: "encoder", Value: amf.String("obs-output module\n(libobs 30)")}}
	r := healthOf(t, e)
	want := Health{
		Stream: "live", Since: epoch, Encoder: "obs-output module\n(libobs 30)",
		VideoCodec: "H.264", Profile: "Baseline", Width: 640, Height: 360, FPS: 25, VideoBitrate: r.VideoBitrate, KeyFrames: 2 * time.Second,
		AudioCodec: "AAC", SampleRate: 48000, Channels: 2, AudioBitrate: r.AudioBitrate,
		Speed: 1, Silent: r.Silent, Tracks: 1, Advice: []string{},
	}
	r.Since = r.Since.UTC()
	if d := cmp.Diff(want, r); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if r.VideoBitrate < 2e6 || r.VideoBitrate > 2.1e6 || r.AudioBitrate < 160e3 || r.AudioBitrate > 165e3 {
		t.Errorf("got %.0f and %.0f bits a second", r.VideoBitrate, r.AudioBitrate)
	}
	short := r.Summary()
	if got, _ := amf.AsNumber(amf.Lookup(short, "bitrate")); got != 2.2e6 {
		t.Errorf("got %v in short", got)
	}
}

// TestAdvice: one thing is wrong, and one sentence says so.
func TestAdvice(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*encoder)
		want   []string // a part of each sentence
	}{
		{"nothing", func(*encoder) {}, nil},
		{"key frames every 4 seconds", func(e *encoder) { e.keys = 100 }, nil},
		{"key frames every 8 seconds", func(e *encoder) { e.keys = 200 }, []string{"Key frames come every 8 seconds"}},
		{"one key frame", func(e *encoder) { e.keys = 1 << 20 }, []string{"Key frames come every 12 seconds"}},
		{"no key frames", func(e *encoder) { e.keys = 0 }, []string{"There are no key frames"}},
		{"B-frames", func(e *encoder) { e.shift = func(n int) byte { return byte(40 * (n % 3)) } }, []string{"B-frames"}},
		{"the same shift everywhere", func(e *encoder) { e.shift = func(int) byte { return 80 } }, nil},
		{"a heavy picture", func(e *encoder) { e.size = 50000 }, []string{"takes 10 Mbit/s"}},
		{"10 bits", func(e *encoder) { e.header = "\x17\x00\x00\x00\x00" + string(unhex(pictures[3].record)) }, []string{"do not play H.264 High 10"}},
		{"no sequence header", func(e *encoder) { e.header = "" }, []string{"H.264 sequence header"}},
		{"no header of the sound", func(e *encoder) { e.audioHeader = "" }, []string{"AAC sequence header"}},
		{"few frames", func(e *encoder) { e.fps, e.keys = 10, 10 }, []string{"Only 10 frames"}},
		{"no sound", func(e *encoder) { e.noAudio = true }, []string{"There is no sound"}},
		{"no picture", func(e *encoder) { e.noVideo = true }, []string{"There is no picture"}},
		{"Speex", func(e *encoder) { e.audio, e.audioHeader = "\xb6", "" }, []string{"do not play Speex sound"}},
		{"sound that nobody knows", func(e *encoder) { e.audio, e.audioHeader = "\xf6", "" }, []string{"encoding of the sound is unknown"}},
		{"Opus", func(e *encoder) { e.audio, e.audioHeader = "\x91Opus", "\x90OpusHead" }, nil},
		{"VP6", func(e *encoder) { e.codec, e.header = "\x04", "" }, []string{"do not play VP6 video"}},
		{"a codec that nobody knows", func(e *encoder) { e.codec, e.header = "\x0f", "" }, []string{"do not play unknown video"}},
		{"H.265", func(e *encoder) { e.codec, e.header = "\x0c\x01\x00\x00\x00", "\x1c\x00\x00\x00\x00head" }, []string{"do not play H.265"}},
		{"VP9", func(e *encoder) { e.codec, e.header = "\x81vp09", "\x90vp09head" }, []string{"do not play VP9"}},
		{"a slow upload", func(e *encoder) { e.speed = 0.8 }, []string{"at 80 % of its speed"}},
		{"not in real time", func(e *encoder) { e.speed = 2 }, []string{"2.0 times as fast"}},
		{"backwards", func(e *encoder) { e.back = true }, []string{"Timestamps run backwards"}},
		{"sound late", func(e *encoder) { e.ahead = func(time.Duration) time.Duration { return -time.Second } }, []string{"1.0 seconds after its picture"}},
		{"sound early", func(e *encoder) { e.ahead = func(time.Duration) time.Duration { return time.Second } }, []string{"1.0 seconds before its picture"}},
		{"silence", func(e *encoder) { e.silentAfter = 8 * time.Second }, []string{"for 4 seconds"}},
		{"around the wrap", func(e *encoder) { e.start = 1<<32 - 15000 }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := good()
			c.change(&e)
			got := healthOf(t, e).Advice
			for i, want := range c.want {
				if i >= len(got) || !strings.Contains(got[i], want) {
					t.Fatalf("got %q, want %q", got, c.want)
				}
			}
			if len(got) != len(c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// TestAdviceOnDrift: clocks that are not the same.
func TestAdviceOnDrift(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := NewMonitor(time.Now())
		e := good()
		e.ahead = func(at time.Duration) time.Duration { return at / 100 }
		e.length = 12 * time.Second
		e.run(in)
		if got := in.Health("live", time.Now()).Advice; len(got) != 0 {
			t.Errorf("at the beginning: %q", got)
		}
		e.start += 12000
		e.ahead = func(at time.Duration) time.Duration { return 300*time.Millisecond + at/100 }
		e.run(in)
		got := in.Health("live", time.Now()).Advice
		if len(got) != 1 || !strings.Contains(got[0], "drift apart") {
			t.Errorf("later: %q", got)
		}
	})
}

// TestMetaData: sizes that no header tells, and values that are no sizes.
func TestMetaData(t *testing.T) {
	for _, c := range []struct {
		width, height amf.Value
		want          [2]int
	}{
		{amf.Number(1280), amf.Number(720), [2]int{1280, 720}},
		{amf.Number(-1), amf.Number(1e9), [2]int{}},
		{amf.String("1280"), amf.Null{}, [2]int{}},
	} {
		e := good()
		e.header, e.codec = "\x90vp09head", "\x81vp09"
		e.meta = amf.Object{{Name: "width", Value: c.width}, {Name: "height", Value: c.height}}
		if r := healthOf(t, e); [2]int{r.Width, r.Height} != c.want {
			t.Errorf("%v x %v: got %d x %d", c.width, c.height, r.Width, r.Height)
		}
	}
	in := NewMonitor(epoch)
	big := amf.Append(amf.Append(nil, amf.String("onMetaData")), amf.Object{
		{Name: "encoder", Value: amf.String("x")}, {Name: "padding", Value: amf.String(strings.Repeat("x", MaxMetaData))},
	})
	in.WriteMessage(rtmp.Message{Type: rtmp.TypeDataAMF0, Payload: big})
	if in.encoder != "" {
		t.Error("metadata over the limit was read")
	}
}

// TestFirstFrames: a stream that stops at once, without a header, is known nevertheless.
func TestFirstFrames(t *testing.T) {
	in := NewMonitor(time.Now())
	in.WriteMessage(tagged(true, "\x12key"))
	in.WriteMessage(tagged(false, "\xb6data"))
	h := in.Health("live", time.Now())
	if h.VideoCodec != "Sorenson H.263" || h.AudioCodec != "Speex" || len(h.Advice) != 2 {
		t.Errorf("got %q and %q, %q", h.VideoCodec, h.AudioCodec, h.Advice)
	}
}

// TestIngestIsCheap: it stands between publisher and players.
func TestIngestIsCheap(t *testing.T) {
	in := NewMonitor(time.Now())
	m := tagged(true, "\x27\x01\x00\x00\x00"+strings.Repeat("x", 1000))
	if n := testing.AllocsPerRun(1000, func() { m.Timestamp += 40; in.WriteMessage(m) }); n != 0 {
		t.Errorf("%v allocations for a message", n)
	}
}

func BenchmarkIngest(b *testing.B) {
	in := NewMonitor(time.Now())
	m := tagged(true, "\x27\x01\x00\x00\x00"+strings.Repeat("x", 1000))
	for b.Loop() {
		m.Timestamp += 40
		in.WriteMessage(m)
	}
}
