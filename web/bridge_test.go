package web

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"foyer/server"
	"foyer/server/amf"
	"foyer/server/rtmp"
)

// stage is an application that has something for every row of the protocol.
type stage struct {
	in   *server.Instance
	left chan error // reasons of OnDisconnect
}

func (s *stage) OnAppStart(in *server.Instance) error {
	s.in = in
	in.SharedObject("board", false).Set("a", amf.Number(1))
	return nil
}

func (s *stage) OnConnect(c *server.Client, args amf.Args) error {
	switch args.At(0) {
	case amf.String("no"):
		return &rtmp.StatusError{Code: rtmp.CodeConnectRejected, Description: "Not you.",
			Application: amf.Object{{Name: "retryAfter", Value: amf.Number(100)}}}
	case amf.String("wait"):
		return server.ErrPending
	}
	c.Call("welcome", nil, args...)
	return nil
}

func (s *stage) OnDisconnect(_ *server.Client, err error) { s.left <- err }
func (s *stage) OnAppStop()                               {}

func (s *stage) CanRead(*server.Client, string, bool) bool           { return true }
func (s *stage) CanWrite(_ *server.Client, object, slot string) bool { return slot != "locked" }

func (s *stage) Methods() map[string]server.Method {
	return map[string]server.Method{
		"echo": func(_ *server.Client, args amf.Args) (amf.Value, error) { return args.At(0), nil },
		"no": func(*server.Client, amf.Args) (amf.Value, error) {
			return nil, &rtmp.StatusError{Code: rtmp.CodeCallFailed, Description: "No.",
				Application: amf.Object{{Name: "reason", Value: amf.String("busy")}}}
		},
		"broken": func(*server.Client, amf.Args) (amf.Value, error) { return nil, errors.New("secret") },
		"never":  func(*server.Client, amf.Args) (amf.Value, error) { s.in.Later(); return nil, server.ErrPending },
		"ask": func(c *server.Client, args amf.Args) (amf.Value, error) {
			reply := s.in.Later()
			c.Call("twice", func(v amf.Value, err error) {
				if e, ok := errors.AsType[*rtmp.StatusError](err); ok {
					v = amf.String("error: " + e.Code)
				} else if err != nil {
					v = amf.String("error: " + err.Error())
				}
				reply(v, nil)
			}, args...)
			return nil, server.ErrPending
		},
		"kick": func(c *server.Client, _ amf.Args) (amf.Value, error) {
			c.Close(&rtmp.StatusError{Code: "NetConnection.Connect.Closed", Description: "Kicked."})
			return nil, nil
		},
		"big": func(*server.Client, amf.Args) (amf.Value, error) {
			return amf.String(strings.Repeat("x", bigFrame)), nil
		},
		"flood": func(c *server.Client, args amf.Args) (amf.Value, error) {
			n, _ := amf.AsNumber(args.At(0))
			for range int(n) {
				c.Call("spam", nil, amf.String(strings.Repeat("x", 1000)))
			}
			return nil, nil
		},
	}
}

// theatre is a Handler with the application "stage".
type theatre struct {
	host    *server.Host
	handler *Handler
	web     *httptest.Server
	left    chan error
}

func testLog(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}

func newTheatre(t testing.TB) *theatre {
	th := &theatre{left: make(chan error, 1000)}
	th.host = &server.Host{Log: testLog(t), Node: "n1", Mounts: []string{"chapter4"}}
	th.host.Handle("stage", func() server.Application { return &stage{left: th.left} })
	th.handler = New(Config{Host: th.host, Log: testLog(t), Node: "n1"})
	th.web = httptest.NewServer(th.handler)
	t.Cleanup(func() {
		th.handler.Close()
		th.web.Close()
		th.host.Stop(context.Background())
	})
	return th
}

// page is the browser's end of a socket.
type page struct {
	t    testing.TB
	conn *websocket.Conn
}

func dial(t testing.TB, web *httptest.Server, path string, header http.Header) (*page, *http.Response, error) {
	t.Helper()
	conn, resp, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(web.URL, "http")+path, header)
	if err != nil {
		return nil, resp, err
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetReadDeadline(time.Now().Add(time.Minute)) // a test that fails must end
	return &page{t, conn}, resp, nil
}

