package web

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"foyer/lobby"
	"foyer/room"
	"foyer/server"
	"foyer/server/amf"
	"foyer/server/guard"
)

// house is a server with the real lobby and rooms, which report to it by RTMP.
type house struct {
	host    *server.Host
	rtmp    string // its address
	handler *Handler
	web     *httptest.Server
	ready   error
}

func newHouse(t testing.TB, rooms ...string) *house {
	t.Helper()
	return newHouseAmong(t, nil, rooms...)
}

// newHouseAmong is newHouse among other nodes.
func newHouseAmong(t testing.TB, others lobby.Directory, rooms ...string) *house {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := "rtmp://" + ln.Addr().String()
	h := &house{rtmp: address, host: &server.Host{Log: testLog(t), Node: "n1", Guard: new(guard.Guard)}}
	h.host.Handle("lobby", func() server.Application {
		return lobby.New(lobby.Config{Secret: "s3cret", AdminToken: "token", Directory: others})
	})
	h.host.Handle("room", func() server.Application {
		return room.New(room.Config{Lobby: address + "/lobby", Secret: "s3cret", AdminToken: "token",
			Node: "n1", PublicRTMP: address, PublicHTTP: "http://n1.example",
			StreamKey: keyOfGeneration, Takeover: true})
	})
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- h.host.Serve(ctx, ln) }()
	h.handler = New(Config{Host: h.host, Log: testLog(t), Node: "n1", AdminToken: "token", MetricsFrom: here, RTMPPort: "1935",
		StreamKey: keyNow, Ready: func() error { return h.ready }})
	h.web = httptest.NewServer(h.handler)
	t.Cleanup(func() {
		h.handler.Close()
		h.web.Close()
		h.host.Stop(context.Background())
		cancel()
		<-served
	})
	for _, name := range append([]string{"lobby"}, rooms...) {
		if name != "lobby" {
			name = "room/" + name
		}
		if err := h.host.Start(name); err != nil {
			t.Fatal(err)
		}
	}
	if len(rooms) > 0 {
		h.watch(t, rooms...)
	}
	return h
}

// watch waits, as a page does, until the lobby has heard from the rooms.
func (h *house) watch(t testing.TB, rooms ...string) {
	t.Helper()
	missing := make(map[string]bool)
	for _, name := range rooms {
		missing[name] = true
	}
	h.follow(t, func(event, slot string, e lobby.Entry) bool {
		if e.RTMP != "" {
			delete(missing, slot)
		}
		return len(missing) == 0
	})
}

// follow subscribes to the lobby's list until done returns true.
func (h *house) follow(t testing.TB, done func(event, slot string, e lobby.Entry) bool) {
	t.Helper()
	p, _, err := dial(t, h.web, "/ws/lobby", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.conn.Close()
	p.send(`{"type":"connect"}`)
	p.want(success)
	p.send(`{"type":"so","name":"rooms","version":0,"events":[{"event":"use"}]}`)
	for {
		var m struct {
			Events []struct {
				Event, Slot string
				Value       lobby.Entry
			}
		}
		if err := p.conn.ReadJSON(&m); err != nil {
			t.Fatal(err)
		}
		for _, e := range m.Events {
			if done(e.Event, e.Slot, e.Value) {
				return
			}
		}
	}
}

// ask sends a request with header lines ("Authorization: Bearer x").
func (h *house) ask(t testing.TB, method, path, body string, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(method, h.web.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Set(name, value)
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

// wantProblem checks that the answer is a problem document (RFC 9457).
func wantProblem(t testing.TB, resp *http.Response, body string, status int) {
	t.Helper()
	var p struct {
		Type, Title, Detail string
		Status              int
	}
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		t.Fatalf("%d %q: %v", resp.StatusCode, body, err)
	}
	kind := resp.Header.Get("Content-Type")
	if resp.StatusCode != status || p.Status != status || p.Title != http.StatusText(status) || p.Type != "about:blank" ||
		p.Detail == "" || kind != "application/problem+json" {
		t.Errorf("got %d, %s, %+v, want %d", resp.StatusCode, kind, p, status)
	}
}

func TestAPIRooms(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "red", "blue")
	for _, tt := range []struct {
		query string
		want  string
	}{
		{"?sort=name", "blue red"},
		{"?sort=name&limit=1", "blue"},
		{"?text=RE", "red"},
		{"?tag=music", ""},
		{"?live=true", ""},
		{"?live=0&sort=name", "blue red"},
		{"?open=true&sort=name", "blue red"},
		{"?language=de", ""},
	} {
		resp, body := h.ask(t, "GET", "/api/v1/rooms"+tt.query, "")
		var list struct {
			At    int64
			Rooms []lobby.Entry
		}
		if err := json.Unmarshal([]byte(body), &list); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		var names []string
		for _, e := range list.Rooms {
			names = append(names, e.Name)
			if e.State != "live" || e.Node != "n1" || e.HTTP != "http://n1.example/room/"+e.Name || e.Since == 0 {
				t.Errorf("got %+v", e)
			}
		}
		if got := strings.Join(names, " "); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.query, got, tt.want)
		}
		if age := time.Since(time.UnixMilli(list.At)); age < -time.Second || age > time.Minute {
			t.Errorf("at is %v ago", age)
		}
		if resp.Header.Get("Content-Type") != "application/json" || resp.Header.Get("Cache-Control") != "no-cache" {
			t.Errorf("got %v", resp.Header)
		}
		if strings.Contains(body, "null") {
			t.Errorf("%s: null in %s", tt.query, body)
		}
	}
	for _, query := range []string{"?limit=x", "?limit=-1", "?limit=1e3", "?live=maybe", "?open=maybe", "?sort=worst"} {
		resp, body := h.ask(t, "GET", "/api/v1/rooms"+query, "")
		wantProblem(t, resp, body, http.StatusBadRequest)
	}
}

