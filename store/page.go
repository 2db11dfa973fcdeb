package store

import (
	"context"
	"fmt"
	"time"
)

// Page returns messages, oldest first: the first ones above after, or the last
// ones below before, or with both the first ones between them; -1 is not asked.
// complete is false when something that belongs to them is no longer kept, but
// for what was removed; more is true when limit cut something. It blocks.
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
		if _, still := r.index.find(gone); still { // and it was not removed meanwhile
			r.lost(gone)
		}
		r.mu.Unlock()
	}
}

// lost notes that a message is not in the stream any more. mu is held.
func (r *Room) lost(id uint64) {
	if id == r.index.front()+1 {
		r.index.forget(id)
		return
	}
	r.store.log.Error("message lost", "room", r.name, "id", id)
	r.index.remove(id)
	r.index.forgotten = max(r.index.forgotten, id)
}

// fetch reads those messages; gone is the id of one that is not there, or 0.
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
		if _, ok := data[e.seq]; !ok { // a copy may be behind; the first one knows
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

// Limit keeps less of this room's chat than of others; 0 is as of others.
func (r *Room) Limit(count int, age time.Duration) {
	r.enqueue(func(context.Context) {
		r.mu.Lock()
		r.count, r.age = min(count, r.store.cfg.History), min(age, r.store.cfg.HistoryAge)
		r.strict = r.count != 0 || r.age != 0
		trimmed := r.index.trim(r.limits(time.Now()))
		r.mu.Unlock()
		if trimmed {
			r.purge()
		}
	}, func(error) {})
}

// purge takes out of the stream what this room has forgotten.
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
