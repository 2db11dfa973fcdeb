package web

import (
	"regexp"
	"strings"
	"testing"
)

// figures reads /metrics: values by names and labels.
func figures(t *testing.T, h *house) map[string]string {
	t.Helper()
	resp, body := h.ask(t, "GET", "/metrics", "")
	if resp.StatusCode != 200 {
		t.Fatalf("got %d, %s", resp.StatusCode, body)
	}
	found := make(map[string]string)
	for line := range strings.Lines(body) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok && name != "#" {
			found[name] = value
		}
	}
	return found
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "red")
	want := func(when string, values map[string]string) {
		t.Helper()
		got := figures(t, h)
		for name, value := range values {
			if got[name] != value {
				t.Errorf("%s: %s is %q, want %s", when, name, got[name], value)
			}
		}
	}
	p, _, err := dial(t, h.web, "/ws/room/red", nil)
	if err != nil {
		t.Fatal(err)
	}
	p.send(`{"type":"connect","args":["ann"]}`)
	p.want(success)
	p.send(`{"type":"call","id":1,"method":"users"}`)
	for answered := false; !answered; { // it has been counted
		_, b, err := p.conn.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		answered = strings.HasPrefix(string(b), `{"type":"result"`)
	}
	q, _, err := dial(t, h.web, "/ws/room/red", nil)
	if err != nil {
		t.Fatal(err)
	}
	q.send(`{"type":"connect","args":["ANN"]}`)
	if _, b, err := q.conn.ReadMessage(); !strings.Contains(string(b), "Nickname is already in use.") {
		t.Fatalf("got %s, %v", b, err)
	}
	q.wantClose(1008, "Nickname is already in use.")
	want("with ann", map[string]string{
		`foyer_instances{app="room"}`:                "1",
		`foyer_instances{app="lobby"}`:               "1",
		`foyer_clients{app="room",protocol="ws"}`:    "1",
		`foyer_clients{app="room",protocol="rtmp"}`:  "0",
		`foyer_clients_of_nodes{app="room"}`:         "0",
		`foyer_clients{app="lobby",protocol="rtmp"}`: "1",
		`foyer_clients_accepted_total{app="room"}`:   "1",
		`foyer_clients_rejected_total{app="room"}`:   "1",
		`foyer_lobby_rooms{state="live"}`:            "1",
		`foyer_lobby_rooms{state="stale"}`:           "0",
	})
	p.conn.Close()
	q.conn.Close()
	h.handler.Close()                                 // all sockets have ended
	h.ask(t, "GET", "/api/v1/rooms/red/messages", "") // and the room has heard of it
	h.ask(t, "GET", "/api/v1/rooms", "")              // and the lobby
	want("after ann left", map[string]string{
		`foyer_clients{app="room",protocol="ws"}`:       "0",
		`foyer_clients_accepted_total{app="room"}`:      "1",
		`foyer_clients_disconnected_total{app="room"}`:  "1",
		`foyer_clients_disconnected_total{app="lobby"}`: "1",
		`foyer_clients{app="lobby",protocol="ws"}`:      "0",
		`foyer_websockets`:                              "0",
	})
	got := figures(t, h)
	number := regexp.MustCompile(`^[1-9][0-9.e+]*$`)
	for _, name := range []string{
		`foyer_received_bytes_total{transport="websocket"}`, `foyer_sent_bytes_total{transport="websocket"}`,
		`foyer_received_bytes_total{transport="rtmp"}`, `foyer_sent_bytes_total{transport="rtmp"}`,
		`foyer_calls_total`, `go_goroutines`, `process_start_time_seconds`,
	} {
		if !number.MatchString(got[name]) {
			t.Errorf("%s is %q", name, got[name])
		}
	}
}