func TestAPIRoom(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "red", "redder")
	resp, body := h.ask(t, "GET", "/api/v1/rooms/red", "")
	var e lobby.Entry
	if err := json.Unmarshal([]byte(body), &e); err != nil || e.Name != "red" || resp.StatusCode != 200 {
		t.Errorf("got %d, %s, %v", resp.StatusCode, body, err)
	}
	if resp, body := h.ask(t, "GET", "/api/v1/rooms/RED", ""); resp.StatusCode != 200 || !strings.Contains(body, `"red"`) {
		t.Errorf("in capitals: %d %s", resp.StatusCode, body)
	}
	for _, name := range []string{"blue", "re", "a%20b", "%2f", strings.Repeat("x", 65)} {
		resp, body := h.ask(t, "GET", "/api/v1/rooms/"+name, "")
		wantProblem(t, resp, body, http.StatusNotFound)
	}
}

// TestUnlisted: only operators see a room that does not want to be listed.
func TestUnlisted(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "red")
	moderator, _, err := dial(t, h.web, "/ws/room/red", nil)
	if err != nil {
		t.Fatal(err)
	}
	moderator.send(`{"type":"connect","args":["ann","token"]}`)
	moderator.want(success)
	h.follow(t, func(event, slot string, _ lobby.Entry) bool {
		if event == "change" && slot == "red" {
			moderator.send(`{"type":"call","method":"unlist","args":[true]}`)
		}
		return event == "remove" && slot == "red"
	})
	resp, body := h.ask(t, "GET", "/api/v1/rooms/red", "")
	wantProblem(t, resp, body, http.StatusNotFound)
	if resp, body := h.ask(t, "GET", "/api/v1/rooms/red", "", operator); resp.StatusCode != 200 {
		t.Errorf("operator: got %s", body)
	}
	if _, body := h.ask(t, "GET", "/api/v1/rooms", "", operator); !strings.Contains(body, `"red"`) {
		t.Errorf("operator: got %s", body)
	}
	if _, body := h.ask(t, "GET", "/", ""); strings.Contains(body, "/room/red") {
		t.Error("the lobby page shows it")
	}
}

func TestAPIMessages(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "red")
	p, _, err := dial(t, h.web, "/ws/room/red", nil)
	if err != nil {
		t.Fatal(err)
	}
	p.send(`{"type":"connect","args":["ann"]}`)
	p.want(success)
	for _, text := range []string{"one", "two", "three"} {
		p.send(`{"type":"call","id":1,"method":"say","args":["` + text + `"]}`)
		for {
			_, b, err := p.conn.ReadMessage()
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(string(b), `{"type":"result"`) {
				break
			}
		}
	}
	for query, want := range map[string]string{
		"": "one two three", "?limit=1": "three", "?after=1": "two three", "?before=3": "one two", "?after=3": "",
		"?after=0&limit=1": "one",
	} {
		resp, body := h.ask(t, "GET", "/api/v1/rooms/red/messages"+query, "")
		var page struct {
			Epoch    float64
			Messages []struct{ Text string }
			Complete *bool
			More     *bool
		}
		if err := json.Unmarshal([]byte(body), &page); err != nil || resp.StatusCode != 200 {
			t.Fatalf("%d %s: %v", resp.StatusCode, body, err)
		}
		var texts []string
		for _, m := range page.Messages {
			texts = append(texts, m.Text)
		}
		if got := strings.Join(texts, " "); got != want || page.Epoch == 0 || page.Complete == nil || page.More == nil {
			t.Errorf("%q: got %s, want %q", query, body, want)
		}
	}
	for query, status := range map[string]int{
		"red/messages?after=x": 400, "red/messages?limit=1.5": 400, "blue/messages": 404, "a%20b/messages": 404, "red/nothing": 404,
	} {
		resp, body := h.ask(t, "GET", "/api/v1/rooms/"+query, "")
		wantProblem(t, resp, body, status)
	}
	if n := h.host.Stats().Instances["room"]; n != 1 {
		t.Errorf("%d rooms run: asking started one", n)
	}
}

