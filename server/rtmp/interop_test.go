package rtmp_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"foyer/server/rtmp"
)

// program returns a command of a real program. The test is skipped if the
// program is missing, and fails in CI.
func program(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	if testing.Short() {
		t.Skip("starts programs: not in -short")
	}
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("CI without %s", name)
		}
		t.Skipf("%s is not installed", name)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.WaitDelay = time.Second
	return cmd
}

// run runs cmd and returns its output.
func run(t *testing.T, cmd *exec.Cmd) (string, error) {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Logf("%v: %v\n%s", cmd.Args, err, out)
	}
	return string(out), err
}

func testPicture(url string, args ...string) []string {
	in := []string{"-hide_banner", "-loglevel", "warning", "-re", "-f", "lavfi", "-i", "testsrc=size=64x48:rate=10:duration=1",
		"-f", "lavfi", "-i", "sine=duration=1", "-c:v", "libx264", "-preset", "ultrafast", "-g", "5", "-c:a", "aac", "-b:a", "32k"}
	return append(append(in, args...), "-f", "flv", url)
}

func TestFFmpegPublishes(t *testing.T) {
	t.Parallel()
	st := newStation(t)
	addr, ended := st.listen(nil)
	if _, err := run(t, program(t, "ffmpeg", testPicture("rtmp://"+addr+"/live/key")...)); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != rtmp.ErrClosed {
		t.Errorf("session ended with %v", err)
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.got[rtmp.TypeVideo] < 10 || st.got[rtmp.TypeAudio] < 30 || st.got[rtmp.TypeDataAMF0] == 0 {
		t.Errorf("got %v", st.got)
	}
	if len(st.calls) > 0 {
		t.Errorf("commands that reached the handler: %v", st.calls)
	}
}

func TestFFmpegIsRejected(t *testing.T) {
	t.Parallel()
	st := newStation(t)
	addr, _ := st.listen(nil)
	out, err := run(t, program(t, "ffmpeg", testPicture("rtmp://"+addr+"/closed/key")...))
	if err == nil || !strings.Contains(out, "Not today.") {
		t.Errorf("ffmpeg: %v, said %q", err, out)
	}
}

// publish publishes a picture of two seconds to addr with ffmpeg in the
// background, again and again until the test ends: a player may be slow to start.
func publish(t *testing.T, addr string) {
	t.Helper()
	args := testPicture("rtmp://" + addr + "/live/key")
	for i, a := range args {
		args[i] = strings.ReplaceAll(a, "duration=1", "duration=2")
	}
	cmd := program(t, "ffmpeg", args...)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for t.Context().Err() == nil {
			run(t, cmd)
			cmd = exec.CommandContext(t.Context(), cmd.Path, args...)
		}
	}()
	t.Cleanup(func() { <-done })
}

func TestPlayers(t *testing.T) {
	for _, test := range []struct {
		name string
		args func(addr, file string) []string
	}{
		{"ffmpeg", func(addr, file string) []string {
			return []string{"-hide_banner", "-loglevel", "warning", "-i", "rtmp://" + addr + "/live/key", "-t", "0.5", "-c", "copy", "-f", "flv", file}
		}},
		{"rtmpdump", func(addr, file string) []string {
			return []string{"--live", "-r", "rtmp://" + addr + "/live/key", "-B", "0.5", "-o", file}
		}},
		{"gst-launch-1.0", func(addr, file string) []string {
			return []string{"-q", "rtmp2src", "location=rtmp://" + addr + "/live/key", "num-buffers=20", "!", "filesink", "location=" + file}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			st := newStation(t)
			addr, _ := st.listen(nil)
			file := filepath.Join(t.TempDir(), "out.flv")
			player := program(t, test.name, test.args(addr, file)...)
			publish(t, addr)
			_, err := run(t, player)
			if _, ok := errors.AsType[*exec.ExitError](err); ok && test.name != "rtmpdump" { // -B says "incomplete"
				t.Error(err)
			}
			if fi, err := os.Stat(file); err != nil || fi.Size() < 2000 {
				t.Errorf("recorded: %v, %v", fi, err)
			}
		})
	}
}

func TestGStreamerPublishes(t *testing.T) {
	t.Parallel()
	st := newStation(t)
	addr, ended := st.listen(nil)
	cmd := program(t, "gst-launch-1.0", "-q", "audiotestsrc", "num-buffers=20", "!", "audio/x-raw,format=S16LE,rate=11025,channels=1", "!",
		"flvmux", "streamable=true", "!", "rtmp2sink", "location=rtmp://"+addr+"/live/key")
	if _, err := run(t, cmd); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != rtmp.ErrClosed {
		t.Errorf("session ended with %v", err)
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.got[rtmp.TypeAudio] < 20 {
		t.Errorf("got %v", st.got)
	}
}
