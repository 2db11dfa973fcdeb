package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"foyer/lobby"
	"foyer/room"
	"foyer/server"
	"foyer/server/amf"
	"foyer/server/rtmp"
)

const operator = "Authorization: Bearer token"

// keyOf is the key of a room of the house.
func keyOf(room string) string { return "key-of-" + room }

// keyOfGeneration is the same for a room, which knows how often its key was replaced.
func keyOfGeneration(room string, generation int64) string {
	if generation == 0 {
		return keyOf(room)
	}
	return fmt.Sprintf("%s-%d", keyOf(room), generation)
}

// keyNow is the same for pages, of rooms whose key was never replaced.
func keyNow(_ context.Context, room string) (string, int64, error) { return keyOf(room), 0, nil }

// errCrash ends an encoder that is killed.
var errCrash = errors.New("crashed")

// publish publishes into a room of the house until the test ends the session.
func (h *house) publish(t testing.TB, room, name string) (*rtmp.Session, *rtmp.Stream) {
	t.Helper()
	s := h.dial(t, room)
	st, err := s.CreateStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Publish(t.Context(), name+"?key="+keyOf(room), "live"); err != nil {
		t.Fatal(err)
	}
	return s, st
}

func (h *house) dial(t testing.TB, room string) *rtmp.Session {
	t.Helper()
	s, _, err := rtmp.Dial(t.Context(), h.rtmp+"/room/"+room, &rtmp.ConnectRequest{}, rtmp.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	go s.Run(context.Background())
	t.Cleanup(func() { s.Close(nil); <-s.Done() })
	return s
}

func TestAPIKey(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, header := range []string{"X: y", "Authorization: Bearer wrong", "Authorization: Basic token"} {
		resp, body := h.ask(t, "GET", "/api/v1/rooms/red/key", "", header)
		wantProblem(t, resp, body, http.StatusUnauthorized)
		if strings.Contains(body, keyOf("red")) {
			t.Error("the key was shown")
		}
	}
	resp, body := h.ask(t, "GET", "/api/v1/rooms/red/key", "", operator)
	if resp.StatusCode != 200 || body != `{"server":"rtmp://127.0.0.1/room/red","key":"live?key=key-of-red"}`+"\n" ||
		resp.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("got %d, %v, %s", resp.StatusCode, resp.Header, body)
	}
	if n := h.host.Stats().Instances["room"]; n != 0 {
		t.Errorf("%d rooms run: asking started one", n)
	}
	resp, body = h.ask(t, "GET", "/api/v1/rooms/a%20b/key", "", operator)
	wantProblem(t, resp, body, http.StatusNotFound)
}

// TestAPINewKey: an operator replaces a key, also of a room that does not run.
func TestAPINewKey(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "red")
	resp, body := h.ask(t, "POST", "/api/v1/rooms/red/key", "", "X: y")
	wantProblem(t, resp, body, http.StatusUnauthorized)
	resp, body = h.ask(t, "PUT", "/api/v1/rooms/red/key", "", operator)
	wantProblem(t, resp, body, http.StatusMethodNotAllowed)
	s, _ := h.publish(t, "red", "live")
	for _, room := range []string{"red", "asleep"} {
		if resp, body = h.ask(t, "POST", "/api/v1/rooms/"+room+"/key", "", operator); resp.StatusCode != 200 {
			t.Errorf("%s: %d, %s", room, resp.StatusCode, body)
		}
	}
	<-s.Done()
	if reason, ok := errors.AsType[*rtmp.StatusError](s.Err()); s.Err() != rtmp.ErrGoodbye && !ok {
		t.Errorf("the publisher ended with %v", s.Err())
	} else if ok && !strings.Contains(reason.Description, "replaced") {
		t.Errorf("the publisher was told %v", reason)
	}
	st, err := h.dial(t, "red").CreateStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Publish(t.Context(), "live?key="+keyOf("red"), "live"); err == nil {
		t.Error("the old key is still good")
	}
}

// TestAPIKeyElsewhere: a server gives keys only of rooms that are on it.
func TestAPIKeyElsewhere(t *testing.T) {
	for name, cfg := range map[string]Config{
		"no rooms": {Host: &server.Host{}, AdminToken: "token", StreamKey: keyNow},
		"no keys":  {Host: roomsOnly(), AdminToken: "token"},
	} {
		h := New(cfg)
		r := httptest.NewRequest("GET", "/api/v1/rooms/red/key", nil)
		r.Header.Set("Authorization", "Bearer token")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusNotFound {
			t.Errorf("%s: got %d, %s", name, w.Code, w.Body)
		}
	}
}

func roomsOnly() *server.Host {
	h := &server.Host{}
	h.Handle("room", func() server.Application { return room.New(room.Config{}) })
	return h
}

