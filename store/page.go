package store

import (
	"context"
	"fmt"
	"time"
)

// Page returns messages, oldest first: the first ones above after, the last
// ones below before, or the first ones between both; -1 means no bound.
// complete is false when a message that belongs there has been dropped, other
// than by Remove; more is true when limit cut some off. It blocks.
func (r *Room) Page(ctx context.Context, after, before int64, limit int) (messages [][]byte, complete, more bool, err error) {
	for {
		r.mu.Lock()
		r.index.trim(r.limits(time.Now()))
		var entries []entry
		entries, complete, more = r.index.page(after, before, limit)
		r.mu.Unlock()
		var gone uint64
		if messages, gone, err = r.fetch(ctx, entries); err != nil {
			return nil, false, false, fmt.Errorf("reading the chat of room %s: %w", r.name, err)
		}
		if gone == 0 {
			return messages, complete, more, nil
		}
		r.mu.Lock()
		if _, still := r.index.find(gone); still { // it was not removed in the meantime
			r.noteLost(gone)
		}
		r.mu.Unlock()
	}
}

// noteLost notes that a message is missing from the stream. mu is held.
func (r *Room) noteLost(id uint64) {
	if id == r.index.front()+1 {
		r.index.forget(id)
		return
	}
	r.store.log.Error("message lost", "room", r.name, "id", id)
	r.index.remove(id)
	r.index.forgotten = max(r.index.forgotten, id)
}

// fetch reads the messages of entries. gone is the id of one that is missing,
// or 0.
func (r *Room) fetch(ctx context.Context, entries []entry) (messages [][]byte, gone uint64, err error) {
	if len(entries) == 0 {
		return nil, 0, nil
	}
	data := make(map[uint64][]byte, len(entries))
	next, last := entries[0].seq, entries[len(entries)-1].seq
	for next <= last {
		before := next
		err := r.store.read(ctx, r.subject, next, len(entries), func(m stored) {
			next, data[m.seq] = m.seq+1, m.data
		})
		if err != nil {
			return nil, 0, err
		}
		if next == before {
			break
		}
	}
	for _, e := range entries {
		if _, ok := data[e.seq]; !ok { // a copy may be behind; the leader is not
			m, err := r.store.get(ctx, chatStream, map[string]any{"seq": e.seq})
			if err != nil || m == nil {
				return nil, e.id, err
			}
			data[e.seq] = m.data
		}
		messages = append(messages, data[e.seq])
	}
	return messages, 0, nil
}

// Limit keeps less of this room's chat than of the other rooms'. 0 means as
// much.
func (r *Room) Limit(count int, age time.Duration) {
	r.enqueue(func(context.Context) {
		r.mu.Lock()
		r.count, r.age = min(count, r.store.cfg.History), min(age, r.store.cfg.HistoryAge)
		r.keepsLess = r.count != 0 || r.age != 0
		trimmed := r.index.trim(r.limits(time.Now()))
		r.mu.Unlock()
		if trimmed {
			r.purge()
		}
	}, func(error) {})
}

// purge removes from the stream what this room has forgotten.
func (r *Room) purge() {
	r.mu.Lock()
	keep := r.expect
	if len(r.index.entries) > 0 {
		keep = r.index.entries[0].seq
	}
	r.mu.Unlock()
	if err := r.store.purge(r.ctx, r.subject, keep); err != nil {
		r.store.log.Warn("old messages not removed", "room", r.name, "err", err)
	}
}
