package sharedobject

import (
	"encoding/binary"
	"errors"
	"fmt"

	"foyer/server/amf"
)

// MaxSnapshot is the largest snapshot that Restore takes. An object that is as
// large as its users may make it fits, and so does a snapshot into a message of
// NATS.
const MaxSnapshot = 1000 << 10

// snapshotFormat is the first byte of a snapshot. The rest, all numbers but the
// version being unsigned varints:
//
//	version             4 bytes, big endian
//	window              how many versions back the difference is known
//	slots, then each    name, age, value (encoded, AMF0)
//	tombstones          the same without values, oldest first
//
// A name or value is its length and its bytes; an age is how many versions ago.
const snapshotFormat = 1

// The least bytes that a slot and a tombstone take, against counts that lie.
const (
	minSlot  = 4
	minStone = 2
)

// ErrSnapshot is wrapped by the errors of [Restore].
var ErrSnapshot = errors.New("sharedobject: invalid snapshot")

// Snapshot returns the object's slots and their past, for [Restore].
// Subscribers, and what they have to be told, are no part of it.
func (o *Object[S]) Snapshot() []byte {
	b := make([]byte, 0, 32+o.bytes+8*len(o.order))
	b = append(b, snapshotFormat)
	b = binary.BigEndian.AppendUint32(b, o.version)
	b = appendNumber(b, o.version-o.past.since)
	b = appendNumber(b, uint32(len(o.order)))
	for _, s := range o.order {
		b = appendBytes(b, s.name)
		b = appendNumber(b, o.version-s.version)
		b = appendBytes(b, s.value)
	}
	b = appendNumber(b, uint32(len(o.past.stones)))
	for _, t := range o.past.stones {
		b = appendBytes(b, t.slot)
		b = appendNumber(b, o.version-t.version)
	}
	return b
}

func appendNumber(b []byte, n uint32) []byte { return binary.AppendUvarint(b, uint64(n)) }

func appendBytes[T string | amf.Raw](b []byte, s T) []byte {
	return append(appendNumber(b, uint32(len(s))), s...)
}

// Restore makes the persistent object again that a snapshot was taken of, with
// the versions it had, so that subscribers that come back are told the
// difference.
func Restore[S comparable](name string, snapshot []byte) (*Object[S], error) {
	o := New[S](name, true, 1)
	if err := o.restore(snapshot); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSnapshot, err)
	}
	return o, nil
}

// restore reads a snapshot into an object without slots. It does not alias b.
func (o *Object[S]) restore(b []byte) error {
	r := reader{b: b}
	if len(b) > MaxSnapshot {
		return fmt.Errorf("%d bytes", len(b))
	}
	format := r.uint(1)
	o.version = r.uint(4)
	switch {
	case r.err != nil:
		return r.err
	case format != snapshotFormat:
		return fmt.Errorf("format %d is not known", format)
	case o.version == 0:
		return errors.New("version 0")
	}
	o.told = o.version
	window := r.number()
	o.past.since = o.version - window
	o.restoreSlots(&r)
	o.restoreStones(&r, window)
	if len(r.b) > 0 {
		r.fail(fmt.Errorf("%d bytes too many", len(r.b)))
	}
	return r.err
}

func (o *Object[S]) restoreSlots(r *reader) {
	n := r.count(minSlot)
	for i := 0; i < n && r.err == nil; i++ {
		s := &slot{seq: uint64(len(o.order)) + 1, name: string(r.bytes()), version: o.version - r.number()}
		var err error
		if s.value, err = value(r.bytes()); err != nil {
			r.fail(fmt.Errorf("slot %.40q: %w", s.name, err))
		}
		if o.slots[s.name] != nil {
			r.fail(fmt.Errorf("slot %.40q occurs twice", s.name))
		}
		o.slots[s.name] = s
		o.order = append(o.order, s)
		o.bytes += s.size()
	}
}

func (o *Object[S]) restoreStones(r *reader, window uint32) {
	n := r.count(minStone)
	if n > MaxTombstones {
		r.fail(fmt.Errorf("%d tombstones", n))
	}
	seen := make(map[string]bool)
	for i := 0; i < n && r.err == nil; i++ {
		slot, age := string(r.bytes()), r.number()
		if age > window || o.slots[slot] != nil || seen[slot] {
			r.fail(fmt.Errorf("tombstone of %.40q is out of place", slot))
		}
		window = age // oldest first
		seen[slot] = true
		o.past.stones = append(o.past.stones, tombstone{slot, o.version - age})
	}
}

// number reads a varint of at most 32 bits.
func (r *reader) number() uint32 {
	n, size := binary.Uvarint(r.b)
	if size <= 0 || n > 1<<32-1 {
		r.fail(errShort)
	}
	if r.err != nil {
		return 0
	}
	r.b = r.b[size:]
	return uint32(n)
}

// count reads how many items follow, of at least size bytes each.
func (r *reader) count(size int) int {
	n := r.number()
	if uint64(n) > uint64(len(r.b)/size) {
		r.fail(errShort)
	}
	return int(n)
}

func (r *reader) bytes() []byte { return r.take(r.count(1)) }

// value returns the encoding of exactly one value that is not null.
func value(b []byte) (amf.Raw, error) {
	d := amf.NewDecoder(b)
	v, err := d.NextRaw()
	if err != nil {
		return nil, err
	}
	if d.More() || isNull(amf.Raw(b)) {
		return nil, errors.New("not one value")
	}
	if whole, ok := v.(amf.Raw); ok {
		return whole, nil
	}
	return append(amf.Raw(nil), b...), nil
}