func (th *theatre) dial(t testing.TB, path string) *page {
	t.Helper()
	p, _, err := dial(t, th.web, path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const success = `{"type":"status","info":{"level":"status","code":"NetConnection.Connect.Success","description":"Connection succeeded."}}`

// join connects and reads the frames that every newcomer gets.
func (th *theatre) join(t testing.TB) *page {
	t.Helper()
	p := th.dial(t, "/ws/stage/one")
	p.send(`{"type":"connect","args":["ann"]}`)
	p.want(success, `{"type":"call","method":"welcome","args":["ann"]}`)
	return p
}

func (p *page) send(frames ...string) {
	p.t.Helper()
	for _, f := range frames {
		if err := p.conn.WriteMessage(websocket.TextMessage, []byte(f)); err != nil {
			p.t.Fatal(err)
		}
	}
}

func (p *page) want(frames ...string) {
	p.t.Helper()
	for _, want := range frames {
		kind, got, err := p.conn.ReadMessage()
		if err != nil {
			p.t.Fatalf("got %v, want %s", err, want)
		}
		if kind != websocket.TextMessage || string(got) != want {
			p.t.Fatalf("\n got %s\nwant %s", got, want)
		}
		if !json.Valid(got) {
			p.t.Fatalf("no JSON: %s", got)
		}
	}
}

// wantClose reads the close frame and answers it.
func (p *page) wantClose(code int, text string) {
	p.t.Helper()
	_, got, err := p.conn.ReadMessage()
	ce, ok := errors.AsType[*websocket.CloseError](err)
	if !ok || ce.Code != code || text != "" && ce.Text != text {
		p.t.Fatalf("got %s, %v, want close %d %q", got, err, code, text)
	}
}

func (th *theatre) wantLeft(t testing.TB, want error) {
	t.Helper()
	if got := <-th.left; !errors.Is(got, want) {
		t.Errorf("OnDisconnect got %v, want %v", got, want)
	}
}

func rejected(description string) string {
	return `{"type":"status","info":{"level":"error","code":"NetConnection.Connect.Rejected","description":"` + description + `"}}`
}

func TestConnect(t *testing.T) {
	t.Parallel()
	th := newTheatre(t)
	for _, path := range []string{"/ws/stage/one", "/ws/stage", "/ws/chapter4/stage/one", "/ws/stage//one/", "/ws/stage/one?x=y", "/ws/stage/%6Fne", "/ws/stage/ONE"} {
		p := th.dial(t, path)
		p.send(`{"type":"connect","args":["ann",{"b":1,"a":[2]}]}`)
		p.want(success, `{"type":"call","method":"welcome","args":["ann",{"b":1,"a":[2]}]}`)
	}
}

func TestConnectRefused(t *testing.T) {
	t.Parallel()
	th := newTheatre(t)
	connect := `{"type":"connect","args":["no"]}`
	notDefined := func(name string) string {
		return rejected("[ Server.Reject ] : (_defaultRoot_, _defaultVHost_) : Application (" + name + ") is not defined.")
	}
	for _, tt := range []struct {
		name, path string
		first      string // "" for none
		kind       int
		status     string
		code       int
	}{
		{"rejected", "/ws/stage/one", connect, websocket.TextMessage,
			`{"type":"status","info":{"level":"error","code":"NetConnection.Connect.Rejected","description":"Not you.","application":{"retryAfter":100}}}`, 1008},
		{"unknown application", "/ws/nothing/x/?y", connect, websocket.TextMessage, notDefined("nothing/x"), 1008},
		{"unknown application, no frame", "/ws/nothing", "", 0, notDefined("nothing"), 1008},
		{"no application", "/ws/", "", 0, notDefined(""), 1008},
		{"an encoded slash", "/ws/stage/a%2Fb", "", 0, rejected("Stage name is not valid."), 1008},
		{"an encoded slash for another", "/ws/stage%2fone", "", 0, notDefined("stage%2fone"), 1008},
		{"an encoded slash before a name", "/ws/stage/%2Fone", "", 0, rejected("Stage name is not valid."), 1008},
		{"an encoded question mark", "/ws/stage/one%3Fx", "", 0, rejected("Stage name is not valid."), 1008},
		{"an encoded nothing", "/ws/stage/one%00", "", 0, rejected("Stage name is not valid."), 1008},
		{"encoded twice", "/ws/stage/%256fne", "", 0, rejected("Stage name is not valid."), 1008},
		{"a deeper path", "/ws/stage/one/two", "", 0, rejected("Stage name is not valid."), 1008},
		{"a long name", "/ws/stage/" + strings.Repeat("x", 4000), "", 0, rejected("Stage name is not valid."), 1008},
		{"call first", "/ws/stage/one", `{"type":"call","method":"echo"}`, websocket.TextMessage, rejected("The first frame must be connect."), 1008},
		{"connect without an array", "/ws/stage/one", `{"type":"connect","args":"ann"}`, websocket.TextMessage, rejected("The first frame must be connect."), 1008},
		{"no type first", "/ws/stage/one", `{}`, websocket.TextMessage, rejected("The first frame must be connect."), 1008},
		{"no object first", "/ws/stage/one", `["connect"]`, websocket.TextMessage, rejected("The first frame must be connect."), 1008},
		{"malformed first", "/ws/stage/one", `hello`, websocket.TextMessage, rejected("The first frame must be connect."), 1007},
		{"binary first", "/ws/stage/one", connect, websocket.BinaryMessage, rejected("The first frame must be connect."), 1003},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := th.dial(t, tt.path)
			if tt.first != "" {
				if err := p.conn.WriteMessage(tt.kind, []byte(tt.first)); err != nil {
					t.Fatal(err)
				}
			}
			p.want(tt.status)
			p.wantClose(tt.code, "")
		})
	}
	if n := th.handler.bridge.received.Load(); n == 0 {
		t.Error("nothing was counted")
	}
}

