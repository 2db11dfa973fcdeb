package store

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// A Room is what is stored of one room: its chat, message by message, and its
// state, as a whole. Its methods may be called from any goroutine.
type Room struct {
	// set by OpenRoom
	store   *Store
	name    string
	part    part   // of the keys of state and ids
	subject string // of the chat's messages
	writer  string // a random ID of this writer
	found   func([]byte)
	state   []byte
	newest  [][]byte
	atOpen  uint64 // the last id
	keys    *fence // for state and ids; nil: there are no other nodes

	// owned by run
	expect    uint64 // sequence of the newest message in the stream, as far as we know
	sent      uint64 // how many were sent
	unsure    []try  // tries that were answered with an error, but may be stored
	elsewhere error  // another owner has written
	reserved  uint64 // highest id that the bucket knows of
	skipped   int64  // the loss for which ids were skipped, as the bucket knows
	keepsLess bool   // this room keeps less than the others

	mu      sync.Mutex
	queue   []work
	running bool
	closed  bool
	idle    chan struct{} // closed when a closed room has nothing to do
	index   index
	saved   []byte // the newest state
	count   int    // limits; 0: as the store's
	age     time.Duration

	ctx    context.Context // of the work; ends when Close stops waiting
	cancel context.CancelFunc
}

// maxNewest is how many messages OpenRoom reads for Newest.
const maxNewest = 200

// maxWaiting is how many requests of one room may wait.
const maxWaiting = 10_000

// work is a request that waits for its turn.
type work struct {
	since time.Time
	do    func(context.Context)
}

// ids is what is stored of a room's ids beside the stream.
type ids struct {
	Reserved  uint64 `json:"reserved"`          // no higher id was given out
	Front     uint64 `json:"front"`             // no message up to this id is left, and
	Forgotten uint64 `json:"forgotten"`         // those up to this one were forgotten, not removed
	Skipped   int64  `json:"skipped,omitempty"` // ids were skipped for this loss (Store.missing)
}

// reserve is how many ids are reserved at a time.
const reserve = 1000

