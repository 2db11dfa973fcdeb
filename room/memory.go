package room

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// DefaultMemory is how many messages of a room a Memory keeps.
const DefaultMemory = 500

// Memory has the stores of rooms in memory: for tests, and for servers that keep
// nothing. Its zero value is empty.
type Memory struct {
	History int // messages of a room; default DefaultMemory

	rooms sync.Map // of *memoryRoom, by name
}

// errUnwanted answers the Append of a message that is not to be stored any more.
var errUnwanted = errors.New("room: message is not wanted any more")

// Open is for Config.Open. In its stores, no message turns up later.
func (m *Memory) Open(_ context.Context, room string, _ func([]byte)) (Store, error) {
	r := &memoryRoom{most: cmp.Or(m.History, DefaultMemory)}
	r.kept.Store(&memories{limit: r.most})
	opened, _ := m.rooms.LoadOrStore(room, r)
	return opened.(*memoryRoom), nil
}

// memoryRoom is the store of one room. Its content is a value, and every change puts
// another in its place, so pages can be read while messages come and go.
type memoryRoom struct {
	most int // set by Open
	kept atomic.Pointer[memories]
}

// memories are the content of a store at one moment.
type memories struct {
	state     []byte
	messages  []memo // oldest first; only Append writes behind its end
	last      uint64 // newest id given
	forgotten uint64 // newest id that was dropped because of limit or age
	limit     int
	age       time.Duration // 0: any
}

// memo is one message.
type memo struct {
	id   uint64
	at   time.Time
	data []byte
}

// change lets f change the content. If another change was faster, f runs again.
func (r *memoryRoom) change(f func(*memories)) {
	for {
		now := r.kept.Load()
		next := *now
		f(&next)
		next.forget()
		if r.kept.CompareAndSwap(now, &next) {
			return
		}
	}
}

// now returns the content, without messages that are too old.
func (r *memoryRoom) now() memories {
	m := *r.kept.Load()
	m.forget()
	return m
}

func (r *memoryRoom) State() []byte { return r.now().state }

func (r *memoryRoom) Save(state []byte, done func(error)) {
	r.change(func(m *memories) { m.state = state })
	done(nil)
}

func (r *memoryRoom) Newest() [][]byte {
	messages := r.now().messages
	return data(messages[max(0, len(messages)-MaxNewest):])
}

func (r *memoryRoom) Last() uint64 { return r.now().last }

func (r *memoryRoom) Append(message func(id uint64) []byte, done func(id uint64, err error)) {
	var id uint64
	var err error
	r.change(func(m *memories) {
		data := message(m.last + 1)
		if data == nil {
			err = errUnwanted
			return
		}
		m.last++
		id = m.last
		m.messages = append(m.messages, memo{id, time.Now(), data})
	})
	done(id, err)
}

func (r *memoryRoom) Remove(id uint64, done func(found bool, err error)) {
	var found bool
	r.change(func(m *memories) {
		m.forget()
		var i int
		if i, found = m.find(id); found {
			m.messages = slices.Concat(m.messages[:i], m.messages[i+1:])
		}
	})
	done(found, nil)
}

func (r *memoryRoom) Page(_ context.Context, after, before int64, limit int) (messages [][]byte, complete, more bool, err error) {
	m := r.now()
	found := m.messages
	if before >= 0 {
		i, _ := m.find(uint64(before))
		found = found[:i]
	}
	if after >= 0 {
		i, _ := m.find(uint64(after) + 1)
		found = found[min(i, len(found)):]
		complete = uint64(after) >= m.forgotten || 0 <= before && before <= after+1
		more = len(found) > limit
		return data(found[:min(len(found), limit)]), complete, more, nil
	}
	more = len(found) > limit
	complete = more || m.forgotten == 0 || 0 <= before && before <= 1 // ids begin at 1
	return data(found[max(0, len(found)-limit):]), complete, more, nil
}

func (r *memoryRoom) Limit(count int, age time.Duration) {
	r.change(func(m *memories) { m.limit, m.age = min(cmp.Or(count, r.most), r.most), age })
}

func (r *memoryRoom) Close() {}

// forget drops the messages that are too many or too old.
func (m *memories) forget() {
	n := max(0, len(m.messages)-m.limit)
	for m.age > 0 && n < len(m.messages) && time.Since(m.messages[n].at) >= m.age {
		n++
	}
	if n > 0 {
		m.forgotten = m.messages[n-1].id
		m.messages = m.messages[n:]
	}
}

// find returns the place of the message, or of the first one above its id.
func (m *memories) find(id uint64) (int, bool) {
	return slices.BinarySearchFunc(m.messages, id, func(m memo, id uint64) int { return cmp.Compare(m.id, id) })
}

func data(messages []memo) [][]byte {
	list := make([][]byte, len(messages))
	for i, m := range messages {
		list[i] = m.data
	}
	return list
}
