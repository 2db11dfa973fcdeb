package room

import (
	"fmt"
	"math"
	"slices"

	"foyer/server/amf"
)

// How much of the chat a room keeps, and how much one answer carries.
const (
	MaxHistory   = 500
	DefaultLimit = 50
	MaxLimit     = 200
)

// message is something a user said, as it travels.
type message struct {
	id    int
	value amf.Object
}

// history is what was said lately. Ids grow by one; a message that was removed
// leaves a gap, the oldest ones are forgotten.
type history struct {
	messages  []message // oldest first
	last      int       // newest id given
	forgotten int       // newest id that was dropped for lack of room
}

// add keeps m, whose id is last+1.
func (h *history) add(m message) {
	if len(h.messages) == MaxHistory {
		h.forgotten = h.messages[0].id
		h.messages = slices.Delete(h.messages, 0, 1)
	}
	h.last = m.id
	h.messages = append(h.messages, m)
}

// remove takes the message out and reports whether it was there.
func (h *history) remove(id int) bool {
	i, found := h.find(id)
	if found {
		h.messages = slices.Delete(h.messages, i, i+1)
	}
	return found
}

// find returns where the message is, or the first one above its id.
func (h *history) find(id int) (int, bool) {
	return slices.BinarySearchFunc(h.messages, id, func(m message, id int) int { return m.id - id })
}

// page is a part of the history that somebody asked for: the first ones above
// after, or the last ones below before, or both bounds.
type page struct {
	after, before int // -1: not asked
	limit         int
}

// parsePage reads the argument of the method history.
func parsePage(v amf.Value) (page, error) {
	p := page{after: -1, before: -1, limit: DefaultLimit}
	if none(v) {
		return p, nil
	}
	switch v.(type) {
	case amf.Object, amf.ECMAArray, *amf.TypedObject:
	default:
		return p, fmt.Errorf("want an object")
	}
	for _, m := range []struct {
		name string
		dst  *int
		min  float64
	}{{"after", &p.after, 0}, {"before", &p.before, 0}, {"limit", &p.limit, 1}} {
		v := amf.Lookup(v, m.name)
		if none(v) {
			continue
		}
		n, ok := amf.AsNumber(v)
		if !ok || n != math.Floor(n) || n < m.min || n > 1<<53 {
			return p, fmt.Errorf("%s: want a whole number from %v", m.name, m.min)
		}
		*m.dst = int(n)
	}
	p.limit = min(p.limit, MaxLimit)
	return p, nil
}

// page returns the messages of p, oldest first; complete is false when
// something that belongs to them was forgotten, and more is true when the
// limit cut something.
func (h *history) page(p page) (found []message, complete, more bool) {
	found = h.messages
	if p.before >= 0 {
		i, _ := h.find(p.before)
		found = found[:i]
	}
	if p.after >= 0 {
		i, _ := h.find(p.after + 1)
		found = found[min(i, len(found)):]
		complete = p.after >= h.forgotten || 0 <= p.before && p.before <= p.after+1
		more = len(found) > p.limit
		return found[:min(len(found), p.limit)], complete, more
	}
	more = len(found) > p.limit
	complete = more || h.forgotten == 0 || 0 <= p.before && p.before <= 1 // ids begin at 1
	return found[max(0, len(found)-p.limit):], complete, more
}
