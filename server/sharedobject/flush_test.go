package sharedobject

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"foyer/server/amf"
	"foyer/server/backlog"
)

// A listener is a subscriber with a speed.
type listener struct {
	lag   backlog.Level
	heard []string // a line a message: "7 change a, success b"; the version first
}

func (r *listener) hear(m *Message) {
	var words []string
	for _, e := range m.Events {
		words = append(words, strings.TrimSpace(fmt.Sprint(e.Type, " ", e.Slot, e.Method, e.Code)))
	}
	r.heard = append(r.heard, fmt.Sprint(m.Version, " ", strings.Join(words, ", ")))
}

// TestLag: what a subscriber that is behind is told.
func TestLag(t *testing.T) {
	o := New[*listener]("so", false, 1)
	set := func(r *listener, slot string, v int) { o.Request(r, change(slot, amf.Number(v)), true) }
	send := func(r *listener, method string) { o.Request(r, Event{Type: SendMessage, Method: method}, true) }
	a, b := new(listener), new(listener)
	flush := func() {
		o.FlushPaced(func(r *listener) backlog.Level { return r.lag }, func(r *listener, m *Message) { r.hear(m) })
	}
	want := func(what string, r *listener, lines ...string) {
		t.Helper()
		flush()
		if diff := cmp.Diff(lines, r.heard); diff != "" {
			t.Errorf("%s: -want +got\n%s", what, diff)
		}
		a.heard, b.heard = nil, nil
	}
	o.Set("x", amf.Number(1))
	o.Use(a, 0)
	o.Use(b, 0)
	want("at first", b, "2 useSuccess, clear, change x")

	b.lag = backlog.Behind
	set(a, "x", 2)
	set(a, "y", 2)
	send(a, "ring")
	want("one that is behind hears events", b, "0 send ring")
	set(a, "x", 3)
	set(b, "x", 4)
	send(b, "mine")
	set(a, "x", 5)
	o.Request(b, Event{Type: RequestRemove, Slot: "y"}, true)
	want("and answers", b, "0 success x, send mine, remove y")
	set(a, "z", 1)
	want("the other one hears all", a, "5 success z")
	o.CatchUp(b)
	want("it is still behind", b)
	if !o.Lagging(b) {
		t.Error("it does not lag")
	}
	b.lag = backlog.InStep
	set(a, "z", 2)
	want("it does not catch up by itself", b)
	o.CatchUp(b)
	if o.Lagging(b) || !o.Dirty() {
		t.Error("nothing to be told")
	}
	set(a, "z", 3)
	send(a, "ring")
	want("it hears the latest of each slot, once", b, "7 send ring, change x, change z, remove y")
	set(a, "z", 4)
	want("and then all again", b, "8 change z")

	b.lag = backlog.Far
	send(a, "ring")
	want("what others send is lost for one that is far behind", b)
	send(a, "ring")
	send(b, "mine")
	want("its own is an answer", b, "0 send mine")
	o.Clear()
	set(a, "n", 1)
	want("a clear is missed", b)
	b.lag = backlog.InStep
	o.CatchUp(b)
	want("and told", b, "9 clear, change n")

	late := &listener{lag: backlog.Behind}
	o.Use(late, 0)
	set(late, "l", 1)
	want("a newcomer that is behind", late, "0 useSuccess, success l")
	late.heard, late.lag = nil, backlog.InStep
	o.CatchUp(late)
	want("and when it has caught up", late, "10 clear, change n, change l")
	late.heard, late.lag = nil, backlog.Behind
	set(a, "n", 2)
	flush()
	o.Use(late, 10)
	want("one that asks again", late, "0 useSuccess")
	late.heard, late.lag = nil, backlog.InStep
	o.CatchUp(late)
	want("gets what it has not", late, "11 change n")
}

// TestLagOfStored: a subscriber that catches up is told no more than is stored.
func TestLagOfStored(t *testing.T) {
	o := New[*listener]("so", true, 1)
	o.Store()
	a := new(listener)
	flush := func() {
		o.FlushPaced(func(r *listener) backlog.Level { return r.lag }, func(r *listener, m *Message) { r.hear(m) })
	}
	o.Use(a, 0)
	flush()
	a.lag, a.heard = backlog.Behind, nil
	o.Set("x", amf.Number(1))
	o.Hold()
	flush()
	a.lag = backlog.InStep
	o.Set("x", amf.Number(2))
	o.Hold()
	o.CatchUp(a)
	o.Set("y", amf.Number(1)) // the owner may
	flush()
	if len(a.heard) > 0 {
		t.Errorf("heard %q while y is not stored", a.heard)
	}
	o.Hold()
	flush()
	if diff := cmp.Diff([]string{"4 change x, change y"}, a.heard); diff != "" {
		t.Error(diff)
	}
}

// TestLagIsShared: subscribers that miss the same get the same message.
func TestLagIsShared(t *testing.T) {
	o := New[int]("so", false, 1)
	for i := range 100 {
		o.Use(i, 0)
	}
	o.Flush(func(int, *Message) {})
	lag := backlog.Behind
	made := make(map[*Message]bool)
	flush := func() {
		o.FlushPaced(func(int) backlog.Level { return lag }, func(_ int, m *Message) { made[m] = true })
	}
	for i := range 1000 {
		o.Set(fmt.Sprint(i%10), amf.Number(i))
		flush()
	}
	if len(made) > 0 {
		t.Errorf("%d messages to subscribers that are behind", len(made))
	}
	lag = backlog.InStep
	for i := range 100 {
		o.CatchUp(i)
	}
	flush()
	if len(made) != 1 {
		t.Errorf("%d messages", len(made))
	}
	for m := range made {
		if len(m.Events) != 10 {
			t.Errorf("%d events", len(m.Events))
		}
	}
}
