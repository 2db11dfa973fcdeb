package web

import (
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"foyer/server"
	"foyer/server/amf"
	"foyer/server/guard"
)

// lines are the lines of a log.
type lines struct {
	mu   sync.Mutex
	text strings.Builder // guarded by mu
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *lines) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Reset()
}

// trusting returns a Handler with those limits, and its log.
func trusting(t *testing.T, limits guard.Limits) (*Handler, *lines) {
	t.Helper()
	out := new(lines)
	log := slog.New(slog.NewTextHandler(out, nil))
	host := &server.Host{Log: log, Guard: &guard.Guard{Log: log}}
	host.Handle("stage", func() server.Application { return &stage{left: make(chan error, 100)} })
	host.Guard.Set(limits)
	h := New(Config{Host: host, Log: log})
	t.Cleanup(func() { h.Close(); host.Stop(t.Context()) })
	return h, out
}

var tens = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}

// TestVisitor: trusted proxies say where a request comes from, and whether it is https.
func TestVisitor(t *testing.T) {
	h, _ := trusting(t, guard.Limits{Proxies: tens})
	for _, tt := range []struct {
		name, peer string
		tls        bool
		header     http.Header
		want       string
		https      bool
	}{
		{"nobody between", "203.0.113.9:7", false, nil, "203.0.113.9:7", false},
		{"TLS", "203.0.113.9:7", true, nil, "203.0.113.9:7", true},
		{"a stranger lies", "203.0.113.9:7", false, http.Header{"X-Forwarded-For": {"198.51.100.1"}, "X-Forwarded-Proto": {"https"}, "Forwarded": {"for=198.51.100.1"}}, "203.0.113.9:7", false},
		{"a proxy", "10.0.0.1:7", false, http.Header{"X-Forwarded-For": {"198.51.100.1"}, "X-Forwarded-Proto": {"https"}}, "198.51.100.1:0", true},
		{"a proxy that speaks TLS for http", "10.0.0.1:7", true, http.Header{"X-Forwarded-Proto": {"http"}}, "10.0.0.1:7", false},
		{"a proxy with RFC 7239", "10.0.0.1:7", false, http.Header{"Forwarded": {`for="[2001:db8::1]";proto=https`}}, "[2001:db8::1]:0", true},
		{"a mapped peer", "[::ffff:203.0.113.9]:7", false, nil, "203.0.113.9:7", false},
		{"a zone", "[fe80::1%eth0]:7", false, nil, "[fe80::1]:7", false},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = tt.peer
		if tt.tls {
			r.TLS = new(tls.ConnectionState)
		}
		for name, lines := range tt.header {
			r.Header[name] = lines
		}
		r = h.locate(r, public)
		if v := visitorOf(r); v.addr.String() != tt.want || v.named != strings.HasSuffix(tt.want, ":0") || r.RemoteAddr != tt.want || isHTTPS(r) != tt.https {
			t.Errorf("%s: got %v, %q", tt.name, v, r.RemoteAddr)
		}
		protocol := map[bool]string{false: "ws", true: "wss"}[tt.https]
		if req := socketRequest(r); req.Addr.String() != tt.want || req.Protocol != protocol || !strings.HasPrefix(req.URI, protocol+"://") {
			t.Errorf("%s: a socket is %+v", tt.name, req)
		}
	}
}

// TestProxyNoticed: when there seems to be a proxy, one warning names the setting.
func TestProxyNoticed(t *testing.T) {
	for _, tt := range []struct {
		name, peer string
		proxies    []netip.Prefix
		want       int
	}{
		{"a private address", "192.168.1.2:7", nil, 1}, {"loopback", "127.0.0.1:7", nil, 1}, {"shared", "100.64.1.1:7", nil, 1},
		{"somebody out there", "203.0.113.9:7", nil, 0}, {"it is set", "192.168.1.2:7", tens, 0},
	} {
		h, out := trusting(t, guard.Limits{Proxies: tt.proxies})
		for range 3 {
			r := httptest.NewRequest("GET", "/healthz", nil)
			r.RemoteAddr = tt.peer
			h.ServeHTTP(httptest.NewRecorder(), r)
			r.Header.Set("X-Forwarded-For", "198.51.100.1")
			h.ServeHTTP(httptest.NewRecorder(), r)
		}
		if got := strings.Count(out.String(), "--trusted-proxies"); got != tt.want {
			t.Errorf("%s: %d warnings", tt.name, got)
		}
	}
}

