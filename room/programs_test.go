package room_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"foyer/lobby"
	"foyer/room"
	"foyer/server/amf"
)

// process is a real program while it runs.
type process struct {
	*exec.Cmd
	said  bytes.Buffer  // on stderr; to be read when it has ended
	out   chan []byte   // what it writes to stdout
	ended chan struct{} // closed when it has ended
}

// program starts a program, and kills it at the end of the test. If it is not installed,
// the test is skipped, except in CI.
func program(t *testing.T, name string, args ...string) *process {
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
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	p := &process{Cmd: exec.CommandContext(ctx, path, args...), out: make(chan []byte), ended: make(chan struct{})}
	p.Stdout, p.Stderr, p.WaitDelay = writer{ctx, p.out}, &p.said, time.Second
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.Wait(); close(p.ended) }()
	t.Cleanup(func() { cancel(); <-p.ended })
	return p
}

// writer passes on everything written to it, until ctx ends.
type writer struct {
	ctx context.Context
	out chan []byte
}

func (w writer) Write(b []byte) (int, error) {
	select {
	case w.out <- bytes.Clone(b):
		return len(b), nil
	case <-w.ctx.Done():
		return 0, w.ctx.Err()
	}
}

// end waits for the end of the program, and returns its error.
func (p *process) end(t *testing.T) *os.ProcessState {
	t.Helper()
	for {
		select {
		case <-p.out:
		case <-p.ended:
			return p.ProcessState
		case <-time.After(time.Minute):
			t.Fatalf("%s does not end", p.Path)
		}
	}
}

// writes waits for some more bytes on stdout.
func (p *process) writes(t *testing.T, what string, bytes int) {
	t.Helper()
	until(t, what, p.out, func(b []byte) bool { bytes -= len(b); return bytes < 0 })
}

// says waits for the end of the program, and returns what it wrote to stdout.
func (p *process) says() string {
	var all bytes.Buffer
	for {
		select {
		case b := <-p.out:
			all.Write(b)
		case <-p.ended:
			return all.String()
		}
	}
}

// ffmpegTo is a broadcast of a test picture and a tone.
func ffmpegTo(url string, more ...string) []string {
	args := []string{"-v", "error", "-re", "-f", "lavfi", "-i", "testsrc=size=160x120:rate=25", "-f", "lavfi", "-i", "sine",
		"-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "25", "-c:a", "aac"}
	return append(append(args, more...), "-f", "flv", url)
}

// TestWrongKeyInPrograms: people can read the reason.
func TestWrongKeyInPrograms(t *testing.T) {
	t.Parallel()
	for name, args := range map[string]func(url string) []string{
		"ffmpeg": func(url string) []string { return ffmpegTo(url, "-t", "5") },
		"gst-launch-1.0": func(url string) []string {
			return []string{"-q", "audiotestsrc", "is-live=true", "num-buffers=200", "!", "audio/x-raw,format=S16LE,rate=11025,channels=1", "!",
				"flvmux", "streamable=true", "!", "rtmp2sink", "location=" + url}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := strings.Replace(evening(t), "/chapter4/", "/room/blue/", 1)
			p := program(t, name, args(address+"live?key=wrong")...)
			how := p.end(t)
			if said := p.said.String(); !strings.Contains(said, "Wrong stream key for room blue.") {
				t.Errorf("it said %s", said)
			}
			if name == "ffmpeg" && how.ExitCode() != 1 {
				t.Errorf("it ended with %v", how)
			}
		})
	}
}

// TestGStreamerPublishes: the room says of a stream what GStreamer sends.
func TestGStreamerPublishes(t *testing.T) {
	t.Parallel()
	address := strings.Replace(evening(t), "/chapter4/", "/room/blue/", 1)
	ann, _ := dial(t, strings.TrimSuffix(address, "/"), amf.String("ann"))
	ingest := watch(t, ann, room.ObjectRoom, "ingest")
	program(t, "gst-launch-1.0", "-q", "audiotestsrc", "is-live=true", "!", "audio/x-raw,format=S16LE,rate=11025,channels=1", "!",
		"flvmux", "streamable=true", "!", "rtmp2sink", "location="+address+"live?key="+key+"-blue")
	until(t, "the sound that browsers do not play", ingest, func(v amf.Value) bool {
		return strings.Contains(brief(v), "advice:[Browsers do not play PCM sound")
	})
}