func TestCalls(t *testing.T) {
	t.Parallel()
	th := newTheatre(t)
	p := th.join(t)
	p.send(`{"type":"call","id":7,"method":"echo","args":[{"z":1,"a":{"$date":5}}]}`)
	p.want(`{"type":"result","id":7,"value":{"z":1,"a":{"$date":5}}}`)
	p.send(`{"type":"call","id":1.50,"method":"echo","args":[{"$bytes":"AAE="}]}`, `{"type":"call","id":-3,"method":"echo"}`)
	p.want(`{"type":"result","id":1.50,"value":{"$bytes":"AAE="}}`, `{"type":"result","id":-3,"value":null}`)
	p.send(`{"type":"call","method":"echo","args":["nobody wants an answer"]}`, `{"type":"call","id":8,"method":"no"}`)
	p.want(`{"type":"error","id":8,"info":{"level":"error","code":"NetConnection.Call.Failed","description":"No.","application":{"reason":"busy"}}}`)
	p.send(`{"type":"call","id":9,"method":"broken"}`)
	p.want(`{"type":"error","id":9,"info":{"level":"error","code":"NetConnection.Call.Failed","description":"Call failed."}}`)
	p.send(`{"type":"call","id":10,"method":"close"}`)
	p.want(`{"type":"error","id":10,"info":{"level":"error","code":"NetConnection.Call.Failed","description":"Method not found (close)."}}`)

	p.send(`{"type":"call","id":11,"method":"ask","args":[21]}`)
	p.want(`{"type":"call","id":1,"method":"twice","args":[21]}`)
	p.send(`{"type":"result","id":99,"value":"nobody asked"}`, `{"type":"error","id":0.5}`)
	p.send(`{"type":"result","id":1,"value":42}`, `{"type":"result","id":1,"value":"twice"}`)
	p.want(`{"type":"result","id":11,"value":42}`)
	p.send(`{"type":"call","id":12,"method":"ask"}`)
	p.want(`{"type":"call","id":2,"method":"twice","args":[]}`)
	p.send(`{"type":"error","id":2,"info":{"level":"error","code":"No.Way","description":""}}`)
	p.want(`{"type":"result","id":12,"value":"error: No.Way"}`)
	p.send(`{"type":"call","id":13,"method":"ask"}`)
	p.want(`{"type":"call","id":3,"method":"twice","args":[]}`)
	p.send(`{"type":"error","id":3}`)
	p.want(`{"type":"result","id":13,"value":"error: NetConnection.Call.Failed"}`)
}

