package web

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	"foyer/lobby"
	"foyer/server"
)

func TestLobbyPage(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "red", "blue")
	resp, body := h.ask(t, "GET", "/?sort=name", "")
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("got %d, %v", resp.StatusCode, resp.Header)
	}
	blue, red := strings.Index(body, `href="./room/blue"`), strings.Index(body, `href="./room/red"`)
	if blue < 0 || red < blue {
		t.Errorf("blue at %d, red at %d", blue, red)
	}
	if _, body := h.ask(t, "GET", "/?q=RE", ""); strings.Contains(body, `href="./room/blue"`) || !strings.Contains(body, `href="./room/red"`) {
		t.Error("the search does not search")
	}
	if _, body := h.ask(t, "GET", "/?live=1", ""); strings.Contains(body, `href="./room/red"`) {
		t.Error("a room that is not live is shown")
	}
	if resp, body := h.ask(t, "GET", `/?q=%22%3E%3Cscript%3E&sort=worst&tag=%3Cb%3E`, ""); resp.StatusCode != 200 ||
		strings.Contains(body, "<script>") || strings.Contains(body, "<b><b>") {
		t.Errorf("what was asked for is in the page as it came: %d", resp.StatusCode)
	}
}

func TestRoomPage(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "red")
	for path, status := range map[string]int{
		"/room/red": 200, "/room/not.running_yet-1": 200, "/room/" + strings.Repeat("x", 64): 200,
		"/room/" + strings.Repeat("x", 65): 404, "/room/a%20b": 404, "/room/%2e%2e%2f": 404, "/room/a/b": 404,
		"/nothing": 404, "/index.html": 404,
	} {
		resp, body := h.ask(t, "GET", path, "")
		if resp.StatusCode != status || resp.Header.Get("Content-Type") != "text/html; charset=utf-8" || !strings.Contains(body, "</html>") {
			t.Errorf("%s: got %d, %v", path, resp.StatusCode, resp.Header)
		}
	}
	if n := h.host.Stats().Instances["room"]; n != 1 {
		t.Errorf("%d rooms run: looking started one", n)
	}
}

// TestRoomRedirects: addresses that people type from memory lead to the page.
func TestRoomRedirects(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for path, want := range map[string]string{"/room/red/": "/room/red", "/room/a%20b/": "/room/a%20b", "/room": "/", "/room/": "/"} {
		w := httptest.NewRecorder()
		h.handler.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		got := w.Header().Get("Location")
		if w.Code/100 != 3 || resolve(t, path, got) != want {
			t.Errorf("%s: got %d, %q, want %q", path, w.Code, got, want)
		}
		if got := resolve(t, "/below"+path, got); got != "/below"+want {
			t.Errorf("%s behind a proxy: got %q", path, got)
		}
	}
}

// resolve returns the address to which a reference on the page of that path leads.
func resolve(t *testing.T, path, ref string) string {
	t.Helper()
	u, err := url.Parse(path)
	if err != nil {
		t.Fatal(err)
	}
	if u, err = u.Parse(ref); err != nil {
		t.Fatal(err)
	}
	return u.EscapedPath()
}

// A proxy may have put the pages below a path that this server does not know, so no
// reference begins at the root.
func TestPagesUnderPath(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "red")
	ref := regexp.MustCompile(`(?:href|src|action)="([^"#?][^"]*)"`)
	for _, path := range []string{"/", "/room/red", "/room/..x", "/no/such/page", "/none", "/a%2Fb"} {
		_, body := h.ask(t, "GET", path, "")
		found := ref.FindAllStringSubmatch(body, -1)
		for _, m := range found {
			if to := resolve(t, "/below"+path, m[1]); strings.HasPrefix(m[1], "/") || !strings.HasPrefix(to, "/below/") {
				t.Errorf("%s has %s, which leads to %s", path, m[1], to)
			}
		}
		if len(found) == 0 {
			t.Errorf("%s: nothing found in %s", path, body)
		}
	}
}

