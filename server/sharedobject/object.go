package sharedobject

import (
	"bytes"
	"cmp"
	"slices"

	"foyer/server/amf"
)

// An Object is a remote shared object as its owner sees it: a pure value that
// belongs to one goroutine. S is the handle of a subscriber. The object
// collects what it has to tell until Flush. Make it with [New].
type Object[S comparable] struct {
	// set by New
	name       string
	persistent bool

	// the slots and their past
	version uint32
	changed bool // since Flush, so version has already grown
	slots   map[string]*slot
	order   []*slot // in order of creation
	past    past
	cached  map[uint32]*snapshot // of the slots as they are now, by the version they start from
	bytes   int                  // in the slots, names included
	hold    *hold                // nil: changes are told whether they are stored or not

	// the subscribers, and what they are to be told
	subs      map[S]*subscriber[S]
	list      []*subscriber[S] // the same, for loops
	log       []entry[S]       // what happened since Flush, in order
	newcomers int              // subscribers with a start
	ready     int              // subscribers that are to catch up
	told      uint32           // the version of the last Flush
}

type slot struct {
	name    string
	value   amf.Raw
	version uint32 // of its last change
	seq     uint64 // of its creation
}

func (s *slot) size() int { return len(s.name) + len(s.value) }

// New makes an empty object whose first version is first (0 counts as 1). A
// temporary object that is made again must start at another version than the
// one at which the earlier object ended, so that no subscriber mistakes it for
// that one.
func New[S comparable](name string, persistent bool, first uint32) *Object[S] {
	first = max(first, 1) // 0 means that a subscriber has seen nothing
	return &Object[S]{
		name:       name,
		persistent: persistent,
		version:    first,
		slots:      make(map[string]*slot),
		past:       past{since: first},
		told:       first,
		cached:     make(map[uint32]*snapshot),
		subs:       make(map[S]*subscriber[S]),
	}
}

// Name returns the object's name. Name and Persistent together identify it.
func (o *Object[S]) Name() string { return o.name }

// Persistent reports whether the object is to outlive its users.
func (o *Object[S]) Persistent() bool { return o.persistent }

// Version returns the current version. It grows by one with the first change
// after a Flush, so that everything that one Flush tells has the same version.
func (o *Object[S]) Version() uint32 { return o.version }

// Len returns the number of slots.
func (o *Object[S]) Len() int { return len(o.slots) }

// Value returns the value of a slot, decoded.
func (o *Object[S]) Value(slot string) (amf.Value, bool) {
	s, ok := o.slots[slot]
	if !ok {
		return nil, false
	}
	return decoded(s.value), true
}

// Bytes returns the size of all slots, names included.
func (o *Object[S]) Bytes() int { return o.bytes }

// SlotBytes returns a slot's share of Bytes, 0 if there is no such slot.
func (o *Object[S]) SlotBytes(slot string) int {
	if s := o.slots[slot]; s != nil {
		return s.size()
	}
	return 0
}

// Slots returns the names of the slots, in order of creation.
func (o *Object[S]) Slots() []string {
	names := make([]string, len(o.order))
	for i, s := range o.order {
		names[i] = s.name
	}
	return names
}

// Subscribers returns the number of subscribers.
func (o *Object[S]) Subscribers() int { return len(o.list) }

// Subscribed reports whether s is a subscriber.
func (o *Object[S]) Subscribed(s S) bool { return o.subs[s] != nil }

// Set puts v into a slot. Null or undefined removes the slot, and a value equal
// to the present one changes nothing. v is encoded at once, so the caller may
// change it afterwards.
func (o *Object[S]) Set(slot string, v amf.Value) {
	if isNull(v) {
		o.Remove(slot)
		return
	}
	r := raw(v)
	e, ok := o.set(slot, r)
	if o.hold != nil {
		o.record(Event{Type: Change, Slot: slot, Value: r}, ok)
	}
	if ok {
		o.tell(entry[S]{event: e})
	}
}

// Remove removes a slot, if it is there.
func (o *Object[S]) Remove(slot string) {
	e, ok := Event{Type: Remove, Slot: slot}, o.remove(slot)
	o.record(e, ok)
	if ok {
		o.tell(entry[S]{event: e})
	}
}

// Clear removes all slots, if there are any.
func (o *Object[S]) Clear() {
	e, ok := Event{Type: Clear}, o.clear()
	o.record(e, ok)
	if ok {
		o.tell(entry[S]{event: e})
	}
}

// Send calls method on all subscribers. It does not change the version.
func (o *Object[S]) Send(method string, args ...amf.Value) {
	o.tell(entry[S]{event: Event{Type: SendMessage, Method: method, Args: rawArgs(args)}})
}

// set returns the event to tell, unless the slot has that value already.
func (o *Object[S]) set(name string, v amf.Raw) (e Event, ok bool) {
	s := o.slots[name]
	if s == nil {
		s = &slot{name: name, seq: 1}
		o.bytes += s.size()
		if n := len(o.order); n > 0 {
			s.seq = o.order[n-1].seq + 1
		}
		o.slots[name] = s
		o.order = append(o.order, s)
		o.past.recreated(name)
	} else if bytes.Equal(s.value, v) {
		return Event{}, false
	}
	o.touch()
	o.bytes -= s.size()
	s.value, s.version = v, o.version
	o.bytes += s.size()
	return Event{Type: Change, Slot: name, Value: v}, true
}

func (o *Object[S]) remove(name string) bool {
	s := o.slots[name]
	if s == nil {
		return false
	}
	o.touch()
	delete(o.slots, name)
	o.bytes -= s.size()
	i, _ := slices.BinarySearchFunc(o.order, s, bySeq)
	o.order = slices.Delete(o.order, i, i+1)
	o.past.removed(name, o.version)
	return true
}

func bySeq(a, b *slot) int { return cmp.Compare(a.seq, b.seq) }

func (o *Object[S]) clear() bool {
	if len(o.slots) == 0 {
		return false
	}
	o.touch()
	clear(o.slots)
	o.order, o.bytes = nil, 0
	o.past = past{since: o.version}
	return true
}

// touch is called before each change.
func (o *Object[S]) touch() {
	clear(o.cached)
	if !o.changed {
		o.changed = true
		if o.hold != nil {
			o.version = max(o.version, o.hold.burnt)
		}
		o.version = max(o.version+1, 1)
	}
}

// isNull reports whether v is null or undefined, in whatever form.
func isNull(v amf.Value) bool {
	switch v := v.(type) {
	case nil, amf.Null, amf.Undefined:
		return true
	case amf.Raw:
		return len(v) == 1 && (v[0] == 0x05 || v[0] == 0x06) || // AMF0 §2.7, §2.8
			len(v) == 2 && v[0] == 0x11 && v[1] <= 0x01 // AMF3 §3.2, §3.3
	}
	return false
}

// decoded returns v as a decoded value.
func decoded(v amf.Value) amf.Value {
	if r, ok := v.(amf.Raw); ok {
		if d, err := amf.Parse(r); err == nil {
			return d
		}
	}
	return v
}

func raw(v amf.Value) amf.Raw {
	if r, ok := v.(amf.Raw); ok {
		return r
	}
	return amf.Append(nil, v)
}

func rawArgs(args []amf.Value) amf.Args {
	if len(args) == 0 {
		return nil
	}
	r := make(amf.Args, len(args))
	for i, v := range args {
		r[i] = raw(v)
	}
	return r
}
