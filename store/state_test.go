package store

import (
	"maps"
	"strings"
	"testing"
)

func TestObjectsOverRestarts(t *testing.T) {
	dir := t.TempDir()
	c := start(t, dir)
	answers := make(chan error, 100)
	done := func(err error) { answers <- err }
	want := map[string]string{"score": "99", "a.b c/ä=2E*>": "x", "": "unnamed", "empty": ""}
	for object, value := range want {
		c.SaveObject("room/blue", object, []byte(value), done)
	}
	for range 90 { // the newest wins, all are answered
		c.SaveObject("room/blue", "score", []byte("old"), done)
	}
	c.SaveObject("room/blue", "score", []byte("99"), done)
	c.SaveObject("room/blue", "gone", []byte("x"), done)
	c.SaveObject("room/blue", "gone", nil, done)
	c.SaveObject("room/blue2", "other", []byte("x"), done)
	c.SaveObject("room", "other", []byte("x"), done)
	for range len(want) + 95 {
		if err := <-answers; err != nil {
			t.Error(err)
		}
	}
	c.SaveObject("room/blue", strings.Repeat("ä", maxPart), []byte("x"), done)
	if err := <-answers; err == nil {
		t.Error("a name that is too long was accepted")
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	got, _, err := start(t, dir).LoadObjects(t.Context(), "room/blue")
	if err != nil {
		t.Fatal(err)
	}
	is := make(map[string]string)
	for object, data := range got {
		is[object] = string(data)
	}
	if !maps.Equal(is, want) {
		t.Errorf("got %q, want %q", is, want)
	}
	none, _, err := c.LoadObjects(t.Context(), "room/blue")
	if err == nil {
		t.Errorf("closed: got %v", none)
	}
}

func TestExists(t *testing.T) {
	c := start(t, t.TempDir())
	exists := func(room string) bool {
		t.Helper()
		yes, err := c.Exists(t.Context(), room)
		if err != nil {
			t.Fatal(err)
		}
		return yes
	}
	if exists("blue") {
		t.Error("a room that nobody has heard of exists")
	}
	r, err := c.OpenRoom(t.Context(), "blue", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if exists("blue") {
		t.Error("a room that was only opened exists")
	}
	done := make(chan error, 1)
	r.Save([]byte("{}"), func(err error) { done <- err })
	if err := <-done; err != nil || !exists("blue") {
		t.Errorf("with a state: %v, exists %v", err, exists("blue"))
	}
	talked, err := c.OpenRoom(t.Context(), "a.b", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer talked.Close()
	talked.Append(func(uint64) []byte { return []byte("x") }, func(_ uint64, err error) { done <- err })
	if err := <-done; err != nil || !exists("a.b") {
		t.Errorf("with a message: %v, exists %v", err, exists("a.b"))
	}
	if c.Close(); t.Failed() {
		return
	}
	if _, err := c.Exists(t.Context(), "blue"); err == nil {
		t.Error("a store that is closed knows")
	}
}
