package sharedobject

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"foyer/server/amf"

	"github.com/google/go-cmp/cmp"
)

// flush returns what each subscriber is told, one word for each event, and
// fails on a message without events.
func flush(t *testing.T, o *Object[string]) map[string]string {
	t.Helper()
	told := map[string]string{}
	o.Flush(func(s string, m *Message) {
		if len(m.Events) == 0 || m.Name != o.Name() || m.Persistent != o.Persistent() {
			t.Errorf("%s is told %+v", s, m)
		}
		told[s] += fmt.Sprintf("v%d %s", m.Version, words(m.Events))
	})
	if o.Dirty() {
		t.Error("dirty after Flush")
	}
	return told
}

func words(events []Event) string {
	var b strings.Builder
	for i, e := range events {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(e.Type.String())
		switch e.Type {
		case Change:
			fmt.Fprintf(&b, ":%s=%v", e.Slot, decoded(e.Value))
		case Success, Remove:
			b.WriteString(":" + e.Slot)
		case SendMessage:
			b.WriteString(":" + e.Method)
			for _, a := range e.Args {
				fmt.Fprintf(&b, ",%v", decoded(a))
			}
		case Status:
			b.WriteString(":" + strings.TrimPrefix(e.Code, "SharedObject.") + "/" + e.Level)
		}
	}
	return b.String()
}

