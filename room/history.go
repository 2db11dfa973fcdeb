package room

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"foyer/server/amf"
)

// How many messages of the chat a room has in memory, and how many one answer has.
const (
	MaxCached    = 500 // messages; the oldest go, CacheBlock at a time
	CacheBlock   = 100
	DefaultLimit = 50
	MaxLimit     = 200
)

// message is something that a user said. The store has it as JSON.
type message struct {
	ID   int64   `json:"id"`
	At   int64   `json:"at"` // milliseconds since 1970
	User speaker `json:"user"`
	Text string  `json:"text"`
	Mark mark    `json:"mark,omitempty"` // of the key under which it was said
}

// speaker is the author of a message, as they were then.
type speaker struct {
	ID   string `json:"id"`
	Nick string `json:"nick"`
	Role string `json:"role"`
}

// as returns m with its id.
func (m message) as(id uint64) message {
	m.ID = int64(id)
	return m
}

// data returns m as it is stored.
func (m message) data() []byte {
	data, _ := json.Marshal(m) // there is nothing in it that has no JSON
	return data
}

// value returns m as it travels.
func (m message) value() amf.Object {
	return amf.Object{
		{Name: "id", Value: amf.Number(m.ID)},
		{Name: "at", Value: amf.Number(m.At)},
		{Name: "user", Value: amf.Object{
			{Name: "id", Value: amf.String(m.User.ID)}, {Name: "nick", Value: amf.String(m.User.Nick)}, {Name: "role", Value: amf.String(m.User.Role)},
		}},
		{Name: "text", Value: amf.String(m.Text)},
	}
}

// parseMessages reads stored messages. Those that cannot be read are left out.
func parseMessages(list [][]byte) []message {
	messages := make([]message, 0, len(list))
	for _, data := range list {
		var m message
		if json.Unmarshal(data, &m) == nil && m.ID > 0 {
			messages = append(messages, m)
		}
	}
	return messages
}

// history has the newest messages. Ids grow by one; a message that was removed leaves
// a gap.
type history struct {
	messages []message // oldest first
	last     int64     // newest id given
	floor    int64     // all stored messages above this id are here
}

// fill begins with messages that were found.
func (h *history) fill(found []message, last int64) {
	h.messages, h.last, h.floor = found, last, last
	if len(found) > 0 {
		h.floor = found[0].ID - 1
		h.last = max(last, found[len(found)-1].ID)
	}
}

// add puts m in its place, which is the end except for a message that turned up later.
// It reports whether m is new here.
func (h *history) add(m message) bool {
	i, found := h.find(m.ID)
	if found {
		return false
	}
	h.last = max(h.last, m.ID)
	if m.ID > h.floor {
		h.messages = slices.Insert(h.messages, i, m)
	}
	if len(h.messages) > MaxCached {
		h.trim(MaxCached-CacheBlock, 0)
	}
	return true
}

// trim forgets all messages but the newest, and those from before a time.
func (h *history) trim(most int, oldest int64) {
	n := max(0, len(h.messages)-most)
	for n < len(h.messages) && h.messages[n].At < oldest {
		n++
	}
	if n > 0 {
		h.floor = h.messages[n-1].ID
		h.messages = slices.Delete(h.messages, 0, n)
	}
}

// remove takes the message out and reports whether it was there.
func (h *history) remove(id int64) bool {
	i, found := h.find(id)
	if found {
		h.messages = slices.Delete(h.messages, i, i+1)
	}
	return found
}

// find returns the place of the message, or of the first one above its id.
func (h *history) find(id int64) (int, bool) {
	return slices.BinarySearchFunc(h.messages, id, func(m message, id int64) int { return cmp.Compare(m.ID, id) })
}

// page is a part of the history that somebody asked for: the first ones above
// after, or the last ones below before, or both bounds.
type page struct {
	after, before int64 // -1: not asked
	limit         int
	epoch         int64 // which history is meant; -1: this one
}

// parsePage reads the argument of the method history.
func parsePage(v amf.Value) (page, error) {
	p := page{after: -1, before: -1, limit: DefaultLimit, epoch: -1}
	if none(v) {
		return p, nil
	}
	switch v.(type) {
	case amf.Object, amf.ECMAArray, *amf.TypedObject:
	default:
		return p, fmt.Errorf("want an object")
	}
	limit := int64(p.limit)
	for _, m := range []struct {
		name string
		dst  *int64
		min  float64
	}{{"after", &p.after, 0}, {"before", &p.before, 0}, {"limit", &limit, 1}, {"epoch", &p.epoch, 0}} {
		v := amf.Lookup(v, m.name)
		if none(v) {
			continue
		}
		n, ok := amf.AsNumber(v)
		if !ok || n != math.Floor(n) || n < m.min || n > 1<<53 {
			return p, fmt.Errorf("%s: want a whole number from %v", m.name, m.min)
		}
		*m.dst = int64(n)
	}
	p.limit = int(min(limit, MaxLimit))
	return p, nil
}

// page returns the messages of p, oldest first; more is true if the limit cut
// something. ok is false if the store has to be asked: it may have messages of p that
// are not here.
func (h *history) page(p page) (found []message, more, ok bool) {
	found = h.messages
	if p.before >= 0 {
		i, _ := h.find(p.before)
		found = found[:i]
	}
	nothing := 0 <= p.before && p.before <= max(p.after, 0)+1 // ids begin at 1
	if p.after >= 0 {
		i, _ := h.find(p.after + 1)
		found = found[min(i, len(found)):]
		return found[:min(len(found), p.limit)], len(found) > p.limit, p.after >= h.floor || nothing
	}
	more = len(found) > p.limit
	return found[max(0, len(found)-p.limit):], more, more || h.floor == 0 || nothing
}

// trim forgets messages that are too many or too old to be shown.
func (r *Room) trim() {
	count, age := less(r.settings.Retention.Count, r.cfg.History), less(r.settings.Retention.age(), r.cfg.HistoryAge)
	if count == 0 {
		count = MaxCached
	}
	var oldest int64
	if age > 0 {
		oldest = time.Now().Add(-age).UnixMilli()
	}
	r.chat.trim(count, oldest)
}

// less returns the smaller bound; 0 is none.
func less[T int | time.Duration](a, b T) T {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}
