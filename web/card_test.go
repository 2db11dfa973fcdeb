package web

import (
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"foyer/lobby"
)

func TestCardLine(t *testing.T) {
	now := time.UnixMilli(1_000_000_000)
	trends := lobby.Trends{
		At: 1_000_000_000 - 5_000, Step: 10_000,
		Rooms: map[string]string{"new": "0z", "old": strings.Repeat("z", lobby.TrendLength)},
	}
	for _, tt := range []struct {
		name, past, line, area string
	}{
		{"unknown", "M0 28H120", "", ""},
		{"new", "M0 28H117.0", "M117.0 28.0L119.0 2.0L120.0 15.0", "M117.0 28.0L119.0 2.0L120.0 15.0L120 30H117.0Z"},
	} {
		c := newCard(lobby.Entry{Name: tt.name, Status: lobby.Status{Activity: 0.5}}, "", trends, now)
		if c.Past != tt.past || c.Line != tt.line || c.Area != tt.area || c.Trend != trends.Rooms[tt.name] {
			t.Errorf("%s: got %+v", tt.name, c)
		}
	}
	if c := newCard(lobby.Entry{Name: "old"}, "", trends, now); c.Past != "" || !strings.HasPrefix(c.Line, "M1.0 2.0L3.0 2.0L") {
		t.Errorf("ten minutes: got %s", c.Line)
	}
}

func TestCardWords(t *testing.T) {
	const hour = 3600_000
	for _, tt := range []struct {
		card           Card
		life, watching string
		full, new      bool
	}{
		{card("live", lobby.Status{}), "Silent", "", false, false},
		{card("live", lobby.Status{Activity: 0.1, MessagesPerMinute: 1}), "Quiet, 1 message a minute", "", false, false},
		{card("live", lobby.Status{Activity: 0.1, LastActive: 9*hour + hour/10}), "Quiet for 54 minutes", "", false, false},
		{card("live", lobby.Status{LastActive: 10*hour - 90_000}), "Silent for 1 minute", "", false, false},
		{card("live", lobby.Status{LastActive: 8 * hour}), "Silent", "", false, false},
		{card("live", lobby.Status{Activity: 0.3}), "Talking", "", false, false},
		{card("live", lobby.Status{Activity: 0.6, MessagesPerMinute: 4}), "Lively, 4 messages a minute", "", false, false},
		{card("live", lobby.Status{Activity: 1, Viewers: 2, Users: 3, Capacity: 3}), "Buzzing", "", true, false},
		{card("live", lobby.Status{Activity: 1, Live: true, Viewers: 2}), "Buzzing", "2 watching", false, false},
		{card("stale", lobby.Status{Activity: 1}), "Out of touch", "", false, false},
		{opened(card("live", lobby.Status{}), 10*hour-250_000), "Opened 4 minutes ago", "", false, true},
		{opened(card("live", lobby.Status{}), 10*hour-2_000), "Opened just now", "", false, true},
		{opened(card("live", lobby.Status{Activity: 0.3}), 10*hour-599_000), "Talking", "", false, true},
		{opened(card("stale", lobby.Status{}), 10*hour-2_000), "Out of touch", "", false, false},
	} {
		if got := tt.card; got.Life() != tt.life || got.Watching() != tt.watching || got.Full() != tt.full || got.New() != tt.new {
			t.Errorf("got %q, %q, %v, %v, want %q, %q, %v, %v", got.Life(), got.Watching(), got.Full(), got.New(), tt.life, tt.watching, tt.full, tt.new)
		}
	}
}

// card is a card of ten hours after 1970.
func card(state string, s lobby.Status) Card {
	return Card{Entry: lobby.Entry{Name: "blue", State: state, Status: s}, At: time.UnixMilli(10 * 3600_000)}
}

func opened(c Card, at float64) Card {
	c.Since = at
	return c
}

func TestHeadline(t *testing.T) {
	for want, sums := range map[string]lobby.Sums{
		"Nobody is here yet":   {Stale: 1, Users: 3},
		"1 person in 1 room":   {Live: 1, Stale: 1, Users: 4, Present: 1},
		"59 people in 2 rooms": {Live: 2, Users: 59, Present: 59},
	} {
		if got := headline(sums); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestEmptyLobby: the command on the page leads to this server.
func TestEmptyLobby(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	w := httptest.NewRecorder()
	h.handler.ServeHTTP(w, httptest.NewRequest("GET", "http://foyer.example:8080/", nil))
	body := w.Body.String()
	if !strings.Contains(body, "foyer join rtmp://foyer.example/room/blue ") || strings.Contains(body, "localhost") {
		t.Errorf("got %s", regexp.MustCompile(`.*type-this.*`).FindAllString(body, -1))
	}
	if strings.Contains(body, "<code>n1</code>") {
		t.Error("visitors are told the node's name")
	}
}

// TestLobbyPageSays: the page says the same without script, for any query.
func TestLobbyPageSays(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "red", "blue")
	for _, path := range []string{"/", "/?q=red"} {
		_, body := h.ask(t, "GET", path, "")
		if !strings.Contains(body, ">0 people in 2 rooms</h1>") || !strings.Contains(body, `<p class="card-life">Opened just now</p>`) {
			t.Errorf("%s: got %s", path, regexp.MustCompile(`<h1.*|<p class="card-life.*`).FindAllString(body, -1))
		}
	}
}
