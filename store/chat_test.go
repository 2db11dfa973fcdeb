package store

import (
	"fmt"
	"slices"
	"testing"
)

// open opens a room; a message that turns up late fails the test.
func open(t *testing.T, c *Store, name string) *Room {
	t.Helper()
	r, err := c.OpenRoom(t.Context(), name, func(m []byte) { t.Errorf("found %s", m) })
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// say stores a text and waits.
func say(r *Room, text string) (uint64, error) {
	type answer struct {
		id  uint64
		err error
	}
	answered := make(chan answer, 1)
	r.Append(func(id uint64) []byte { return fmt.Appendf(nil, "%d %s", id, text) }, func(id uint64, err error) { answered <- answer{id, err} })
	a := <-answered
	return a.id, a.err
}

// mustSay stores texts and checks their ids.
func mustSay(t *testing.T, r *Room, from, to uint64) {
	t.Helper()
	for want := from; want <= to; want++ {
		if id, err := say(r, "hi"); id != want || err != nil {
			t.Fatalf("say: got %d, %v, want %d", id, err, want)
		}
	}
}

func remove(t *testing.T, r *Room, id uint64, want bool) {
	t.Helper()
	removed := make(chan bool, 1)
	r.Remove(id, func(found bool, err error) {
		if err != nil {
			t.Error(err)
		}
		removed <- found
	})
	if found := <-removed; found != want {
		t.Errorf("remove %d: got %v, want %v", id, found, want)
	}
}

// checkPage asks for a page and compares the ids.
func checkPage(t *testing.T, r *Room, after, before int64, limit int, want []uint64, wantComplete, wantMore bool) {
	t.Helper()
	messages, complete, more, err := r.Page(t.Context(), after, before, limit)
	if err != nil {
		t.Fatal(err)
	}
	if got := idsOf(t, messages); !slices.Equal(got, want) || complete != wantComplete || more != wantMore {
		t.Errorf("page(%d, %d, %d) = %v, %v, %v, want %v, %v, %v", after, before, limit, got, complete, more, want, wantComplete, wantMore)
	}
}

func idsOf(t *testing.T, messages [][]byte) (ids []uint64) {
	for _, m := range messages {
		var id uint64
		var text string
		if _, err := fmt.Sscan(string(m), &id, &text); err != nil {
			t.Fatalf("%q: %v", m, err)
		}
		ids = append(ids, id)
	}
	return ids
}

func TestRoomOverRestarts(t *testing.T) {
	dir := t.TempDir()
	c := start(t, dir)
	r := open(t, c, "a.b")
	if r.State() != nil || r.Newest() != nil || r.Last() != 0 {
		t.Errorf("a new room has %q, %q, %d", r.State(), r.Newest(), r.Last())
	}
	mustSay(t, r, 1, 10)
	remove(t, r, 4, true)
	remove(t, r, 4, false)
	remove(t, r, 10, true) // its id is not given again
	checkPage(t, r, -1, -1, 3, []uint64{7, 8, 9}, true, true)
	checkPage(t, r, 2, -1, 3, []uint64{3, 5, 6}, true, true)
	saved := make(chan error, 1)
	r.Save([]byte("state"), func(err error) { saved <- err })
	if err := <-saved; err != nil {
		t.Fatal(err)
	}
	r.Close()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}

	c = start(t, dir)
	r = open(t, c, "a.b")
	if string(r.State()) != "state" || r.Last() != 10 {
		t.Errorf("after a restart: state %q, last id %d", r.State(), r.Last())
	}
	if got, want := idsOf(t, r.Newest()), []uint64{1, 2, 3, 5, 6, 7, 8, 9}; !slices.Equal(got, want) {
		t.Errorf("after a restart: %v, want %v", got, want)
	}
	mustSay(t, r, 11, 12)
	checkPage(t, r, 8, -1, 50, []uint64{9, 11, 12}, true, false)
	checkPage(t, r, -1, 5, 2, []uint64{2, 3}, true, true)
	checkPage(t, r, -1, -1, 50, []uint64{1, 2, 3, 5, 6, 7, 8, 9, 11, 12}, true, false)
	r.Close()
	if _, err := say(r, "hi"); err != ErrClosed {
		t.Errorf("closed: got %v", err)
	}
}
