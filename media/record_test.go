package media

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"foyer/server/flv"
	"foyer/server/relay"
)

func testLog(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func open(t *testing.T, cfg RecorderConfig) *Recorder {
	t.Helper()
	cfg.Log = testLog(t)
	r, err := OpenRecorder(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// one is the only recording there is.
func one(t *testing.T, r *Recorder) Recording {
	t.Helper()
	all, err := r.List("")
	if err != nil || len(all) != 1 {
		t.Fatalf("recordings: %v, %v, want one", all, err)
	}
	return all[0]
}

func send(s *relay.Stream, at uint32, bodies ...string) {
	for _, body := range bodies {
		s.WriteMessage(message(at, body))
	}
}

func content(t *testing.T, r *Recorder, k Recording) []byte {
	t.Helper()
	f, _, err := r.Open(k.Room, k.Name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A broadcast continues in the same file when its stream was lost and is back within
// the grace, on another relay.Stream too. When its publisher has said that it ends, the
// file is finished at once and the next broadcast has another.
func TestRecording(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r := open(t, RecorderConfig{Dir: dir, Rooms: []string{"blue"}})
		s := relay.New("live")
		r.OnStream("room/blue", "live", s)
		r.OnStream("room/red", "live", relay.New("live")) // not to be recorded
		r.OnStream("lobby/_definst_", "live", relay.New("live"))
		r.OnStream("room/blue", "../x", relay.New("../x"))
		s.Publish()
		send(s, 5000, tagMeta, tagAVC, tagAAC)
		synctest.Wait()
		if all, _ := r.List(""); len(all) > 0 {
			t.Errorf("recorded before there was a picture: %v", all)
		}
		send(s, 5000, tagKey)
		send(s, 5040, tagInter, tagSound)
		began := time.Now()
		time.Sleep(2 * recordSync)
		synctest.Wait()
		k := one(t, r)
		if !k.Live || k.Room != "blue" || k.Stream != "live" || k.Name != "live-2000-01-01T00-00-00Z.flv" ||
			k.Duration != 40*time.Millisecond || k.Bytes == 0 || !k.At.Equal(began) {
			t.Errorf("live: %+v", k)
		}

		s.Lose()
		time.Sleep(DefaultGrace - 3*time.Second)
		again := relay.New("live")
		r.OnStream("room/blue", "live", again)
		again.Publish()
		send(again, 0, tagAVC, tagAAC, tagKey)
		send(again, 40, tagInter)
		again.Lose()
		time.Sleep(time.Second)
		r.OnStream("room/blue", "live", again)
		again.Publish()
		send(again, 77, tagKey)
		again.Unpublish()
		synctest.Wait()
		k = one(t, r)
		const want = "data@0 avc1@0 mp4a@0 key@0 video@40 audio@40 avc1@41 mp4a@41 key@41 video@81 key@82"
		if got := tags(t, content(t, r, k)); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if k.Live || k.Duration != 82*time.Millisecond {
			t.Errorf("finished: %+v", k)
		}
		if again.Players() != 0 || s.Players() != 0 {
			t.Error("the recorder has not left the stream")
		}

		// Then it is another broadcast, whether the recorder has noticed the end or not,
		// and a broadcast that was lost for longer than the grace is over.
		for _, noticed := range []bool{true, false, false} {
			r.OnStream("room/blue", "live", again)
			again.Publish()
			send(again, 0, tagKey)
			again.Unpublish()
			if noticed {
				synctest.Wait()
			}
		}
		r.OnStream("room/blue", "live", again)
		again.Publish()
		send(again, 0, tagKey)
		again.Lose()
		time.Sleep(DefaultGrace + time.Second)
		synctest.Wait()
		all, _ := r.List("blue")
		if len(all) != 5 {
			t.Errorf("%v", all)
		}
		for _, k := range all[1:] {
			if got := tags(t, content(t, r, k)); got != "data@0 key@0" || k.Live {
				t.Errorf("%+v: %s", k, got)
			}
		}
		r.Close()
		r.OnStream("room/blue", "late", relay.New("late"))
	})
}

// Two streams of one name cannot be there at once, but two broadcasts can begin
// within one second.
func TestRecordingNames(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		for range 3 {
			r := open(t, RecorderConfig{Dir: dir, Rooms: []string{RecordAll}})
			s := relay.New("live")
			r.OnStream("room/blue", "live", s)
			s.Publish()
			send(s, 0, tagKey)
			synctest.Wait()
			r.Close()
		}
		r := open(t, RecorderConfig{Dir: dir})
		all, err := r.List("blue")
		if err != nil || len(all) != 3 || all[1].Name != "live-2000-01-01T00-00-00Z.flv" && all[2].Name == all[1].Name {
			t.Errorf("%+v, %v", all, err)
		}
	})
}

func TestRecordingLimit(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		big := tagKey + strings.Repeat("x", 1000)
		r := open(t, RecorderConfig{Dir: dir, Rooms: []string{RecordAll}, Limit: 5000})
		for i := range 4 { // of about 1,200 bytes each
			s := relay.New("live")
			r.OnStream(fmt.Sprintf("room/r%d", i), "live", s)
			s.Publish()
			send(s, 0, big)
			s.Unpublish()
			time.Sleep(DefaultGrace + 2*time.Second)
		}
		s := relay.New("live")
		r.OnStream("room/r9", "live", s)
		s.Publish()
		send(s, 0, big, big)
		time.Sleep(recordPrune + 2*time.Second)
		all, err := r.List("")
		var rooms []string
		for _, k := range all {
			rooms = append(rooms, k.Room)
		}
		if got := strings.Join(rooms, " "); got != "r2 r3 r9" || err != nil {
			t.Errorf("left are %s, %v", got, err)
		}

		// The one that is written is never removed; it ends when it is alone
		// and too large.
		for range 12 {
			send(s, 0, big)
			time.Sleep(time.Second)
		}
		time.Sleep(recordPrune + 2*time.Second)
		k := one(t, r)
		if k.Room != "r9" || k.Live || k.Bytes < 5000 || s.Players() != 0 {
			t.Errorf("left is %+v", k)
		}
		if got := tags(t, content(t, r, k)); !strings.HasPrefix(got, "data@0 key@0 key@0") {
			t.Errorf("got %s", got)
		}
		r.Close()
		if r = open(t, RecorderConfig{Dir: dir, Limit: 100}); r != nil {
			if all, _ := r.List(""); len(all) > 0 {
				t.Errorf("a lower limit at the start leaves %v", all)
			}
		}
	})
}

