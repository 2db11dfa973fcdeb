package sharedobject

import (
	"slices"

	"foyer/server/amf"
)

// maxMessage is what a message may grow to before Flush starts another one. A
// peer of ours refuses shared object messages of 256 KiB.
const maxMessage = 128 << 10

// A subscriber has been told everything before the last Flush and is owed the
// log from there on, or, when it came since, start and the log from where it
// came.
type subscriber[S comparable] struct {
	id       S
	index    int       // in Object.list
	start    *snapshot // nil: it was here at the last Flush
	since    uint32    // the version that start is for
	from     int       // where in the log it came
	personal bool      // the log has a reply to it
}

// An entry of the log is an event for everybody; or a reply for its origin and
// the event, if any, for everybody else.
type entry[S comparable] struct {
	event  Event
	origin *subscriber[S]
	reply  []Event
	asker  *subscriber[S] // of a change by a subscriber: who is refused when it is rolled back
}

// tell logs e, if there is anybody to tell.
func (o *Object[S]) tell(e entry[S]) {
	if len(o.list) == 0 {
		return
	}
	if e.origin != nil {
		e.origin.personal = true
	}
	o.log = append(o.log, e)
}

// Use subscribes s, which has seen version (0: nothing). It will be told
// UseSuccess and the object as it is now: only what changed since version when
// the object can tell, otherwise Clear and everything. What happens from now on
// follows. A subscriber that asks again is told again.
func (o *Object[S]) Use(s S, version uint32) {
	snap := o.snapshot(version)
	if sub := o.subs[s]; sub != nil {
		o.tell(entry[S]{origin: sub, reply: snap.events})
		return
	}
	sub := &subscriber[S]{id: s, index: len(o.list), start: snap, since: version, from: len(o.log)}
	o.subs[s] = sub
	o.list = append(o.list, sub)
	o.newcomers++
}

// Release unsubscribes s. It is not told anything any more, not even what it
// is owed.
func (o *Object[S]) Release(s S) {
	sub := o.subs[s]
	if sub == nil {
		return
	}
	if sub.start != nil {
		o.newcomers--
	}
	delete(o.subs, s)
	last := len(o.list) - 1
	o.list[sub.index] = o.list[last]
	o.list[sub.index].index = sub.index
	o.list[last] = nil
	o.list = o.list[:last]
}

// Request does what subscriber s asks for: e is a RequestChange, RequestRemove,
// RequestClear (or Clear) or SendMessage, and allowed the application's answer.
// The change is told to the others as Change and to s as Success, everything
// else to all alike, s too. A request that changes nothing is answered all the
// same. What is not allowed or goes over a limit is answered to s alone, with a
// Status, and is returned as one of this package's errors.
func (o *Object[S]) Request(s S, e Event, allowed bool) error {
	sub := o.subs[s]
	if sub == nil {
		return ErrNotSubscribed
	}
	if e.Type == RequestChange && isNull(e.Value) {
		e.Type = RequestRemove
	}
	err := ErrNoWriteAccess
	switch {
	case !isRequest(e.Type):
		return ErrNotRequest
	case allowed:
		err = o.request(sub, e)
	}
	if err != nil {
		o.Refuse(s, codes[err])
	}
	return err
}

// Refuse answers a request of subscriber s with a Status of that code, for a
// reason of the owner's own. The answer keeps its place among those to other
// requests, which a subscriber relies on; for who does not subscribe there is
// [Refusal].
func (o *Object[S]) Refuse(s S, code string) {
	if sub := o.subs[s]; sub != nil {
		o.tell(entry[S]{origin: sub, reply: []Event{refusal(code)}})
	}
}

func isRequest(t EventType) bool {
	switch t {
	case RequestChange, RequestRemove, RequestClear, Clear, SendMessage:
		return true
	}
	return false
}

func (o *Object[S]) request(sub *subscriber[S], e Event) error {
	switch e.Type {
	case RequestChange:
		return o.requestChange(sub, e.Slot, raw(e.Value))
	case RequestRemove:
		gone := Event{Type: Remove, Slot: e.Slot}
		if o.remove(e.Slot) {
			o.tell(entry[S]{event: gone, asker: sub})
		} else {
			o.tell(entry[S]{origin: sub, reply: []Event{gone}, asker: sub})
		}
	case SendMessage:
		args := rawArgs(e.Args)
		if !ValidSlot(e.Method) {
			return ErrBadSlotName
		}
		if sizeOf(args) > MaxValue {
			return ErrValueTooLarge
		}
		o.tell(entry[S]{event: Event{Type: SendMessage, Method: e.Method, Args: args}})
	default: // both ways to say clear
		if o.clear() {
			o.tell(entry[S]{event: Event{Type: Clear}, asker: sub})
		} else {
			o.tell(entry[S]{origin: sub, reply: []Event{{Type: Clear}}, asker: sub})
		}
	}
	return nil
}

