package server

import "sync"

// A mailbox is a queue of functions with one taker. Putting never blocks: who
// puts is bounded elsewhere (a client by its calls in flight).
type mailbox struct {
	wake chan struct{} // of one slot; filled when the queue stops being empty

	mu     sync.Mutex
	queue  []func()
	closed bool
}

func (m *mailbox) put(f func()) bool {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return false
	}
	m.queue = append(m.queue, f)
	first := len(m.queue) == 1
	m.mu.Unlock()
	if first {
		select {
		case m.wake <- struct{}{}:
		default:
		}
	}
	return true
}

// take returns all that was put, in order, and goes on with spare.
func (m *mailbox) take(spare []func()) []func() {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := m.queue
	m.queue = spare[:0]
	return all
}

// close makes put refuse, unless onlyIfEmpty and something is there.
func (m *mailbox) close(onlyIfEmpty bool) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if onlyIfEmpty && len(m.queue) > 0 {
		return false
	}
	m.closed = true
	return true
}
