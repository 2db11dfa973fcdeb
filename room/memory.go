package room

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"
)

// DefaultMemory is how many messages of a room a Memory keeps.
const DefaultMemory = 500

// Memory keeps what rooms know for as long as it lives itself: for tests, and
// for servers that keep nothing. Its zero value is empty.
type Memory struct {
	History int // messages of a room; default DefaultMemory

	mu    sync.Mutex
	rooms map[string]*remembered
}

// Open is for Config.Open. What it returns never finds a message later.
func (m *Memory) Open(_ context.Context, room string, _ func([]byte)) (Kept, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.rooms[room]
	if r == nil {
		r = &remembered{most: cmp.Or(m.History, DefaultMemory)}
		r.limit = r.most
		if m.rooms == nil {
			m.rooms = make(map[string]*remembered)
		}
		m.rooms[room] = r
	}
	return r, nil
}

// remembered is one room in a Memory.
type remembered struct {
	most int // set by Open

	mu        sync.Mutex // guards what follows
	state     []byte
	messages  []memo // oldest first
	last      uint64 // newest id given
	forgotten uint64 // newest id that was dropped for lack of room
	limit     int
	age       time.Duration // 0: any
}

// memo is one message.
type memo struct {
	id   uint64
	at   time.Time
	data []byte
}

func (r *remembered) State() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state
}

func (r *remembered) Save(state []byte, done func(error)) {
	r.mu.Lock()
	r.state = state
	r.mu.Unlock()
	done(nil)
}

func (r *remembered) Newest() [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget()
	return data(r.messages[max(0, len(r.messages)-MaxNewest):])
}

func (r *remembered) Last() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

func (r *remembered) Append(message func(id uint64) []byte, done func(id uint64, err error)) {
	r.mu.Lock()
	r.last++
	id := r.last
	r.messages = append(r.messages, memo{id, time.Now(), message(id)})
	r.forget()
	r.mu.Unlock()
	done(id, nil)
}

func (r *remembered) Remove(id uint64, done func(found bool, err error)) {
	r.mu.Lock()
	r.forget()
	i, found := r.find(id)
	if found {
		r.messages = slices.Delete(r.messages, i, i+1)
	}
	r.mu.Unlock()
	done(found, nil)
}

func (r *remembered) Page(_ context.Context, after, before int64, limit int) (messages [][]byte, complete, more bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget()
	found := r.messages
	if before >= 0 {
		i, _ := r.find(uint64(before))
		found = found[:i]
	}
	if after >= 0 {
		i, _ := r.find(uint64(after) + 1)
		found = found[min(i, len(found)):]
		complete = uint64(after) >= r.forgotten || 0 <= before && before <= after+1
		more = len(found) > limit
		return data(found[:min(len(found), limit)]), complete, more, nil
	}
	more = len(found) > limit
	complete = more || r.forgotten == 0 || 0 <= before && before <= 1 // ids begin at 1
	return data(found[max(0, len(found)-limit):]), complete, more, nil
}

func (r *remembered) Limit(count int, age time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.limit, r.age = min(cmp.Or(count, r.most), r.most), age
	r.forget()
}

func (r *remembered) Close() {}

// forget drops what is too much or too old.
func (r *remembered) forget() {
	n := max(0, len(r.messages)-r.limit)
	for r.age > 0 && n < len(r.messages) && time.Since(r.messages[n].at) >= r.age {
		n++
	}
	if n > 0 {
		r.forgotten = r.messages[n-1].id
		r.messages = slices.Delete(r.messages, 0, n)
	}
}

// find returns where the message is, or the first one above its id.
func (r *remembered) find(id uint64) (int, bool) {
	return slices.BinarySearchFunc(r.messages, id, func(m memo, id uint64) int { return cmp.Compare(m.id, id) })
}

func data(messages []memo) [][]byte {
	list := make([][]byte, len(messages))
	for i, m := range messages {
		list[i] = m.data
	}
	return list
}
