package media

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"foyer/server/rtmp"
)

// tool skips the test where a program is not installed, except in CI.
func tool(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not installed", name)
		}
		t.Skipf("%s is not installed", name)
	}
}

// readFLV is the messages of an FLV file (FLV 10.1 §E.3).
func readFLV(t *testing.T, b []byte) []rtmp.Message {
	t.Helper()
	if len(b) < 13 || string(b[:3]) != "FLV" {
		t.Fatalf("no FLV: %d bytes", len(b))
	}
	var list []rtmp.Message
	for b = b[13:]; len(b) >= 11; {
		n := int(b[1])<<16 | int(b[2])<<8 | int(b[3])
		if len(b) < 11+n+4 {
			break
		}
		at := binary.BigEndian.Uint32(b[4:])>>8 | uint32(b[7])<<24
		list = append(list, rtmp.Message{Type: rtmp.MessageType(b[0]), Timestamp: at, Payload: b[11 : 11+n]})
		b = b[11+n+4:]
	}
	return list
}

// ffmpegFLV makes three seconds of FLV out of generated sources.
func ffmpegFLV(t *testing.T, args ...string) []rtmp.Message {
	t.Helper()
	tool(t, "ffmpeg")
	args = append([]string{"-nostdin", "-v", "error"}, append(args, "-t", "3", "-f", "flv", "-")...)
	var errors bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "ffmpeg", args...)
	cmd.Stderr = &errors
	out, err := cmd.Output()
	if err != nil {
		if s := errors.String(); strings.Contains(s, "Unknown encoder") || strings.Contains(s, "not compatible with flv") || strings.Contains(s, "Video codec") {
			t.Skipf("this ffmpeg cannot: %s", s)
		}
		t.Fatalf("ffmpeg: %v: %s", err, errors.String())
	}
	return readFLV(t, out)
}

// probed is what ffprobe says of a file.
type probed struct {
	Streams []struct {
		Codec    string `json:"codec_name"`
		Kind     string `json:"codec_type"`
		Width    int    `json:"width"`
		Height   int    `json:"height"`
		Rate     string `json:"sample_rate"`
		Channels int    `json:"channels"`
	}
	Packets []struct {
		Kind     string `json:"codec_type"`
		PTS      string `json:"pts_time"`
		DTS      string `json:"dts_time"`
		Duration string `json:"duration_time"`
		Flags    string `json:"flags"`
	}
	Frames []struct {
		Kind string `json:"media_type"`
	}
}

// probe has ffprobe read, and decode, what a remux made.
func probe(t *testing.T, file []byte) probed {
	t.Helper()
	name := filepath.Join(t.TempDir(), "remux.mp4")
	if err := os.WriteFile(name, file, 0o600); err != nil {
		t.Fatal(err)
	}
	return probeFile(t, name)
}