func TestAPIAnnounce(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "red")
	p, _, err := dial(t, h.web, "/ws/room/red", nil)
	if err != nil {
		t.Fatal(err)
	}
	p.send(`{"type":"connect"}`)
	p.want(success)
	const body = `{"text":"Tea is ready."}`
	for _, header := range []string{"X: y", "Authorization: Bearer", "Authorization: Bearer ", "Authorization: Bearer wrong",
		"Authorization: Basic token", "Authorization: token"} {
		resp, text := h.ask(t, "POST", "/api/v1/announce", body, header)
		wantProblem(t, resp, text, http.StatusUnauthorized)
		if !strings.HasPrefix(resp.Header.Get("WWW-Authenticate"), "Bearer") {
			t.Errorf("got %v", resp.Header)
		}
	}
	for text, status := range map[string]int{
		`{"text":""}`: 400, `{"text":7}`: 400, `hello`: 400, ``: 400, `{"text":"` + strings.Repeat("x", 501) + `"}`: 400,
		`{"text":"` + strings.Repeat("x", MaxBody) + `"}`: 413,
	} {
		resp, answer := h.ask(t, "POST", "/api/v1/announce", text, operator)
		wantProblem(t, resp, answer, status)
	}
	resp, text := h.ask(t, "POST", "/api/v1/announce", body, operator)
	if resp.StatusCode != 200 || text != `{"rooms":1}`+"\n" {
		t.Errorf("got %d, %s", resp.StatusCode, text)
	}
	p.want(`{"type":"call","method":"notice","args":[{"text":"Tea is ready."}]}`)
}

// TestAPIAnnounceToNobody: a lobby that has stopped because nobody was there tells
// nobody. It is not on another server.
func TestAPIAnnounceToNobody(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	resp, text := h.ask(t, "POST", "/api/v1/announce", `{"text":"Hello?"}`, "Authorization: Bearer token")
	if resp.StatusCode != 200 || text != `{"rooms":0}`+"\n" {
		t.Errorf("got %d, %s", resp.StatusCode, text)
	}
}

// TestNoToken: without an admin token nobody is an operator.
func TestNoToken(t *testing.T) {
	h := New(Config{Host: &server.Host{}})
	r := httptest.NewRequest("POST", "/api/v1/announce", strings.NewReader(`{"text":"x"}`))
	r.Header.Set("Authorization", "Bearer ")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	wantProblem(t, w.Result(), w.Body.String(), http.StatusUnauthorized)
}

func TestMethods(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for path, allow := range map[string]string{
		"/": "GET, HEAD", "/room/x": "GET, HEAD", "/api/v1/rooms": "GET, HEAD", "/api/v1/rooms/x": "GET, HEAD",
		"/api/v1/rooms/x/messages": "GET, HEAD", "/api/v1/rooms/x/ingest": "GET, HEAD", "/healthz": "GET, HEAD", "/metrics": "GET, HEAD",
	} {
		for _, method := range []string{"POST", "DELETE", "OPTIONS"} {
			resp, body := h.ask(t, method, path, "")
			wantProblem(t, resp, body, http.StatusMethodNotAllowed)
			if got := resp.Header.Get("Allow"); got != allow {
				t.Errorf("%s %s: allow %q, want %q", method, path, got, allow)
			}
		}
	}
	for _, method := range []string{"DELETE", "OPTIONS"} {
		resp, body := h.ask(t, method, "/api/v1/rooms/x/key", "")
		wantProblem(t, resp, body, http.StatusMethodNotAllowed)
		if got := resp.Header.Get("Allow"); got != "GET, HEAD, POST" {
			t.Errorf("%s of a key: allow %q", method, got)
		}
	}
	resp, body := h.ask(t, "GET", "/api/v1/announce", "")
	wantProblem(t, resp, body, http.StatusMethodNotAllowed)
	if got := resp.Header.Get("Allow"); got != "POST" {
		t.Errorf("allow %q", got)
	}
	for _, path := range []string{"/", "/api/v1/rooms", "/healthz", "/room/x"} {
		if resp, body := h.ask(t, "HEAD", path, ""); resp.StatusCode != 200 || body != "" {
			t.Errorf("HEAD %s: got %d, %q", path, resp.StatusCode, body)
		}
	}
}

