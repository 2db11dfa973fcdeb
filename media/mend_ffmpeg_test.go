package media

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"foyer/server/flv"
	"foyer/server/rtmp"
)

// bend is what an odd encoder makes of a message.
type bend func(m rtmp.Message, t tag) []rtmp.Message

// bent is what it makes of a stream.
func bent(messages []rtmp.Message, b bend) (list []rtmp.Message) {
	for _, m := range messages {
		if t, ok := parse(m); ok {
			list = append(list, b(m, t)...)
		} else {
			list = append(list, m)
		}
	}
	return list
}

// pictured is a bend of the coded pictures only.
func pictured(b bend) bend {
	return func(m rtmp.Message, t tag) []rtmp.Message {
		if !t.picture() || t.Kind != flv.CodedFrames {
			return []rtmp.Message{m}
		}
		return b(m, t)
	}
}

// bodied is the message with another body.
func bodied(m rtmp.Message, t tag, body []byte) rtmp.Message {
	t.Body = body
	m.Payload = t.Append(nil)
	return m
}

// unitsOf is the units of a body that is right.
func unitsOf(t tag) (units [][]byte) {
	f := flv.Framing(4)
	if t.Codec == flv.AV1 {
		f = flv.OBUs
	}
	for r := flv.Units(t.Body, f); r.Next(); {
		units = append(units, r.Unit)
	}
	return units
}

// each makes a tag of each unit.
func each(m rtmp.Message, t tag) (list []rtmp.Message) {
	for _, u := range unitsOf(t) {
		list = append(list, bodied(m, t, t.Codec.AppendUnit(nil, u)))
	}
	return list
}

// inFront puts a tag with such a unit in front of each picture.
func inFront(unit string) bend {
	return pictured(func(m rtmp.Message, t tag) []rtmp.Message {
		b := []byte(unit)
		if t.Codec != flv.AV1 {
			b = t.Codec.AppendUnit(nil, b)
		}
		alone := t
		alone.Key = false
		return []rtmp.Message{bodied(m, alone, b), m}
	})
}

// annexB writes pictures and configuration with start codes.
func annexB(m rtmp.Message, t tag) []rtmp.Message {
	code := []byte{0, 0, 0, 1}
	units := unitsOf(t)
	if t.Kind == flv.SequenceStart {
		c, err := newCodec(t.Codec, t.Body)
		if err != nil {
			return []rtmp.Message{m}
		}
		units = slices.Concat(c.vps, c.sps, c.pps)
	}
	if !t.picture() || t.Kind != flv.SequenceStart && t.Kind != flv.CodedFrames {
		return []rtmp.Message{m}
	}
	return []rtmp.Message{bodied(m, t, append(slices.Clone(code), bytes.Join(units, code)...))}
}

// banded sends the parameter sets in front of each key frame, and nowhere else.
func banded() bend {
	var sets []byte
	return func(m rtmp.Message, t tag) []rtmp.Message {
		switch {
		case !t.picture():
		case t.Kind == flv.SequenceStart:
			c, _ := newCodec(t.Codec, t.Body)
			for _, u := range slices.Concat(c.vps, c.sps, c.pps) {
				sets = t.Codec.AppendUnit(sets, u)
			}
			if t.Codec == flv.AV1 {
				sets = t.Body[4:]
			}
			return nil
		case t.Key && t.Kind == flv.CodedFrames:
			return []rtmp.Message{bodied(m, t, sets), m}
		}
		return []rtmp.Message{m}
	}
}

// flagged sets the key flag of all pictures, or of none.
func flagged(key bool) bend {
	return pictured(func(m rtmp.Message, t tag) []rtmp.Message {
		t.Key = key
		return []rtmp.Message{bodied(m, t, t.Body)}
	})
}

// sounded is a bend of the sound only.
func sounded(b func(t tag) [][]byte) bend {
	return func(m rtmp.Message, t tag) []rtmp.Message {
		if t.picture() || t.Kind != flv.CodedFrames {
			return []rtmp.Message{m}
		}
		var list []rtmp.Message
		for _, body := range b(t) {
			list = append(list, bodied(m, t, body))
		}
		return list
	}
}

// adts is a frame of 44,100 Hz and two channels with its header.
func adts(frame []byte) []byte {
	n := 7 + len(frame)
	return append([]byte{0xFF, 0xF1, 0x50, 0x80 | byte(n>>11), byte(n >> 3), byte(n<<5) | 0x1F, 0xFC}, frame...)
}

