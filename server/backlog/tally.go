package backlog

// The bytes that wait for a peer, by which its Level is found.
const (
	MaxStep = 64 << 10 // with more a peer is Behind: it is told the latest state once it has caught up
	MaxMore = 1 << 20  // with more it is Far: it misses events that it can do without, and is not read
)

// A Level is how far behind a peer is.
type Level uint32

const (
	InStep Level = iota
	Behind
	Far
)

// LevelOf returns the level of an outbox of n bytes that had the level before.
// A peer is in step again once it has read half of the bytes that made it fall
// behind, so that it does not change with each message.
func LevelOf(n int, before Level) Level {
	for l, limit := range [...]int{MaxStep, MaxMore} {
		if int(before) > l {
			limit /= 2
		}
		if n <= limit {
			return Level(l)
		}
	}
	return Far
}

// A Piece is a message that waits to be written.
type Piece struct {
	B    []byte
	held *Bytes // counted for it; nil: nothing is
}

// A Tally counts the bytes of one outbox. The zero value is an empty outbox's.
// The outbox guards it with a lock that is held when its methods are called.
type Tally struct {
	c *count // nil: nothing is counted
}

// Add makes a Piece of packed and counts it; shared holds the Bytes of packed,
// if it has any. While little waits the outbox need not call Add. over says
// that the budget is exceeded: the caller unlocks, and calls Relieve.
func (t *Tally) Add(b *Budget, o Owner, packed []byte, shared *Bytes) (p Piece, over bool) {
	if shared == nil {
		shared = Share(packed)
	}
	if t.c == nil {
		t.c = &count{owner: o}
	}
	over = b.hold(t.c, shared)
	return Piece{packed, shared}, over
}

// Done stops counting pieces that were written or dropped.
func (t *Tally) Done(b *Budget, pieces []Piece) {
	if t.c == nil {
		return
	}
	b.release(t.c, pieces)
	if t.c.bytes == 0 { // the outbox's lock keeps it so
		t.c = nil
	}
}

// Moved notes that a part of a piece was written.
func (t *Tally) Moved(b *Budget) {
	if t.c != nil {
		b.release(t.c, nil)
	}
}
