package web

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"foyer/lobby"
	"foyer/server"
	"foyer/server/amf"
	"foyer/server/guard"
	"foyer/server/rtmp"
)

// guessed is a web side whose token somebody tries to guess.
type guessed struct {
	handler *Handler
	guard   *guard.Guard
	log     bytes.Buffer
}

const rightToken = "the admin token"

func newGuessed(t *testing.T) *guessed {
	d := new(guessed)
	d.guard = &guard.Guard{Log: slog.New(slog.NewTextHandler(&d.log, nil))}
	d.guard.Set(guard.Limits{Exempt: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}) // not of this
	host := &server.Host{Guard: d.guard}
	host.Handle("lobby", func() server.Application { return lobby.New(lobby.Config{}) })
	d.handler = New(Config{Host: host, AdminToken: rightToken})
	t.Cleanup(d.handler.Close)
	return d
}

// ask asks from an address, with an Authorization if there is one.
func (d *guessed) ask(path, addr, authorization string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", path, nil)
	r.RemoteAddr = netip.AddrPortFrom(netip.MustParseAddr(addr), 1).String()
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	w := httptest.NewRecorder()
	d.handler.ServeHTTP(w, r)
	return w
}

func TestWrongTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newGuessed(t)
		const key, one = "/api/v1/backup", "192.0.2.1"
		is := func(what string, w *httptest.ResponseRecorder, status int) {
			t.Helper()
			if w.Code != status {
				t.Errorf("%s: got %d, want %d: %s", what, w.Code, status, w.Body)
			}
		}
		for range guard.FreeFailures {
			is("wrong", d.ask(key, one, "Bearer wrong"), http.StatusUnauthorized)
		}
		for what, authorization := range map[string]string{"wrong": "Bearer wrong", "right": "bearer  " + rightToken} {
			w := d.ask(key, one, authorization)
			is("the next, "+what, w, http.StatusTooManyRequests)
			if w.Header().Get("Retry-After") != "1" || w.Header().Get("Content-Type") != "application/problem+json" ||
				!strings.Contains(w.Body.String(), "Too many wrong credentials came from your address. Try again in 1 s.") {
				t.Errorf("answered with %v %s", w.Header(), w.Body)
			}
		}
		for _, path := range []string{"/", "/metrics", "/api/v1/rooms", "/ws/lobby", "/live/a/b.flv", "/nowhere"} {
			is(path, d.ask(path, one, "Bearer "+rightToken), http.StatusTooManyRequests)
			if w := d.ask(path, one, ""); w.Code == http.StatusTooManyRequests {
				t.Errorf("%s without a credential: %d", path, w.Code)
			}
		}
		is("a password for a proxy", d.ask("/", one, "Basic dTpw"), http.StatusOK)
		is("another address", d.ask(key, "192.0.2.2", "Bearer "+rightToken), http.StatusNotFound) // it keeps nothing
		time.Sleep(guard.MinWait)
		is("right, after the wait", d.ask(key, one, "Bearer "+rightToken), http.StatusNotFound)
		is("wrong, after the wait", d.ask(key, one, "Bearer wrong"), http.StatusUnauthorized)
		if d.guard.Wait(netip.MustParseAddr(one)) != 2*guard.MinWait {
			t.Error("a room would not wait for these failures")
		}
		is("right, within the wait", d.ask(key, one, "Bearer "+rightToken), http.StatusTooManyRequests)
		if d.guard.Refused()[guard.LimitCredentials] < guard.FreeFailures {
			t.Errorf("counted %v", d.guard.Refused())
		}
	})
}

// TestFailuresElsewhereCountForHTTP: there is one count for all ways in.
func TestFailuresElsewhereCountForHTTP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newGuessed(t)
		for range guard.FreeFailures {
			d.guard.Failed(netip.MustParseAddr("192.0.2.1"))
		}
		if w := d.ask("/api/v1/rooms", "192.0.2.1", "Bearer "+rightToken); w.Code != http.StatusTooManyRequests {
			t.Errorf("got %d", w.Code)
		}
	})
}

// TestTokenGuesses: an address that guesses as fast as it can for ten minutes, 5,300
// times a second, has a handful of guesses a minute. They are in the log once a minute,
// without the tokens.
func TestTokenGuesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newGuessed(t)
		looked := 0
		for range 10 * 60 * 20 {
			if d.ask("/api/v1/backup", "192.0.2.1", "Bearer guess").Code == http.StatusUnauthorized {
				looked++
			}
			time.Sleep(50 * time.Millisecond)
		}
		if looked > guard.FreeFailures+10*13 {
			t.Errorf("%d guesses were looked at", looked)
		}
		lines := strings.Count(d.log.String(), "level=WARN")
		if lines < 9 || lines > 11 || !strings.Contains(d.log.String(), "limit=credentials") ||
			!strings.Contains(d.log.String(), "addr=192.0.2.1") || strings.Contains(d.log.String(), "guess") {
			t.Errorf("%d lines: %.500s", lines, d.log.String())
		}
	})
}

// TestEveryWayInCounts: a wrong credential by RTMP, at publish, over a WebSocket
// or in a request counts in one place.
func TestEveryWayInCounts(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "red")
	counted := func() int { return int(h.host.Guard.Refused()[guard.LimitCredentials]) }
	bySocket := func(path, args string) {
		p, _, err := dial(t, h.web, path, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer p.conn.Close()
		p.send(`{"type":"connect","args":` + args + `}`)
		if _, got, err := p.conn.ReadMessage(); err != nil || !strings.Contains(string(got), "NetConnection.Connect.Rejected") {
			t.Errorf("%s with %s: %s, %v", path, args, got, err)
		}
	}
	byRTMP := func(path string, args ...amf.Value) {
		if _, _, err := rtmp.Dial(t.Context(), h.rtmp+path, &rtmp.ConnectRequest{Args: args}, rtmp.DialOptions{}); err == nil {
			t.Errorf("%s: let in with %v", path, args)
		}
	}
	for i, wrong := range []func(){
		func() { bySocket("/ws/lobby", `["blue","wrong"]`) },
		func() { bySocket("/ws/lobby", `["admin","wrong"]`) },
		func() { bySocket("/ws/room/red", `["ann","wrong"]`) },
		func() { byRTMP("/lobby", amf.String("blue"), amf.String("wrong")) },
		func() { byRTMP("/room/red", amf.String("ann"), amf.String("wrong")) },
		func() {
			st, err := h.dial(t, "red").CreateStream(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if st.Publish(t.Context(), "live?key=wrong", "live") == nil {
				t.Error("published with a wrong key")
			}
		},
	} {
		if wrong(); counted() != i+1 {
			t.Errorf("%d wrong credentials: counted %d", i+1, counted())
		}
	}
	before := counted() // the address may be barred, which counts as well
	if h.ask(t, "GET", "/api/v1/rooms", "", "Authorization: Bearer wrong"); counted() != before+1 {
		t.Errorf("a wrong token: counted %d", counted()-before)
	}
}
