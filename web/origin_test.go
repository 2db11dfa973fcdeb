package web

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"foyer/server"
	"foyer/server/guard"
)

func TestCheckOrigin(t *testing.T) {
	for text, want := range map[string]string{
		"https://Example.org": "https://example.org:443", "http://example.org/": "http://example.org:80", "https://example.org:8443": "https://example.org:8443",
		"http://[::1]:8080": "http://::1:8080", "HTTP://a": "http://a:80",
		"example.org": "", "example.org:443": "", "https://": "", "https://a/b": "", "https://a?b": "", "https://a#b": "", "https://u@a": "", "*": "", "https://*.example.org": "", "null": "", "": "", "://": "",
	} {
		got, err := CheckOrigin(text)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v", text, got, err)
		}
	}
}

// TestOrigins: only pages of origins that the settings name may connect and read the
// API. A refusal is logged with both names, at most once a minute for each pair.
func TestOrigins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, out := trusting(t, guard.Limits{})
		h.SetAccess(Access{Origins: []string{"https://live.example.org", "not one"}})
		ask := func(method, path, host, origin string) *httptest.ResponseRecorder {
			r := httptest.NewRequest(method, path, nil)
			r.Host = host
			r.Header.Set("Origin", origin)
			if method == http.MethodOptions {
				r.Header.Set("Access-Control-Request-Method", "POST")
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			return w
		}
		for _, tt := range []struct {
			origin, host string
			may          bool
		}{
			{"https://live.example.org", "10.0.0.2:8080", true}, {"https://LIVE.example.org:443", "10.0.0.2:8080", true},
			{"http://live.example.org", "10.0.0.2:8080", false}, {"https://live.example.org.evil.example", "10.0.0.2:8080", false},
			{"http://10.0.0.2:8080", "10.0.0.2:8080", true}, {"null", "10.0.0.2:8080", false}, {"https://live.example.org@evil.example", "10.0.0.2:8080", false},
		} {
			// It is no handshake, but a page that may connect hears that.
			want := map[bool]int{true: http.StatusUpgradeRequired, false: http.StatusForbidden}[tt.may]
			if w := ask("GET", "/ws/stage/x", tt.host, tt.origin); w.Code != want {
				t.Errorf("%s: socket got %d", tt.origin, w.Code)
			}
			w := ask("GET", "/api/v1/rooms", tt.host, tt.origin)
			if got := w.Header().Get("Access-Control-Allow-Origin"); (got == tt.origin) != tt.may || !tt.may && got != "" || w.Header().Get("Vary") != "Origin" {
				t.Errorf("%s: API got %q", tt.origin, got)
			}
			w = ask("OPTIONS", "/api/v1/announce", tt.host, tt.origin)
			if got := w.Header().Get("Access-Control-Allow-Headers"); strings.Contains(got, "Authorization") != tt.may || (w.Code == http.StatusNoContent) != tt.may {
				t.Errorf("%s: preflight got %d, %q", tt.origin, w.Code, got)
			}
		}
		out.Reset()
		logged := func() int { return strings.Count(out.String(), "\n") }
		ask("GET", "/ws/stage/x", "a:1", "http://evil.example\x00\n"+strings.Repeat("x", 1000))
		if !strings.Contains(out.String(), "origin=http://evil.examplexxx") || !strings.Contains(out.String(), "host=a:1") || len(out.String()) > 1000 {
			t.Errorf("logged %s", out)
		}
		for range 5 {
			ask("GET", "/ws/stage/x", "b:1", "http://evil.example")
			ask("GET", "/ws/stage/x", "c:1", "http://evil.example")
		}
		if logged() != 3 {
			t.Errorf("%d lines for three pairs: %s", logged(), out)
		}
		time.Sleep(time.Minute)
		ask("GET", "/ws/stage/x", "b:1", "http://evil.example")
		if logged() != 4 {
			t.Errorf("%d lines a minute later", logged())
		}
		for i := range 1000 {
			ask("GET", "/ws/stage/x", "d:1", "http://evil.example:"+strings.Repeat("1", i%4+1)+string(rune('0'+i%10))+string(rune('0'+i/10%10))+string(rune('0'+i/100)))
		}
		if logged() > 4+64 {
			t.Errorf("%d lines for a thousand pairs", logged())
		}
		if got := h.guard.Refused()["origin"]; got < 1000 {
			t.Errorf("counted %d", got)
		}
	})
}