// TestRoomAddress: the address for encoders.
func TestRoomAddress(t *testing.T) {
	for _, tt := range []struct {
		public, port, host string
		want               string
	}{
		{"", "", "foyer.example", "rtmp://foyer.example/room/blue"},
		{"", "1935", "foyer.example:8080", "rtmp://foyer.example/room/blue"},
		{"", "1936", "foyer.example:8080", "rtmp://foyer.example:1936/room/blue"},
		{"", "1936", "[::1]:8080", "rtmp://[::1]:1936/room/blue"},
		{"", "1935", "[::1]", "rtmp://[::1]:1935/room/blue"},
		{"rtmp://live.example:1935/", "1", "foyer.example", "rtmp://live.example:1935/room/blue"},
	} {
		h := &Handler{cfg: Config{PublicRTMP: tt.public, RTMPPort: tt.port}}
		if got := h.roomAddress(&http.Request{Host: tt.host}, "blue"); got != tt.want {
			t.Errorf("%+v: got %s", tt, got)
		}
	}
}

// TestOtherNode: a room on another server is shown there.
func TestOtherNode(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	entry := func(node, address string) lobby.Entry {
		return lobby.Entry{Name: "red", Status: lobby.Status{Node: node, HTTP: address}}
	}
	for _, tt := range []struct {
		entry lobby.Entry
		want  string
	}{
		{entry("n1", "http://n1.example/room/red"), "./room/red"},
		{entry("n2", "http://n2.example/room/red"), "http://n2.example/room/red"},
		{entry("n2", ""), "./room/red"},
		{entry("", "http://n2.example/room/red"), "./room/red"},
	} {
		h.handler.SetAccess(Access{Origins: []string{"http://n2.example"}})
		if got := h.handler.href(httptest.NewRequest("GET", "/", nil), tt.entry); got != tt.want {
			t.Errorf("%+v: got %s, want %s", tt.entry, got, tt.want)
		}
	}
	h = newHouse(t, "red")
	elsewhere := New(Config{Host: h.host, Node: "n2", Access: Access{Origins: []string{"http://n1.example"}}}) // red is not on it
	w := httptest.NewRecorder()
	elsewhere.ServeHTTP(w, httptest.NewRequest("GET", "/room/red", nil))
	if got := w.Header().Get("Location"); w.Code != http.StatusSeeOther || got != "http://n1.example/room/red" {
		t.Errorf("got %d, %q", w.Code, got)
	}
	// One of several nodes serves the room itself, so that visitors stay when its owner
	// goes.
	oneOfSeveral := New(Config{Host: h.host, Node: "n2", Everywhere: true})
	w = httptest.NewRecorder()
	oneOfSeveral.ServeHTTP(w, httptest.NewRequest("GET", "/room/red", nil))
	if w.Code != http.StatusOK {
		t.Errorf("got %d, %q", w.Code, w.Header().Get("Location"))
	}
	if got := oneOfSeveral.href(httptest.NewRequest("GET", "/", nil), entry("n2", "http://n2.example/room/red")); got != "./room/red" {
		t.Errorf("got %s", got)
	}
}

// TestLobbyDoesNotAnswer: a page and the API say so, in time.
func TestLobbyDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host := &server.Host{Log: testLog(t)}
		host.Handle("lobby", func() server.Application { return &deafLobby{} })
		defer host.Stop(t.Context())
		if err := host.Start("lobby"); err != nil {
			t.Fatal(err)
		}
		h := New(Config{Host: host, MetricsFrom: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}) // the address in httptest
		for path, kind := range map[string]string{"/": "text/html; charset=utf-8", "/api/v1/rooms": "application/problem+json"} {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
			if w.Code != 503 || w.Header().Get("Content-Type") != kind {
				t.Errorf("%s: got %d, %v", path, w.Code, w.Header())
			}
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		if body := w.Body.String(); w.Code != 200 || !strings.Contains(body, "foyer_calls_total") || strings.Contains(body, "foyer_lobby_rooms") {
			t.Errorf("metrics: got %d, %.300s", w.Code, body)
		}
	})
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	inline := regexp.MustCompile(`(?i)<script(?:\s+type="module")?\s*>|\son[a-z]+\s*=|\sstyle\s*=|<style|javascript:|https?://`)
	for _, path := range []string{"/", "/room/red", "/nothing", "/assets/foyer.css", "/api/v1/rooms", "/api/", "/healthz", "/metrics", "/ws/lobby"} {
		resp, body := h.ask(t, "GET", path, "")
		for name, want := range map[string]string{
			"Content-Security-Policy":      contentPolicy,
			"X-Content-Type-Options":       "nosniff",
			"Referrer-Policy":              "same-origin",
			"Cross-Origin-Opener-Policy":   "same-origin",
			"Cross-Origin-Resource-Policy": "same-origin",
		} {
			if got := resp.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
		if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
			if found := inline.FindString(body); found != "" {
				t.Errorf("%s: the policy forbids %q", path, found)
			}
		}
	}
	for _, unsafe := range []string{"unsafe", "*", "http:", "https:"} {
		if strings.Contains(contentPolicy, unsafe) {
			t.Errorf("the policy has %q", unsafe)
		}
	}
}

