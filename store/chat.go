package store

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Headers of what is in the chat's stream. A message has an id; a mark has the
// highest id that was given before it, and stands where that message was
// removed or where a node began to write.
const (
	headerID   = "Foyer-Id"
	headerMark = "Foyer-Mark"
	headerBy   = "Foyer-By" // who wrote it, and the how manieth it was of them
)

// maxNewest is how many messages a room is given when it is opened.
const maxNewest = 200

// maxWaiting is how much of one room may wait to be stored.
const maxWaiting = 10_000

// maxUnsure is how many messages a room remembers of which it is not known
// whether they are stored.
const maxUnsure = 1000

// A Room is what is kept of one room: its chat, message by message, and its
// state, as a whole. Its methods may be called from any goroutine.
type Room struct {
	// set by OpenRoom
	store   *Store
	name    string
	part    part   // of the keys of what is kept beside the chat
	subject string // of the chat
	by      string // this writer
	found   func([]byte)
	state   []byte
	newest  [][]byte
	atOpen  uint64 // the last id
	keys    *fence // for what is kept beside the chat; nil: there are no other nodes

	// owned by run
	expect    uint64 // sequence of the newest message in the stream, as far as we know
	sent      uint64 // how many were sent
	unsure    []try  // answered with an error, but perhaps stored
	elsewhere error  // another owner has written
	reserved  uint64 // highest id that the bucket knows of
	skipped   int64  // for which loss ids were skipped, as the bucket knows
	strict    bool   // this room keeps less than the others

	mu      sync.Mutex
	queue   []work
	running bool
	closed  bool
	idle    chan struct{} // closed when a closed room has nothing to do
	index   index
	saved   []byte // the newest state
	count   int    // limits; 0: as the store's
	age     time.Duration

	ctx    context.Context // of the work; ends when Close has no more patience
	cancel context.CancelFunc
}

// work is something that waits for its turn.
type work struct {
	since time.Time
	do    func(context.Context)
}

// A try is a message of which it is not known whether it is stored.
type try struct {
	by   string
	id   uint64
	data []byte
}

// ids is what is kept of a room's ids beside the stream.
type ids struct {
	Reserved  uint64 `json:"reserved"`          // no id above was given
	Front     uint64 `json:"front"`             // up to here nothing is left, and
	Forgotten uint64 `json:"forgotten"`         // up to here because it was forgotten, not removed
	Skipped   int64  `json:"skipped,omitempty"` // ids were skipped for this loss (Store.missing)
}

// reserve is how many ids are reserved at a time.
const reserve = 1000