func TestNotThere(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, path := range []string{"/api/", "/api/v2/rooms", "/live/red/main.flv", "/live/red/main.m3u8", "/assets/no.js"} {
		resp, body := h.ask(t, "GET", path, "")
		wantProblem(t, resp, body, http.StatusNotFound)
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	if resp, body := h.ask(t, "GET", "/readyz", ""); resp.StatusCode != 200 || body != "ready\n" {
		t.Errorf("got %d, %q", resp.StatusCode, body)
	}
	h.ready = errors.New("no listener yet")
	if resp, body := h.ask(t, "GET", "/readyz", ""); resp.StatusCode != 503 || body != "not ready: no listener yet\n" {
		t.Errorf("got %d, %q", resp.StatusCode, body)
	}
	if resp, body := h.ask(t, "GET", "/healthz", ""); resp.StatusCode != 200 || body != "ok\n" {
		t.Errorf("got %d, %q", resp.StatusCode, body)
	}
}

// TestLost: a process is unhealthy only when its store is lost for good.
func TestLost(t *testing.T) {
	host := &server.Host{}
	defer host.Stop(context.Background())
	var lost error
	h := New(Config{Host: host, Ready: func() error { return errors.New("NATS is away") }, Lost: func() error { return lost }})
	for _, lost = range []error{nil, errors.New("the store is lost"), nil} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/healthz", nil))
		status, body := 200, "ok\n"
		if lost != nil {
			status, body = 503, "not healthy: the store is lost\n"
		}
		if w.Code != status || w.Body.String() != body {
			t.Errorf("got %d, %q; want %d, %q", w.Code, w.Body, status, body)
		}
	}
}

// TestWithoutLobby: a server with rooms only says where the lobby is.
func TestWithoutLobby(t *testing.T) {
	host := &server.Host{}
	host.Handle("room", func() server.Application { return room.New(room.Config{}) })
	defer host.Stop(context.Background())
	h := New(Config{Host: host, Lobby: "rtmp://lobby.example/lobby"})
	for path, status := range map[string]int{"/api/v1/rooms": 404, "/api/v1/rooms/red": 404, "/api/v1/rooms/red/messages": 404} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		wantProblem(t, w.Result(), w.Body.String(), status)
		if !strings.HasSuffix(path, "messages") && !strings.Contains(w.Body.String(), "rtmp://lobby.example/lobby") {
			t.Errorf("%s: got %s", path, w.Body)
		}
	}
	for path, want := range map[string]string{"/": "rtmp://lobby.example/lobby", "/room/red": "rtmp://example.com/room/red"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if w.Code != 200 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: got %d, %s", path, w.Code, w.Body)
		}
	}
}

// TestLobbyAsleep: a lobby that nobody has connected to yet has no rooms.
func TestLobbyAsleep(t *testing.T) {
	host := &server.Host{}
	host.Handle("lobby", func() server.Application { return lobby.New(lobby.Config{}) })
	h := New(Config{Host: host})
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/api/v1/rooms", nil))
	if w.Code != 200 || !strings.Contains(w.Body.String(), `"rooms":[]`) {
		t.Errorf("got %d, %s", w.Code, w.Body)
	}
}

// deafLobby never answers.
type deafLobby struct{ in *server.Instance }

func (d *deafLobby) OnAppStart(in *server.Instance) error     { d.in = in; return nil }
func (d *deafLobby) OnConnect(*server.Client, amf.Args) error { return nil }
func (d *deafLobby) OnDisconnect(*server.Client, error)       {}
func (d *deafLobby) OnAppStop()                               {}
func (d *deafLobby) Methods() map[string]server.Method {
	return map[string]server.Method{"rooms": d.rooms}
}
func (d *deafLobby) rooms(*server.Client, amf.Args) (amf.Value, error) {
	d.in.Later()
	return nil, server.ErrPending
}

// TestAPIRoomsPaged: the list comes in pages, and says when there are more.
func TestAPIRoomsPaged(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "amber", "blue", "red")
	var seen []string
	for after := ""; ; {
		_, body := h.ask(t, "GET", "/api/v1/rooms?sort=name&limit=2&after="+after, "")
		var list struct {
			Rooms []lobby.Entry
			More  bool
		}
		if err := json.Unmarshal([]byte(body), &list); err != nil {
			t.Fatal(err)
		}
		for _, e := range list.Rooms {
			seen = append(seen, e.Name)
		}
		if !list.More {
			break
		}
		after = list.Rooms[len(list.Rooms)-1].Name
	}
	if got := strings.Join(seen, " "); got != "amber blue red" {
		t.Errorf("the pages have %q", got)
	}
}