// TestKilledPublisher: ffmpeg is killed, and started again with the same key.
// A viewer with ffmpeg stays.
func TestKilledPublisher(t *testing.T) {
	t.Parallel()
	address := strings.Replace(eveningOf(t, graceful()), "/chapter4/", "/room/blue/", 1)
	uri := strings.TrimSuffix(address, "/")
	ann, calls := dial(t, uri, amf.String("ann"))
	bob, _ := dial(t, uri)
	streams, away := watch(t, ann, room.ObjectRoom, "streams"), watch(t, bob, room.ObjectRoom, "away")
	url := address + "live?key=" + key + "-blue"
	first := program(t, "ffmpeg", ffmpegTo(url)...)
	until(t, "the stream", streams, func(v amf.Value) bool { return brief(v) == "[live]" })
	viewer := program(t, "ffmpeg", "-v", "error", "-analyzeduration", "500000", "-i", address+"live", "-c", "copy", "-flush_packets", "1", "-f", "flv", "pipe:1")
	viewer.writes(t, "the picture", 10000)
	first.Process.Kill()
	until(t, "the wait", away, func(v amf.Value) bool { return strings.HasPrefix(brief(v), "{live:") })
	until(t, "the notice", calls, func(s string) bool { return strings.Contains(s, "The connection of live broke.") })
	second := program(t, "ffmpeg", ffmpegTo(url, "-t", "2")...)
	until(t, "the publisher", calls, func(s string) bool { return s == "notice({text:live is back.})" })
	viewer.writes(t, "the picture that continues", 30000)
	if how := second.end(t); how.ExitCode() != 0 {
		t.Errorf("ffmpeg: %v, %s", how, second.said.String())
	}
	viewer.end(t) // ffmpeg takes UnpublishNotify for the end; this one said that it stops
	until(t, "the end", streams, func(v amf.Value) bool { return brief(v) == "[]" })
}

// TestTwoTracks: a player with ffmpeg sees picture and sound and nothing else,
// whether it was there before the broadcast, or came in the middle of one that
// followed another.
func TestTwoTracks(t *testing.T) {
	t.Parallel()
	address := strings.Replace(evening(t), "/chapter4/", "/room/blue/", 1)
	uri := strings.TrimSuffix(address, "/")
	bob, _ := dial(t, uri)
	streams := watch(t, bob, room.ObjectRoom, "streams")
	url := address + "live?key=" + key + "-blue"
	probe := func() *process {
		return program(t, "ffprobe", "-v", "error", "-show_entries", "stream=codec_type,codec_name", "-of", "csv=p=0", address+"live")
	}
	sees := func(p *process) {
		t.Helper()
		if got := p.says(); got != "h264,video\naac,audio\n" && got != "aac,audio\nh264,video\n" {
			t.Errorf("ffprobe sees %s %s", got, p.said.String())
		}
	}
	early := probe()
	program(t, "ffmpeg", ffmpegTo(url, "-t", "4")...)
	sees(early)
	until(t, "the broadcast", streams, func(v amf.Value) bool { return brief(v) == "[live]" })
	until(t, "the end", streams, func(v amf.Value) bool { return brief(v) == "[]" })
	program(t, "ffmpeg", ffmpegTo(url)...)
	ann, _ := dial(t, uri, amf.String("ann"))
	ingest := watch(t, ann, room.ObjectRoom, "ingest")
	until(t, "its middle", ingest, func(v amf.Value) bool { return strings.Contains(brief(v), "live") })
	sees(probe())
}

// TestTypedAddresses: ffmpeg publishes as people fill in the fields of OBS.
func TestTypedAddresses(t *testing.T) {
	t.Parallel()
	host := strings.TrimSuffix(evening(t), "/chapter4/")
	for _, fields := range [][2]string{
		{"room/blue/live?key=" + key + "-blue", "live"},
		{"room/blue/", "flv:live/?key=" + key + "-blue "},
		{"room/blue?key=" + key + "-blue", "live"},
	} {
		p := program(t, "ffmpeg", ffmpegTo(host+"/x/y", "-t", "0.5", "-rtmp_app", fields[0], "-rtmp_playpath", fields[1])...)
		if how := p.end(t); how.ExitCode() != 0 {
			t.Errorf("%q: %v, %s", fields, how, p.said.String())
		}
	}
}

// TestTimecodeTrack: ffmpeg sends a track of timecodes as data, and holds everything
// back for it. A player with ffmpeg gets all pictures and all sound, and no track of
// data.
func TestTimecodeTrack(t *testing.T) {
	t.Parallel()
	site := evening(t)
	address := strings.Replace(site, "/chapter4/", "/room/blue/", 1)
	film := filepath.Join(t.TempDir(), "film.mov")
	made := program(t, "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=size=64x48:rate=25", "-f", "lavfi", "-i", "sine", "-t", "5",
		"-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "25", "-c:a", "aac", "-timecode", "01:00:00:00", film)
	if how := made.end(t); how.ExitCode() != 0 {
		t.Fatalf("ffmpeg: %s", made.said.String())
	}
	visitor, _ := dial(t, site+"lobby")
	rooms := watch(t, visitor, lobby.ObjectRooms, "blue")
	count := []string{"-v", "error", "-count_packets", "-show_entries", "stream=codec_name,nb_read_packets", "-of", "csv=p=0"}
	player := program(t, "ffprobe", append(count, address+"live")...)
	until(t, "the player", rooms, func(v amf.Value) bool {
		e, err := lobby.ParseEntry(v)
		return err == nil && e.Viewers == 1
	})
	program(t, "ffmpeg", "-v", "error", "-re", "-i", film, "-map", "0", "-c", "copy", "-f", "flv", address+"live?key="+key+"-blue")
	got := player.says()
	if !strings.HasPrefix(got, "h264,125\naac,21") || strings.Count(got, "\n") != 2 {
		t.Errorf("ffprobe counts %s %s", got, player.said.String())
	}
}
