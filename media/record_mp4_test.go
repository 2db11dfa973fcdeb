package media

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
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
	if err := RemuxFLV(new(bytes.Buffer), strings.NewReader("no")); !errors.Is(err, ErrNotFLV) {
		t.Error(err)
	}
}