func without(kind rtmp.MessageType) bend {
	return func(m rtmp.Message, t tag) []rtmp.Message {
		if m.Type == kind && t.Kind == flv.SequenceStart {
			return nil
		}
		return []rtmp.Message{m}
	}
}

// only leaves out the other track, since HLS has a rendition for each.
func only(kind rtmp.MessageType) bend {
	return func(m rtmp.Message, _ tag) []rtmp.Message {
		if m.Type != kind {
			return nil
		}
		return []rtmp.Message{m}
	}
}

func then(first, second bend) bend {
	return func(m rtmp.Message, t tag) []rtmp.Message { return bent(first(m, t), second) }
}

// bends are the odd encoders.
func bends() map[string]bend {
	sei, lengthless := "\x06\x05\x14uuuuuuuuuuuuuuuutext\x80", pictured(func(m rtmp.Message, t tag) []rtmp.Message {
		return []rtmp.Message{bodied(m, t, append(nalOf(""), append(slices.Clone(t.Body), nalOf("")...)...))}
	})
	return map[string]bend{
		"as it should be":    func(m rtmp.Message, _ tag) []rtmp.Message { return []rtmp.Message{m} },
		"SEI alone":          inFront(sei),
		"AUD alone":          inFront("\x09\xf0"),
		"a unit a tag":       pictured(each),
		"units of no length": lengthless,
		"empty frames":       pictured(func(m rtmp.Message, t tag) []rtmp.Message { return []rtmp.Message{bodied(m, t, nil), m} }),
		"zeros behind": pictured(func(m rtmp.Message, t tag) []rtmp.Message {
			return []rtmp.Message{bodied(m, t, append(slices.Clone(t.Body), 0, 0))}
		}),
		"filler alone":                 inFront("\x0c\xff\xff\xff\x80"),
		"start codes":                  annexB,
		"start codes and no header":    then(banded(), annexB),
		"no header":                    banded(),
		"no header, and a unit a tag":  then(banded(), pictured(each)),
		"all flagged as key frames":    flagged(true),
		"none flagged as a key frame":  flagged(false),
		"profile of zeros":             func(m rtmp.Message, t tag) []rtmp.Message { return zeroed(m, t) },
		"ADTS":                         sounded(func(t tag) [][]byte { return [][]byte{adts(t.Body)} }),
		"ADTS and no header":           then(without(rtmp.TypeAudio), sounded(func(t tag) [][]byte { return [][]byte{adts(t.Body)} })),
		"the configuration as a frame": sounded(func(t tag) [][]byte { return [][]byte{{0x12, 0x10}, {0x12, 0x10, 0x56, 0xe5, 0x00}, t.Body} }),
		"empty sound":                  sounded(func(t tag) [][]byte { return [][]byte{nil, t.Body, {0x21}} }),
	}
}

func nalOf(unit string) []byte { return flv.AVC.AppendUnit(nil, []byte(unit)) }

func zeroed(m rtmp.Message, t tag) []rtmp.Message {
	if t.picture() && t.Kind == flv.SequenceStart {
		b := slices.Clone(t.Body)
		clear(b[1:4])
		m = bodied(m, t, b)
	}
	return []rtmp.Message{m}
}

// needPatience skips a test that starts ffprobe again and again.
func needPatience(t *testing.T) {
	t.Helper()
	if os.Getenv("FOYER_TEST_PROGRAMS") == "" && os.Getenv("CI") == "" {
		t.Skip("starts ffprobe a hundred times: set FOYER_TEST_PROGRAMS=1")
	}
}

// TestMendProbed has ffprobe decode what is made of odd encoders: all pictures and
// all sound are there, as fMP4, over HTTP-FLV, over HLS, and from a recording.
func TestMendProbed(t *testing.T) {
	needPatience(t)
	messages := ffmpegFLV(t, join(picture, tone, x264, []string{"-x264-params", "slices=4:aud=1"}, aac)...)
	for name, b := range bends() {
		t.Run(name, func(t *testing.T) {
			list := bent(messages, b)
			checkProbed(t, probe(t, file(t, remux(t, list))), "h264", "aac", 90)
			checkCounts(t, "HTTP-FLV", probeFLV(t, list), 90, 129)
			film := t.TempDir()
			writeIndexed(t, film, flvOf(list...))
			whole, err := os.ReadFile(filepath.Join(film, "x.mp4"))
			if err != nil {
				t.Fatal(err)
			}
			checkCounts(t, "film", probe(t, whole), 90, 129)
			checkCounts(t, "HLS", probe(t, hlsOf(t, bent(list, only(rtmp.TypeVideo)))), 30, 0)
			checkCounts(t, "HLS", probe(t, hlsOf(t, bent(list, only(rtmp.TypeAudio)))), 0, 43)
		})
	}
}

