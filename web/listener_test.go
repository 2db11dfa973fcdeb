package web

import (
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"foyer/server"
)

// here is the network from which tests send requests.
var here = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// TestListeners: the settings decide at which listener operators are served, and who
// sees the figures.
func TestListeners(t *testing.T) {
	type request struct{ method, path string }
	metrics, profile, symbol := request{"GET", "/metrics"}, request{"GET", "/debug/pprof/goroutine"}, request{"GET", "/debug/pprof/symbol"}
	var operators []request // without the figures
	for _, r := range []string{"GET /api/v1/backup", "GET /api/v1/rooms/x/key", "DELETE /api/v1/rooms/x/state", "DELETE /api/v1/rooms/x/streams/live", "POST /api/v1/announce"} {
		method, path, _ := strings.Cut(r, " ")
		operators = append(operators, request{method, path})
	}
	for _, c := range []struct {
		name     string
		listener listener
		apart    bool
		from     string // address
		header   string // and its value
		requests []request
		want     int
	}{
		{"figures from a stranger", public, false, "192.0.2.1", "", []request{metrics}, 403},
		{"figures from a named address", public, false, "127.0.0.1", "", []request{metrics}, 200},
		{"the same mapped into IPv6", public, false, "::ffff:127.0.0.1", "", []request{metrics}, 200},
		{"figures by a proxy there", public, false, "127.0.0.1", "X-Forwarded-For: 192.0.2.1", []request{metrics}, 403},
		{"the same by another header", public, false, "127.0.0.1", "Forwarded: for=192.0.2.1", []request{metrics}, 403},
		{"figures for the token", public, false, "192.0.2.1", "Authorization: Bearer token", []request{metrics}, 200},
		{"figures for another token", public, false, "192.0.2.1", "Authorization: Bearer other", []request{metrics}, 403},
		{"profiles where the pages are", public, false, "127.0.0.1", "Authorization: Bearer token", []request{profile, symbol, {"GET", "/debug/pprof"}}, 404},
		{"operators where the pages are", public, false, "192.0.2.1", "", operators, 401},

		{"apart, where the pages are", public, true, "127.0.0.1", "Authorization: Bearer token", append(operators, metrics, profile), 404},
		{"apart, by any method", public, true, "127.0.0.1", "", []request{{"POST", "/metrics"}, {"GET", "/api/v1/announce"}}, 404},
		{"apart, figures from a named address", admin, true, "127.0.0.1", "", []request{metrics, profile, symbol}, 200},
		{"apart, figures from a stranger", admin, true, "192.0.2.1", "", []request{metrics, profile, symbol}, 403},
		{"apart, figures for the token", admin, true, "192.0.2.1", "Authorization: Bearer token", []request{metrics, profile}, 200},
		{"apart, operators without the token", admin, true, "127.0.0.1", "", operators, 401},
		{"apart, what was started with", admin, true, "127.0.0.1", "Authorization: Bearer token", []request{{"GET", "/debug/pprof/cmdline"}}, 404},
		{"apart, what is everybody's", public, true, "192.0.2.1", "", []request{{"GET", "/healthz"}, {"GET", "/readyz"}}, 200},
		{"apart, the same", admin, true, "192.0.2.1", "", []request{{"GET", "/healthz"}, {"GET", "/readyz"}}, 200},

		{"the control socket", control, true, "@", "", []request{metrics, profile}, 200},
		{"the control socket asks for no token", control, true, "@", "", []request{{"GET", "/api/v1/backup"}}, 404}, // nothing to back up
	} {
		t.Run(c.name, func(t *testing.T) {
			h := New(Config{Host: &server.Host{}, Log: testLog(t), AdminToken: "token", Apart: c.apart, MetricsFrom: here})
			defer h.Close()
			for _, q := range c.requests {
				r := httptest.NewRequest(q.method, q.path, nil)
				r.RemoteAddr = c.from
				if addr, err := netip.ParseAddr(c.from); err == nil {
					r.RemoteAddr = netip.AddrPortFrom(addr, 40000).String()
				}
				if name, value, ok := strings.Cut(c.header, ": "); ok {
					r.Header.Set(name, value)
				}
				w := httptest.NewRecorder()
				switch c.listener {
				case public:
					h.ServeHTTP(w, r)
				case admin:
					h.Admin().ServeHTTP(w, r)
				case control:
					h.Control().ServeHTTP(w, r)
				}
				if w.Code != c.want {
					t.Errorf("%s %s: %d %.200s, want %d", q.method, q.path, w.Code, w.Body.String(), c.want)
				}
			}
		})
	}
}
