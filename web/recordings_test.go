package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"foyer/media"
	"foyer/server"
	"foyer/server/rtmp"
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
	wait(t, func() bool { all := list("blue"); return len(all) > 0 && all[0].Bytes > 0 })
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

// TestRecordingMP4: a recording for a video element, with ranges.
func TestRecordingMP4(t *testing.T) {
	dir := t.TempDir()
	const name = "live-2026-01-02T03-04-05Z.flv"
	flv := media.FLV{File: true}
	var file []byte
	for at, body := range []string{liveAVC, liveKey, liveKey, liveKey} {
		file = flv.Append(file, rtmp.Message{Type: rtmp.TypeVideo, Timestamp: uint32(at) * 40, Payload: []byte(body)})
	}
	file = flv.End(file)
	os.Mkdir(filepath.Join(dir, "blue"), 0o755)
	for name, b := range map[string][]byte{name: file, "none-2026-01-02T03-04-05Z.flv": []byte("no FLV")} {
		if err := os.WriteFile(filepath.Join(dir, "blue", name), b, 0o600); err != nil {
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
	file, err := os.ReadFile(filepath.Join(dir, "blue", name)) // it has a duration now
	if err != nil {
		t.Fatal(err)
	}
	get := func(method, path, from string) (*http.Response, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, s.web.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if from != "" {
			req.Header.Set("Range", from)
		}
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, string(b)
	}
	const path = "/recordings/blue/" + name + ".mp4"
	resp, all := get("GET", path, "")
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "video/mp4" || resp.Header.Get("Accept-Ranges") != "bytes" || resp.Header.Get("ETag") == "" ||
		all[4:8] != "ftyp" || !strings.HasSuffix(all, string(file)) {
		t.Errorf("%d %v %d bytes", resp.StatusCode, resp.Header, len(all))
	}
	if resp, none := get("HEAD", path, ""); resp.ContentLength != int64(len(all)) || none != "" {
		t.Errorf("HEAD says %d bytes, want %d", resp.ContentLength, len(all))
	}
	for _, from := range []int{0, 100, len(all) - len(file) - 5, len(all) - len(file), len(all) - 3} {
		resp, part := get("GET", path, fmt.Sprintf("bytes=%d-%d", from, from+9))
		want := all[from:min(from+10, len(all))]
		if resp.StatusCode != 206 || part != want {
			t.Errorf("from %d: %d %q, want %q", from, resp.StatusCode, part, want)
		}
	}
	for path, want := range map[string]int{"/recordings/blue/none-2026-01-02T03-04-05Z.flv.mp4": 422, "/recordings/green/" + name + ".mp4": 404, "/recordings/blue/x.mp4": 404} {
		if resp, _ := get("GET", path, ""); resp.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, resp.StatusCode, want)
		}
	}
	// A recording that is being written has no ranges, since it would be another file for
	// each.
	send, stop := s.publish(t, "side")
	send(0, liveAVC, liveKey, liveKey)
	send(4000, liveKey)
	var live string
	wait(t, func() bool {
		all, _ := s.handler.cfg.Recorder.List("blue")
		for _, k := range all {
			if k.Stream == "side" && k.Duration >= 4*time.Second { // everything sent has been written
				live = k.Name
			}
		}
		return live != ""
	})
	if resp, b := get("GET", "/recordings/blue/"+live+".mp4", "bytes=4-7"); resp.StatusCode != 200 || resp.Header.Get("Accept-Ranges") != "none" || !strings.Contains(b, "moof") {
		t.Errorf("live: %d %v", resp.StatusCode, resp.Header)
	}
	stop()
}

// TestRecordingIndexes: the indexes that were used last are kept, up to a size of all
// together. A request for one while another is being made does not wait for ever.
func TestRecordingIndexes(t *testing.T) {
	flv := media.FLV{File: true}
	var file []byte
	for at, body := range []string{liveAVC, liveKey} {
		file = flv.Append(file, rtmp.Message{Type: rtmp.TypeVideo, Timestamp: uint32(at), Payload: []byte(body)})
	}
	file = flv.End(file)
	f := newRecordingIndexes()
	find := func(name string) *media.MP4 {
		t.Helper()
		m, err := f.find(t.Context(), recordingKey{"blue", name, int64(len(file))}, bytes.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	kept := func(name string) bool { return f.use(recordingKey{"blue", name, int64(len(file))}) != nil }
	first := find("a")
	for i := range MaxIndexes - 1 {
		find(fmt.Sprint(i))
	}
	if find("a") != first {
		t.Error("it was forgotten too soon")
	}
	if find("b"); !kept("a") || kept("0") || !kept("1") || len(f.kept) != MaxIndexes {
		t.Errorf("%d kept", len(f.kept))
	}
	f.limit = 10 * first.Size()
	if find("c"); !kept("c") || !kept("b") || kept("2") || len(f.kept) != 10 || f.bytes != f.limit {
		t.Errorf("%d kept, %d bytes", len(f.kept), f.bytes)
	}
	f.making <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.find(ctx, recordingKey{name: "c"}, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