func TestSharedObject(t *testing.T) {
	t.Parallel()
	th := newTheatre(t)
	a, b := th.join(t), th.join(t)
	read := func(p *page) (m struct {
		Type, Name string
		Persistent bool
		Version    int
		Events     []map[string]any
	}) {
		t.Helper()
		if err := p.conn.ReadJSON(&m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	events := func(p *page) string {
		t.Helper()
		text, err := json.Marshal(read(p).Events)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	want := func(p *page, want string) {
		t.Helper()
		if got := events(p); got != want {
			t.Errorf("\n got %s\nwant %s", got, want)
		}
	}
	for _, p := range []*page{a, b} {
		p.send(`{"type":"so","name":"board","persistent":false,"version":0,"events":[{"event":"use"}]}`)
		m := read(p)
		if m.Type != "so" || m.Name != "board" || m.Persistent || m.Version == 0 || len(m.Events) < 2 || m.Events[0]["event"] != "useSuccess" {
			t.Fatalf("got %+v", m)
		}
		if last := m.Events[len(m.Events)-1]; last["event"] != "change" || last["slot"] != "a" || last["value"] != 1.0 {
			t.Fatalf("got %+v", last)
		}
	}
	a.send(`{"type":"so","name":"board","events":[{"event":"requestChange","slot":"b","value":{"y":1,"x":2}}]}`)
	want(a, `[{"event":"success","slot":"b"}]`)
	want(b, `[{"event":"change","slot":"b","value":{"x":2,"y":1}}]`)
	a.send(`{"type":"so","name":"board","events":[{"event":"requestChange","slot":"locked","value":1}]}`)
	want(a, `[{"code":"SharedObject.NoWriteAccess","event":"status","level":"error"}]`)
	a.send(`{"type":"so","name":"board","events":[{"event":"requestRemove","slot":"b"}]}`)
	want(a, `[{"event":"remove","slot":"b"}]`)
	want(b, `[{"event":"remove","slot":"b"}]`)
	b.send(`{"type":"so","name":"board","events":[{"event":"send","method":"hi","args":["all",{"$date":1}]}]}`)
	want(a, `[{"args":["all",{"$date":1}],"event":"send","method":"hi"}]`)
	want(b, `[{"args":["all",{"$date":1}],"event":"send","method":"hi"}]`)
	a.send(`{"type":"so","name":"board","events":[{"event":"release"}]}`, `{"type":"call","id":1,"method":"echo"}`)
	a.want(`{"type":"result","id":1,"value":null}`)
	b.send(`{"type":"so","name":"board","events":[{"event":"requestChange","slot":"c","value":1}]}`)
	want(b, `[{"event":"success","slot":"c"}]`)
	a.send(`{"type":"call","id":2,"method":"echo"}`)
	a.want(`{"type":"result","id":2,"value":null}`) // and nothing of c
}

func TestGoodbye(t *testing.T) {
	t.Parallel()
	th := newTheatre(t)
	for _, tt := range []struct {
		code int
		want error
	}{
		{websocket.CloseNormalClosure, rtmp.ErrGoodbye},
		{websocket.CloseGoingAway, rtmp.ErrGoodbye},
		{websocket.CloseNoStatusReceived, rtmp.ErrClosed},
		{4000, rtmp.ErrClosed},
	} {
		p := th.join(t)
		p.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(tt.code, "bye"), time.Now().Add(time.Second))
		th.wantLeft(t, tt.want)
		if tt.code == websocket.CloseNoStatusReceived {
			tt.code = websocket.CloseNormalClosure
		}
		p.wantClose(tt.code, "")
	}
	p := th.join(t)
	p.send(`{"type":"call","method":"close"}`)
	th.wantLeft(t, rtmp.ErrGoodbye)
	p.wantClose(websocket.CloseNormalClosure, "")
	p = th.join(t)
	p.conn.Close()
	th.wantLeft(t, rtmp.ErrClosed)
}

// TestBadFrames: each bad frame ends its own socket, and nothing else.
func TestBadFrames(t *testing.T) {
	t.Parallel()
	th := newTheatre(t)
	healthy := th.join(t)
	for _, tt := range []struct {
		name string
		kind int
		text string
		code int
	}{
		{"binary", websocket.BinaryMessage, `{"type":"call","method":"echo"}`, 1003},
		{"malformed", websocket.TextMessage, `{"type":`, 1007},
		{"unknown type", websocket.TextMessage, `{"type":"hello"}`, 1007},
		{"no UTF-8", websocket.TextMessage, "{\"type\":\"call\",\"method\":\"\xff\"}", 1007},
		{"deep", websocket.TextMessage, `{"type":"call","method":"echo","args":` + strings.Repeat("[", 100000), 1007},
		{"long", websocket.TextMessage, `{"type":"call","method":"echo","args":[` + strings.Repeat("0,", 100000) + `0]}`, 1007},
		{"giant", websocket.TextMessage, `"` + strings.Repeat("x", MaxFrame) + `"`, 1009},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := th.join(t)
			if err := p.conn.WriteMessage(tt.kind, []byte(tt.text)); err != nil {
				t.Fatal(err)
			}
			p.wantClose(tt.code, "")
			if _, ok := errors.AsType[*rtmp.ProtocolError](<-th.left); !ok {
				t.Error("no *rtmp.ProtocolError as the reason")
			}
		})
	}
	healthy.send(`{"type":"call","id":1,"method":"echo","args":["` + strings.Repeat("x", MaxFrame-100) + `"]}`)
	if _, b, err := healthy.conn.ReadMessage(); err != nil || len(b) < MaxFrame-100 {
		t.Errorf("the largest frame: got %d bytes, %v", len(b), err)
	}
}