// OpenRoom opens what is kept of a room. From now on no other node can write
// for it. found gets a message that turned out to be stored after its done had
// said that it was not. It blocks.
func (s *Store) OpenRoom(ctx context.Context, name string, found func(message []byte)) (*Room, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	r, err := s.openRoom(ctx, name, found)
	for err != nil && s.worthRetrying(err) && pause(ctx, jitter(retryAfter)) == nil {
		if again, retried := s.openRoom(ctx, name, found); ctx.Err() == nil {
			r, err = again, retried
		}
	}
	if err != nil {
		return nil, fmt.Errorf("opening what is kept of room %s: %w", name, err)
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
		store: s, name: name, part: p, subject: subject(chatSubject, p), by: rand.Text()[:12],
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

// fenceChat makes sure that no other node writes for the room any more, and
// finds the end of its chat.
func (r *Room) fenceChat(ctx context.Context) error {
	for {
		last, err := r.store.lastOf(ctx, chatStream, r.subject)
		if err != nil {
			return err
		}
		r.expect = 0
		id := r.reserved
		if last != nil {
			r.expect, id = last.seq, last.id()
		}
		if r.store.embedded() {
			return nil
		}
		seq, err := r.mark(ctx, id) // in an empty chat, too: another may be about to begin it
		if !wrongSequence(err) {
			r.expect = seq
			return err
		}
	}
}

// mark writes a mark at the end of the chat.
func (r *Room) mark(ctx context.Context, last uint64) (seq uint64, err error) {
	m := nats.NewMsg(r.subject)
	m.Header.Set(headerMark, strconv.FormatUint(last, 10))
	m.Header.Set(headerBy, r.by)
	m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(r.expect, 10))
	return r.store.publish(ctx, m)
}

// load reads the chat: where each message is, and the newest ones.
func (r *Room) load(ctx context.Context, known ids) error {
	var marks []uint64
	var marked, hole uint64
	missing := max(r.store.missing.Load(), known.Skipped)
	for next, tries := uint64(1), 0; next <= r.expect; tries++ {
		before := next
		err := r.store.read(ctx, r.subject, next, r.store.cfg.History+1, func(m stored) {
			if next = m.seq + 1; m.header.Get(headerID) == "" {
				marks, marked = append(marks, m.seq), max(marked, m.id())
				return
			}
			if id := m.id(); id > r.index.last {
				if n := len(r.index.entries); r.store.holes.Load() && n > 0 && id > r.index.last+1 && r.index.entries[n-1].at < missing {
					hole, r.newest = id-1, nil // lost or removed: who knows
				}
				r.index.add(entry{id: id, seq: m.seq, at: m.at})
				r.newest = append(r.newest[max(0, len(r.newest)-maxNewest+1):], m.data)
			}
		})
		if err != nil {
			return err
		}
		if next == before { // damaged, or a copy that is behind
			if r.store.embedded() || tries > 20 {
				break
			}
			if err := pause(ctx, 50*time.Millisecond); err != nil {
				return err
			}
		}
	}
	r.index.last = max(r.index.last, marked)
	if r.expect == 0 || missing != known.Skipped {
		r.index.last = max(r.index.last, known.Reserved)
	}
	if r.index.forgotten = r.index.front(); known.Front == r.index.front() {
		r.index.forgotten = known.Forgotten
	}
	r.index.forgotten = max(r.index.forgotten, hole)
	for _, seq := range marks {
		if seq == r.expect {
			break
		}
		if err := r.store.delete(ctx, seq); err != nil {
			return err
		}
	}
	return nil
}

// State is what Save saved last, as it was found by OpenRoom; nil for a new room.
func (r *Room) State() []byte { return r.state }

// Save keeps the whole state. While one is being saved only the newest waits;
// every done is called.
func (r *Room) Save(state []byte, done func(error)) {
	state = slices.Clone(state)
	r.mu.Lock()
	r.saved = state
	r.mu.Unlock()
	r.store.saves.save(r.keys, kv(roomsBucket, "state", r.part), state, done)
}

// Newest are the newest messages as they were found by OpenRoom, oldest first, at most 200.
func (r *Room) Newest() [][]byte { return r.newest }

// Last is the highest id that was ever given here, as it was found by OpenRoom.
func (r *Room) Last() uint64 { return r.atOpen }

// Append stores a message, after those that came before it. message makes its
// bytes when its id is certain: the last one and 1. When it is not stored, after
// at most 10 s, done gets an error, and the id goes to the next message.
func (r *Room) Append(message func(id uint64) []byte, done func(id uint64, err error)) {
	answer := func(id uint64, err error) {
		if err != nil {
			r.store.stats.failed.Add(1)
			done(0, err)
			return
		}
		r.store.stats.stored.Add(1)
		done(id, nil)
	}
	r.enqueue(func(ctx context.Context) { r.append(ctx, message, answer) }, func(err error) { answer(0, err) })
}

// enqueue has do run when its turn comes, or calls fail.
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

// run does what waits, one after the other, and ends when nothing does. The
// first that comes starts it, Close waits for it.
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

// append stores one message.
func (r *Room) append(ctx context.Context, message func(uint64) []byte, done func(uint64, error)) {
	if r.elsewhere != nil {
		done(0, r.elsewhere)
		return
	}
	r.sent++
	by := r.by + "." + strconv.FormatUint(r.sent, 10)
	for {
		id := r.lastID() + 1
		data := message(id)
		m := nats.NewMsg(r.subject)
		m.Data = data
		m.Header.Set(headerID, strconv.FormatUint(id, 10))
		m.Header.Set(headerBy, by)
		m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(r.expect, 10))
		seq, err := r.store.publish(ctx, m)
		if wrongSequence(err) {
			// Of what was tried before, this message too, something is stored.
			var mine bool
			if seq, mine, err = r.findEnd(ctx, by); err == nil && !mine {
				continue
			}
		}
		if err != nil {
			if r.elsewhere == nil && uncertain(err) {
				r.unsure = append(r.unsure[max(0, len(r.unsure)-maxUnsure+1):], try{by, id, data})
			}
			done(0, err)
			return
		}
		r.keep(id, seq)
		r.store.flushed(func(err error) {
			if err != nil {
				done(0, fmt.Errorf("storing safely: %w", err))
				r.found(data)
				return
			}
			done(id, nil)
		})
		return
	}
}

