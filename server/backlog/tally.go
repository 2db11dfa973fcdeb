package backlog

// How far behind a peer is, in bytes of messages that wait to be written.
const (
	MaxStep = 64 << 10 // more is Behind: of a state it is told the latest, once it has caught up
	MaxMore = 1 << 20  // more is Far: it is not told events that it can do without, nor is it read
)

// A Level is how far behind a peer is.
type Level uint32

const (
	InStep Level = iota
	Behind
	Far
)

// LevelOf is the level of an outbox of n bytes that had level before. A peer is
// in step again when it has read half of what made it fall behind, so that it
// is not in and out of step with each message.
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

// A Piece is something that waits to be written.
type Piece struct {
	B    []byte
	held *Bytes // what is counted for it; nil: nothing is
}

// A Tally is what is counted of one outbox. The zero value is that of an empty
// one. The outbox guards it, by a lock that is held when its methods are called.
type Tally struct {
	c *count // nil: nothing is counted
}

// Add makes a Piece of packed, of which shared are the Bytes if it has such, and
// counts it. Where little waits the outbox need not call it. over says that there
// is more than the budget: the caller unlocks, and calls Relieve.
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

// Done takes pieces off the count: they are written, or dropped.
func (t *Tally) Done(b *Budget, pieces []Piece) {
	if t.c == nil {
		return
	}
	b.release(t.c, pieces)
	if t.c.bytes == 0 { // the outbox's lock keeps it so
		t.c = nil
	}
}

// Moved notes that some of a piece was written.
func (t *Tally) Moved(b *Budget) {
	if t.c != nil {
		b.release(t.c, nil)
	}
}