func TestConnectTwice(t *testing.T) {
	t.Parallel()
	th := newTheatre(t)
	p := th.join(t)
	p.send(`{"type":"connect"}`)
	p.want(rejected("This socket is connected already."))
	p.wantClose(1008, "This socket is connected already.")
}

func TestKick(t *testing.T) {
	t.Parallel()
	th := newTheatre(t)
	p := th.join(t)
	p.send(`{"type":"call","method":"kick"}`)
	p.want(`{"type":"status","info":{"level":"error","code":"NetConnection.Connect.Closed","description":"Kicked."}}`)
	if got, ok := errors.AsType[*rtmp.StatusError](<-th.left); !ok || got.Description != "Kicked." {
		t.Errorf("got %v", got)
	}
	p.wantClose(1008, "Kicked.")
}

// TestKickWhileHeldBack: a page whose calls are all in flight can still be ended,
// although its reader waits.
func TestKickWhileHeldBack(t *testing.T) {
	t.Parallel()
	th := newTheatre(t)
	p := th.join(t)
	p.send(`{"type":"call","id":0,"method":"ask"}`)
	p.want(`{"type":"call","id":1,"method":"twice","args":[]}`)
	for range server.MaxCalls + 10 {
		p.send(`{"type":"call","id":1,"method":"never"}`)
	}
	var done sync.WaitGroup
	done.Go(th.handler.Close)
	p.wantClose(1012, "")
	th.wantLeft(t, errShutdown)
	done.Wait()
}

func TestShutdown(t *testing.T) {
	t.Parallel()
	th := newTheatre(t)
	a, b := th.join(t), th.join(t)
	pending := th.dial(t, "/ws/stage/one")
	pending.send(`{"type":"connect","args":["wait"]}`)
	silent := th.dial(t, "/ws/stage/one")
	var done sync.WaitGroup
	done.Go(th.handler.Close)
	for _, p := range []*page{a, b, pending, silent} {
		p.wantClose(1012, "")
	}
	done.Wait()
	if n := th.handler.bridge.open(); n != 0 {
		t.Errorf("%d sockets are open", n)
	}
	if _, resp, err := dial(t, th.web, "/ws/stage/one", nil); err == nil || resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("got %v, %v, want 503", resp, err)
	}
}

// TestHostDrain: a page that understands ReconnectRequest is asked to come back, and
// waited for. Any other is not. A page that comes now is refused, and hears when to try
// again.
func TestHostDrain(t *testing.T) {
	t.Parallel()
	th := newTheatre(t)
	old, page := th.join(t), th.dial(t, "/ws/stage/one")
	page.send(`{"type":"connect","capsEx":1,"args":["bob"]}`)
	page.want(success, `{"type":"call","method":"welcome","args":["bob"]}`)
	var done sync.WaitGroup
	done.Go(func() { th.host.Drain(t.Context()) })
	page.want(`{"type":"status","info":{"level":"status","code":"NetConnection.Connect.ReconnectRequest","description":"The server restarts: come back in a moment.","application":{"retryAfter":1000}}}`)
	late := th.dial(t, "/ws/stage/one")
	late.send(`{"type":"connect","args":[]}`)
	late.want(`{"type":"status","info":{"level":"error","code":"NetConnection.Connect.AppShutdown","description":"The server restarts: come back in a moment.","application":{"reason":"The server restarts: come back in a moment.","retryAfter":1000}}}`)
	late.wantClose(1012, "")
	page.conn.Close()
	done.Wait()
	old.send(`{"type":"call","id":1,"method":"echo","args":["still here"]}`)
	old.want(`{"type":"result","id":1,"value":"still here"}`)
}

