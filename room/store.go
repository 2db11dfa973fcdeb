package room

import (
	"context"
	"time"
)

// MaxNewest is how many messages a room wants to find when it starts.
const MaxNewest = 200

// A Store keeps one room: its chat, message by message, and the rest of its state
// as a whole. To the store, both are bytes.
//
// Only Page blocks. Each done runs once, on any goroutine, and possibly before
// its method has returned.
type Store interface {
	// State is what Save saved last; nil for a new room.
	State() []byte
	// Save keeps the whole state. While one is being saved only the newest
	// waits; every done is called.
	Save(state []byte, done func(error))

	// Newest are the newest messages as they were found when the room was
	// opened, oldest first, at most MaxNewest.
	Newest() [][]byte
	// Last is the highest id that was ever given here, to removed messages too,
	// as it was found when the room was opened; 0 when there was none.
	Last() uint64
	// Append stores a message, after those that came before it. message makes
	// its bytes when its id is certain: the last one and 1, so that a message
	// that is not stored leaves no gap. done gets an error then, after at most
	// 10 s.
	Append(message func(id uint64) []byte, done func(id uint64, err error))
	// Remove takes a message out for good. Its id is not given again.
	Remove(id uint64, done func(found bool, err error))
	// Page returns messages, oldest first: the first ones above after, or the
	// last ones below before, or with both the first ones between them; -1 is
	// not asked. complete is false when something that belongs to them is no
	// longer kept, but for what was removed; more is true when limit cut
	// something. It blocks.
	Page(ctx context.Context, after, before int64, limit int) (messages [][]byte, complete, more bool, err error)
	// Limit keeps less of this room's chat than of others; 0 is as of others.
	Limit(count int, age time.Duration)

	// Close is the last call. All that was asked for has been answered when it
	// returns.
	Close()
}