// OpenRoom opens what is stored of a room. From then on no other node can write
// for it. found is called with a message that turns out to be stored after its
// done was called with an error. It blocks.
func (s *Store) OpenRoom(ctx context.Context, name string, found func(message []byte)) (*Room, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	var r *Room
	err := s.retried(ctx, func() (err error) {
		r, err = s.openRoom(ctx, name, found)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("opening room %s: %w", name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	s.rooms[r] = true
	return r, nil
}

// openRoom tries once.
func (s *Store) openRoom(ctx context.Context, name string, found func([]byte)) (*Room, error) {
	p, err := s.roomPart(ctx, name)
	if err != nil {
		return nil, err
	}
	r := &Room{
		store: s, name: name, part: p, subject: subject(chatSubject, p), writer: rand.Text()[:12],
		found: found, idle: make(chan struct{}),
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	if err := r.open(ctx); err != nil {
		r.cancel()
		return nil, err
	}
	return r, nil
}

func (r *Room) open(ctx context.Context) (err error) {
	if !r.store.embedded() {
		if r.keys, err = r.store.newFence(ctx, roomsBucket, kv(roomsBucket, "*", r.part), kv(roomsBucket, "owner", r.part)); err != nil {
			return err
		}
	}
	if r.state, err = r.store.value(ctx, roomsBucket, "state", r.part); err != nil {
		return err
	}
	var known ids
	if data, err := r.store.value(ctx, roomsBucket, "ids", r.part); err != nil {
		return err
	} else if data != nil {
		if err := json.Unmarshal(data, &known); err != nil {
			r.store.log.Warn("ids unreadable", "room", r.name, "err", err)
		}
	}
	r.reserved, r.skipped = known.Reserved, known.Skipped
	if err := r.fenceChat(ctx); err != nil {
		return err
	}
	if err := r.load(ctx, known); err != nil {
		return err
	}
	r.atOpen, r.saved = r.index.last, r.state
	return nil
}

// State returns what was saved last when OpenRoom read it; nil for a new room.
func (r *Room) State() []byte { return r.state }

// Save stores the whole state. While one state is being stored, only the newest
// waits; every done is called.
func (r *Room) Save(state []byte, done func(error)) {
	state = slices.Clone(state)
	r.mu.Lock()
	r.saved = state
	r.mu.Unlock()
	r.store.saves.save(r.keys, kv(roomsBucket, "state", r.part), state, done)
}

// Newest returns the newest messages when OpenRoom read them, oldest first, at
// most 200.
func (r *Room) Newest() [][]byte { return r.newest }

// Last returns the highest id ever given out when OpenRoom read the room.
func (r *Room) Last() uint64 { return r.atOpen }

// enqueue calls do when its turn comes, or fail at once.
func (r *Room) enqueue(do func(context.Context), fail func(error)) {
	r.mu.Lock()
	var err error
	switch {
	case r.closed:
		err = ErrClosed
	case len(r.queue) >= maxWaiting:
		err = ErrBusy
	default:
		r.queue = append(r.queue, work{time.Now(), do})
		if !r.running {
			r.running = true
			r.store.wg.Go(r.run)
		}
	}
	r.mu.Unlock()
	if err != nil {
		fail(err)
	}
}

// run does what is enqueued, one request after the other, and ends when nothing
// is left. enqueue starts it, Close waits for it.
func (r *Room) run() {
	for {
		r.mu.Lock()
		if len(r.queue) == 0 {
			r.running = false
			if r.closed {
				close(r.idle)
			}
			r.mu.Unlock()
			return
		}
		w := r.queue[0]
		r.queue = r.queue[1:]
		r.mu.Unlock()
		ctx, cancel := context.WithDeadline(r.ctx, w.since.Add(r.store.cfg.patience))
		w.do(ctx)
		cancel()
	}
}

// saveIDs stores what the stream does not tell about the ids.
func (r *Room) saveIDs(front, forgotten uint64) {
	data, _ := json.Marshal(ids{Reserved: r.reserved, Front: front, Forgotten: forgotten, Skipped: r.skipped})
	r.store.saves.save(r.keys, kv(roomsBucket, "ids", r.part), data, func(err error) {
		if err != nil {
			r.store.log.Warn("ids not saved", "room", r.name, "err", err)
		}
	})
}

// saveAgain stores the state again, in a store that came back empty.
func (r *Room) saveAgain() {
	r.mu.Lock()
	state := r.saved
	r.mu.Unlock()
	r.enqueue(func(context.Context) { r.reserved = 0 }, func(error) {}) // so that the next message saves the ids again
	if state == nil {
		return
	}
	r.Save(state, func(err error) {
		if err != nil {
			r.store.log.Warn("state not saved", "room", r.name, "err", err)
		}
	})
}

// Close must be the last call. When it returns, after at most 5 s, every
// request has been answered.
func (r *Room) Close() {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return
	}
	r.closed = true
	if !r.running {
		close(r.idle)
	}
	r.mu.Unlock()
	impatient := time.AfterFunc(closeTimeout, r.cancel)
	<-r.idle
	impatient.Stop()
	r.cancel()
	r.store.awaitFlush()
	r.store.saves.awaitSaved(kv(roomsBucket, "state", r.part))
	r.erase()
	r.store.mu.Lock()
	delete(r.store.rooms, r)
	r.store.mu.Unlock()
}

// erase removes every trace of a room of which nothing is stored: the marks of
// this node, unless another node has written since. Where something is stored
// the claim stays, too.
func (r *Room) erase() {
	r.mu.Lock()
	kept := r.saved != nil || r.index.last > 0
	r.mu.Unlock()
	if r.store.embedded() || r.elsewhere != nil {
		return // nobody has marked anything; it is not ours
	}
	if kept || r.reserved > 0 || r.sent > 0 {
		r.store.cluster.noteKept(roomInstances + r.name)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), tryTimeout)
	defer cancel()
	err := errors.Join(
		r.store.purge(ctx, kv(roomsBucket, "*", r.part), r.keys.expect+1),
		r.store.purge(ctx, r.subject, r.expect+1),
	)
	if err != nil {
		r.store.log.Warn("marks of an empty room not removed", "room", r.name, "err", err)
	}
}
