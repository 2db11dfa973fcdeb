package sharedobject

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"

	"foyer/server/amf"

	"github.com/google/go-cmp/cmp"
)

// some is an object with slots and a past.
func some() *Object[string] {
	o := New[string]("so", true, 5)
	for i, name := range []string{"a", "b", "c", "d"} {
		o.Set(name, amf.Number(i))
		o.Flush(func(string, *Message) {})
	}
	o.Remove("b")
	o.Flush(func(string, *Message) {})
	o.Remove("c")
	o.Set("a", amf.String("x"))
	o.Flush(func(string, *Message) {})
	return o
}

func restored(t *testing.T, snapshot []byte) *Object[string] {
	t.Helper()
	o, err := Restore[string]("so", snapshot)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// TestSnapshot: whatever version a subscriber comes back with, it is told the
// same as by the object that it knew.
func TestSnapshot(t *testing.T) {
	o := some()
	again := restored(t, o.Snapshot())
	if o.Bytes() != again.Bytes() || o.Bytes() != 2+len(amf.Append(nil, amf.Number(0)))+len(amf.Append(nil, amf.String("x"))) {
		t.Errorf("%d bytes, then %d", o.Bytes(), again.Bytes())
	}
	for version := range uint32(15) {
		o.Use("ann", version)
		again.Use("ann", version)
		if diff := cmp.Diff(flush(t, o), flush(t, again)); diff != "" {
			t.Errorf("version %d: -before +after\n%s", version, diff)
		}
		o.Release("ann")
		again.Release("ann")
	}
	again.Use("ann", 10)
	again.Set("e", amf.Number(5))
	expect(t, again, told{"ann": "v12 useSuccess change:a=x remove:c change:e=5"})
	if diff := cmp.Diff([]string{"a", "d", "e"}, again.Slots()); diff != "" {
		t.Error(diff)
	}
}

// TestSnapshotWraps: versions continue after the largest one.
func TestSnapshotWraps(t *testing.T) {
	o := New[string]("so", true, math.MaxUint32-1)
	for i := range 4 {
		o.Set(fmt.Sprint(i), amf.Number(i))
		o.Flush(func(string, *Message) {})
	}
	again := restored(t, o.Snapshot())
	again.Use("ann", math.MaxUint32)
	expect(t, again, told{"ann": "v3 useSuccess change:1=1 change:2=2 change:3=3"})
}

// TestSnapshotOfTheLargest: an object that is as large as users may make it can
// be stored.
func TestSnapshotOfTheLargest(t *testing.T) {
	o := New[string]("so", true, math.MaxInt32)
	for i := range MaxTombstones {
		name := fmt.Sprintf("%0*d", MaxSlotName, i)
		o.Set(name, amf.Bool(true))
		o.Remove(name)
	}
	for i := range MaxSlots {
		o.Set(fmt.Sprintf("%0*d", 512<<10/MaxSlots-2, i), amf.Bool(true))
		o.Flush(func(string, *Message) {})
	}
	if n := len(o.Snapshot()); n > MaxSnapshot {
		t.Errorf("%d bytes", n)
	}
	restored(t, o.Snapshot())
}

func TestBadSnapshots(t *testing.T) {
	good := some().Snapshot()
	head := func(b ...byte) []byte { return append([]byte{snapshotFormat, 0, 0, 0, 9}, b...) }
	yes := []byte{1, 1}
	slotA := append([]byte{1, 'a', 0, 2}, yes...)
	for name, b := range map[string][]byte{
		"nothing":                   nil,
		"another format":            append([]byte{2}, good[1:]...),
		"version 0":                 {snapshotFormat, 0, 0, 0, 0, 0, 0, 0},
		"too long":                  append(bytes.Clone(good), 0),
		"too large":                 make([]byte, MaxSnapshot+1),
		"more slots than bytes":     head(0, 2, 1, 'a', 0, 1, 5),
		"a slot of null":            head(0, 1, 1, 'a', 0, 1, 5, 0),
		"a slot of two values":      head(0, 1, 1, 'a', 0, 4, 1, 1, 1, 1, 0),
		"a slot of half a value":    head(0, 1, 1, 'a', 0, 1, 1, 0),
		"a slot of no value":        head(0, 1, 1, 'a', 0, 0, 0, 0),
		"a slot twice":              append(append(append(head(0, 2), slotA...), slotA...), 0),
		"a tombstone of a slot":     append(append(head(3, 1), slotA...), 1, 1, 'a', 1),
		"a tombstone twice":         head(3, 0, 2, 1, 'a', 1, 1, 'a', 1),
		"a tombstone out of window": head(3, 0, 1, 1, 'a', 4),
		"tombstones out of order":   head(3, 0, 2, 1, 'a', 1, 1, 'b', 2),
		"an age of 33 bits":         head(0x80, 0x80, 0x80, 0x80, 0x10, 0, 0),
		"a number without end":      head(0x80, 0x80, 0x80),
	} {
		if _, err := Restore[string]("so", b); !errors.Is(err, ErrSnapshot) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for n := range good {
		if _, err := Restore[string]("so", good[:n]); err == nil {
			t.Errorf("cut to %d bytes it is taken", n)
		}
	}
	many := head(1, 0, 0x81, 0x08) // MaxTombstones+1
	for i := range MaxTombstones + 1 {
		many = append(append(many, 4), fmt.Sprintf("%04d", i)...)
		many = append(many, 1)
	}
	if _, err := Restore[string]("so", many); err == nil || !strings.Contains(err.Error(), "1025 tombstones") {
		t.Errorf("too many tombstones: %v", err)
	}
}

// TestSnapshotBombs: counts and lengths that lie take no memory.
func TestSnapshotBombs(t *testing.T) {
	huge := binary.AppendUvarint(nil, math.MaxUint32)
	head := []byte{snapshotFormat, 0, 0, 0, 9, 0}
	for name, b := range map[string][]byte{
		"slots":          append(bytes.Clone(head), huge...),
		"a name":         append(append(bytes.Clone(head), 1), append(huge, 0, 0, 0, 0, 0, 0)...),
		"a value":        append(append(bytes.Clone(head), 1, 1, 'a', 0), append(huge, 0, 0)...),
		"tombstones":     append(append(bytes.Clone(head), 0), huge...),
		"a strict array": append(bytes.Clone(head), 1, 1, 'a', 0, 5, 0x0a, 0xff, 0xff, 0xff, 0xff, 0),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Restore[string]("so", b)
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; err == nil || took > 64<<10 {
			t.Errorf("%s: %v, %d bytes taken", name, err, took)
		}
	}
}

func FuzzSnapshot(f *testing.F) {
	f.Add(some().Snapshot())
	f.Add(New[string]("so", true, 1).Snapshot())
	f.Add([]byte{snapshotFormat, 0, 0, 0, 9, 3, 1, 1, 'a', 0, 2, 1, 1, 1, 1, 'b', 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := Restore[string]("so", b)
		if err != nil {
			return
		}
		again := restored(t, o.Snapshot())
		if diff := cmp.Diff(o.Snapshot(), again.Snapshot()); diff != "" {
			t.Errorf("-first +again\n%s", diff)
		}
		o.Use("ann", o.version-1)
		o.Flush(func(_ string, m *Message) {
			if _, err := Parse(m.Append(nil, true), true); err != nil {
				t.Errorf("%+v does not decode: %v", m, err)
			}
		})
		o.Clear()
		if o.Bytes() != 0 {
			t.Errorf("%d bytes in no slots", o.Bytes())
		}
	})
}
