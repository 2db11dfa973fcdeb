package media

import (
	"bytes"
	"errors"
	"io"
	"math"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/Eyevinn/mp4ff/mp4"

	"foyer/server/flv"
	"foyer/server/rtmp"
)

// A recording as a browser gets it, also one that was cut off.
func TestRemuxFLV(t *testing.T) {
	if testing.Short() {
		t.Skip("starts programs: not in -short")
	}
	tool(t, "ffmpeg")
	tool(t, "ffprobe")
	dir := t.TempDir()
	out, err := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=size=64x48:rate=25:duration=4",
		"-f", "lavfi", "-i", "sine=duration=4", "-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-c:a", "aac", dir+"/x.flv").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	b, err := os.ReadFile(dir + "/x.flv")
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range [][]byte{b, b[:len(b)*3/4]} {
		var mp4 bytes.Buffer
		if err := RemuxFLV(&mp4, bytes.NewReader(b)); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir+"/x.mp4", mp4.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-count_frames", "-show_entries", "stream=codec_name,nb_read_frames", "-of", "csv=p=0", dir+"/x.mp4").CombinedOutput()
		got := strings.Fields(string(out))
		if err != nil || len(got) != 2 || !strings.HasPrefix(got[0], "h264,") || !strings.HasPrefix(got[1], "aac,") {
			t.Errorf("ffprobe: %v, %s", err, out)
		}
		t.Log(got)
	}
	if err := RemuxFLV(new(bytes.Buffer), strings.NewReader("no")); !errors.Is(err, flv.ErrNotFLV) {
		t.Error(err)
	}
}

// An index makes a file of which every frame can be decoded, from anywhere.
func TestIndexFLV(t *testing.T) {
	if testing.Short() {
		t.Skip("starts programs: not in -short")
	}
	tool(t, "ffmpeg")
	tool(t, "ffprobe")
	dir := t.TempDir()
	for _, tt := range []struct {
		name, video, want string
		args              []string
	}{
		{"plain", "h264", "100", []string{"-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-tune", "zerolatency"}},
		{"B-frames", "h264", "100", []string{"-c:v", "libx264", "-preset", "veryfast", "-g", "50", "-bf", "3"}},
		{"sound comes late", "h264", "100", []string{"-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-af", "adelay=1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			args := []string{"-y", "-v", "error", "-f", "lavfi", "-i", "testsrc=size=64x48:rate=25:duration=4", "-f", "lavfi"}
			if tt.name == "sound comes late" {
				args = append(args, "-itsoffset", "1")
			}
			args = append(append(args, "-i", "sine=duration=3"), tt.args...)
			if out, err := exec.CommandContext(t.Context(), "ffmpeg", append(args, "-c:a", "aac", dir+"/x.flv")...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			b, err := os.ReadFile(dir + "/x.flv")
			if err != nil {
				t.Fatal(err)
			}
			whole := writeIndexed(t, dir, b)
			probe := func(args ...string) string {
				t.Helper()
				out, err := exec.CommandContext(t.Context(), "ffprobe", append(append([]string{"-v", "error"}, args...), "-of", "csv=p=0", dir+"/x.mp4")...).CombinedOutput()
				if err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				return strings.TrimSpace(string(out))
			}
			if got := probe("-select_streams", "v", "-count_frames", "-show_entries", "stream=codec_name,nb_read_frames"); got != tt.video+","+tt.want {
				t.Errorf("video: %s", got)
			}
			length, err := strconv.ParseFloat(probe("-show_entries", "format=duration"), 64)
			if err != nil || length < 3.9 || length > 4.3 {
				t.Errorf("lasts %v, %v", length, err)
			}
			// Times are those of the FLV.
			want, err := exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-select_streams", "a", "-show_entries", "packet=pts_time", "-of", "csv=p=0", dir+"/x.flv").Output()
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Fields(probe("-select_streams", "a", "-show_entries", "packet=pts_time"))
			for i, w := range strings.Fields(string(want)) {
				a, _ := strconv.ParseFloat(strings.Trim(w, ","), 64)
				b, _ := strconv.ParseFloat(strings.Trim(got[i], ","), 64)
				if math.Abs(a-b) > 0.05 {
					t.Fatalf("sound %d is at %v, want %v", i, b, a)
				}
			}
			if out, err := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-xerror", "-ss", "2.5", "-i", dir+"/x.mp4", "-f", "null", "-").CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("from the middle: %v: %s", err, out)
			}
			// One that was cut off is shown up to there.
			if cut := writeIndexed(t, dir, b[:len(b)*3/4]); cut >= whole {
				t.Errorf("%d frames of a part, %d of all", cut, whole)
			}
			probe("-count_frames", "-show_entries", "stream=nb_read_frames")
		})
	}
}

