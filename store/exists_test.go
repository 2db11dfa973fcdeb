package store

import (
	"testing"
)

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
