package rtmp

import (
	"net"
	"sync"
)

// A lane is a part of the outbox. A lower one is written first; nothing is
// reordered within one.
type lane uint8

const (
	laneControl  lane = iota // acknowledgements, pings, StreamBegin
	laneCommands             // commands, replies, shared objects
	laneMedia                // audio, video, data, and what must stay in order with them
	lanes
)

// mediaBatch is how many bytes of media go into one write, so that commands
// that come meanwhile need not wait for all of it.
const mediaBatch = 256 << 10

// outbox holds what is not yet written. It is guarded by its session's mu.
// An empty one owns no memory.
type outbox struct {
	q     *queue     // nil: nothing queued
	bytes [lanes]int // queued or being written
}

type queue [lanes][][]byte

var queues = sync.Pool{New: func() any { return new(queue) }}

// fits reports whether n more bytes are within the limits: MaxOutbox for
// control and commands together, max for media. One thing that is larger than
// the limit by itself goes through when nothing waits before it.
func (o *outbox) fits(l lane, n, max int) bool {
	queued := o.bytes[laneMedia]
	if l != laneMedia {
		queued, max = o.bytes[laneControl]+o.bytes[laneCommands], MaxOutbox
	}
	return queued == 0 || queued+n <= max
}

// add queues packed. The caller has asked fits.
func (o *outbox) add(l lane, packed []byte) {
	if o.q == nil {
		o.q = queues.Get().(*queue)
	}
	o.q[l] = append(o.q[l], packed)
	o.bytes[l] += len(packed)
}

// addFirst queues the rest of something that is written already in part: before
// all else.
func (o *outbox) addFirst(rest []byte) {
	o.add(laneControl, rest)
	q := o.q[laneControl]
	copy(q[1:], q)
	q[0] = rest
}

// batch is what one write writes.
type batch struct {
	pieces  [][]byte
	vectors net.Buffers // copy of pieces for WriteTo, which eats it
	bytes   [lanes]int
}

var batches = sync.Pool{New: func() any { return new(batch) }}

// take moves to b what to write next and reports whether there was anything.
func (o *outbox) take(b *batch) bool {
	if o.q == nil {
		return false
	}
	left := 0
	for l := range lanes {
		room := mediaBatch
		k := 0
		for k < len(o.q[l]) && (l != laneMedia || room > 0) {
			room -= len(o.q[l][k])
			b.bytes[l] += len(o.q[l][k])
			k++
		}
		b.pieces = append(b.pieces, o.q[l][:k]...)
		n := copy(o.q[l], o.q[l][k:])
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

// written takes the bytes of b off the count and empties it.
func (o *outbox) written(b *batch) {
	for l, n := range b.bytes {
		o.bytes[l] -= n
	}
	b.empty()
}

// total is the number of bytes in b.
func (b *batch) total() int {
	return b.bytes[laneControl] + b.bytes[laneCommands] + b.bytes[laneMedia]
}

func (b *batch) empty() {
	clear(b.pieces)
	clear(b.vectors)
	b.pieces, b.vectors, b.bytes = b.pieces[:0], b.vectors[:0], [lanes]int{}
}
