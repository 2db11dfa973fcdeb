package server

import (
	"sync"

	"foyer/server/rtmp"
)

// maxTurn is how many posts are run before the changes that they made to shared
// objects go out.
const maxTurn = 1024

// maxSpare is the largest queue that is kept for the next turn.
const maxSpare = 4096

// A turn is how an instance works: it runs everything that was posted while the
// turn before ran, and then tells subscribers which shared objects have changed.
// All but the mailbox belongs to the instance goroutine.
type turn struct {
	in      *Instance
	mailbox mailbox
	methods map[string]Method
	batch   []func() // what is run now
	next    int      // the first of batch that has not run
	serving *call    // the call whose answer Later takes
}

// run runs everything that was posted since the last turn.
func (t *turn) run() {
	spare := t.batch
	if cap(spare) > maxSpare {
		spare = nil
	}
	t.batch, t.next = t.mailbox.take(spare), 0
	for t.next < len(t.batch) && !t.in.broken() {
		t.step(min(t.next+maxTurn, len(t.batch)))
	}
}

// step runs the batch up to end, then tells subscribers of the changes.
func (t *turn) step(end int) {
	t.in.life.protect(func() {
		for t.next < end {
			f := t.batch[t.next]
			t.batch[t.next] = nil
			t.next++
			f()
		}
		t.in.objects.flush()
	})
}

// drain runs everything that was posted before the mailbox was closed: arrivals
// are told, calls are answered, departures keep their reasons.
func (t *turn) drain() {
	for {
		for t.next < len(t.batch) {
			t.step(len(t.batch))
		}
		if t.batch, t.next = t.mailbox.take(nil), 0; len(t.batch) == 0 {
			return
		}
	}
}

// serve runs a remote method.
func (t *turn) serve(k *call) {
	m := t.methods[k.method]
	switch {
	case t.in.broken() || k.from.state != clientAccepted:
		k.answer(nil, appShutdown())
		return
	case t.in.tunnel != nil:
		t.in.tunnel.call(k)
		return
	case m == nil || reserved[k.method] || k.from.req.node == forStream:
		k.answer(nil, rtmp.MethodNotFound(k.method))
		return
	}
	t.serving = k
	defer func() { // also when the method panics, so that its caller gets an answer
		if t.serving == k {
			t.serving = nil
			k.answer(nil, errStopped)
		}
	}()
	v, err := m(k.from, k.args)
	if err == ErrPending && t.serving == nil {
		return // the method has taken Later
	}
	if t.serving == k {
		t.serving = nil
		k.answer(v, err)
	}
}

// await runs f on the instance goroutine and waits for its answer, the zero value
// when the instance has stopped. It is for any other goroutine.
func await[T any](in *Instance, f func() T) (answer T) {
	answered := make(chan T, 1)
	if in.post(func() { answered <- f() }) {
		answer = <-answered
	}
	return answer
}

// A mailbox is a queue of functions with one taker. Putting never blocks: its
// callers are bounded elsewhere, a client by its calls in flight.
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

// take returns everything that was put, in order. The queue continues in spare.
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
