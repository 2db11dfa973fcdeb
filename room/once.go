package room

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"foyer/server/amf"
)

// Bounds of the keys under which people say things, so that nothing is said twice.
const (
	// MaxSayKey is how long a key may be, in code points.
	MaxSayKey = 64
	// SayKeyTime is how long a message is known by its key.
	SayKeyTime = 10 * time.Minute
	// MaxSayKeys is how many keys a room remembers: what it can say in that time.
	MaxSayKeys = int(SayKeyTime / RoomRefill)
)

// sayKeyPage is how many messages a room that starts reads at a time, to find keys.
const sayKeyPage = 500

// A mark stands for a key and the person whose key it is. It is stored with the
// message and shown to nobody. "" is none.
type mark string

// markOf reads the second argument of say, or says what is wrong with it. The key is
// that of whoever gave the same resume; without one, it is that of this stay.
func (p *person) markOf(v amf.Value) (m mark, wrong string) {
	v = amf.Lookup(v, "key")
	key, ok := amf.AsString(v)
	switch n := utf8.RuneCountInString(key); {
	case none(v) || ok && key == "":
		return "", ""
	case !ok:
		return "", "The key must be a string."
	case n > MaxSayKey:
		return "", fmt.Sprintf("The key is longer than %d characters: it has %d.", MaxSayKey, n)
	}
	owner := p.proof[:]
	if p.proof == (proof{}) {
		owner = []byte(p.id)
	}
	sum := hmac.New(sha256.New, owner)
	sum.Write([]byte(key))
	return mark(base64.RawStdEncoding.EncodeToString(sum.Sum(nil)[:16])), ""
}

// once knows the messages that were said under a key lately, and those that may still
// turn out to be said.
type once struct {
	said  map[mark]spoken
	under sync.Map // *saying by mark; the store looks here, too
	order []marked // both, oldest first
}

// spoken is a message that was said: its id, and when it came, in ms since 1970.
type spoken struct{ id, at int64 }

// marked is a mark that is remembered since a time.
type marked struct {
	mark mark
	at   int64
}

// saying is a message with a key from when it comes until the room has said it. When
// the store did not answer, it may come again, and the store may find it meanwhile.
type saying struct {
	at      int64                    // when it came first
	answers []func(amf.Value, error) // of all calls that wait for it
	stored  atomic.Bool              // the store has it: it must not be stored again
}

// find returns the id of the message that was said under m, or 0, and what is under
// way or in doubt, or nil.
func (o *once) find(m mark, now time.Time) (id int64, s *saying) {
	if m == "" {
		return 0, nil
	}
	o.forget(now)
	if v, ok := o.under.Load(m); ok {
		s = v.(*saying)
	}
	return o.said[m].id, s
}

// begin notes that a message is being said, which answer waits for. s is what is in
// doubt, or nil. The result answers all that wait by then.
func (o *once) begin(m mark, s *saying, now time.Time, answer func(amf.Value, error)) (*saying, func(amf.Value, error)) {
	if m == "" {
		return nil, answer
	}
	if s == nil {
		s = &saying{at: now.UnixMilli()}
		o.under.Store(m, s)
		o.order = append(o.order, marked{m, s.at})
	}
	s.answers = append(s.answers, answer)
	return s, func(v amf.Value, err error) {
		answers := s.answers
		s.answers = nil
		for _, answer := range answers {
			answer(v, err)
		}
	}
}

// found hears from the store that it has a message. It may run on any goroutine.
func (o *once) found(m message) {
	if v, ok := o.under.Load(m.Mark); ok {
		v.(*saying).stored.Store(true)
	}
}

// add remembers a message that was said.
func (o *once) add(m message) {
	if m.Mark == "" {
		return
	}
	if o.said == nil {
		o.said = make(map[mark]spoken)
	}
	o.found(m)
	o.under.Delete(m.Mark)
	o.said[m.Mark] = spoken{m.ID, m.At}
	o.order = append(o.order, marked{m.Mark, m.At})
}

// forget drops the marks that are too old or too many. One that was in doubt and was
// then said stands in the order twice, with two times.
func (o *once) forget(now time.Time) {
	n, oldest := max(0, len(o.order)-MaxSayKeys), now.Add(-SayKeyTime).UnixMilli()
	for n < len(o.order) && o.order[n].at <= oldest {
		n++
	}
	for _, k := range o.order[:n] {
		if o.said[k.mark].at == k.at {
			delete(o.said, k.mark)
		}
		if v, ok := o.under.Load(k.mark); ok && v.(*saying).at == k.at {
			o.under.Delete(k.mark)
		}
	}
	o.order = o.order[n:]
}

// recall reads the keys of the messages of the last minutes when the room starts. The
// newest ones are in its memory already. It blocks.
func (r *Room) recall(ctx context.Context, now time.Time) error {
	recent := slices.Clone(r.chat.messages)
	oldest := now.Add(-SayKeyTime).UnixMilli()
	for more := len(recent) > 0; more && recent[0].At > oldest && len(recent) < MaxSayKeys; {
		var list [][]byte
		var err error
		if list, _, more, err = r.store.Page(ctx, -1, recent[0].ID, sayKeyPage); err != nil {
			return fmt.Errorf("reading what was said lately: %w", err)
		}
		found := parseMessages(list)
		more = more && len(found) > 0
		recent = append(found, recent...)
	}
	for _, m := range recent {
		r.chat.once.add(m)
	}
	r.chat.once.forget(now)
	return nil
}
