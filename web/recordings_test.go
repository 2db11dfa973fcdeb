package web

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"foyer/media"
	"foyer/server"
)

func TestRecordings(t *testing.T) {
	dir := t.TempDir()
	const name = "live-2026-01-02T03-04-05Z.flv"
	const text = "FLV and more"
	for path, b := range map[string]string{"red/" + name: text, "secret/notes.txt": "secret", name: "secret"} {
		os.MkdirAll(filepath.Dir(filepath.Join(dir, path)), 0o755)
		if err := os.WriteFile(filepath.Join(dir, path), []byte(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := newStudio(t, func(h *server.Host, cfg *Config) {
		recorder, err := media.OpenRecorder(media.RecorderConfig{Dir: dir, Rooms: []string{"blue"}, Log: testLog(t)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { recorder.Close() })
		h.OnStream, cfg.Recorder = recorder.OnStream, recorder
	})
	type entry struct {
		Name, Stream, URL   string
		At, Duration, Bytes int64
		Live                bool
	}
	list := func(room string) []entry {
		t.Helper()
		resp := s.get(t, "GET", "/api/v1/rooms/"+room+"/recordings")
		var answer struct {
			At         int64
			Recordings []entry
		}
		if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || resp.StatusCode != 200 || answer.At == 0 || answer.Recordings == nil {
			t.Fatalf("%d, %+v, %v", resp.StatusCode, answer, err)
		}
		return answer.Recordings
	}
	want := entry{Name: name, Stream: "live", URL: "/recordings/red/" + name, At: 1767323045000, Bytes: int64(len(text))}
	if got := list("red"); len(got) != 1 || got[0] != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := list("green"); len(got) != 0 {
		t.Errorf("%+v", got)
	}
	send, stop := s.publish(t, "live")
	send(0, liveAVC, liveKey)
	for end := time.Now().Add(10 * time.Second); len(list("blue")) == 0 && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
	if got := list("blue"); len(got) != 1 || !got[0].Live || got[0].Bytes == 0 || s.host.Stats().Clients["room"]["other"] != 0 {
		t.Errorf("live: %+v, or it counts as a viewer", got)
	}
	stop()

	for _, tt := range []struct {
		path, byteRange string
		status          int
		body            string
	}{
		{"/recordings/red/" + name, "", 200, text},
		{"/recordings/red/" + name, "bytes=4-6", 206, "and"},
		{"/recordings/red/" + name, "bytes=99-", 416, ""},
		{"/recordings/red/notes.txt", "", 404, ""},
		{"/recordings/secret/notes.txt", "", 404, ""},
		{"/recordings/..%2Fred/" + name, "", 404, ""},
		{"/recordings/red/..%2F" + name, "", 404, ""},
		{"/recordings/%2E%2E/" + name, "", 404, ""},
		{"/recordings/red/..%5C" + name, "", 404, ""},
		{"/recordings/green/" + name, "", 404, ""},
		{"/recordings/" + name, "", 404, ""},
	} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", s.web.URL+tt.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if tt.byteRange != "" {
			req.Header.Set("Range", tt.byteRange)
		}
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		good := resp.StatusCode == tt.status && (tt.body == "" || string(b) == tt.body)
		if tt.status < 300 {
			good = good && resp.Header.Get("Content-Type") == "video/x-flv"
		}
		if !good || string(b) == "secret" {
			t.Errorf("%s %s: %d %v %q, want %d %q", tt.path, tt.byteRange, resp.StatusCode, resp.Header, b, tt.status, tt.body)
		}
	}
}
