package sharedobject

import (
	"encoding/binary"
	"errors"
	"fmt"

	"foyer/server/amf"
)

// MaxEvents is how many events a message may have. It bounds the cost of a
// message of empty events; see [Parse].
const MaxEvents = 16384

// flagPersistent is the one flag with a known meaning. Adobe's peers set 0x10
// and 0x20 as well, so it is tested by mask.
const flagPersistent = 0x02

var errShort = errors.New("message is cut short")

// A Message is a shared object message. It is immutable once it is sent.
type Message struct {
	Name       string
	Version    uint32 // to the owner: the last version that the sender has seen; from the owner: the current one
	Persistent bool
	Events     []Event
}

// Parse decodes the payload of a type 19 message, or with amf3 of a type 16
// message, which is the same behind a format byte of 0. Values become
// [amf.Raw]; the message does not alias payload. A RequestChange or Change of
// several slots becomes several events. Events of unknown types are skipped.
func Parse(payload []byte, amf3 bool) (*Message, error) {
	p := parser{budget: len(payload) + amf.MaxExpansion}
	if err := p.message(&reader{b: payload}, amf3); err != nil {
		return nil, fmt.Errorf("sharedobject: %w", err)
	}
	return &p.m, nil
}

type parser struct {
	m      Message
	budget int // how many bytes of values there may still be, including what references stand for
}

func (p *parser) message(r *reader, amf3 bool) error {
	if amf3 {
		if format := r.uint(1); format != 0 {
			return fmt.Errorf("format byte %d is not defined", format)
		}
	}
	p.m.Name = r.string()
	p.m.Version = r.uint(4)
	p.m.Persistent = r.uint(4)&flagPersistent != 0
	r.uint(4) // reserved
	for r.err == nil && len(r.b) > 0 {
		p.event(r)
		if len(p.m.Events) > MaxEvents {
			return fmt.Errorf("message of more than %d events", MaxEvents)
		}
	}
	return r.err
}

func (p *parser) event(r *reader) {
	t, size := EventType(r.uint(1)), r.uint(4)
	if uint64(size) > uint64(len(r.b)) {
		r.fail(fmt.Errorf("%v of %d bytes: %w", t, size, errShort))
	}
	if err := p.data(t, &reader{b: r.take(int(size))}); err != nil {
		r.fail(fmt.Errorf("%v: %w", t, err))
	}
}

// data appends the events in data. Bytes after those that an event needs are
// ignored: some servers put values into UseSuccess.
func (p *parser) data(t EventType, data *reader) error {
	e := Event{Type: t}
	switch t {
	case Use, Release, Clear, UseSuccess, RequestClear:
	case RequestChange, Change:
		return p.pairs(t, data.b)
	case Success, Remove, RequestRemove:
		e.Slot = data.string()
	case eventEcho:
		e.Type = Success
		e.Slot = data.string()
	case SendMessage:
		e.Method, e.Args, data.err = p.send(data.b)
	case Status:
		e.Code = data.string()
		e.Level = data.string()
	default:
		return nil
	}
	if data.err == nil {
		p.m.Events = append(p.m.Events, e)
	}
	return data.err
}

// pairs reads slots and their values. References reach within an event, not
// further.
func (p *parser) pairs(t EventType, data []byte) error {
	d := amf.NewDecoder(data)
	for d.More() && len(p.m.Events) <= MaxEvents {
		slot, err := d.Name()
		if err != nil {
			return err
		}
		v, err := p.value(d)
		if err != nil {
			return fmt.Errorf("slot %.40q: %w", slot, err)
		}
		p.m.Events = append(p.m.Events, Event{Type: t, Slot: slot, Value: v})
	}
	return nil
}

// send reads the handler name, which unlike all other names is an AMF
// value with its marker, and the arguments.
func (p *parser) send(data []byte) (method string, args amf.Args, err error) {
	d := amf.NewDecoder(data)
	if method, err = d.Text(); err != nil {
		return "", nil, fmt.Errorf("handler name: %w", err)
	}
	for d.More() {
		arg, err := p.value(d)
		if err != nil {
			return "", nil, err
		}
		args = append(args, arg)
	}
	return method, args, nil
}

func (p *parser) value(d *amf.Decoder) (amf.Value, error) {
	v, err := d.NextRaw()
	if err != nil {
		return nil, err
	}
	r := raw(v)
	if p.budget -= len(r); p.budget < 0 {
		return nil, errors.New("references expand to too many bytes")
	}
	return r, nil
}

// Append appends m as the payload of a type 19 message, or with amf3 of a type
// 16 message. In type 19 values that AMF0 does not have are replaced
// ([amf.Plain]).
func (m *Message) Append(b []byte, amf3 bool) []byte {
	if amf3 {
		b = append(b, 0)
	}
	b = amf.AppendName(b, m.Name)
	b = binary.BigEndian.AppendUint32(b, m.Version)
	var flags uint32
	if m.Persistent {
		flags = flagPersistent
	}
	b = binary.BigEndian.AppendUint32(b, flags)
	b = binary.BigEndian.AppendUint32(b, 0)
	for i := range m.Events {
		b = m.Events[i].append(b, amf3)
	}
	return b
}

func (e *Event) append(b []byte, amf3 bool) []byte {
	b = append(b, byte(e.Type), 0, 0, 0, 0)
	start := len(b)
	switch e.Type {
	case RequestChange, Change:
		b = amf.AppendName(b, e.Slot)
		b = appendValue(b, e.Value, amf3)
	case Success, Remove, RequestRemove:
		b = amf.AppendName(b, e.Slot)
	case SendMessage:
		b = amf.Append(b, amf.String(e.Method))
		for _, arg := range e.Args {
			b = appendValue(b, arg, amf3)
		}
	case Status:
		b = amf.AppendName(b, e.Code)
		b = amf.AppendName(b, e.Level)
	}
	binary.BigEndian.PutUint32(b[start-4:], uint32(len(b)-start))
	return b
}

func appendValue(b []byte, v amf.Value, amf3 bool) []byte {
	if v != nil && !amf3 {
		v = amf.Plain(v)
	}
	return amf.Append(b, v)
}

// A reader holds the bytes that are left to read.
type reader struct {
	b   []byte
	err error // the first one; after it everything that is read is zero
}

// fail notes an error, unless there was one before.
func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// take returns the next n bytes, nil after an error.
func (r *reader) take(n int) []byte {
	if r.err != nil || n > len(r.b) {
		r.fail(errShort)
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

// uint reads a big-endian number of so many bytes.
func (r *reader) uint(size int) (n uint32) {
	for _, b := range r.take(size) {
		n = n<<8 | uint32(b)
	}
	return n
}

// string reads a string with a length of two bytes and no AMF marker.
func (r *reader) string() string { return string(r.take(int(r.uint(2)))) }
