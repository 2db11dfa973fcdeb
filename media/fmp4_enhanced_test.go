package media

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/Eyevinn/mp4ff/mp4"

	"foyer/server/rtmp"
)

// enhanced makes Enhanced RTMP messages of three seconds that ffmpeg encodes:
// not every ffmpeg puts these codecs into FLV itself.
func enhanced(t *testing.T, codec, configuration string, args ...string) []rtmp.Message {
	t.Helper()
	tool(t, "ffmpeg")
	name := filepath.Join(t.TempDir(), "in.mp4")
	args = append([]string{"-nostdin", "-v", "error"}, append(args, "-t", "3", "-movflags", "frag_keyframe+delay_moov+default_base_moof", name)...)
	if out, err := exec.CommandContext(t.Context(), "ffmpeg", args...).CombinedOutput(); err != nil {
		if strings.Contains(string(out), "Unknown encoder") {
			t.Skipf("this ffmpeg cannot: %s", out)
		}
		t.Fatalf("ffmpeg: %v: %s", err, out)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(b, []byte(configuration))
	record := b[at+4 : at-4+int(binary.BigEndian.Uint32(b[at-4:]))]
	kind, first, key, inter := rtmp.TypeVideo, "\x90", "\x91", "\xa1"
	offset := codec == "hvc1"
	if codec == "Opus" {
		kind, first, key = rtmp.TypeAudio, "\x90", "\x91"
		record = append([]byte("OpusHead\x01"), record[1], record[3], record[2], record[7], record[6], record[5], record[4], record[9], record[8], record[10])
	}
	list := []rtmp.Message{{Type: kind, Payload: append([]byte(first+codec), record...)}}
	if kind == rtmp.TypeVideo {
		list = append(list, meta(metaVideo))
	} else {
		list = append(list, meta(metaAudio))
	}
	f, err := mp4.DecodeFile(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	scale := uint64(f.Moov.Trak.Mdia.Mdhd.Timescale)
	for _, s := range f.Segments {
		for _, fragment := range s.Fragments {
			samples, err := fragment.GetFullSamples(f.Moov.Mvex.Trex)
			if err != nil {
				t.Fatal(err)
			}
			for _, k := range samples {
				head := []byte(inter + codec)
				if kind == rtmp.TypeAudio || mp4.IsSyncSampleFlags(k.Flags) {
					head = []byte(key + codec)
				}
				if offset {
					cts := int64(k.CompositionTimeOffset) * 1000 / int64(scale)
					head = append(head, byte(cts>>16), byte(cts>>8), byte(cts))
				}
				list = append(list, rtmp.Message{Type: kind, Timestamp: uint32(k.DecodeTime * 1000 / scale), Payload: append(head, k.Data...)})
			}
		}
	}
	return list
}

// TestEnhancedProbed has ffprobe decode the codecs of Enhanced RTMP: as fMP4,
// over HLS, and from a recording.
func TestEnhancedProbed(t *testing.T) {
	for _, test := range []struct {
		codec, configuration string
		args                 []string
		mime, video, audio   string
		frames               int
	}{
		{"hvc1", "hvcC", join(picture, []string{"-c:v", "libx265", "-tag:v", "hvc1", "-pix_fmt", "yuv420p", "-x265-params", "log-level=none:keyint=30", "-preset", "ultrafast"}), `codecs="hvc1.1.6.L`, "hevc", "", 90},
		{"av01", "av1C", join(picture, []string{"-c:v", "libaom-av1", "-g", "30", "-usage", "realtime", "-cpu-used", "8"}), `codecs="av01.0.00M.08"`, "av1", "", 90},
		{"vp09", "vpcC", join(picture, []string{"-c:v", "libvpx-vp9", "-pix_fmt", "yuv420p", "-g", "30", "-deadline", "realtime", "-cpu-used", "8"}), `codecs="vp09.00.`, "vp9", "", 90},
		{"Opus", "dOps", join(tone, []string{"-c:a", "libopus"}), `audio/mp4; codecs="opus"`, "", "opus", 0},
	} {
		t.Run(test.codec, func(t *testing.T) {
			t.Parallel()
			messages := enhanced(t, test.codec, test.configuration, test.args...)
			segments := remux(t, messages)
			if segments[0].Kind != Init || !strings.Contains(segments[0].Mime, test.mime) {
				t.Fatalf("first is %v %s, want %s", segments[0].Kind, segments[0].Mime, test.mime)
			}
			t.Log(segments[0].Mime)
			checkProbed(t, probe(t, file(t, segments)), test.video, test.audio, test.frames)
			check := func(what string, p probed, packets int) {
				t.Helper()
				if len(p.Streams) != 1 || p.Streams[0].Codec != test.video+test.audio || len(p.Packets) < packets || test.video != "" && len(p.Frames) < packets {
					t.Errorf("%s: %+v, %d packets, %d frames", what, p.Streams, len(p.Packets), len(p.Frames))
				}
			}
			check("HLS", probe(t, hlsOf(t, messages)), 30)
			name := t.TempDir()
			writeIndexed(t, name, flvOf(messages...))
			b, err := os.ReadFile(filepath.Join(name, "x.mp4"))
			if err != nil {
				t.Fatal(err)
			}
			check("recording", probe(t, b), 90)
		})
	}
}

// hlsOf is what HLS makes of messages, in one file.
func hlsOf(t *testing.T, messages []rtmp.Message) (all []byte) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := newCinema(t)
		for _, m := range messages {
			c.stream.WriteMessage(m)
		}
		synctest.Wait()
		all = c.segments()
	})
	return all
}

// leading is the line of a multivariant playlist that names the leading rendition.
var leading = regexp.MustCompile(`(?m)^[a-z0-9/]+_stream\.m3u8`)

// segments is the rendition that leads: its init segment and the whole segments behind
// it.
func (c *cinema) segments() []byte {
	c.Helper()
	get := func(name string) string {
		c.Helper()
		body, _, err := c.get(name)
		if err != nil {
			c.Fatalf("%s: %v", name, err)
		}
		return body
	}
	var all []byte
	for line := range strings.Lines(get(path.Base(leading.FindString(get(""))))) {
		name := partName.FindString(line)
		if name == "" || name == "gap.mp4" || strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "#EXT-X-MAP") {
			continue
		}
		all = append(all, get(name)...)
	}
	return all
}
