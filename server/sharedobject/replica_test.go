package sharedobject

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"foyer/server/amf"
	"foyer/server/backlog"

	"github.com/google/go-cmp/cmp"
)

func TestSyncList(t *testing.T) {
	one, two, three := amf.Number(1), amf.Number(2), amf.Number(3)
	refused := func(code string) []Event { return []Event{refusal(code)} }
	for _, tt := range []struct {
		name    string
		has     map[string]amf.Value
		asked   []Event
		told    []Event
		want    []Sync
		becomes map[string]amf.Value
	}{
		{
			name:  "first use",
			asked: []Event{{Type: Use}},
			told:  []Event{{Type: UseSuccess}, {Type: Clear}, {Type: Change, Slot: "x", Value: one}},
			want:  []Sync{{Code: "clear"}, {Code: "change", Slot: "x"}}, becomes: told1("x", one),
		},
		{
			name: "change", has: told1("x", one),
			told: []Event{{Type: Change, Slot: "x", Value: amf.Raw("\x05")}},
			want: []Sync{{Code: "change", Slot: "x", Old: one}}, becomes: told1("x", amf.Null{}),
		},
		{
			name: "success", has: told1("x", one),
			asked: []Event{change("x", amf.Raw("\x01\x01"))},
			told:  []Event{{Type: Success, Slot: "x"}},
			want:  []Sync{{Code: "success", Slot: "x", Old: one}}, becomes: told1("x", amf.Bool(true)),
		},
		{
			name:  "two successes of one slot, in order",
			asked: []Event{change("x", one), change("x", two)},
			told:  []Event{{Type: Success, Slot: "x"}},
			want:  []Sync{{Code: "success", Slot: "x"}}, becomes: told1("x", one),
		},
		{
			name: "success of what was never asked for", has: told1("x", one),
			told: []Event{{Type: Success, Slot: "x"}},
			want: []Sync{{Code: "success", Slot: "x", Old: one}}, becomes: told1("x", one),
		},
		{
			name: "reject: another's value comes while ours waits", has: told1("x", one),
			asked: []Event{change("x", two)},
			told:  []Event{{Type: Change, Slot: "x", Value: three}},
			want:  []Sync{{Code: "reject", Slot: "x", Old: two}}, becomes: told1("x", three),
		},
		{
			name:  "the last writer wins all the same",
			asked: []Event{change("x", two)},
			told:  []Event{{Type: Change, Slot: "x", Value: three}, {Type: Success, Slot: "x"}},
			want:  []Sync{{Code: "reject", Slot: "x", Old: two}, {Code: "success", Slot: "x", Old: three}}, becomes: told1("x", two),
		},
		{
			name: "refused", has: told1("x", one),
			asked: []Event{change("x", two), change("y", two)},
			told:  append(refused(CodeNoWriteAccess), Event{Type: Success, Slot: "y"}),
			want: []Sync{
				{Code: "reject", Slot: "x", Old: two, Status: CodeNoWriteAccess},
				{Code: "success", Slot: "y"},
			},
			becomes: map[string]amf.Value{"x": one, "y": two},
		},
		{
			name:  "use refused",
			asked: []Event{{Type: Use}, change("x", two)},
			told:  refused(CodeNoReadAccess),
			want:  []Sync{{Code: "status", Status: CodeNoReadAccess}}, becomes: map[string]amf.Value{},
		},
		{
			name: "status out of the blue",
			told: refused(CodeNoReadAccess),
			want: []Sync{{Code: "status", Status: CodeNoReadAccess}}, becomes: map[string]amf.Value{},
		},
		{
			name: "delete", has: told1("x", one),
			asked: []Event{change("x", amf.Undefined{}), change("y", one)},
			told:  []Event{{Type: Remove, Slot: "x"}, {Type: Success, Slot: "y"}},
			want:  []Sync{{Code: "delete", Slot: "x", Old: one}, {Code: "success", Slot: "y"}}, becomes: told1("y", one),
		},
		{
			name:  "another's remove comes before our own is refused",
			asked: []Event{{Type: RequestRemove, Slot: "x"}, change("y", one)},
			told:  append(append([]Event{{Type: Remove, Slot: "x"}}, refused(CodeNoWriteAccess)...), Event{Type: Success, Slot: "y"}),
			want: []Sync{
				{Code: "delete", Slot: "x"},
				{Code: "reject", Slot: "y", Old: one, Status: CodeNoWriteAccess},
				{Code: "success", Slot: "y"},
			},
			becomes: told1("y", one),
		},
		{
			name: "sends and clears are answered by themselves", has: told1("x", one),
			asked: []Event{{Type: SendMessage, Method: "f"}, {Type: RequestClear}, change("y", two)},
			told:  []Event{{Type: SendMessage, Method: "f"}, {Type: Clear}, {Type: RequestClear}, {Type: Use}, refusal(CodeNoWriteAccess)},
			want:  []Sync{{Code: "clear"}, {Code: "reject", Slot: "y", Old: two, Status: CodeNoWriteAccess}}, becomes: map[string]amf.Value{},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := Replica{Slots: tt.has}
			for _, e := range tt.asked {
				r.Request(e)
			}
			if diff := cmp.Diff(tt.want, r.Apply(&Message{Version: 5, Events: tt.told})); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			if diff := cmp.Diff(tt.becomes, r.Slots); diff != "" {
				t.Errorf("slots: -want +got\n%s", diff)
			}
			if r.Version != 5 {
				t.Errorf("version %d", r.Version)
			}
		})
	}
}

