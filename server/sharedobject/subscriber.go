package sharedobject

import "foyer/server/amf"

// A subscriber has been told everything before the last Flush, and is owed the
// log from there on. If it came later it is owed start, and the log from where
// it came.
type subscriber[S comparable] struct {
	id       S
	index    int       // in Object.list
	start    *snapshot // nil: it was here at the last Flush
	since    uint32    // the version that start is for
	missed   uint32    // while it lags: the last version that it was told
	from     int       // the index in the log at which it came
	personal bool      // the log has a reply to it
	asked    bool      // the log has an event that it has asked for
	lagging  bool      // it was behind, and misses something
	ready    bool      // to be told what it misses
}

// An entry of the log is an event for everybody, or a reply to its origin
// together with the event, if any, for everybody else.
type entry[S comparable] struct {
	event  Event
	origin *subscriber[S]
	reply  []Event
	start  *snapshot      // the reply to Use
	asker  *subscriber[S] // of a request: the subscriber that is refused when the change is rolled back
}

// tell logs e, if there is anybody to tell.
func (o *Object[S]) tell(e entry[S]) {
	if len(o.list) == 0 {
		return
	}
	if e.origin != nil {
		e.origin.personal = true
	}
	if e.asker != nil {
		e.asker.asked = true
	}
	o.log = append(o.log, e)
}

// Use subscribes s, which has seen version (0: nothing). s will be told
// UseSuccess and the object as it is now: the changes since version if the
// object knows them, otherwise Clear and everything. Later changes follow. A
// subscriber that asks again is told again.
func (o *Object[S]) Use(s S, version uint32) {
	snap := o.snapshot(version)
	if sub := o.subs[s]; sub != nil {
		o.tell(entry[S]{origin: sub, start: snap})
		return
	}
	sub := &subscriber[S]{id: s, index: len(o.list), start: snap, since: version, from: len(o.log)}
	o.subs[s] = sub
	o.list = append(o.list, sub)
	o.newcomers++
}

// Release unsubscribes s. It is told nothing more, not even what it is owed.
func (o *Object[S]) Release(s S) {
	sub := o.subs[s]
	if sub == nil {
		return
	}
	if sub.start != nil {
		o.newcomers--
	}
	if sub.ready {
		o.ready--
	}
	delete(o.subs, s)
	last := len(o.list) - 1
	o.list[sub.index] = o.list[last]
	o.list[sub.index].index = sub.index
	o.list[last] = nil
	o.list = o.list[:last]
}

// Request does what subscriber s asks for. e is a RequestChange, RequestRemove,
// RequestClear (or Clear) or SendMessage; allowed is the application's answer.
// A change is told to the others as Change and to s as Success; anything else
// is told to all alike, including s. A request that changes nothing is answered
// all the same. A request that is not allowed, or goes over a limit, is
// answered with a Status to s alone, and Request returns one of this package's
// errors.
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
// reason of the owner's. The answer keeps its place among the answers to other
// requests, which a subscriber relies on. For peers that are not subscribed
// there is [Refusal].
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
		o.tell(entry[S]{event: Event{Type: SendMessage, Method: e.Method, Args: args}, asker: sub})
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