// uncertain reports whether what failed with err may be stored nevertheless.
func uncertain(err error) bool {
	api, ok := errors.AsType[*jetstream.APIError](err)
	return !ok || api.Code == 503
}

// keep remembers where a stored message is.
func (r *Room) keep(id, seq uint64) {
	r.expect, r.unsure = seq, nil
	now := time.Now()
	r.mu.Lock()
	r.index.add(entry{id: id, seq: seq, at: now.UnixNano()})
	trimmed := r.index.trim(r.limits(now))
	front, forgotten := r.index.front(), r.index.forgotten
	r.mu.Unlock()
	if id > r.reserved {
		r.reserved, r.skipped = id+reserve-1, max(r.skipped, r.store.missing.Load())
		r.saveIDs(front, forgotten)
	}
	if trimmed && r.strict && id%16 == 0 {
		r.purge()
	}
}

// limits are how many messages are kept, and since when. mu is held.
func (r *Room) limits(now time.Time) (count int, oldest time.Time) {
	return cmp.Or(r.count, r.store.cfg.History), now.Add(-cmp.Or(r.age, r.store.cfg.HistoryAge))
}

func (r *Room) lastID() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.index.last
}

// findEnd finds out what is at the end of the chat when it is not what we
// expected: the message by that is being stored, one that seemed to have
// failed, nothing at all, or one that another owner wrote.
func (r *Room) findEnd(ctx context.Context, by string) (seq uint64, mine bool, err error) {
	last, err := r.store.lastOf(ctx, chatStream, r.subject)
	switch {
	case err != nil:
		return 0, false, err
	case last == nil: // too old, or the store came back empty
		if r.expect != 0 {
			r.expect, r.unsure = 0, nil
			r.mu.Lock()
			r.index.forget(r.index.last)
			r.mu.Unlock()
		}
		return 0, false, nil
	case last.seq == r.expect: // somebody else was refused at the same moment
		return 0, false, pause(ctx, 5*time.Millisecond)
	case by != "" && last.header.Get(headerBy) == by:
		return last.seq, true, nil
	}
	i := slices.IndexFunc(r.unsure, func(t try) bool { return t.by == last.header.Get(headerBy) })
	if i < 0 {
		r.elsewhere = ErrElsewhere
		r.store.log.Warn("room is written by another node", "room", r.name)
		if seq, mine = r.salvage(ctx, by); mine {
			return seq, true, nil
		}
		return 0, false, ErrElsewhere
	}
	t := r.unsure[i]
	r.keep(t.id, last.seq)
	r.found(t.data)
	return 0, false, nil
}