func checkCounts(t *testing.T, what string, p probed, pictures, sounds int) {
	t.Helper()
	counts := map[string]int{}
	for _, f := range p.Frames {
		counts[f.Kind]++
	}
	if n := counts["video"]; n < pictures || n > 90 {
		t.Errorf("%s: %d pictures decoded, want %d", what, n, pictures)
	}
	if n := counts["audio"]; n < sounds {
		t.Errorf("%s: %d sounds decoded, want %d", what, n, sounds)
	}
}

// probeFLV has ffprobe decode an FLV of messages.
func probeFLV(t *testing.T, list []rtmp.Message) probed {
	t.Helper()
	name := filepath.Join(t.TempDir(), "x.flv")
	if err := os.WriteFile(name, flvOf(list...), 0o600); err != nil {
		t.Fatal(err)
	}
	return probeFile(t, name)
}

// TestMendEnhancedProbed is the same for HEVC and AV1.
func TestMendEnhancedProbed(t *testing.T) {
	needPatience(t)
	odd := map[string]map[string]bend{
		"hvc1": {
			"SEI alone": inFront("\x4e\x01\x05\x14uuuuuuuuuuuuuuuutext\x80"), "AUD alone": inFront("\x46\x01\x50"), "a unit a tag": pictured(each),
			"start codes": annexB, "start codes and no header": then(banded(), annexB), "no header, and a unit a tag": then(banded(), pictured(each)),
			"units of no length": bends()["units of no length"], "none flagged as a key frame": flagged(false),
			"by its old number": func(m rtmp.Message, t tag) []rtmp.Message {
				t.Enhanced = false
				return []rtmp.Message{bodied(m, t, t.Body)}
			},
		},
		"av01": {
			"a unit a tag": pictured(each), "delimiters alone": inFront("\x12\x00"), "no header": banded(), "an empty unit": inFront("\x7a\x00"),
			"metadata alone": inFront("\x2a\x06\x01\x00\x64\x00\x32\x80"), "none flagged as a key frame": flagged(false), "empty frames": bends()["empty frames"],
			"delimiters": pictured(func(m rtmp.Message, t tag) []rtmp.Message {
				return []rtmp.Message{bodied(m, t, append([]byte("\x12\x00"), t.Body...))}
			}),
		},
	}
	for _, c := range []struct {
		codec, configuration, name string
		args                       []string
	}{
		{"hvc1", "hvcC", "hevc", join(picture, []string{"-c:v", "libx265", "-tag:v", "hvc1", "-pix_fmt", "yuv420p", "-x265-params", "log-level=none:keyint=30:slices=4", "-preset", "ultrafast"})},
		{"av01", "av1C", "av1", join(picture, []string{"-c:v", "libaom-av1", "-g", "30", "-usage", "realtime", "-cpu-used", "8", "-tile-columns", "1"})},
	} {
		messages := enhanced(t, c.codec, c.configuration, c.args...)
		for name, b := range odd[c.codec] {
			t.Run(c.codec+" "+name, func(t *testing.T) {
				list := bent(messages, b)
				checkProbed(t, probe(t, file(t, remux(t, list))), c.name, "", 90)
				film := t.TempDir()
				if writeIndexed(t, film, flvOf(list...)) != 90 {
					t.Error("the film has not all pictures")
				}
				checkCounts(t, "HLS", probe(t, hlsOf(t, list)), 30, 0)
			})
		}
	}
}

// TestMendDecodedAlike: ffmpeg decodes to the same pictures what came in one tag
// each and what came in many.
func TestMendDecodedAlike(t *testing.T) {
	needPatience(t)
	messages := ffmpegFLV(t, join(picture, tone, x264, []string{"-x264-params", "slices=4:aud=1"}, aac)...)
	sum := func(list []rtmp.Message) string {
		t.Helper()
		name := filepath.Join(t.TempDir(), "x.mp4")
		if err := os.WriteFile(name, file(t, remux(t, list)), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-i", name, "-map", "0:v", "-f", "md5", "-").CombinedOutput()
		if err != nil || !strings.HasPrefix(string(out), "MD5=") {
			t.Fatalf("%v: %s", err, out)
		}
		return string(out)
	}
	want := sum(messages)
	for _, name := range []string{"SEI alone", "a unit a tag", "start codes and no header", "units of no length"} {
		if got := sum(bent(messages, bends()[name])); got != want {
			t.Errorf("%s: the pictures are others", name)
		}
	}
}