func TestAssets(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for path, kind := range map[string]string{
		"/assets/netconnection.js": "text/javascript; charset=utf-8",
		"/assets/foyer.css":        "text/css; charset=utf-8",
		"/assets/logo.svg":         "image/svg+xml",
	} {
		resp, body := h.ask(t, "GET", path, "")
		tag := resp.Header.Get("ETag")
		if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != kind || tag == "" || body == "" ||
			resp.Header.Get("Cache-Control") != "no-cache" {
			t.Errorf("%s: got %d, %v", path, resp.StatusCode, resp.Header)
		}
		if resp, body := h.ask(t, "GET", path, "", "If-None-Match: "+tag); resp.StatusCode != http.StatusNotModified || body != "" {
			t.Errorf("%s: got %d, %d bytes", path, resp.StatusCode, len(body))
		}
		if resp, body := h.ask(t, "GET", path, "", `If-None-Match: "old"`); resp.StatusCode != 200 || body == "" {
			t.Errorf("%s: got %d", path, resp.StatusCode)
		}
	}
	for _, path := range []string{"/assets/", "/assets/lobby.html", "/assets/../assets.go", "/assets/%2e%2e/assets.go", "/assets/x.exe"} {
		if resp, _ := h.ask(t, "GET", path, ""); resp.StatusCode == 200 {
			t.Errorf("%s is there", path)
		}
	}
}

// TestAssetsDirectory: files in a directory are read for each request.
func TestAssetsDirectory(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	get := func(h http.Handler, path string) (int, string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		return w.Code, w.Body.String()
	}
	h := New(Config{Host: &server.Host{}, Assets: dir, Log: testLog(t), Lobby: "rtmp://x/lobby"})
	for _, text := range []string{"one", "two"} {
		write("a.js", text)
		write("message.html", text+" {{.Lobby}}")
		if code, got := get(h, "/assets/a.js"); code != 200 || got != text {
			t.Errorf("got %d, %q, want %q", code, got, text)
		}
		if code, got := get(h, "/"); code != 200 || got != text+" rtmp://x/lobby" {
			t.Errorf("got %d, %q, want %q", code, got, text)
		}
	}
	h.log = New(Config{Host: &server.Host{}}).log // the next error is meant to be logged
	write("message.html", "{{.Nothing}}")
	if code, _ := get(h, "/"); code != 500 {
		t.Errorf("got %d for a template that fails", code)
	}
}

// TestRoomElsewhere: if a room claims to be at a host that is not of this site, visitors
// see a link and are not sent there.
func TestRoomElsewhere(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "red") // at http://n1.example
	ask := func(h *Handler, host string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", "/room/red", nil)
		r.Host = host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	elsewhere := New(Config{Host: h.host, Node: "n2"})
	defer elsewhere.Close()
	w := ask(elsewhere, "n2.example")
	if w.Code != http.StatusOK || w.Header().Get("Location") != "" || !strings.Contains(w.Body.String(), `href="http://n1.example/room/red"`) {
		t.Errorf("got %d, %v, %s", w.Code, w.Header(), w.Body)
	}
	if w := ask(elsewhere, "n1.example:8080"); w.Code != http.StatusSeeOther {
		t.Errorf("of the host that was asked, at another port: got %d", w.Code)
	}
	if got := elsewhere.href(httptest.NewRequest("GET", "http://n2.example/", nil), lobby.Entry{Name: "red", Status: lobby.Status{Node: "n1", HTTP: "http://n1.example/room/red"}}); got != "./room/red" {
		t.Errorf("the lobby links to %s", got)
	}
	of := New(Config{Host: h.host, Node: "n2", RunsOn: func(_ context.Context, room, node string) bool { return room == "red" && node == "n1" }})
	defer of.Close()
	if w := ask(of, "n2.example"); w.Code != http.StatusSeeOther || w.Header().Get("Location") != "http://n1.example/room/red" {
		t.Errorf("of a node of the site: got %d, %v", w.Code, w.Header())
	}
}