func TestAPIRelease(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "red")
	s, _ := h.publish(t, "red", "live")
	for _, header := range []string{"X: y", "Authorization: Bearer wrong"} {
		resp, body := h.ask(t, "DELETE", "/api/v1/rooms/red/streams/live", "", header)
		wantProblem(t, resp, body, http.StatusUnauthorized)
	}
	for _, path := range []string{"red/streams/other", "blue/streams/live", "a%20b/streams/live", "red/streams/a%2fb"} {
		resp, body := h.ask(t, "DELETE", "/api/v1/rooms/"+path, "", operator)
		wantProblem(t, resp, body, http.StatusNotFound)
	}
	if s.Err() != nil {
		t.Fatal("somebody ended it")
	}
	resp, body := h.ask(t, "DELETE", "/api/v1/rooms/red/streams/live", "", operator)
	if resp.StatusCode != http.StatusNoContent || body != "" {
		t.Errorf("got %d, %s", resp.StatusCode, body)
	}
	<-s.Done()
	resp, body = h.ask(t, "DELETE", "/api/v1/rooms/red/streams/live", "", operator)
	wantProblem(t, resp, body, http.StatusNotFound)
	resp, body = h.ask(t, "GET", "/api/v1/rooms/red/streams/live", "")
	wantProblem(t, resp, body, http.StatusMethodNotAllowed)
	st, err := h.dial(t, "red").CreateStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Publish(t.Context(), "live?key="+keyOf("red"), "live"); err == nil || !strings.Contains(err.Error(), "it may come back in") {
		t.Errorf("back at once: %v", err)
	}
}

func TestAPIIngest(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "red")
	_, st := h.publish(t, "red", "live")
	// Sorenson video and Speex, which nobody can watch any more.
	st.WriteMessage(rtmp.Message{Type: rtmp.TypeVideo, Payload: []byte("\x12key")})
	st.WriteMessage(rtmp.Message{Type: rtmp.TypeAudio, Payload: []byte("\xb6data")})
	var got struct {
		At      float64
		Streams []struct {
			Stream       string
			Video, Audio *struct{ Codec string }
			Advice       []string
		}
	}
	for {
		resp, body := h.ask(t, "GET", "/api/v1/rooms/red/ingest?stream=live", "")
		if err := json.Unmarshal([]byte(body), &got); err != nil || resp.StatusCode != 200 || len(got.Streams) != 1 {
			t.Fatalf("%d %s: %v", resp.StatusCode, body, err)
		}
		if got.Streams[0].Audio != nil {
			break
		}
	}
	if s := got.Streams[0]; s.Stream != "live" || s.Video.Codec != "Sorenson H.263" || s.Audio.Codec != "Speex" || len(s.Advice) != 2 {
		t.Errorf("got %+v", s)
	}
	for path, status := range map[string]int{"red/ingest?stream=other": 404, "blue/ingest": 404, "a%20b/ingest": 404} {
		resp, body := h.ask(t, "GET", "/api/v1/rooms/"+path, "")
		wantProblem(t, resp, body, status)
	}
}

// TestCountsAgree: the lobby's list, the API and the metrics have the same figures, and
// the right ones after crashes.
func TestCountsAgree(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "red")
	watchers := make([]*rtmp.Session, 3)
	for i := range watchers {
		watchers[i] = h.dial(t, "red")
		st, err := watchers[i].CreateStream(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := st.Play(t.Context(), "live", rtmp.StartAny, nobody{}); err != nil {
			t.Fatal(err)
		}
	}
	web, err := h.host.Connect(t.Context(), deafPeer{}, server.Request{Path: "room/red", Protocol: "ws"})
	if err != nil {
		t.Fatal(err)
	}
	stop, err := web.Play("live", nil)
	if err != nil {
		t.Fatal(err)
	}
	s, _ := h.publish(t, "red", "live")
	ann, _, err := dial(t, h.web, "/ws/room/red", nil)
	if err != nil {
		t.Fatal(err)
	}
	ann.send(`{"type":"connect","args":["ann"]}`)
	ann.want(success)
	spectator := h.dial(t, "red")
	h.wantCounts(t, counts{users: 1, spectators: 1, viewers: 4, publishers: 1})

	stop()
	stop()
	h.wantCounts(t, counts{users: 1, spectators: 2, viewers: 3, publishers: 1})
	watchers[0].Close(errCrash)
	watchers[1].Close(nil)
	spectator.Close(errCrash)
	s.Close(errCrash)
	ann.conn.UnderlyingConn().Close()
	h.wantCounts(t, counts{users: 0, spectators: 1, viewers: 1, publishers: 0})
	web.Leave(nil)
	watchers[2].Close(errCrash)
	h.wantCounts(t, counts{})
}

type counts struct{ users, spectators, viewers, publishers int }

// nobody is a player that ignores everything.
type nobody struct{}

