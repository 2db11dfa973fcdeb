package terminal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
)

// testScreen is a screen whose room answers with answers, one after another.
func testScreen(width, height int, answers ...error) (*screen, *[]string) {
	s := newScreen("rtmp://localhost/room/blue", "ann")
	var said []string
	s.do = func(f func(context.Context) tea.Msg) tea.Cmd {
		return func() tea.Msg { return f(context.Background()) }
	}
	s.say = func(_ context.Context, line, _ string) (err error) {
		said = append(said, line)
		if len(answers) > 0 {
			err, answers = answers[0], answers[1:]
		}
		return err
	}
	s.rename = func(context.Context, string) error { return &errRefused{reason: "Nickname is already in use."} }
	s.topicTo = func(ctx context.Context, topic string) error { return s.say(ctx, topic, "") }
	s.Update(tea.WindowSizeMsg{Width: width, Height: height})
	return s, &said
}

// typeKeys types keys and text, and carries out what comes of it.
func typeKeys(s *screen, keys ...string) {
	for _, k := range keys {
		msg := tea.KeyPressMsg{Text: k}
		switch k {
		case "enter":
			msg = tea.KeyPressMsg{Code: tea.KeyEnter}
		case "pgup":
			msg = tea.KeyPressMsg{Code: tea.KeyPgUp}
		case "esc":
			msg = tea.KeyPressMsg{Code: tea.KeyEscape}
		}
		_, cmd := s.Update(msg)
		for cmd != nil {
			a, ok := cmd().(answer)
			if !ok {
				break
			}
			_, cmd = s.Update(a)
			if cmd != nil && s.alarm {
				break // a countdown
			}
		}
	}
}

// rows is what the screen shows.
func rows(t *testing.T, s *screen) []string {
	t.Helper()
	rows := strings.Split(ansi.Strip(s.View().Content), "\n")
	if len(rows) != s.height {
		t.Errorf("%d rows on a screen of %d", len(rows), s.height)
	}
	for _, row := range rows {
		if w := ansi.StringWidth(row); w > s.width {
			t.Errorf("row of %d columns on a screen of %d: %q", w, s.width, row)
		}
	}
	return rows
}

func message(id float64, nick, text string) event {
	at := time.Date(2026, 1, 2, 15, 4, 5, 0, time.Local)
	return event{Type: "message", ID: id, At: float64(at.UnixMilli()), User: &person{ID: "u" + nick, Nick: nick}, Text: text}
}

func TestScreen(t *testing.T) {
	s, _ := testScreen(80, 10)
	for _, e := range []event{
		{Type: "status", Level: "status", Text: "connected"},
		{Type: "title", Text: "The Blue Room"},
		{Type: "people", Users: []person{{ID: "1", Nick: "ann", Role: "user", Via: "rtmp"}, {ID: "2", Nick: "Mina", Role: "moderator", Via: "web"}}},
		{Type: "topic", Text: "tea"},
		message(1, "Mina", "hello"),
		message(2, "bob", "a line that is longer than the room that there is for it beside the people"),
		{Type: "join", User: &person{ID: "3", Nick: "bob", Via: "rtmp"}},
		{Type: "notice", Text: "soon we close"},
	} {
		s.Update(e)
	}
	typeKeys(s, "dr", "aft")
	want := strings.Split(strings.TrimPrefix(`
 blue · The Blue Room · tea                                              3 here 
                                                         │ ann rtmp
* topic: tea                                             │ bob rtmp
15:04 Mina hello                                         │ @Mina web
15:04 bob a line that is longer than the room that there │
          is for it beside the people                    │
* bob came                                               │
!! soon we close                                         │
connected
ann> draft`, "\n"), "\n")
	if got := rows(t, s); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if c := s.View().Cursor; c.X != len("ann> draft") || c.Y != 9 {
		t.Errorf("cursor at %d, %d", c.X, c.Y)
	}

	s.Update(event{Type: "removed", ID: 1})
	s.Update(event{Type: "rename", User: &person{ID: "1", Nick: "anna"}, Old: "ann"})
	s.Update(event{Type: "leave", User: &person{ID: "3", Nick: "bob"}})
	got := strings.Join(rows(t, s), "\n")
	for _, part := range []string{"2 here", "Mina (removed)", "* ann is now anna", "anna> draft"} {
		if !strings.Contains(got, part) {
			t.Errorf("no %q in\n%s", part, got)
		}
	}
}