// TestVisitorIsTheClient: limits, the room and the log know a socket by the address that
// the proxy has named.
func TestVisitorIsTheClient(t *testing.T) {
	from := make(chan netip.Addr, 9) // more than come here
	h, out := trusting(t, guard.Limits{Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, AddressConnections: 1})
	h.cfg.Host.Handle("hall", func() server.Application { return &hall{func(c *server.Client) { from <- c.IP() }} })
	web := httptest.NewServer(h)
	defer web.Close()
	of := func(addr string) http.Header { return http.Header{"X-Forwarded-For": {addr}} }
	first, _, err := dial(t, web, "/ws/hall", of("203.0.113.7"))
	if err != nil {
		t.Fatal(err)
	}
	defer first.conn.Close()
	if err := first.conn.WriteJSON(map[string]any{"type": "connect", "args": []any{}}); err != nil {
		t.Fatal(err)
	}
	if got := <-from; got.String() != "203.0.113.7" {
		t.Errorf("the instance knows %v", got)
	}
	if _, _, err := first.conn.ReadMessage(); err != nil {
		t.Error(err)
	}
	_, resp, _ := dial(t, web, "/ws/hall", of("203.0.113.7"))
	if resp == nil || resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") == "" || resp.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("a second one of the address: %v", resp)
	}
	second, _, err := dial(t, web, "/ws/hall", of("203.0.113.8"))
	if err != nil {
		t.Errorf("one of another address: %v", err)
	} else {
		second.conn.Close()
	}
	wait(t, func() bool {
		return strings.Contains(out.String(), "remote=203.0.113.7:0") && strings.Contains(out.String(), "addr=203.0.113.7 ")
	})
}

// hall is an application that lets everybody in and tells about them.
type hall struct{ came func(*server.Client) }

func (*hall) OnAppStart(*server.Instance) error { return nil }
func (h *hall) OnConnect(c *server.Client, _ amf.Args) error {
	h.came(c)
	return nil
}
func (*hall) OnDisconnect(*server.Client, error) {}
func (*hall) OnAppStop()                         {}

// TestRequestsAreLimited: a request counts while it runs. One over the limit hears when
// to come again.
func TestRequestsAreLimited(t *testing.T) {
	h, _ := trusting(t, guard.Limits{AddressConnections: 1})
	addr := netip.MustParseAddr("203.0.113.9")
	ask := func(path string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", path, nil)
		r.RemoteAddr = addr.String() + ":7"
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	for range 3 { // each gives its place back
		if w := ask("/api/v1/rooms"); w.Code == http.StatusTooManyRequests {
			t.Fatalf("got %d", w.Code)
		}
	}
	place, no := h.guard.Enter(addr)
	if no != nil {
		t.Fatal(no)
	}
	w := ask("/")
	if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "Too many connections from your address.") {
		t.Errorf("got %d, %v, %s", w.Code, w.Header(), w.Body)
	}
	place.Leave()
	if w := ask("/healthz"); w.Code != http.StatusOK {
		t.Errorf("afterwards: %d", w.Code)
	}
	if got := h.guard.Refused()["address-connections"]; got != 1 {
		t.Errorf("counted %d", got)
	}
}

// TestProxyHeaderOverHTTP: on a real connection, PROXY headers from anybody but a
// trusted proxy are answered with 400.
func TestProxyHeaderOverHTTP(t *testing.T) {
	h, out := trusting(t, guard.Limits{})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	web := &httptest.Server{Listener: h.guard.ListenProxied(ln), Config: &http.Server{Handler: h}}
	web.Start()
	defer web.Close()
	for _, header := range []string{"PROXY TCP4 203.0.113.7 203.0.113.1 1 2\r\n", "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xcb\x00\x71\x07\xcb\x00\x71\x01\x12\x34\x00\x50"} {
		for _, trusted := range []bool{false, true} {
			h.guard.Set(guard.Limits{})
			want := "HTTP/1.1 400 "
			if trusted {
				h.guard.Set(guard.Limits{Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
				want = "HTTP/1.1 200 "
			}
			nc, err := net.Dial("tcp", ln.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			nc.Write([]byte(header + "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
			b := make([]byte, len(want))
			n, _ := nc.Read(b)
			nc.Close()
			if string(b[:n]) != want {
				t.Errorf("%q, trusted %t: got %q", header[:5], trusted, b[:n])
			}
		}
	}
	if !strings.Contains(out.String(), "limit=proxy") || !strings.Contains(out.String(), "--trusted-proxies") {
		t.Errorf("logged %s", out)
	}
}