func (nobody) WriteMessage(rtmp.Message) {}
func (nobody) Close(error)               {}

// deafPeer is the peer of a viewer that gets its pictures elsewhere.
type deafPeer struct{}

func (deafPeer) Push(*server.Push) error                                   { return nil }
func (deafPeer) Request(string, []amf.Value, func(amf.Value, error)) error { return nil }
func (deafPeer) Close(error)                                               {}

// wantCounts waits for a report of the room with these counts, and compares all other
// figures with it.
func (h *house) wantCounts(t testing.TB, want counts) {
	t.Helper()
	late := time.AfterFunc(time.Minute, func() {
		_, body := h.ask(t, "GET", "/api/v1/rooms/red", "")
		t.Errorf("still not %+v: %s", want, body)
		h.web.CloseClientConnections()
	})
	defer late.Stop()
	h.follow(t, func(_, slot string, e lobby.Entry) bool {
		if e.Users < 0 || e.Spectators < 0 || e.Viewers < 0 || e.Publishers < 0 {
			t.Errorf("less than nobody: %+v", e)
		}
		return slot == "red" && counts{e.Users, e.Spectators, e.Viewers, e.Publishers} == want
	})
	var e lobby.Entry
	_, body := h.ask(t, "GET", "/api/v1/rooms/red", "")
	if err := json.Unmarshal([]byte(body), &e); err != nil || (counts{e.Users, e.Spectators, e.Viewers, e.Publishers}) != want {
		t.Errorf("the API says %s, want %+v", body, want)
	}
	_, metrics := h.ask(t, "GET", "/metrics", "")
	for role, n := range map[string]int{"user": want.users, "spectator": want.spectators, "viewer": want.viewers, "publisher": want.publishers} {
		if line := fmt.Sprintf("foyer_lobby_people{role=%q} %d\n", role, n); !strings.Contains(metrics, line) {
			t.Errorf("the metrics do not say %s", line)
		}
	}
}

func TestBackup(t *testing.T) {
	type backupFunc = func(context.Context, io.Writer, BackupParts) error
	var current backupFunc
	s := newStudio(t, func(_ *server.Host, cfg *Config) {
		cfg.AdminToken = "token"
		cfg.Backup = func(ctx context.Context, w io.Writer, parts BackupParts) error { return current(ctx, w, parts) }
	})
	ask := func(method, query, token string) (*http.Response, string, error) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, s.web.URL+"/api/v1/backup"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return resp, string(body), err
	}
	broken := errors.New("disk full")
	write := func(text string, err error) backupFunc {
		return func(_ context.Context, w io.Writer, parts BackupParts) error {
			if parts.Secrets {
				t.Error("secrets go over the network")
			}
			if parts.Recordings {
				text += " with recordings"
			}
			_, werr := io.WriteString(w, text)
			return errors.Join(err, werr)
		}
	}
	for _, tt := range []struct {
		name, method, query, token string
		backup                     backupFunc
		status                     int
		kind, body                 string
	}{
		{"all", "GET", "", "token", write("tar", nil), 200, "application/x-tar", "tar"},
		{"recordings", "GET", "?recordings=true", "token", write("tar", nil), 200, "application/x-tar", "tar with recordings"},
		{"head", "HEAD", "", "token", nil, 200, "application/x-tar", ""},
		{"nonsense", "GET", "?recordings=perhaps", "token", nil, 400, "application/problem+json", "must be true or false"},
		{"no token", "GET", "", "other", nil, 401, "application/problem+json", "admin token"},
		{"no method", "POST", "", "token", nil, 405, "application/problem+json", ""},
		{"nothing written", "GET", "", "token", func(context.Context, io.Writer, BackupParts) error { return broken }, 500, "application/problem+json", "in its log"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			current = tt.backup
			resp, body, err := ask(tt.method, tt.query, tt.token)
			if err != nil || resp.StatusCode != tt.status || resp.Header.Get("Content-Type") != tt.kind || !strings.Contains(body, tt.body) {
				t.Errorf("%d %s %q, %v", resp.StatusCode, resp.Header.Get("Content-Type"), body, err)
			}
			if strings.Contains(body, broken.Error()) {
				t.Error("the error's text went out")
			}
		})
	}

	current = write(strings.Repeat("tar", 10000), broken)
	if _, body, err := ask("GET", "", "token"); err == nil {
		t.Errorf("a backup that failed ended well after %d bytes", len(body))
	}
	current = func(ctx context.Context, w io.Writer, _ BackupParts) error {
		if resp, _, _ := ask("GET", "", "token"); resp.StatusCode != http.StatusConflict {
			t.Errorf("a second one meanwhile: %s", resp.Status)
		}
		return write("first", nil)(ctx, w, BackupParts{})
	}
	if _, body, err := ask("GET", "", "token"); err != nil || body != "first" {
		t.Errorf("%q, %v", body, err)
	}
}
