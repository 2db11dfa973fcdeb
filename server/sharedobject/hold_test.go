package sharedobject

import (
	"testing"

	"foyer/server/amf"
)

const failed = "SharedObject.Flush.Failed"

// TestHold: Flush tells what was held. The next Flush tells the owner's changes
// since then, under a version of their own.
func TestHold(t *testing.T) {
	o := New[string]("so", true, 1)
	o.Store()
	o.Use("ann", 0)
	o.Use("bob", 0)
	expect(t, o, told{"ann": "v1 useSuccess clear", "bob": "v1 useSuccess clear"})
	request(t, o, "ann", change("a", amf.Number(1)))
	snapshot := o.Hold()
	o.Set("b", amf.Number(2))
	o.Send("f")
	if got := restored(t, snapshot); got.Len() != 1 || got.Version() != 2 {
		t.Errorf("%d slots at version %d are stored", got.Len(), got.Version())
	}
	got := told{}
	o.Flush(func(s string, m *Message) { got[s] += words(m.Events) })
	if got["ann"] != "success:a" || got["bob"] != "change:a=1" {
		t.Errorf("told %v", got)
	}
	if !o.Changed() {
		t.Error("the owner's change is forgotten")
	}
	o.Hold()
	expect(t, o, told{"ann": "v3 change:b=2 send:f", "bob": "v3 change:b=2 send:f"})
}

// TestRollback: subscribers' changes are refused, the owner's are made again,
// events that change nothing are told, and newcomers get the stored state.
func TestRollback(t *testing.T) {
	o := New[string]("so", true, 1)
	o.Store()
	o.Use("ann", 0)
	o.Use("bob", 0)
	o.Set("a", amf.Number(1))
	stored := o.Hold()
	expect(t, o, told{"ann": "v2 useSuccess clear change:a=1", "bob": "v2 useSuccess clear change:a=1"})

	request(t, o, "ann", Event{Type: SendMessage, Method: "early"})
	request(t, o, "ann", change("a", amf.Number(2)))
	o.Set("a", amf.Number(2)) // the same, but the owner's own change
	o.Use("late", 0)
	o.Use("again", 2)
	request(t, o, "bob", Event{Type: RequestRemove, Slot: "none"})
	request(t, o, "bob", Event{Type: RequestRemove, Slot: "a"})
	request(t, o, "bob", Event{Type: RequestClear})
	o.Use("ann", 2)
	o.Set("b", amf.Number(3))
	o.Refuse("bob", "SharedObject.X")
	request(t, o, "bob", Event{Type: SendMessage, Method: "f"})
	o.Hold()
	o.Set("b", amf.Number(4))
	o.Remove("a")
	o.Release("again")
	if err := o.Rollback(stored, failed); err != nil {
		t.Fatal(err)
	}
	if o.Len() != 1 || o.Version() != 2 || o.Changed() {
		t.Errorf("%d slots at version %d", o.Len(), o.Version())
	}
	expect(t, o, told{
		"ann":  "v2 send:early status:Flush.Failed/error useSuccess clear change:a=1 send:f",
		"bob":  "v2 send:early status:Flush.Failed/error status:Flush.Failed/error status:Flush.Failed/error status:X/error send:f",
		"late": "v2 useSuccess clear change:a=1 send:f",
	})
	o.Redo()
	o.Hold()
	expect(t, o, told{
		"ann":  "v5 change:b=4 remove:a",
		"bob":  "v5 change:b=4 remove:a",
		"late": "v5 change:b=4 remove:a",
	})
}

// TestRedo: changes that later ones undo are not made again, however often
// storing fails.
func TestRedo(t *testing.T) {
	o := New[string]("so", true, 1)
	o.Store()
	stored := o.Snapshot()
	for i := range 1000 {
		o.Set("a", amf.Number(i))
		o.Set("b", amf.Number(i))
		if i == 500 {
			o.Clear()
		}
		o.Remove("b")
		o.Hold()
		if err := o.Rollback(stored, failed); err != nil {
			t.Fatal(err)
		}
		if n := len(o.hold.own); n > 3 {
			t.Fatalf("%d changes are kept", n)
		}
		o.Redo()
	}
	if v, _ := o.Value("a"); v != amf.Number(999) || o.Len() != 1 {
		t.Errorf("a is %v, of %d slots", v, o.Len())
	}
	o.Hold()
	o.Flush(nil)
	for range 1000 {
		o.Set("a", amf.Number(999)) // changes nothing
	}
	if n := len(o.hold.own); n != 0 {
		t.Errorf("%d changes are kept that are stored", n)
	}
}