// writeIndexed writes x.mp4 and returns how many frames are in it.
func writeIndexed(t *testing.T, dir string, flv []byte) int {
	t.Helper()
	m, err := IndexFLV(bytes.NewReader(flv), int64(len(flv)))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(m.Reader(bytes.NewReader(flv)))
	if err != nil || len(b) != m.Size()+len(flv) {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	if err := os.WriteFile(dir+"/x.mp4", b, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := mp4.DecodeFile(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	frames := 0
	for _, trak := range f.Moov.Traks {
		frames += int(trak.Mdia.Minf.Stbl.Stsz.SampleNumber)
	}
	return frames
}

// flvOf is a recording of messages.
func flvOf(list ...rtmp.Message) []byte {
	flv := FLV{File: true}
	var b []byte
	for _, m := range list {
		b = flv.Append(b, m)
	}
	b = flv.End(b)
	return b
}

func TestIndexFLVFinds(t *testing.T) {
	both := []rtmp.Message{meta(metaBoth), video(0, avcHeader), audio(0, aacHeader)}
	good := slices.Concat(both, mixed(0), mixed(1000))
	nalu := avcKey[5:]
	tracks := func(kind, body string) rtmp.Message {
		return video(0, "\x96"+kind+"avc1\x01\x00\x00\x01x\x00\x00\x00"+string(rune(len(body)))+body)
	}
	for _, tt := range []struct {
		name   string
		in     []byte
		frames int
		err    error
	}{
		{"all", flvOf(good...), 2*30 + 2*43, nil},
		{"only sound", flvOf(append([]rtmp.Message{audio(0, aacHeader)}, sounds(0)...)...), 43, nil},
		{"tracks of which one is ours", flvOf(tracks("\x10", avcHeader[5:]), tracks("\x13", nalu), tracks("\x13", strings.Repeat(nalu, 11))), 2, nil},
		{"frames that lie", flvOf(slices.Concat(both, pictures(0), []rtmp.Message{video(1000, avcKey[:7]+"\xff\xff garbage")}, pictures(1040))...), 60, nil},
		{"SEI in a tag of its own, as older versions wrote it", append(flvOf(good...), flv.AppendTag(nil, flv.Video, 2000, []byte(legacy(false, nal(unitSEI))))...), 2*30 + 2*43, nil},
		{"nothing is whole before a key frame", flvOf(append(both, video(0, avcInter), video(40, avcKey))...), 1, nil},
		{"another codec ends it", flvOf(slices.Concat(both, mixed(0), []rtmp.Message{video(1000, avcOther)}, mixed(1000))...), 30 + 43, nil},
		{"a cut tag", flvOf(good...)[:len(flvOf(good...))-8], 2*30 + 2*43 - 1, nil},
		{"garbage behind", append(flvOf(good...), strings.Repeat("\xff", 50)...), 2*30 + 2*43, nil},
		{"no frames", flvOf(both...), 0, flv.ErrNotFLV},
		{"no codec", flvOf(video(0, "\x12xxxx")), 0, ErrNoFrames},
		{"not FLV", []byte("hello"), 0, flv.ErrNotFLV},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.err != nil {
				if _, err := IndexFLV(bytes.NewReader(tt.in), int64(len(tt.in))); !errors.Is(err, tt.err) {
					t.Errorf("got %v, want %v", err, tt.err)
				}
				return
			}
			if n := writeIndexed(t, t.TempDir(), tt.in); n != tt.frames {
				t.Errorf("%d frames, want %d", n, tt.frames)
			}
		})
	}
}

// TestIndexFLVReads: of a long recording little is read, and the list is small.
func TestIndexFLVReads(t *testing.T) {
	flv := FLV{File: true}
	list := []rtmp.Message{meta(metaBoth), video(0, avcHeader), audio(0, aacHeader)}
	const hour = 3600
	fill := strings.Repeat("x", 40<<10)
	nalu := func(head string) string { return head[:5] + "\x00\x00\xa0\x02" + head[9:11] + fill }
	key, inter := nalu(avcKey), nalu(avcInter)
	for i := range uint32(2 * 30) {
		list = append(list, video(i*33, map[bool]string{true: key, false: inter}[i%30 == 0]), audio(i*33, aacFrame))
	}
	var b []byte
	for _, m := range list {
		b = flv.Append(b, m)
	}
	b = flv.End(b)
	from := &counted{ReaderAt: bytes.NewReader(b)}
	m, err := IndexFLV(from, int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	if from.bytes > len(b)/3 {
		t.Errorf("%d of %d bytes were read", from.bytes, len(b))
	}
	if per := m.Size() / 120; per > 40 {
		t.Errorf("%d bytes for a frame: %d for an hour", per, m.Size()/2*hour)
	}
}

// TestIndexFLVEnds: the list of a recording is bounded, and what it has is whole.
func TestIndexFLVEnds(t *testing.T) {
	b := flvOf(slices.Concat([]rtmp.Message{meta(metaBoth), video(0, avcHeader), audio(0, aacHeader)}, mixed(0), mixed(1000))...)
	m, err := indexFLV(bytes.NewReader(b), int64(len(b)), 50)
	if err != nil {
		t.Fatal(err)
	}
	file, err := mp4.DecodeFile(m.Reader(bytes.NewReader(b)))
	if err != nil {
		t.Fatal(err)
	}
	frames := 0
	for _, trak := range file.Moov.Traks {
		frames += len(trak.Mdia.Minf.Stbl.Co64.ChunkOffset)
	}
	if frames != 50 {
		t.Errorf("%d frames, want 50", frames)
	}
}

type counted struct {
	io.ReaderAt
	bytes int
}

func (c *counted) ReadAt(p []byte, at int64) (int, error) {
	c.bytes += len(p)
	return c.ReaderAt.ReadAt(p, at)
}

// FuzzIndexFLV: whatever is in a file, what comes out can be read as MP4, and
// every frame is inside the file.
func FuzzIndexFLV(f *testing.F) {
	both := []rtmp.Message{meta(metaBoth), video(0, avcHeader), audio(0, aacHeader)}
	f.Add(flvOf(append(both, mixed(0)...)...))
	f.Add(flvOf(video(0, "\x90vp09\x00\x0a\x82\x02\x02\x02\x00\x00"), video(0, "\x91vp09\x82\x49\x83\x42\x00\x13\xf0\x0b\x3c")))
	f.Add(flvOf(audio(0, "\x90OpusHead\x01\x02\x38\x01\x80\xbb\x00\x00\x00\x00\x00"), audio(0, "\x91Opus\xfc\x00")))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := IndexFLV(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		all, err := io.ReadAll(m.Reader(bytes.NewReader(b)))
		if err != nil {
			t.Fatal(err)
		}
		file, err := mp4.DecodeFile(bytes.NewReader(all))
		if err != nil {
			t.Skip(err) // the library reads configurations more strictly than browsers
		}
		for _, trak := range file.Moov.Traks {
			stbl := trak.Mdia.Minf.Stbl
			for i, at := range stbl.Co64.ChunkOffset {
				if at+uint64(stbl.Stsz.SampleSize[i]) > uint64(len(all)) || at < uint64(m.Size()) {
					t.Fatalf("frame %d at %d", i, at)
				}
			}
		}
	})
}
