package sharedobject

import (
	"slices"

	"foyer/server/amf"
	"foyer/server/backlog"
)

// maxMessage is the size from which Flush starts another message. Our own peers
// refuse shared object messages of 256 KiB.
const maxMessage = 128 << 10

// Dirty reports whether Flush has something to do.
func (o *Object[S]) Dirty() bool {
	return o.changed || o.newcomers > 0 || o.ready > 0 || len(o.log) > 0
}

// Flush hands out what subscribers have to be told: one message for each of
// them, or several in order when one would grow beyond 128 KiB, and the same
// *Message to all that are told the same. send must not call methods of o.
func (o *Object[S]) Flush(send func(s S, m *Message)) {
	o.FlushPaced(func(S) backlog.Level { return backlog.InStep }, send)
}

// FlushPaced is Flush when some subscribers may be behind. A subscriber that is
// behind is not told of changes of slots: it lags until CatchUp, and then is
// told of each slot that has changed, once, with its latest value. Its own
// requests are answered at once, unless the answer involves others' changes. It
// also gets at once what is sent to all, unless it is [backlog.Far] behind. lag
// must not call methods of o.
func (o *Object[S]) FlushPaced(lag func(s S) backlog.Level, send func(s S, m *Message)) {
	f := flushing[S]{o: o, log: o.log, version: o.version}
	if o.hold != nil && o.hold.on {
		f.log, f.version = f.log[:o.hold.mark], o.hold.version
	}
	for i := 0; i < len(f.log) && !f.stateful; i++ {
		f.stateful = f.log[i].changes()
	}
	for _, sub := range o.list {
		if len(f.log) == 0 && sub.start == nil && !sub.ready {
			continue
		}
		for _, m := range f.owed(sub, lag(sub.id)) {
			send(sub.id, m)
		}
		sub.start, sub.from, sub.personal, sub.asked = nil, 0, false, false
	}
	o.newcomers, o.told = 0, f.version
	if h := o.hold; h != nil && h.on {
		h.stored()
		o.log = slices.Delete(o.log, 0, len(f.log))
		return
	}
	clear(o.log)
	o.log, o.changed = o.log[:0], false
}

// Lagging reports whether a subscriber has missed something that CatchUp will
// tell it.
func (o *Object[S]) Lagging(s S) bool {
	sub := o.subs[s]
	return sub != nil && sub.lagging && !sub.ready
}

// CatchUp makes the next Flush tell s what it has missed, unless it is behind
// then.
func (o *Object[S]) CatchUp(s S) {
	if o.Lagging(s) {
		o.subs[s].ready = true
		o.ready++
	}
}

// flushing is one run of Flush.
type flushing[S comparable] struct {
	o        *Object[S]
	log      []entry[S]
	version  uint32
	stateful bool // the log changes slots

	last     group
	lastMade []*Message
	made     map[group][]*Message // for those that are told the same
}

// A group identifies subscribers that are told the same.
type group struct {
	tell  tell
	start *snapshot // the slots that it lacks; nil: none
	from  int       // where in the log it came
}

// tell says which part of start and the log a subscriber is told.
type tell uint8

const (
	_           tell = iota
	tellAll          // start, then the log in order
	tellLoose        // only the events in them that are no state of slots
	tellAnswers      // of these only the answers to the subscriber itself
	tellLatest       // as tellLoose, then the slots of start
)

// owed returns what a subscriber is to be told now, and notes whether it lags.
func (f *flushing[S]) owed(sub *subscriber[S], l backlog.Level) []*Message {
	g := group{tellAll, sub.start, sub.from}
	switch {
	case sub.lagging && sub.ready && l == backlog.InStep && !f.ahead():
		g = group{tellLatest, f.o.snapshot(sub.missed), sub.from}
		sub.lagging, sub.ready = false, false
		f.o.ready--
	case sub.lagging || l != backlog.InStep && (f.stateful || sub.start != nil):
		f.fall(sub, l)
		fallthrough
	case l == backlog.Far:
		if g.tell = tellLoose; l == backlog.Far {
			g.tell = tellAnswers
		}
	}
	if sub.personal || sub.asked && g.tell != tellAll {
		return f.messages(sub, g)
	}
	return f.shared(g)
}

// ahead reports whether the slots have changes that must not be told yet.
func (f *flushing[S]) ahead() bool { return f.o.hold != nil && f.o.hold.on && f.o.changed }

// fall makes a subscriber lag, from the version it has been told so far.
func (f *flushing[S]) fall(sub *subscriber[S], l backlog.Level) {
	if sub.ready && l != backlog.InStep {
		sub.ready = false
		f.o.ready--
	}
	if !sub.lagging {
		sub.lagging, sub.missed = true, f.o.told
		if sub.start != nil {
			sub.missed = sub.start.since
		}
	}
	for i := range f.log[sub.from:] {
		if e := &f.log[sub.from+i]; e.origin == sub && e.start != nil {
			sub.missed = e.start.since // it has asked again
		}
	}
}

// shared returns the messages for the group g, made once.
func (f *flushing[S]) shared(g group) []*Message {
	if g == f.last {
		return f.lastMade
	}
	ms, ok := f.made[g]
	if !ok {
		if f.made == nil {
			f.made = make(map[group][]*Message)
		}
		ms = f.messages(&subscriber[S]{}, g)
		f.made[g] = ms
	}
	f.last, f.lastMade = g, ms
	return ms
}

// messages returns the messages for sub, of the group g: usually one.
func (f *flushing[S]) messages(sub *subscriber[S], g group) []*Message {
	var events []Event
	version := f.version
	switch {
	case g.start != nil && g.tell == tellAll:
		events = g.start.events[:len(g.start.events):len(g.start.events)] // shared: append copies
	case g.start != nil && g.tell != tellLatest:
		events = []Event{{Type: UseSuccess}}
	}
	for i := range f.log[g.from:] {
		events = f.log[g.from+i].append(events, sub, g.tell)
	}
	switch g.tell {
	case tellLatest:
		events = append(events, g.start.events[1:]...) // UseSuccess was told
	case tellLoose, tellAnswers:
		version = 0 // a subscriber that comes back with it has seen nothing
	}
	return f.o.split(events, version)
}

// changes reports whether e tells subscribers of slots that somebody else has
// changed.
func (e *entry[S]) changes() bool {
	return e.event.Type == Change || e.event.Type == Remove || e.event.Type == Clear
}

// append appends the events of e that sub is told.
func (e *entry[S]) append(events []Event, sub *subscriber[S], t tell) []Event {
	own := e.origin == sub || e.asker == sub
	switch {
	case e.origin == sub && e.start != nil && t == tellAll:
		return append(events, e.start.events...)
	case e.origin == sub && e.start != nil:
		return append(events, Event{Type: UseSuccess})
	case e.origin == sub:
		return append(events, e.reply...)
	case e.event.Type == 0,
		t != tellAll && e.changes() && !own,
		t == tellAnswers && !own:
		return events
	}
	return append(events, e.event)
}

// split makes messages of at most maxMessage each, or of one event. Only the
// last message has the version: a subscriber that has not seen all of them has
// seen nothing.
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

// size estimates how many bytes e takes on the wire.
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