func told1(slot string, v amf.Value) map[string]amf.Value { return map[string]amf.Value{slot: v} }

// An owner that answers nothing does not make a replica grow without end.
func TestMaxPending(t *testing.T) {
	var r Replica
	for i := range 3 * maxPending {
		r.Request(change(strconv.Itoa(i), amf.Bool(true)))
	}
	if n := len(r.pending); n != maxPending {
		t.Errorf("%d requests wait", n)
	}
	for range 2 * maxPending {
		r.Request(change("x", amf.Bool(true)))
		r.Apply(&Message{Events: []Event{refusal(CodeNoWriteAccess)}})
	}
	if n := len(r.tried); n > maxPending {
		t.Errorf("%d refused values are kept", n)
	}
}

// A user is a subscriber with a replica, and a wire in both directions on which
// messages take their time.
type user struct {
	id      int
	replica Replica
	up      []Event
	down    []*Message
	using   bool
	lag     backlog.Level
}

// Whatever the users and the owner do, and in whatever order the wires deliver:
// once everything is delivered, every replica equals the object. Some requests
// are refused, some users leave and come back with the version they had, some
// are behind for a while.
func TestReplicasConverge(t *testing.T) {
	for seed := range uint64(200) {
		converge(t, rand.New(rand.NewPCG(seed, 1)))
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func converge(t *testing.T, r *rand.Rand) {
	w := &world{r: r, o: New[*user]("so", false, 1)}
	for i := range 4 {
		w.users = append(w.users, &user{id: i})
	}
	for range 400 {
		w.step()
	}
	for _, u := range w.users {
		if !u.using {
			w.use(u)
		}
	}
	for i := 0; i < 3; i++ { // requests, their results, and what was missed
		for _, u := range w.users {
			w.deliverUp(u, len(u.up))
		}
		w.flush()
		for _, u := range w.users {
			u.lag = backlog.InStep
			w.o.CatchUp(u)
		}
		for _, u := range w.users {
			w.deliverDown(u, len(u.down))
		}
	}
	want := map[string]amf.Value{}
	for _, name := range w.o.Slots() {
		want[name], _ = w.o.Value(name)
	}
	for _, u := range w.users {
		if diff := cmp.Diff(want, u.replica.Slots); diff != "" {
			t.Errorf("user %d: -object +replica\n%s", u.id, diff)
		}
		if u.replica.Version != w.o.Version() {
			t.Errorf("user %d is at version %d, not %d", u.id, u.replica.Version, w.o.Version())
		}
		if n := len(u.replica.pending); n != 0 {
			t.Errorf("user %d waits for %d answers", u.id, n)
		}
	}
}

type world struct {
	r     *rand.Rand
	o     *Object[*user]
	users []*user
}

func (w *world) slot() string { return strconv.Itoa(w.r.IntN(6)) }

// value is sometimes null and sometimes over the limit.
func (w *world) value() amf.Value {
	switch n := w.r.IntN(12); n {
	case 0:
		return amf.Null{}
	case 1:
		return amf.Raw(amf.Append(nil, amf.Bytes(make([]byte, MaxValue))))
	default:
		return amf.Number(n)
	}
}

func (w *world) step() {
	u := w.users[w.r.IntN(len(w.users))]
	switch n := w.r.IntN(100); {
	case n < 40:
		w.ask(u)
	case n < 60:
		w.deliverUp(u, w.r.IntN(len(u.up)+1))
	case n < 75:
		w.deliverDown(u, w.r.IntN(len(u.down)+1))
	case n < 85:
		w.flush()
	case n < 90:
		w.own()
	case n < 93:
		u.lag = backlog.Level(w.r.IntN(int(backlog.Far) + 1))
	case n < 96:
		w.o.CatchUp(u)
	case u.using:
		// The connection is lost, with all that is on the way.
		w.o.Release(u)
		u.using, u.up, u.down, u.replica.pending, u.replica.tried = false, nil, nil, nil, nil
	default:
		w.use(u)
	}
}

func (w *world) own() {
	switch n := w.r.IntN(20); {
	case n < 12:
		w.o.Set(w.slot(), amf.Number(w.r.IntN(4)))
	case n < 17:
		w.o.Remove(w.slot())
	case n < 19:
		w.o.Send("f")
	default:
		w.o.Clear()
	}
}

func (w *world) use(u *user) {
	u.using = true
	u.send(Event{Type: Use})
}

func (u *user) send(e Event) {
	u.replica.Request(e)
	u.up = append(u.up, e)
}

func (w *world) ask(u *user) {
	if !u.using {
		return
	}
	switch n := w.r.IntN(20); {
	case n < 14:
		u.send(change(w.slot(), w.value()))
	case n < 17:
		u.send(Event{Type: RequestRemove, Slot: w.slot()})
	case n < 18:
		u.send(Event{Type: SendMessage, Method: "f"})
	case n < 19:
		u.send(Event{Type: Use})
	default:
		u.send(Event{Type: RequestClear})
	}
}

// deliverUp: a user may not set the slot of its own number.
// Removes are not refused: see Replica.
func (w *world) deliverUp(u *user, n int) {
	for _, e := range u.up[:n] {
		if e.Type == Use {
			w.o.Use(u, u.replica.Version)
			continue
		}
		_ = w.o.Request(u, e, e.Type != RequestChange || isNull(e.Value) || e.Slot != strconv.Itoa(u.id))
	}
	u.up = slices.Clone(u.up[n:])
}

func (w *world) deliverDown(u *user, n int) {
	for _, m := range u.down[:n] {
		m, err := Parse(m.Append(nil, true), true)
		if err != nil {
			panic(err)
		}
		u.replica.Apply(m)
	}
	u.down = slices.Clone(u.down[n:])
}

func (w *world) flush() {
	w.o.FlushPaced(func(u *user) backlog.Level { return u.lag }, func(u *user, m *Message) { u.down = append(u.down, m) })
}

// The order of events is the same for all.
func TestOrder(t *testing.T) {
	o := New[int]("so", false, 1)
	for i := range 3 {
		o.Use(i, 0)
	}
	o.Flush(func(int, *Message) {})
	for i := range 30 {
		if err := o.Request(i%3, change(strconv.Itoa(i), amf.Number(i)), true); err != nil {
			t.Fatal(err)
		}
	}
	slots := map[int][]string{}
	o.Flush(func(s int, m *Message) {
		for _, e := range m.Events {
			slots[s] = append(slots[s], e.Slot)
		}
	})
	for s, got := range maps.All(slots) {
		if diff := cmp.Diff(o.Slots(), got); diff != "" {
			t.Errorf("subscriber %d: -object +told\n%s", s, diff)
		}
	}
}

// One change told to a thousand: its cost does not depend on their number.
func BenchmarkChange1000(b *testing.B) {
	o := New[int]("users", false, 1)
	for i := range 1000 {
		o.Use(i, 0)
	}
	o.Flush(func(int, *Message) {})
	entry := amf.Object{{Name: "nick", Value: amf.String("ann")}, {Name: "since", Value: amf.Number(0)}}
	b.ReportAllocs()
	told := 0
	for i := 0; b.Loop(); i++ {
		entry[1].Value = amf.Number(i)
		o.Set("7", entry)
		o.Flush(func(int, *Message) { told++ })
	}
	b.ReportMetric(float64(told)/float64(b.N), "subscribers/op")
}

func BenchmarkParse(b *testing.B) {
	m := &Message{Name: "users", Events: []Event{{Type: RequestChange, Slot: "7", Value: amf.Object{
		{Name: "nick", Value: amf.String("ann")}, {Name: "since", Value: amf.Number(0)},
	}}}}
	payload := m.Append(nil, false)
	b.ReportAllocs()
	b.SetBytes(int64(len(payload)))
	for b.Loop() {
		if _, err := Parse(payload, false); err != nil {
			b.Fatal(err)
		}
	}
}