// TestReach: a page learns why its sockets do not open.
func TestReach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, out := trusting(t, guard.Limits{})
		why := func(origin string) string {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("GET", "http://10.0.0.2:8080/api/v1/reach?origin="+origin, nil))
			var answer struct{ Why string }
			if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != http.StatusOK {
				t.Errorf("got %d, %s", w.Code, w.Body)
			}
			return answer.Why
		}
		if got := why("http://10.0.0.2:8080"); got != "" {
			t.Errorf("got %q", got)
		}
		const foreign = "This server does not let pages of https://live.example.org connect. Its operator can allow it with --public-http or --origins."
		if got := why("https://live.example.org"); got != foreign {
			t.Errorf("got %q", got)
		}
		r := httptest.NewRequest("GET", "http://10.0.0.2:8080/ws/lobby", nil) // a handshake as nginx forwards it
		r.Header.Set("Sec-WebSocket-Key", "x")
		for range 3 {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != http.StatusUpgradeRequired || !strings.Contains(w.Body.String(), strippedHandshake) {
				t.Errorf("got %d, %s", w.Code, w.Body)
			}
		}
		if got := strings.Count(out.String(), "handshake without Upgrade"); got != 1 {
			t.Errorf("%d warnings", got)
		}
		if got := why("http://10.0.0.2:8080"); got != strippedHandshake {
			t.Errorf("got %q", got)
		}
		if got := why("https://live.example.org"); got != foreign+" "+strippedHandshake {
			t.Errorf("got %q", got)
		}
		time.Sleep(strippedFor)
		if got := why("http://10.0.0.2:8080"); got != "" {
			t.Errorf("later: got %q", got)
		}
		var c strippedHandshakes
		for i := range 3 * maxStripped {
			c.note(fromNumber(i))
		}
		if len(c.last) > maxStripped {
			t.Errorf("remembers %d", len(c.last))
		}
	})
}

// TestAllowedHosts: a server with a list of its names answers for no others, except to
// health checks.
func TestAllowedHosts(t *testing.T) {
	h, out := trusting(t, guard.Limits{})
	h.SetAccess(Access{Hosts: []string{"live.example.org", "admin.example.org:8443", "[::1]", "10.0.0.2"}})
	for _, tt := range []struct {
		host, path string
		status     int
	}{
		{"live.example.org", "/healthz", 200}, {"LIVE.example.org:8080", "/healthz", 200}, {"live.example.org.", "/healthz", 200}, {"[::1]:8080", "/api/v1/rooms", 404}, {"10.0.0.2:80", "/api/v1/rooms", 404},
		{"admin.example.org:8443", "/healthz", 200}, {"admin.example.org", "/healthz", 421}, {"evil.example", "/healthz", 421}, {"evil.example", "/", 421}, {"evil.example", "/ws/stage/x", 421},
		{"localhost:8080", "/readyz", 200}, {"127.0.0.1:8080", "/healthz", 200}, {"", "/readyz", 200}, {"[::2]:8080", "/readyz", 200},
		{"localhost:8080", "/", 421}, {"127.0.0.1", "/api/v1/rooms", 421}, {"", "/", 421},
	} {
		r := httptest.NewRequest("GET", tt.path, nil)
		r.Host = tt.host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != tt.status {
			t.Errorf("%s%s: got %d, want %d", tt.host, tt.path, w.Code, tt.status)
		}
	}
	if !strings.Contains(out.String(), "limit=host") || !strings.Contains(out.String(), "host=evil.example") {
		t.Errorf("logged %s", out)
	}
}

func fromNumber(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{203, byte(i >> 16), byte(i >> 8), byte(i)})
}

func TestSameOriginPorts(t *testing.T) {
	h := New(Config{Host: &server.Host{}})
	defer h.Close()
	for _, tt := range []struct {
		origin, host string
		want         bool
	}{
		{"http://example.org", "example.org", true},
		{"http://example.org", "example.org:80", true},
		{"https://example.org", "example.org:443", true},
		{"https://example.org:443", "example.org", true},
		{"http://example.org", "example.org:8080", false},
		{"http://[::1]:8080", "[::1]:8080", true},
		{"http://[::1]", "[::2]", false},
	} {
		if got := h.mayConnect(tt.origin, tt.host); got != tt.want {
			t.Errorf("%s at %s: got %t", tt.origin, tt.host, got)
		}
	}
	r := httptest.NewRequest("GET", "http://a/ws/stage/one", nil)
	r.Header["Origin"] = []string{"http://a", "http://b"}
	if h.isOriginAllowed(httptest.NewRecorder(), r) {
		t.Error("two origins were taken")
	}
}