// probeFile has ffprobe read and decode a file.
func probeFile(t *testing.T, name string) probed {
	t.Helper()
	tool(t, "ffprobe")
	run := func(what ...string) []byte {
		var errors bytes.Buffer
		cmd := exec.CommandContext(t.Context(), "ffprobe", append(append([]string{"-v", "warning", "-of", "json"}, what...), name)...)
		cmd.Stderr = &errors
		out, err := cmd.Output()
		if err != nil || errors.Len() > 0 {
			t.Fatalf("ffprobe: %v: %s", err, errors.String())
		}
		return out
	}
	var p probed
	for _, out := range [][]byte{run("-show_streams", "-show_packets"), run("-show_frames")} {
		if err := json.Unmarshal(out, &p); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// remux is all that a Remuxer makes of messages, the end included.
func remux(t *testing.T, messages []rtmp.Message) []Segment {
	t.Helper()
	var list []Segment
	r := NewRemuxer(func(s Segment) { list = append(list, s) })
	for _, m := range messages {
		if err := r.Write(m); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.End(); err != nil {
		t.Fatal(err)
	}
	return list
}

// file joins the init segment and the fragments of one beginning.
func file(t *testing.T, segments []Segment) []byte {
	t.Helper()
	var b []byte
	inits := 0
	for _, s := range segments {
		if s.Kind == Init {
			inits++
		}
		b = append(b, s.Data...)
	}
	if inits != 1 {
		t.Fatalf("%d init segments", inits)
	}
	return b
}

var (
	picture = []string{"-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30"}
	tone    = []string{"-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100"}
	x264    = []string{"-c:v", "libx264", "-pix_fmt", "yuv420p", "-g", "30", "-preset", "ultrafast"}
	aac     = []string{"-c:a", "aac", "-ac", "2"}
)

func join(parts ...[]string) (all []string) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// TestRemuxProbed has ffprobe read and decode what was made of ffmpeg's FLV.
func TestRemuxProbed(t *testing.T) {
	tests := []struct {
		name   string
		args   []string
		mime   string // its beginning
		video  string
		audio  string
		frames int
	}{
		{"h264 and aac", join(picture, tone, x264, []string{"-profile:v", "baseline"}, aac), `video/mp4; codecs="avc1.42c00d,mp4a.40.2"`, "h264", "aac", 90},
		{"b-frames", join(picture, tone, []string{"-c:v", "libx264", "-pix_fmt", "yuv420p", "-g", "30", "-bf", "3", "-preset", "medium"}, aac), `video/mp4; codecs="avc1.64`, "h264", "aac", 90},
		{"video only", join(picture, x264), `video/mp4; codecs="avc1.`, "h264", "", 90},
		{"audio only", join(tone, aac), `audio/mp4; codecs="mp4a.40.2"`, "", "aac", 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			segments := remux(t, ffmpegFLV(t, test.args...))
			if segments[0].Kind != Init || !strings.HasPrefix(segments[0].Mime, test.mime) {
				t.Errorf("first is %v %s, want %s", segments[0].Kind, segments[0].Mime, test.mime)
			}
			t.Log(segments[0].Mime)
			p := probe(t, file(t, segments))
			checkProbed(t, p, test.video, test.audio, test.frames)
		})
	}
}

func checkProbed(t *testing.T, p probed, video, audio string, frames int) {
	t.Helper()
	codecs := map[string]string{}
	for _, s := range p.Streams {
		codecs[s.Kind] = s.Codec
		if s.Kind == "video" && (s.Width != 320 || s.Height != 180) {
			t.Errorf("picture of %dx%d", s.Width, s.Height)
		}
	}
	if codecs["video"] != video || codecs["audio"] != audio {
		t.Errorf("tracks %v", codecs)
	}
	decoded := 0
	for _, f := range p.Frames {
		if f.Kind == "video" {
			decoded++
		}
	}
	if decoded != frames {
		t.Errorf("%d pictures decoded, want %d", decoded, frames)
	}
	last, ends := map[string]float64{}, map[string]float64{}
	for _, k := range p.Packets {
		dts, _ := strconv.ParseFloat(k.DTS, 64)
		duration, _ := strconv.ParseFloat(k.Duration, 64)
		if before, ok := last[k.Kind]; ok && dts <= before {
			t.Fatalf("%s goes from %v to %v", k.Kind, before, dts)
		}
		if end, ok := ends[k.Kind]; ok && (dts-end > 0.002 || end-dts > 0.002) {
			t.Errorf("%s at %v, but the one before ends at %v", k.Kind, dts, end)
		}
		last[k.Kind] = dts
		if delete(ends, k.Kind); duration > 0 { // ffprobe knows none for a lone first packet
			ends[k.Kind] = dts + duration
		}
	}
	for kind, end := range ends {
		if end < 2.9 || end > 3.2 {
			t.Errorf("%s ends at %v", kind, end)
		}
	}
}

// TestStillProbed: a key frame is a file that shows one picture.
func TestStillProbed(t *testing.T) {
	r := NewRemuxer(func(Segment) {})
	for _, m := range ffmpegFLV(t, join(picture, tone, x264, aac)...) {
		r.Write(m)
	}
	b, err := r.still.MP4()
	if err != nil {
		t.Fatal(err)
	}
	p := probe(t, b)
	if len(p.Frames) != 1 || len(p.Streams) != 1 || p.Streams[0].Codec != "h264" {
		t.Errorf("still is %+v", p)
	}
}
