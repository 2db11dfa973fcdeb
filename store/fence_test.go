package store

import (
	"errors"
	"maps"
	"net"
	"testing"
)

// save saves the state of a room and returns the answer.
func save(r *Room, state string) error {
	answer := make(chan error, 1)
	r.Save([]byte(state), func(err error) { answer <- err })
	return <-answer
}

// saveObject saves an object and returns the answer; no value forgets it.
func saveObject(c *Store, instance, object, value string) error {
	answer := make(chan error, 1)
	var data []byte
	if value != "" {
		data = []byte(value)
	}
	c.SaveObject(instance, object, data, func(err error) { answer <- err })
	return <-answer
}

// objectsOf returns the objects of an instance.
func objectsOf(t *testing.T, c *Store, instance string) map[string]string {
	t.Helper()
	all, _, err := c.LoadObjects(t.Context(), instance)
	if err != nil {
		t.Fatal(err)
	}
	objects := make(map[string]string)
	for name, data := range all {
		objects[name] = string(data)
	}
	return objects
}

// A former owner that does not know yet can no longer save anything: it can
// neither replace nor delete an object of the new owner, nor add one.
func TestFence(t *testing.T) {
	t.Parallel()
	e := startExternal(t)
	a, b := e.node("a"), e.node("b")
	const instance = "room/b.lue"
	_, lost := claim(t, a, instance)
	if got := objectsOf(t, a, instance); len(got) != 0 {
		t.Errorf("a new room has objects: %v", got)
	}
	old := open(t, a, "b.lue")
	for object, value := range map[string]string{"score": "1", "gone": "x", "stays": "y", "owner": "z"} {
		if err := saveObject(a, instance, object, value); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(save(old, "of a"), saveObject(a, instance, "gone", "")); err != nil {
		t.Fatal(err)
	}

	resume := stall(a)
	eventually(t, "b gets it", func() bool {
		_, err := b.Claim(within(t, hang), instance, func() { t.Error("b lost it") })
		return err == nil
	})
	want := map[string]string{"score": "1", "stays": "y", "owner": "z"}
	if got := objectsOf(t, b, instance); !maps.Equal(got, want) {
		t.Errorf("b found %v, want %v", got, want)
	}
	r := open(t, b, "b.lue")
	if string(r.State()) != "of a" {
		t.Errorf("b found the state %q", r.State())
	}
	late := func(when string) {
		t.Helper()
		for object, value := range map[string]string{"score": "2", "stays": "", "new": "n", "gone": "again"} {
			if err := saveObject(a, instance, object, value); !errors.Is(err, ErrElsewhere) {
				t.Errorf("%s: a saved %s: %v", when, object, err)
			}
		}
		if err := save(old, "late"); !errors.Is(err, ErrElsewhere) {
			t.Errorf("%s: a saved the state: %v", when, err)
		}
	}
	late("before b has saved")
	if err := errors.Join(save(r, "of b"), saveObject(b, instance, "new", "b's")); err != nil {
		t.Error(err)
	}
	late("after b has saved")
	resume()
	eventually(t, "a finds out", func() bool { return closed(lost) })
	late("when a has found out")

	want["new"] = "b's"
	if got := objectsOf(t, b, instance); !maps.Equal(got, want) {
		t.Errorf("at last: %v, want %v", got, want)
	}
	if err := saveObject(b, instance, "score", "3"); err != nil { // loading again does not lock out the owner
		t.Error(err)
	}
	r.Close()
	if r = open(t, b, "b.lue"); string(r.State()) != "of b" {
		t.Errorf("at last: the state %q", r.State())
	}
}

// A state whose answer was lost does not prevent the next one.
func TestSaveAnswerLost(t *testing.T) {
	t.Parallel()
	nats := startNATS(t, t.TempDir(), "")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var p deafProxy
	go p.serve(ln, nats.Addr().String())
	t.Cleanup(func() { ln.Close(); p.set(false) })
	c := join(t, "nats://"+ln.Addr().String())
	r := open(t, c, "blue")
	p.set(true)
	if err := save(r, "lost"); err == nil {
		t.Error("saved, with nobody to say so")
	} else {
		t.Log(err)
	}
	p.set(false)
	eventually(t, "the next one is saved", func() bool { return save(r, "next") == nil })
	r.Close()
	if r = open(t, join(t, nats.ClientURL()), "blue"); string(r.State()) != "next" {
		t.Errorf("the state is %q", r.State())
	}
}