// A disk that fails ends the recording and nothing else.
func TestRecordingFails(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r := open(t, RecorderConfig{Dir: dir, Rooms: []string{RecordAll}})
		if err := os.WriteFile(filepath.Join(dir, "blue"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		s := relay.New("live")
		r.OnStream("room/blue", "live", s)
		s.Publish()
		send(s, 0, tagKey)
		time.Sleep(2 * recordSync)
		synctest.Wait()
		if s.Players() != 0 {
			t.Error("still recording")
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestRecordingPaths(t *testing.T) {
	dir := t.TempDir()
	const good = "live-2026-01-02T03-04-05Z.flv"
	for _, path := range []string{"recordings/blue/" + good, "recordings/blue/live-2026-01-02T03-04-05Z-2.flv", "recordings/blue/notes.txt", "secret/" + good, good} {
		os.MkdirAll(filepath.Dir(filepath.Join(dir, path)), 0o755)
		if err := os.WriteFile(filepath.Join(dir, path), flv.AppendFileHeader(nil, 5), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../../secret/"+good, filepath.Join(dir, "recordings/blue/link-2026-01-02T03-04-05Z.flv")); err != nil {
		t.Fatal(err)
	}
	r := open(t, RecorderConfig{Dir: filepath.Join(dir, "recordings")})
	all, err := r.List("blue")
	if err != nil || len(all) != 2 {
		t.Errorf("%+v, %v", all, err)
	}
	for _, room := range []string{"..", ".", "", "red"} {
		if all, err := r.List(room); room != "" && (len(all) > 0 || err != nil) {
			t.Errorf("room %q: %v, %v", room, all, err)
		}
	}
	for _, tt := range [][2]string{
		{"..", good}, {".", good}, {"", good}, {"../secret", good}, {"blue", "../../secret/" + good}, {"blue", "notes.txt"},
		{"blue", "link-2026-01-02T03-04-05Z.flv"}, {"blue", "live-2026-13-02T03-04-05Z.flv"}, {"blue/../../secret", good}, {"blue", ""},
	} {
		if f, _, err := r.Open(tt[0], tt[1]); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: %v, %v", tt, f, err)
		}
	}
	f, k, err := r.Open("blue", good)
	if err != nil || k.Bytes != 13 {
		t.Fatal(k, err)
	}
	f.Close()
}

// TestRecordingsWithoutCase: a room has one folder, in lower case; those of
// older versions are found as well.
func TestRecordingsWithoutCase(t *testing.T) {
	dir := t.TempDir()
	for _, file := range []string{"MyRoom/live-2026-01-02T03-04-05Z.flv", "myROOM/live-2026-01-02T03-04-06Z.flv", "myroom/live-2026-01-02T03-04-07Z.flv"} {
		os.MkdirAll(filepath.Dir(filepath.Join(dir, file)), 0o755)
		if err := os.WriteFile(filepath.Join(dir, file), flv.AppendFileHeader(nil, 5), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := open(t, RecorderConfig{Dir: dir, Rooms: []string{"MYROOM"}})
	for _, room := range []string{"myroom", "MyRoom", "MYROOM"} {
		all, err := r.List(room)
		if err != nil || len(all) != 3 || all[0].Room != "MyRoom" || all[2].Room != "myroom" {
			t.Errorf("%s: %+v, %v", room, all, err)
		}
		for _, k := range all {
			f, _, err := r.Open(room, k.Name)
			if err != nil {
				t.Errorf("%s of %s: %v", k.Name, room, err)
				continue
			}
			f.Close()
		}
		if !r.Recorded(room) {
			t.Errorf("%s is not recorded", room)
		}
	}
	r.Record("Red", true)
	if !r.Recorded("red") || r.Recorded("blue") {
		t.Error("what was said of Red is not known of red")
	}
}

// TestRecorderProcess is no test: TestRecordingKilled kills it.
func TestRecorderProcess(t *testing.T) {
	dir := os.Getenv("FOYER_TEST_RECORD")
	if dir == "" {
		t.Skip("runs as the process of TestRecordingKilled")
	}
	r := open(t, RecorderConfig{Dir: dir, Rooms: []string{RecordAll}})
	s := relay.New("live")
	r.OnStream("room/blue", "live", s)
	s.Publish()
	send(s, 0, tagMeta, tagAVC, tagAAC)
	for at := uint32(0); ; at += 40 {
		send(s, at, tagKey+strings.Repeat("x", 5000), tagSound)
		all, _ := r.List("")
		for _, k := range all {
			fmt.Println(k.Duration.Milliseconds())
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// Everything written before kill -9 is in the file, which the next start finishes.
// TestRecording shows that it is written at once, however slow this machine is.
func TestRecordingKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a process: not in -short")
	}
	t.Parallel()
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestRecorderProcess$")
	cmd.Env = append(os.Environ(), "FOYER_TEST_RECORD="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var at int
	for at < 4000 { // written, as it tells
		if _, err := fmt.Fscanln(out, &at); err != nil {
			t.Fatal(err)
		}
	}
	cmd.Process.Kill()
	cmd.Wait()
	// As if the machine had failed in the middle of a write.
	paths, _ := filepath.Glob(dir + "/blue/*.flv")
	if len(paths) != 1 {
		t.Fatalf("files: %q", paths)
	}
	b, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, broken := range [][]byte{b, b[:len(b)-3], append(b[:len(b):len(b)], make([]byte, 4096)...)} {
		if err := os.WriteFile(paths[0], broken, 0o600); err != nil {
			t.Fatal(err)
		}
		r := open(t, RecorderConfig{Dir: dir})
		k := one(t, r)
		got := tags(t, content(t, r, k))
		if k.Live || k.Duration < 3900*time.Millisecond || !strings.HasPrefix(got, "data@0 avc1@0 mp4a@0 key@0 audio@0 key@40 audio@40") {
			t.Errorf("%+v: %.200s", k, got)
		}
		info, err := os.Stat(paths[0])
		if err != nil || info.Size() != k.Bytes || k.Bytes > int64(len(b)) || k.Bytes < int64(len(b)-6000) {
			t.Errorf("%d bytes of %d, %v", k.Bytes, len(b), err)
		}
		r.Close()
		before, _ := os.ReadFile(paths[0])
		open(t, RecorderConfig{Dir: dir}).Close() // finished: nothing is touched
		if after, _ := os.ReadFile(paths[0]); string(after) != string(before) {
			t.Error("a finished file was changed")
		}
	}
}

// A file that is not ours is left alone; one of which nothing reached the disk is
// removed.
func TestRepairLeavesAlone(t *testing.T) {
	dir := t.TempDir()
	os.Mkdir(dir+"/blue", 0o755)
	for name, b := range map[string]string{"a": "something else, and long enough to have had all the metadata in it, had it been a recording of ours, really", "b": ""} {
		if err := os.WriteFile(dir+"/blue/"+name+"-2026-01-02T03-04-05Z.flv", []byte(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := open(t, RecorderConfig{Dir: dir})
	if k := one(t, r); k.Stream != "a" || k.Bytes < 100 {
		t.Errorf("left is %+v", k)
	}
}

// TestRecordSwitch: a room is recorded from when it is said until it is taken
// back, during a broadcast too, and others are as configured.
func TestRecordSwitch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t, RecorderConfig{Dir: t.TempDir(), Rooms: []string{"red"}})
		s := relay.New("live")
		s.Publish()
		r.OnStream("room/blue", "live", s)
		send(s, 0, realAVC, tagAAC)
		send(s, 40, realKey, tagSound)
		synctest.Wait()
		if all, _ := r.List(""); len(all) != 0 || r.Recorded("blue") || !r.Recorded("red") {
			t.Fatalf("%v is recorded", all)
		}
		r.Record("blue", true)
		r.Record("blue", true) // again: one file
		synctest.Wait()
		send(s, 1000, realKey, tagSound)
		time.Sleep(2 * recordSync)
		synctest.Wait()
		if k := one(t, r); !k.Live || k.Room != "blue" || !r.Recorded("blue") {
			t.Errorf("%+v", k)
		}
		r.Record("blue", false)
		synctest.Wait()
		k := one(t, r)
		if k.Live || k.Duration < 900*time.Millisecond || k.Bytes == 0 || s.Players() != 0 {
			t.Errorf("%+v, %d players", k, s.Players())
		}
		send(s, 2000, realKey)
		r.OnStream("room/blue", "live", s) // taken over
		synctest.Wait()
		if after := one(t, r); after != k {
			t.Errorf("%+v continues as %+v", k, after)
		}
		time.Sleep(time.Second)
		r.Record("blue", true)
		send(s, 3000, realKey)
		synctest.Wait()
		if all, _ := r.List("blue"); len(all) != 2 || !all[1].Live {
			t.Errorf("%+v", all)
		}
		s.Unpublish()
		r.Record("blue", false)
		r.Record("blue", true) // nothing is published: nothing to record
		synctest.Wait()
		if all, _ := r.List("blue"); len(all) != 2 || all[1].Live {
			t.Errorf("%+v", all)
		}
		r.Record("red", false)
		if r.Recorded("red") {
			t.Error("red is still to be recorded")
		}
	})
}