// TestHostStop: the instance says AppShutdown, and when to come back.
func TestHostStop(t *testing.T) {
	t.Parallel()
	th := newTheatre(t)
	p := th.join(t)
	var done sync.WaitGroup
	done.Go(func() { th.host.Stop(t.Context()) })
	p.want(`{"type":"status","info":{"level":"error","code":"NetConnection.Connect.AppShutdown","description":"The application instance is shutting down."}}`)
	_, _, err := p.conn.ReadMessage()
	ce, ok := errors.AsType[*websocket.CloseError](err)
	if !ok || ce.Code != 1012 {
		t.Fatalf("got %v, want close 1012", err)
	}
	if wait, err := time.ParseDuration(ce.Text + "ms"); err != nil || wait < 500*time.Millisecond || wait > 3*time.Second {
		t.Errorf("got %q, want milliseconds", ce.Text)
	}
	done.Wait()
}

func TestOrigin(t *testing.T) {
	t.Parallel()
	th := newTheatre(t)
	own := strings.TrimPrefix(th.web.URL, "http://")
	for _, tt := range []struct {
		origin string
		status int
	}{
		{"", 101},
		{"http://" + own, 101},
		{"https://" + own, 101}, // TLS may end before us
		{"HTTP://" + strings.ToUpper(own), 101},
		{"http://example.org", 403},
		{"http://127.0.0.1", 403},
		{"http://127.0.0.1:1", 403},
		{"http://" + own + ".example.org", 403},
		{"http://" + own + "@example.org", 403},
		{"null", 403},
		{"file://", 403},
		{own, 403},
		{"://", 403},
	} {
		header := http.Header{}
		if tt.origin != "" {
			header.Set("Origin", tt.origin)
		}
		header.Set("X-Forwarded-Host", "example.org") // anybody can write that
		_, resp, err := dial(t, th.web, "/ws/stage/one", header)
		if resp == nil || resp.StatusCode != tt.status {
			t.Errorf("%q: got %v, %v, want %d", tt.origin, resp, err, tt.status)
		} else if tt.status == 403 && resp.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%q: got %q", tt.origin, resp.Header.Get("Content-Type"))
		}
	}
}

func TestNoUpgrade(t *testing.T) {
	t.Parallel()
	th := newTheatre(t)
	resp, err := http.Get(th.web.URL + "/ws/stage/one")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusUpgradeRequired || resp.Header.Get("Upgrade") != "websocket" {
		t.Errorf("got %d, %v", resp.StatusCode, resp.Header)
	}
}

// TestRequest: what the application learns about a page.
func TestRequest(t *testing.T) {
	r := httptest.NewRequest("GET", "http://host:8080/ws/room//blue/?a=b", nil)
	r.Header.Set("User-Agent", strings.Repeat("x", 10000))
	r.Header.Set("Origin", "http://host:8080")
	r.Header.Set("Referer", "http://host:8080/room/blue")
	got := socketRequest(r)
	if len(got.Agent) != maxClip {
		t.Errorf("agent of %d bytes", len(got.Agent))
	}
	got.Agent = ""
	want := server.Request{Path: "room//blue/?a=b", Addr: got.Addr, Referrer: "http://host:8080",
		PageURL: "http://host:8080/room/blue", URI: "ws://host:8080/ws/room//blue/?a=b", Protocol: "ws", AMF3: true}
	if got.Addr.String() != "192.0.2.1:1234" || got.Path != want.Path || got.Referrer != want.Referrer ||
		got.PageURL != want.PageURL || got.URI != want.URI || got.Protocol != want.Protocol || !got.AMF3 {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
