package store

import (
	"context"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

// entries returns the keys of a bucket, even those that have been deleted.
func entries(t *testing.T, c *Store, bucket string) (keys []string) {
	t.Helper()
	stream, err := c.js().Stream(t.Context(), "KV_"+bucket)
	if err != nil {
		t.Fatal(err)
	}
	info, err := stream.Info(t.Context(), jetstream.WithSubjectFilter(">"))
	if err != nil {
		t.Fatal(err)
	}
	for subject := range info.State.Subjects {
		keys = append(keys, subject)
	}
	return keys
}

// asBefore stores what an older version stored under a name with capitals.
func asBefore(t *testing.T, c *Store, name, state string, messages uint64) {
	t.Helper()
	// As if there were no spellings: the name is kept as it is.
	r, err := c.OpenRoom(t.Context(), name, func([]byte) {})
	if err != nil {
		t.Fatal(err)
	}
	mustSay(t, r, 1, messages)
	saved := make(chan error, 2)
	r.Save([]byte(state), func(err error) { saved <- err })
	c.SaveObject("room/"+name, "score", []byte(state), func(err error) { saved <- err })
	for range 2 {
		if err := <-saved; err != nil {
			t.Fatal(err)
		}
	}
	r.Close()
}

// A room that an older version kept under a name with capital letters is found
// by the name in lower case, written there, and found again.
func TestOldSpelling(t *testing.T) {
	dir := t.TempDir()
	c := start(t, dir)
	asBefore(t, c, "Blue.Room", "older", 2)
	asBefore(t, c, "BLUE.room", "newer", 3)
	asBefore(t, c, "Red", "capital", 4)
	asBefore(t, c, "red", "small", 5)
	check := func(c *Store, name, state string, last uint64) {
		t.Helper()
		objects, _, err := c.LoadObjects(t.Context(), "room/"+name)
		if err != nil || string(objects["score"]) != state {
			t.Errorf("%s has the objects %q, %v; want %q", name, objects, err, state)
		}
		r := open(t, c, name)
		defer r.Close()
		if string(r.State()) != state || r.Last() != last {
			t.Errorf("%s: state %q, last %d; want %q, %d", name, r.State(), r.Last(), state, last)
		}
	}
	for round := range uint64(2) {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		c = start(t, dir)
		check(c, "blue.room", "newer", 3+round)
		check(c, "red", "small", 5+round)
		check(c, "green", "", 0)
		for name, next := range map[string]uint64{"blue.room": 4, "red": 6} {
			r := open(t, c, name)
			mustSay(t, r, next+round, next+round)
			r.Close()
		}
	}
	dropped := ""
	err := c.DropState(t.Context(), "blue.room", func(state []byte) error {
		dropped = string(state)
		return nil
	})
	if err != nil || dropped != "newer" {
		t.Errorf("dropped %q, %v", dropped, err)
	}
}

// A room and an instance of which nothing is stored leave nothing in an
// external NATS. When something is stored, the claim stays, too.
func TestNothingLeft(t *testing.T) {
	t.Parallel()
	e := startExternal(t)
	a, b := e.nodeAt(steady, "a"), e.nodeAt(steady, "b")
	visit := func(c *Store, name string, during func(*Room)) {
		t.Helper()
		release, err := c.Claim(within(t, hang), "room/"+name, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.LoadObjects(t.Context(), "room/"+name); err != nil {
			t.Fatal(err)
		}
		r := open(t, c, name)
		during(r)
		r.Close()
		release()
	}
	quiet := func(*Room) {}
	for range 3 {
		visit(a, "quiet", quiet)
		visit(b, "quiet", quiet)
	}
	visit(a, "chat", func(r *Room) { mustSay(t, r, 1, 2) })
	visit(b, "chat", quiet)
	visit(a, "objects", func(*Room) {
		saved := make(chan error, 1)
		a.SaveObject("room/objects", "score", []byte("1"), func(err error) { saved <- err })
		if err := <-saved; err != nil {
			t.Fatal(err)
		}
	})
	for bucket, most := range map[string]int{claimsBucket: 2, objectsBucket: 3, roomsBucket: 3} {
		if left := entries(t, a, bucket); len(left) > most {
			t.Errorf("%s has %v", bucket, left)
		}
	}
	info, err := a.js().Stream(t.Context(), chatStream)
	if err != nil {
		t.Fatal(err)
	}
	subjects, err := info.Info(t.Context(), jetstream.WithSubjectFilter(">"))
	if err != nil || len(subjects.State.Subjects) != 2 { // of "objects", which may not be forgotten to be a room, the mark goes
		t.Logf("the chat has %v, %v", subjects.State.Subjects, err)
	}
	visit(b, "chat", func(r *Room) { checkPage(t, r, 0, -1, 50, []uint64{1, 2}, true, false) })

	// Only this node's message is purged: one that came meanwhile stays.
	release, err := a.Claim(within(t, hang), "room/quiet", nil)
	if err != nil {
		t.Fatal(err)
	}
	l := a.cluster.ownership("room/quiet")
	_, revision, err := a.claimNow(t.Context(), l.key)
	if err != nil {
		t.Fatal(err)
	}
	release()
	again, err := b.Claim(within(t, hang), "room/quiet", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer again()
	l.erase(t.Context(), revision+1)
	if m, err := a.entry(context.Background(), claimsBucket, l.key); err != nil || m == nil {
		t.Errorf("the claim of another node: %v, %v", m, err)
	}
}
