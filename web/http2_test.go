package web

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"foyer/media"
	"foyer/server/rtmp"
)

// overTLS serves the studio's pages over TLS, with HTTP/2 for clients that want it.
func overTLS(t *testing.T, s *studio) *httptest.Server {
	t.Helper()
	srv := httptest.NewUnstartedServer(s.handler)
	srv.EnableHTTP2 = true
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv
}

// TestHTTP2: pages, files and streams come over HTTP/2, where all share one connection
// and no handler can hijack it. WebSockets come over HTTP/1.1.
func TestHTTP2(t *testing.T) {
	s := newStudio(t, nil)
	send, stop := s.publish(t, "live")
	send(5000, liveMeta, liveAVC, liveKey)
	srv := overTLS(t, s)
	get := func(path string) *http.Response {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), "GET", srv.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := srv.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		if resp.ProtoMajor != 2 || resp.Header.Get("Upgrade") != "" {
			t.Errorf("%s came over %s, %v", path, resp.Proto, resp.Header)
		}
		return resp
	}
	for path, status := range map[string]int{"/room/blue": 200, "/assets/foyer.css": 200, "/live/blue/live.mp4": 200, "/nothing": 404, "/ws/room/blue": 426} {
		if resp := get(path); resp.StatusCode != status || resp.Header.Get("Strict-Transport-Security") != strictTransport {
			t.Errorf("%s: %s, %v", path, resp.Status, resp.Header)
		}
	}
	film, second := get("/live/blue/live.flv"), get("/live/blue/live.flv")
	for _, resp := range []*http.Response{film, second} {
		flv, err := media.NewFLVReader(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		for got := ""; got != liveKey; {
			m, err := flv.Next()
			if err != nil {
				t.Fatal(err)
			}
			if m.Type == rtmp.TypeVideo {
				got = string(m.Payload)
			}
		}
	}
	second.Body.Close() // ends a stream, not the connection
	s.clients(t, "other", 1)
	dialer := websocket.Dialer{TLSClientConfig: srv.Client().Transport.(*http.Transport).TLSClientConfig.Clone()}
	dialer.TLSClientConfig.NextProtos = []string{"http/1.1"} // as browsers do
	ws, _, err := dialer.Dial("wss"+strings.TrimPrefix(srv.URL, "https")+"/ws/room/blue", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	if err := ws.WriteMessage(websocket.TextMessage, []byte(`{"type":"connect","args":["ann"]}`)); err != nil {
		t.Fatal(err)
	}
	if _, b, err := ws.ReadMessage(); err != nil || !strings.Contains(string(b), "Connect.Success") {
		t.Errorf("%s, %v", b, err)
	}
	stop()
	s.handler.Close() // the server ends, and so does the endless stream
	if _, err := io.Copy(io.Discard, film.Body); err != nil {
		t.Errorf("the film ended with %v", err)
	}
}

// Without TLS no answer tells browsers to use it.
func TestNoStrictTransport(t *testing.T) {
	s := newStudio(t, nil)
	if got := s.get(t, "GET", "/room/blue").Header.Get("Strict-Transport-Security"); got != "" {
		t.Errorf("it says %q", got)
	}
}