func (o *Object[S]) requestChange(sub *subscriber[S], slot string, v amf.Raw) error {
	if !ValidSlot(slot) {
		return ErrBadSlotName
	}
	if len(v) > MaxValue {
		return ErrValueTooLarge
	}
	if o.slots[slot] == nil && len(o.slots) >= MaxSlots {
		return ErrTooManySlots
	}
	change, _ := o.set(slot, v) // the zero Event when nothing changed
	o.tell(entry[S]{event: change, origin: sub, reply: []Event{{Type: Success, Slot: slot}}, asker: sub})
	return nil
}

// Dirty reports whether Flush has something to do.
func (o *Object[S]) Dirty() bool {
	return o.changed || o.newcomers > 0 || len(o.log) > 0
}

// Flush hands out what has to be told: one message a subscriber, or a few in
// order when it would grow beyond 128 KiB, and the same *Message to all who are
// told the same. send must not call methods of o.
func (o *Object[S]) Flush(send func(s S, m *Message)) {
	type group struct {
		start *snapshot
		from  int
	}
	var (
		last     group
		ms       []*Message
		told     map[group][]*Message
		personal []*Message
	)
	log, version := o.log, o.version
	if o.hold != nil && o.hold.on {
		log, version = log[:o.hold.mark], o.hold.version
	}
	if len(log) > 0 {
		ms = o.messages(&subscriber[S]{}, log, version)
	}
	for _, sub := range o.list {
		g := group{sub.start, sub.from}
		switch {
		case sub.personal:
			personal = o.messages(sub, log, version)
		case g != last:
			if told == nil {
				told = map[group][]*Message{last: ms}
			}
			var ok bool
			if ms, ok = told[g]; !ok {
				ms = o.messages(sub, log, version)
				told[g] = ms
			}
			last = g
		}
		toSend := ms
		if sub.personal {
			toSend = personal
		}
		for _, m := range toSend {
			send(sub.id, m)
		}
		sub.start, sub.from, sub.personal = nil, 0, false
	}
	o.newcomers = 0
	if h := o.hold; h != nil && h.on {
		h.stored()
		o.log = slices.Delete(o.log, 0, len(log))
		return
	}
	clear(o.log)
	o.log, o.changed = o.log[:0], false
}

// messages returns what sub is owed of log, usually as one message.
func (o *Object[S]) messages(sub *subscriber[S], log []entry[S], version uint32) []*Message {
	var events []Event
	if sub.start != nil {
		events = sub.start.events[:len(sub.start.events):len(sub.start.events)] // shared: append copies
	}
	for i := range log[sub.from:] {
		switch e := &log[sub.from+i]; {
		case e.origin == sub:
			events = append(events, e.reply...)
		case e.event.Type != 0:
			events = append(events, e.event)
		}
	}
	return o.split(events, version)
}

// split makes messages of at most maxMessage each, or of one event. Only the
// last has the version: whoever has seen less than all of them has seen nothing.
func (o *Object[S]) split(events []Event, version uint32) []*Message {
	var ms []*Message
	for len(events) > 0 {
		n, size := 0, 0
		for n < len(events) && n < MaxEvents {
			size += events[n].size()
			if n > 0 && size > maxMessage {
				break
			}
			n++
		}
		m := &Message{Name: o.name, Persistent: o.persistent, Events: events[:n:n]}
		if events = events[n:]; len(events) == 0 {
			m.Version = version
		}
		ms = append(ms, m)
	}
	return ms
}

// size is about how many bytes e takes on the wire.
func (e *Event) size() int {
	n := 16 + len(e.Slot) + len(e.Method) + sizeOf(e.Args)
	if v, ok := e.Value.(amf.Raw); ok {
		n += len(v)
	}
	return n
}

func sizeOf(args amf.Args) (n int) {
	for _, v := range args {
		if r, ok := v.(amf.Raw); ok {
			n += len(r)
		}
	}
	return n
}
