package room

import (
	"context"
	"time"
)

// MaxNewest is how many messages a room reads when it starts.
const MaxNewest = 200

// A Store keeps one room: its chat, message by message, and the rest of its state
// as a whole. To the store, both are bytes.
//
// Only Page blocks. Each done runs once, on any goroutine, and possibly before
// its method has returned.
type Store interface {
	// State returns what was saved last; nil for a new room.
	State() []byte
	// Save stores the whole state. While one is being saved, only the newest of the
	// others waits; every done is called.
	Save(state []byte, done func(error))

	// Newest returns the newest messages as they were found when the store was
	// opened, oldest first, at most MaxNewest.
	Newest() [][]byte
	// Last returns the highest id ever given, also to removed messages, as it was
	// found when the store was opened; 0 if there was none.
	Last() uint64
	// Append stores a message behind those that came before. message makes its bytes
	// once its id is certain, which is one more than the last: a message that is not
	// stored leaves no gap. In that case done gets an error, after at most 10 s. If
	// message returns nil, nothing is stored, and done gets an error, too. When message
	// is called, the store has told of every earlier message that is stored though its
	// done got an error.
	Append(message func(id uint64) []byte, done func(id uint64, err error))
	// Remove takes a message out for good. Its id is not used again.
	Remove(id uint64, done func(found bool, err error))
	// Page returns messages, oldest first: the first ones above after, or the
	// last ones below before, or with both the first ones between them; -1 stands
	// for none. complete is false if messages between them are no longer stored,
	// other than removed ones; more is true if limit cut something. It blocks.
	Page(ctx context.Context, after, before int64, limit int) (messages [][]byte, complete, more bool, err error)
	// Limit makes the store keep less of the chat than for other rooms; 0: as much.
	Limit(count int, age time.Duration)

	// Close is the last call. When it returns, every done has been called.
	Close()
}