func expect(t *testing.T, o *Object[string], want map[string]string) {
	t.Helper()
	if diff := cmp.Diff(want, flush(t, o)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

type told = map[string]string

func request(t *testing.T, o *Object[string], s string, e Event) {
	t.Helper()
	if err := o.Request(s, e, true); err != nil {
		t.Errorf("%s asks for %v: %v", s, e.Type, err)
	}
}

func change(slot string, v amf.Value) Event { return Event{Type: RequestChange, Slot: slot, Value: v} }

func TestFlow(t *testing.T) {
	o := New[string]("so", false, 10)
	o.Use("ann", 0)
	expect(t, o, told{"ann": "v10 useSuccess clear"})

	request(t, o, "ann", change("x", amf.Number(1)))
	expect(t, o, told{"ann": "v11 success:x"})
	o.Use("bob", 0)
	expect(t, o, told{"bob": "v11 useSuccess clear change:x=1"})

	// A change: Success for the one, Change for the others.
	request(t, o, "bob", change("y", amf.String("b")))
	expect(t, o, told{"ann": "v12 change:y=b", "bob": "v12 success:y"})

	// The same value again: acknowledged, and that is all.
	request(t, o, "bob", change("y", amf.String("b")))
	expect(t, o, told{"bob": "v12 success:y"})

	// Removes and sends go to all, including their origin; a send has no
	// version.
	request(t, o, "ann", Event{Type: RequestRemove, Slot: "y"})
	request(t, o, "ann", Event{Type: SendMessage, Method: "f", Args: amf.Args{amf.Bool(true)}})
	expect(t, o, told{"ann": "v13 remove:y send:f,true", "bob": "v13 remove:y send:f,true"})
	request(t, o, "bob", Event{Type: SendMessage, Method: "g"})
	expect(t, o, told{"ann": "v13 send:g", "bob": "v13 send:g"})

	// Null removes.
	request(t, o, "ann", change("z", amf.Number(2)))
	request(t, o, "bob", change("z", amf.Null{}))
	expect(t, o, told{"ann": "v14 success:z remove:z", "bob": "v14 change:z=2 remove:z"})

	// The removal of a missing slot is told only to the subscriber that asked;
	// the version stays.
	request(t, o, "ann", change("z", amf.Undefined{}))
	request(t, o, "bob", Event{Type: RequestRemove, Slot: "none"})
	expect(t, o, told{"ann": "v14 remove:z", "bob": "v14 remove:none"})

	// Both ways to clear.
	request(t, o, "ann", Event{Type: RequestClear})
	expect(t, o, told{"ann": "v15 clear", "bob": "v15 clear"})
	request(t, o, "ann", Event{Type: Clear})
	expect(t, o, told{"ann": "v15 clear"})

	o.Release("bob")
	request(t, o, "ann", change("x", amf.Number(3)))
	expect(t, o, told{"ann": "v16 success:x"})
	if o.Subscribers() != 1 || o.Subscribed("bob") || !o.Subscribed("ann") {
		t.Error("bob is still here")
	}
}

// The owner's changes go to everybody, in one message and under one version.
func TestOwner(t *testing.T) {
	o := New[string]("so", true, 1)
	o.Set("early", amf.Number(0))
	o.Use("ann", 0)
	o.Use("bob", 0)
	expect(t, o, told{"ann": "v2 useSuccess clear change:early=0", "bob": "v2 useSuccess clear change:early=0"})

	o.Set("x", amf.Number(1))
	o.Set("y", amf.Number(2))
	o.Set("x", amf.Number(1)) // nothing new
	o.Remove("early")
	o.Send("f", amf.Number(3))
	all := "v3 change:x=1 change:y=2 remove:early send:f,3"
	expect(t, o, told{"ann": all, "bob": all})

	if got := o.Slots(); !slices.Equal(got, []string{"x", "y"}) || o.Len() != 2 {
		t.Errorf("slots are %v", got)
	}
	if v, ok := o.Value("y"); !ok || v != amf.Number(2) {
		t.Errorf("y is %v, %v", v, ok)
	}
	if _, ok := o.Value("early"); ok {
		t.Error("early is still there")
	}

	o.Set("x", amf.Null{})
	o.Clear()
	expect(t, o, told{"ann": "v4 remove:x clear", "bob": "v4 remove:x clear"})
	o.Clear()
	o.Remove("x")
	o.Set("x", nil)
	if o.Dirty() {
		t.Error("what changes nothing makes dirty")
	}
	expect(t, o, told{})
}

// A value that the owner changes after Set does not change the object.
func TestSetCopies(t *testing.T) {
	o := New[string]("so", false, 1)
	v := amf.Object{{Name: "a", Value: amf.Number(1)}}
	o.Set("x", v)
	v[0].Value = amf.Number(2)
	if got, _ := o.Value("x"); !cmp.Equal(got, amf.Value(amf.Object{{Name: "a", Value: amf.Number(1)}})) {
		t.Errorf("got %v", got)
	}
	o.Use("ann", 0)
	flush(t, o)
	o.Set("x", v)
	expect(t, o, told{"ann": "v3 change:x=[{a 2}]"})
}

func TestDenied(t *testing.T) {
	for _, e := range []Event{
		change("x", amf.Number(2)),
		change("x", amf.Null{}),
		{Type: RequestRemove, Slot: "x"},
		{Type: SendMessage, Method: "f"},
		{Type: Clear},
		{Type: RequestClear},
	} {
		o := New[string]("so", false, 1)
		o.Set("x", amf.Number(1))
		o.Use("ann", 0)
		o.Use("bob", 0)
		flush(t, o)
		if err := o.Request("ann", e, false); err != ErrNoWriteAccess {
			t.Errorf("%v: %v", e.Type, err)
		}
		expect(t, o, told{"ann": "v2 status:NoWriteAccess/error"})
		if v, _ := o.Value("x"); v != amf.Number(1) {
			t.Errorf("%v: x is %v", e.Type, v)
		}
	}
}

// The owner's own refusals are answers in order, too.
func TestRefuse(t *testing.T) {
	o := New[string]("so", false, 1)
	o.Use("ann", 0)
	o.Use("bob", 0)
	flush(t, o)
	request(t, o, "ann", change("x", amf.Number(1)))
	o.Refuse("ann", "SharedObject.Full")
	o.Refuse("eve", "SharedObject.Full") // not a subscriber
	request(t, o, "ann", change("y", amf.Number(1)))
	expect(t, o, told{
		"ann": "v2 success:x status:Full/error success:y",
		"bob": "v2 change:x=1 change:y=1",
	})
}

func TestNotRequests(t *testing.T) {
	o := New[string]("so", false, 1)
	if err := o.Request("ann", change("x", amf.Number(1)), true); err != ErrNotSubscribed || o.Len() != 0 {
		t.Errorf("without use: %v", err)
	}
	o.Use("ann", 0)
	flush(t, o)
	for i := range 256 {
		e := Event{Type: EventType(i), Slot: "x", Method: "f", Value: amf.Number(1)}
		if isRequest(e.Type) {
			continue
		}
		if err := o.Request("ann", e, true); err != ErrNotRequest {
			t.Errorf("%v: %v", e.Type, err)
		}
	}
	expect(t, o, told{})
	o.Release("bob")
	if o.Subscribers() != 1 {
		t.Error("a stranger's release counts")
	}
}

func TestLimits(t *testing.T) {
	text := func(n int) amf.Raw { return amf.Append(nil, amf.String(strings.Repeat("v", n-3))) }
	o := New[string]("so", false, 1)
	o.Use("ann", 0)
	o.Use("bob", 0)
	flush(t, o)
	for i := range MaxSlots - 1 {
		o.Set(strconv.Itoa(i), amf.Bool(true))
	}
	flush(t, o)
	request(t, o, "ann", change("last", amf.Bool(true)))
	request(t, o, "ann", change("last", text(MaxValue)))
	request(t, o, "ann", change("0", text(MaxValue)))
	request(t, o, "ann", Event{Type: SendMessage, Method: "f", Args: amf.Args{text(MaxValue - 1000), text(1000)}})
	flush(t, o)
	version := o.Version()

	for _, tt := range []struct {
		e    Event
		want error
		code string
	}{
		{change("more", amf.Bool(true)), ErrTooManySlots, CodeTooManySlots},
		{change("last", text(MaxValue+1)), ErrValueTooLarge, CodeValueTooLarge},
		{Event{Type: SendMessage, Method: "f", Args: amf.Args{text(MaxValue - 1000), text(1001)}}, ErrValueTooLarge, CodeValueTooLarge},
		{change("", amf.Bool(true)), ErrBadSlotName, CodeBadSlotName},
		{change("a\x00", amf.Bool(true)), ErrBadSlotName, CodeBadSlotName},
		{change("\xff", amf.Bool(true)), ErrBadSlotName, CodeBadSlotName},
		{change(strings.Repeat("n", MaxSlotName+1), amf.Bool(true)), ErrBadSlotName, CodeBadSlotName},
		{Event{Type: SendMessage, Method: strings.Repeat("n", MaxSlotName+1)}, ErrBadSlotName, CodeBadSlotName},
	} {
		if err := o.Request("ann", tt.e, true); err != tt.want {
			t.Errorf("%v of %.10q: %v, want %v", tt.e.Type, tt.e.Slot, err, tt.want)
		}
		want := fmt.Sprintf("v%d status:%s/error", version, strings.TrimPrefix(tt.code, "SharedObject."))
		expect(t, o, told{"ann": want})
	}

	request(t, o, "ann", Event{Type: RequestRemove, Slot: "0"})
	request(t, o, "ann", change(strings.Repeat("n", MaxSlotName), amf.Bool(true)))
}

func TestNames(t *testing.T) {
	for _, name := range []string{"rooms", "public/x", "a.b-c_d", "größe", strings.Repeat("n", MaxName)} {
		if !ValidName(name) {
			t.Errorf("%q is refused", name)
		}
	}
	for _, name := range []string{"", "a b", "a~", "a%", "a&", `a\`, "a;", "a:", `a"`, "a'", "a,", "a<", "a>", "a?", "a#", "a\n", "\xff", strings.Repeat("n", MaxName+1)} {
		if ValidName(name) {
			t.Errorf("%q is accepted", name)
		}
	}
}

func TestRefusal(t *testing.T) {
	for _, code := range []string{CodeNoReadAccess, CodeNoWriteAccess, CodeBadPersistence, CodeObjectCreationFailed} {
		m := Refusal("x", true, code)
		want := &Message{Name: "x", Persistent: true, Events: []Event{{Type: Status, Code: code, Level: "error"}}}
		if diff := cmp.Diff(want, m); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	}
}

// A subscriber that comes in the middle of a turn gets the state as it was
// then, and after that the same as everybody else, in the same order.
func TestUseWithinTurn(t *testing.T) {
	o := New[string]("so", false, 1)
	o.Use("ann", 0)
	flush(t, o)
	o.Set("x", amf.Number(1))
	o.Send("before")
	o.Use("bob", 0)
	o.Use("eve", 0)
	o.Send("between")
	o.Use("joe", 0)
	o.Set("x", amf.Number(2))
	request(t, o, "eve", change("y", amf.Number(3)))
	expect(t, o, told{
		"ann": "v2 change:x=1 send:before send:between change:x=2 change:y=3",
		"bob": "v2 useSuccess clear change:x=1 send:between change:x=2 change:y=3",
		"eve": "v2 useSuccess clear change:x=1 send:between change:x=2 success:y",
		"joe": "v2 useSuccess clear change:x=1 change:x=2 change:y=3",
	})
}

// A repeated use is answered again, after the pending answers.
func TestUseAgain(t *testing.T) {
	o := New[string]("so", false, 1)
	o.Use("ann", 0)
	o.Use("bob", 0)
	flush(t, o)
	request(t, o, "ann", change("x", amf.Number(1)))
	o.Use("ann", 0)
	o.Set("y", amf.Number(2))
	expect(t, o, told{
		"ann": "v2 success:x useSuccess clear change:x=1 change:y=2",
		"bob": "v2 change:x=1 change:y=2",
	})
	if o.Subscribers() != 2 {
		t.Errorf("%d subscribers", o.Subscribers())
	}

	// Released and back in one turn: a newcomer, which gets none of its old
	// answers.
	request(t, o, "ann", change("x", amf.Number(3)))
	o.Release("ann")
	o.Use("ann", 0)
	expect(t, o, told{
		"ann": "v3 useSuccess clear change:x=3 change:y=2",
		"bob": "v3 change:x=3",
	})
	o.Release("ann")
	o.Release("bob")
	o.Use("cat", 0)
	o.Release("cat")
	if o.Dirty() {
		t.Error("dirty with nobody to tell")
	}
}

// All subscribers that are told the same get the same message.
func TestFlushShares(t *testing.T) {
	o := New[int]("so", false, 1)
	share := func(want int) {
		t.Helper()
		ms := map[*Message]int{}
		o.Flush(func(_ int, m *Message) { ms[m]++ })
		if len(ms) != want {
			t.Errorf("%d messages, want %d", len(ms), want)
		}
	}
	o.Set("x", amf.Number(0))
	for i := range 50 {
		o.Use(i, 0)
	}
	share(1)
	o.Set("x", amf.Number(1))
	share(1)
	if err := o.Request(7, change("x", amf.Number(2)), true); err != nil {
		t.Error(err)
	}
	share(2)
	for i := 50; i < 100; i++ {
		o.Use(i, uint32(i)) // all out of the window
	}
	o.Set("x", amf.Number(3))
	share(2)
	o.Use(100, o.Version())
	o.Use(101, 0)
	o.Use(102, o.Version())
	o.Use(103, 0)
	share(2)
}

func TestResync(t *testing.T) {
	o := New[string]("so", false, 100)
	step := func(f func()) { f(); flush(t, o) }
	step(func() { o.Set("a", amf.Number(1)); o.Set("b", amf.Number(1)) }) // 101
	step(func() { o.Set("a", amf.Number(2)); o.Set("c", amf.Number(1)) }) // 102
	step(func() { o.Remove("b") })                                        // 103
	step(func() { o.Remove("c"); o.Set("d", amf.Number(1)) })             // 104
	step(func() { o.Set("c", amf.Number(2)) })                            // 105
	full := "v105 useSuccess clear change:a=2 change:d=1 change:c=2"
	for version, want := range map[uint32]string{
		0:              full,
		99:             full,
		100:            "v105 useSuccess change:a=2 change:d=1 change:c=2 remove:b",
		101:            "v105 useSuccess change:a=2 change:d=1 change:c=2 remove:b",
		102:            "v105 useSuccess change:d=1 change:c=2 remove:b",
		103:            "v105 useSuccess change:d=1 change:c=2",
		104:            "v105 useSuccess change:c=2",
		105:            "v105 useSuccess",
		106:            full,
		math.MaxUint32: full,
	} {
		o.Use("ann", version)
		if got := flush(t, o)["ann"]; got != want {
			t.Errorf("since %d: got %s, want %s", version, got, want)
		}
		o.Release("ann")
	}

	step(func() { o.Clear() }) // 106: a subscriber that saw less gets everything
	o.Use("ann", 105)
	o.Use("bob", 106)
	expect(t, o, told{"ann": "v106 useSuccess clear", "bob": "v106 useSuccess"})
}

// However many versions subscribers come back with, few snapshots are kept.
func TestMaxCached(t *testing.T) {
	o := New[int]("so", false, 1)
	for i := range 3 * maxCached {
		o.Set("x", amf.Number(i))
		o.Flush(func(int, *Message) {})
	}
	for i := range 3 * maxCached {
		o.Use(i, uint32(1+i))
		if n := len(o.cached); n > maxCached {
			t.Fatalf("%d snapshots are kept", n)
		}
	}
	o.Set("x", amf.Null{})
	if n := len(o.cached); n != 0 {
		t.Errorf("%d snapshots outlive a change", n)
	}
}

// Versions wrap and skip 0, which means that nothing was seen.
func TestVersionWraps(t *testing.T) {
	o := New[string]("so", false, math.MaxUint32-1)
	o.Use("ann", 0)
	flush(t, o)
	var versions []uint32
	for i := range 4 {
		o.Set("s"+strconv.Itoa(i), amf.Number(i))
		versions = append(versions, o.Version())
		flush(t, o)
	}
	if want := []uint32{math.MaxUint32, 1, 2, 3}; !slices.Equal(versions, want) {
		t.Errorf("versions %v, want %v", versions, want)
	}
	o.Use("bob", math.MaxUint32)
	o.Use("cat", 2)
	expect(t, o, told{
		"bob": "v3 useSuccess change:s1=1 change:s2=2 change:s3=3",
		"cat": "v3 useSuccess change:s3=3",
	})
	if v := New[string]("so", false, 0).Version(); v != 1 {
		t.Errorf("first version is %d", v)
	}
}

// Tombstones are bounded: old removals are forgotten, and a subscriber that has
// not seen them starts again from nothing.
func TestMaxTombstones(t *testing.T) {
	o := New[string]("so", false, 1)
	for i := range MaxTombstones + 1 {
		o.Set(strconv.Itoa(i), amf.Bool(true))
	}
	flush(t, o) // 2
	for i := range MaxTombstones {
		o.Remove(strconv.Itoa(i))
		flush(t, o) // 3 + i
	}
	o.Use("ann", 2)
	if got := flush(t, o)["ann"]; strings.Contains(got, "clear") || strings.Count(got, "remove:") != MaxTombstones {
		t.Errorf("in the window: %.60s", got)
	}
	o.Remove(strconv.Itoa(MaxTombstones))
	flush(t, o)
	if n := len(o.past.stones); n != MaxTombstones {
		t.Errorf("%d tombstones", n)
	}
	o.Use("bob", 2)
	o.Use("cat", 3)
	got := flush(t, o)
	if !strings.Contains(got["bob"], "clear") {
		t.Errorf("out of the window: %.60s", got["bob"])
	}
	if strings.Contains(got["cat"], "clear") || strings.Count(got["cat"], "remove:") != MaxTombstones {
		t.Errorf("at its edge: %.60s", got["cat"])
	}
}

// A snapshot that is larger than a peer takes comes as several messages, of
// which only the last has the version.
func TestLargeSnapshot(t *testing.T) {
	o := New[int]("so", false, 41)
	value := amf.String(strings.Repeat("v", 10_000))
	for i := range 100 {
		o.Set(strconv.Itoa(i), value)
	}
	o.Use(1, 0)
	var r Replica
	var versions []uint32
	o.Flush(func(_ int, m *Message) {
		if n := len(m.Append(nil, true)); n > maxMessage {
			t.Errorf("message of %d bytes", n)
		}
		r.Apply(m)
		versions = append(versions, m.Version)
	})
	if len(r.Slots) != 100 {
		t.Errorf("%d slots came", len(r.Slots))
	}
	n := len(versions)
	if n != 8 || versions[n-1] != 42 || slices.Max(versions[:n-1]) != 0 {
		t.Errorf("versions %v", versions)
	}
}
