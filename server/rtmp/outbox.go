package rtmp

import (
	"net"
	"sync"
	"sync/atomic"

	"foyer/server/backlog"
)

// A lane is a part of the outbox. A lower lane is written first, and each lane
// keeps its order.
type lane uint8

const (
	laneControl  lane = iota // acknowledgements, pings, StreamBegin
	laneCommands             // commands, replies, shared objects
	laneMedia                // audio, video, data, and messages that must stay in order with them
	lanes
)

// maxBatch is how many bytes of a lane go into one write, so that new messages
// in a lower lane need not wait for all of it.
const maxBatch = 256 << 10

// outbox holds messages that are not yet written. It is guarded by its
// session's mu, except for level. An empty outbox owns no memory.
type outbox struct {
	q     *queue        // nil: nothing queued
	bytes [lanes]int    // queued or being written
	late  *late         // nil: little is waiting
	level atomic.Uint32 // the backlog.Level of the lanes other than media, and fullBit
}

// late is the extra state of an outbox while much waits.
type late struct {
	tally backlog.Tally
	wake  func()        // called when level is InStep again; nil: nobody waits for that
	room  chan struct{} // closed when the outbox is no longer full; nil: nobody waits for that
}

// behind returns o.late, and makes it if there is none.
func (o *outbox) behind() *late {
	if o.late == nil {
		o.late = new(late)
	}
	return o.late
}

// piece makes a piece of a message that is about to be added, after n waiting
// bytes.
func (o *outbox) piece(s *Session, packed []byte, shared *backlog.Bytes, n int) (p backlog.Piece, over bool) {
	if shared != nil {
		packed = shared.Bytes()
	}
	if s.c.cfg.Outboxes == nil || n+len(packed) <= backlog.Free {
		return backlog.Piece{B: packed}, false
	}
	return o.behind().tally.Add(s.c.cfg.Outboxes, (*slow)(s), packed, shared)
}

type queue [lanes][]backlog.Piece

var queues = sync.Pool{New: func() any { return new(queue) }}

// fits reports whether n more bytes of media are within max. A message that is
// larger than max by itself goes through when nothing waits before it.
func (o *outbox) fits(n, max int) bool {
	return o.bytes[laneMedia] == 0 || o.bytes[laneMedia]+n <= max
}

func (o *outbox) total() int {
	return o.bytes[laneControl] + o.bytes[laneCommands] + o.bytes[laneMedia]
}

// add queues a piece.
func (o *outbox) add(l lane, p backlog.Piece) {
	if o.q == nil {
		o.q = queues.Get().(*queue)
	}
	o.q[l] = append(o.q[l], p)
	o.bytes[l] += len(p.B)
	o.grade()
}

// addFirst queues the rest of a message that has been written in part, before
// everything else.
func (o *outbox) addFirst(rest backlog.Piece) {
	o.add(laneControl, rest)
	q := o.q[laneControl]
	copy(q[1:], q)
	q[0] = rest
}

// fullBit in level says that the peer is not read; see full.
const fullBit = 1 << 7

// full reports whether the peer is Far behind, or has more media waiting than
// the gate lets pass, so that the rest must be answers.
func (o *outbox) full() bool { return o.level.Load()&fullBit != 0 }

func (o *outbox) getLevel() backlog.Level { return backlog.Level(o.level.Load() &^ fullBit) }

// grade updates the level, and wakes those that wait for it. It returns a
// function to be called without locks held, or nil.
func (o *outbox) grade() (wake func()) {
	before := o.level.Load()
	level := backlog.LevelOf(o.bytes[laneControl]+o.bytes[laneCommands], backlog.Level(before&^fullBit))
	now := uint32(level)
	if level == backlog.Far || o.bytes[laneMedia] > MaxMediaOutbox+2*mediaReserve {
		now |= fullBit
	}
	if now == before {
		return nil
	}
	o.level.Store(now)
	if o.late == nil {
		return nil
	}
	if now&fullBit == 0 {
		o.late.makeRoom()
	}
	if level == backlog.InStep {
		wake, o.late.wake = o.late.wake, nil
	}
	return wake
}

func (l *late) makeRoom() {
	if l.room != nil {
		close(l.room)
		l.room = nil
	}
}

// drop discards everything that is queued.
func (o *outbox) drop(b *backlog.Budget) {
	if o.q == nil {
		return
	}
	for l := range lanes {
		o.done(b, o.q[l])
	}
	*o.q = queue{}
	o.q = nil
}

// batch holds the pieces of one write.
type batch struct {
	pieces  []backlog.Piece
	vectors net.Buffers // the bytes of pieces
	left    net.Buffers // of vectors: a write consumes it
	bytes   [lanes]int
}

var batches = sync.Pool{New: func() any { return new(batch) }}

// take moves the next pieces to b, and reports whether there were any.
func (o *outbox) take(b *batch) bool {
	if o.q == nil {
		return false
	}
	left := 0
	for l := range lanes {
		k, n := 0, 0
		for k < len(o.q[l]) && n < maxBatch && left == 0 {
			n += len(o.q[l][k].B)
			k++
		}
		b.bytes[l] += n
		b.pieces = append(b.pieces, o.q[l][:k]...)
		n = copy(o.q[l], o.q[l][k:])
		clear(o.q[l][n:])
		o.q[l] = o.q[l][:n]
		left += n
	}
	if left == 0 {
		queues.Put(o.q)
		o.q = nil
	}
	return true
}

// written stops counting the pieces of b, and empties it. It returns the same
// as grade.
func (o *outbox) written(budget *backlog.Budget, b *batch) (wake func()) {
	o.done(budget, b.pieces)
	for l, n := range b.bytes {
		o.bytes[l] -= n
	}
	b.empty()
	wake = o.grade()
	if o.q == nil {
		o.late = nil // nothing is counted, and nobody waits any more
	}
	return wake
}

// done stops counting pieces.
func (o *outbox) done(budget *backlog.Budget, pieces []backlog.Piece) {
	if o.late != nil {
		o.late.tally.Done(budget, pieces)
	}
}

// total returns the number of bytes in b.
func (b *batch) total() int {
	return b.bytes[laneControl] + b.bytes[laneCommands] + b.bytes[laneMedia]
}

func (b *batch) empty() {
	clear(b.pieces)
	clear(b.vectors)
	b.pieces, b.vectors, b.left, b.bytes = b.pieces[:0], b.vectors[:0], nil, [lanes]int{}
}