// Whatever the size, rows fit.
func TestScreenSizes(t *testing.T) {
	for _, size := range [][2]int{{1, 4}, {5, 5}, {20, 8}, {71, 24}, {72, 24}, {120, 40}, {300, 100}} {
		s, _ := testScreen(size[0], size[1])
		for i := range 150 {
			nick := fmt.Sprintf("somebody %d with a long name 日本", i%40)
			s.Update(event{Type: "join", User: &person{ID: nick, Nick: nick, Via: "rtmp"}})
			s.Update(message(float64(i), nick, strings.Repeat("日本 word ", i%30)))
		}
		s.Update(event{Type: "status", Level: "error", Text: strings.Repeat("trouble ", 40), RetryAfter: 3000})
		rows(t, s)
	}
}

func TestScreenScroll(t *testing.T) {
	s, _ := testScreen(40, 8)
	for i := range maxScrollback + 100 {
		s.Update(message(float64(i), "bob", fmt.Sprintf("line %d.", i)))
	}
	if n := len(s.events); n > maxScrollback || n < maxScrollback/2 {
		t.Errorf("%d events kept, want about %d", n, maxScrollback)
	}
	typeKeys(s, "pgup")
	top := rows(t, s)[1]
	s.Update(message(9999, "bob", "news"))
	if got := rows(t, s); got[1] != top || !strings.Contains(got[6], "1 new") {
		t.Errorf("the text moved while scrolled up: %q, then %q; status %q", top, got[1], got[6])
	}
	typeKeys(s, "esc")
	if got := rows(t, s); !strings.Contains(got[5], "news") || strings.Contains(got[6], "new (Esc)") {
		t.Errorf("Esc does not go back to the newest: %q", got)
	}
}

// A line that the room refuses goes back into the box with the reason. Nothing
// that was typed is lost, and the order stays.
func TestScreenRefusal(t *testing.T) {
	s, said := testScreen(80, 8, nil, &errRefused{reason: "You talk too fast.", retryAfter: time.Minute})
	typeKeys(s, "one", "enter", "two", "enter")
	if got := string(s.edit.text); got != "two" {
		t.Errorf("in the box is %q, want what was refused", got)
	}
	if got := rows(t, s)[6]; !strings.Contains(got, "60 s · You talk too fast.") {
		t.Errorf("status is %q", got)
	}
	typeKeys(s, "enter", "//me", "enter", "/nick bob", "enter", "/bogus", "enter")
	if want := []string{"one", "two", "two", "/me"}; !slices.Equal(*said, want) {
		t.Errorf("said %q, want %q", *said, want)
	}
	if got := string(s.edit.text); !strings.Contains(got, "/nick bob") || !strings.Contains(got, "/bogus") {
		t.Errorf("in the box is %q, want the commands that did not work", got)
	}
}

// A line that was lost with the connection is said again under its key, unless it turns
// out that the room has it: then it does not stay in the box.
func TestScreenSaysOnce(t *testing.T) {
	s, _ := testScreen(80, 8)
	var keys []string
	lost := 0
	s.say = func(_ context.Context, line, key string) error {
		keys = append(keys, key)
		if lost--; lost >= 0 {
			return errors.New("connection lost")
		}
		return nil
	}
	lost = 1
	typeKeys(s, "hello", "enter", "enter", "hello", "enter")
	if len(keys) != 3 || keys[0] == "" || keys[0] != keys[1] || keys[1] == keys[2] {
		t.Errorf("said under %q, want one key for the line that came back, and another one for the next", keys)
	}
	for _, line := range []string{"two", "//two"} {
		lost = 1
		typeKeys(s, line, "enter", " and more")
		s.Update(message(1, "bob", strings.TrimPrefix(line, "/")))
		if got := string(s.edit.text); got != line+" and more" {
			t.Errorf("somebody else said it, and in the box is %q", got)
		}
		s.Update(message(2, "ann", strings.TrimPrefix(line, "/")))
		if got := string(s.edit.text); got != "and more" {
			t.Errorf("the room has it, and in the box is %q", got)
		}
		s.edit = lineEdit{}
	}
}

// Lines that are written while one is on its way follow it in order.
func TestScreenOrder(t *testing.T) {
	s, _ := testScreen(80, 8)
	first := s.enter("one")
	if s.enter("two") != nil || s.enter("three") != nil {
		t.Fatal("a second line does not wait for the first")
	}
	if first == nil || s.answered(nil) == nil || len(s.asked) != 2 {
		t.Errorf("the next line is not sent after the answer: %d wait", len(s.asked))
	}
	s.answered(&errRefused{reason: "No."})
	if got := string(s.edit.text); got != "two three" {
		t.Errorf("in the box is %q, want both lines in order", got)
	}
}
