package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Headers in the stream of the chat. A message has an id. A mark has the
// highest id given out before it, and stands where that message was removed or
// where a node began to write.
const (
	headerID   = "Foyer-Id"
	headerMark = "Foyer-Mark"
	headerBy   = "Foyer-By" // the writer, and for a message which of the writer's it is
)

// maxUnsure is how many messages of a room are remembered while it is not known
// whether they are stored.
const maxUnsure = 1000

// errUnwanted answers Append when there was nothing to store any more.
var errUnwanted = errors.New("store: message is not wanted any more")

// A try is a message that may or may not be stored.
type try struct {
	by   string
	id   uint64
	data []byte
}

// fenceChat makes sure that no other node can write to the room's chat any
// more, and finds the end of it.
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
		seq, err := r.mark(ctx, id) // in an empty chat, too: another node may be about to write its first message
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
	m.Header.Set(headerBy, r.writer)
	m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(r.expect, 10))
	return r.store.publish(ctx, m)
}

// load reads the chat: where each message is, and the newest messages
// themselves.
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
				if n := len(r.index.entries); r.store.gaps.Load() && n > 0 && id > r.index.last+1 && r.index.entries[n-1].at < missing {
					hole, r.newest = id-1, nil // lost or removed: it cannot be told which
				}
				r.index.add(entry{id: id, seq: m.seq, at: m.at})
				r.newest = append(r.newest[max(0, len(r.newest)-maxNewest+1):], m.data)
			}
		})
		if err != nil {
			return err
		}
		if next == before { // damaged, or read from a copy that is behind
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

// Append stores a message after those that came before it. It calls message for
// the bytes once the id is certain: one above the last. When the message could
// not be stored within 10 s, done gets an error and the id goes to the next
// message. When message returns nil, because found has told of it meanwhile, nothing is
// stored.
func (r *Room) Append(message func(id uint64) []byte, done func(id uint64, err error)) {
	answer := func(id uint64, err error) {
		switch err {
		case nil:
			r.store.stats.stored.Add(1)
		case errUnwanted:
		default:
			r.store.stats.failed.Add(1)
		}
		done(id, err)
	}
	r.enqueue(func(ctx context.Context) { r.append(ctx, message, answer) }, func(err error) { answer(0, err) })
}

// append stores one message.
func (r *Room) append(ctx context.Context, message func(uint64) []byte, done func(uint64, error)) {
	if r.elsewhere != nil {
		done(0, r.elsewhere)
		return
	}
	r.sent++
	by := r.writer + "." + strconv.FormatUint(r.sent, 10)
	for {
		id := r.lastID() + 1
		data := message(id)
		if data == nil {
			done(0, errUnwanted)
			return
		}
		m := nats.NewMsg(r.subject)
		m.Data = data
		m.Header.Set(headerID, strconv.FormatUint(id, 10))
		m.Header.Set(headerBy, by)
		m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(r.expect, 10))
		seq, err := r.store.publish(ctx, m)
		if wrongSequence(err) {
			// Something is stored: an earlier try, perhaps of this message.
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
		r.noteStored(id, seq)
		r.store.flushed(func(err error) {
			if err != nil {
				r.found(data)
				done(0, fmt.Errorf("flushing to disk: %w", err))
				return
			}
			done(id, nil)
		})
		return
	}
}

// uncertain reports whether a message may be stored although storing it
// returned err.
func uncertain(err error) bool {
	api, ok := errors.AsType[*jetstream.APIError](err)
	return !ok || api.Code == 503
}

// noteStored remembers where a stored message is.
func (r *Room) noteStored(id, seq uint64) {
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
	if trimmed && r.keepsLess && id%16 == 0 {
		r.purge()
	}
}

// limits returns how many messages are kept, and since when. mu is held.
func (r *Room) limits(now time.Time) (count int, oldest time.Time) {
	return cmp.Or(r.count, r.store.cfg.History), now.Add(-cmp.Or(r.age, r.store.cfg.HistoryAge))
}

func (r *Room) lastID() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.index.last
}

// findEnd finds out what is at the end of the chat when it is not what was
// expected: the message marked by, one that seemed to have failed, nothing at
// all, or one from another owner.
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
	case last.seq == r.expect: // another write was refused at the same moment
		return 0, false, pause(ctx, 5*time.Millisecond)
	case by != "" && last.header.Get(headerBy) == by:
		return last.seq, true, nil
	}
	i := slices.IndexFunc(r.unsure, func(t try) bool { return t.by == last.header.Get(headerBy) })
	if i < 0 {
		r.elsewhere = ErrElsewhere
		r.store.log.Warn("room was taken over by another node", "room", r.name)
		if seq, mine = r.salvage(ctx, by); mine {
			return seq, true, nil
		}
		return 0, false, ErrElsewhere
	}
	t := r.unsure[i]
	r.noteStored(t.id, last.seq)
	r.found(t.data)
	return 0, false, nil
}

// salvage looks for messages that were stored before another node began to
// write, and whose answers were lost: the message marked by, or one that seemed
// to have failed.
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
			r.store.log.Warn("last messages not looked up", "room", r.name, "err", err)
		}
		for _, data := range late {
			r.found(data)
		}
		return seq, mine
	}
}

// lookUpUnsure finds out whether messages whose answer was lost are stored.
func (r *Room) lookUpUnsure() {
	r.enqueue(func(ctx context.Context) {
		if r.elsewhere == nil {
			r.findEnd(ctx, "") // if it cannot find out now, the next message will
		}
	}, func(error) {})
}

// Remove takes a message out for good. Its id is not given out again.
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
	if e.seq == r.expect { // it is the newest: a mark keeps its id
		seq, err := r.mark(ctx, last)
		if wrongSequence(err) {
			var mine bool
			if seq, mine, err = r.findEnd(ctx, r.writer); err == nil && !mine {
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