// salvage looks for what was stored before another node began to write, and
// whose answer was lost: the message by, or one that had seemed to have failed.
func (r *Room) salvage(ctx context.Context, by string) (seq uint64, mine bool) {
	for {
		var late [][]byte
		err := r.store.read(ctx, r.subject, r.expect+1, maxUnsure, func(m stored) {
			switch i := slices.IndexFunc(r.unsure, func(t try) bool { return t.by == m.header.Get(headerBy) }); {
			case m.header.Get(headerID) == "": // a mark
			case m.header.Get(headerBy) == by:
				seq, mine = m.seq, true
			case i >= 0:
				late = append(late, r.unsure[i].data)
			}
		})
		if err != nil && r.store.worthRetrying(err) && pause(ctx, jitter(retryAfter)) == nil {
			continue
		}
		if err != nil {
			r.store.log.Warn("last messages not found out about", "room", r.name, "err", err)
		}
		for _, data := range late {
			r.found(data)
		}
		return seq, mine
	}
}

// check finds out what became of messages whose answer was lost.
func (r *Room) check() {
	r.enqueue(func(ctx context.Context) {
		if r.elsewhere == nil {
			r.findEnd(ctx, "") // what it cannot find out now, the next message will
		}
	}, func(error) {})
}

// Remove takes a message out for good. Its id is not given again.
func (r *Room) Remove(id uint64, done func(found bool, err error)) {
	r.enqueue(func(ctx context.Context) {
		found, err := r.remove(ctx, id)
		if err != nil || !found {
			done(found && err == nil, err)
			return
		}
		r.store.flushed(func(err error) { done(err == nil, err) })
	}, func(err error) { done(false, err) })
}

func (r *Room) remove(ctx context.Context, id uint64) (found bool, err error) {
	if r.elsewhere != nil {
		return false, r.elsewhere
	}
	r.mu.Lock()
	i, found := r.index.find(id)
	var e entry
	if found {
		e = r.index.entries[i]
	}
	last := r.index.last
	r.mu.Unlock()
	if !found {
		return false, nil
	}
	if e.seq == r.expect { // its id must not be forgotten
		seq, err := r.mark(ctx, last)
		if wrongSequence(err) {
			var mine bool
			if seq, mine, err = r.findEnd(ctx, r.by); err == nil && !mine {
				return r.remove(ctx, id)
			}
		}
		if err != nil {
			return false, err
		}
		r.expect = seq
	}
	if err := r.store.delete(ctx, e.seq); err != nil {
		return false, err
	}
	r.mu.Lock()
	r.index.remove(id)
	front, forgotten := r.index.front(), r.index.forgotten
	r.mu.Unlock()
	if i == 0 {
		r.saveIDs(front, forgotten)
	}
	return true, nil
}

// saveIDs keeps what the stream does not say of the ids.
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
	r.enqueue(func(context.Context) { r.reserved = 0 }, func(error) {}) // to be saved again with the next message
	if state == nil {
		return
	}
	r.Save(state, func(err error) {
		if err != nil {
			r.store.log.Warn("state not saved", "room", r.name, "err", err)
		}
	})
}

// Close is the last call. What was asked for has been answered when it returns,
// after at most 5 s.
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
	var answer struct{}
	err := errors.Join(
		r.store.purge(ctx, kv(roomsBucket, "*", r.part), r.keys.expect+1),
		r.store.api(ctx, "STREAM.PURGE."+chatStream, map[string]any{"filter": r.subject, "seq": r.expect + 1}, &answer),
	)
	if err != nil {
		r.store.log.Warn("marks of a room of which nothing is stored not removed", "room", r.name, "err", err)
	}
}

// pause waits, or returns why it must not.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// wrongSequence reports whether something else is at the end of the chat.
func wrongSequence(err error) bool {
	code := apiCode(err)
	return code == jetstream.JSErrCodeStreamWrongLastSequence || code == jetstream.JSErrCodeStreamWrongLastSequenceConstant
}
