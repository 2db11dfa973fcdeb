package rtmp

import (
	"cmp"
	"errors"

	"foyer/server/backlog"
)

// ErrMessages says that a player cannot share bytes with others at the moment:
// it plays on another message stream than SharedStream, has paused, or wants no
// audio or no video. Use WriteMessage for it instead.
var ErrMessages = errors.New("rtmp: player needs messages of its own")

// mediaQueue is how much media may wait in an outbox before WritePacked adds no
// more.
const mediaQueue = 64 << 10

// A burst is one write, past the outbox, of bytes that many players share.
type burst struct {
	try    func(fd uintptr) // b.write, made once
	pieces [2][]byte
	n      [2]int
	err    error
}

// WritePacked writes messages that were packed for all players, and returns how
// many. It does not block, and copies no bytes. On a socket that nobody else is
// writing to, it writes as much as there is room for; otherwise it puts a
// reference into the outbox. A part of the last message may still be waiting,
// and is written before anything else.
//
// The error is ErrMessages, or says that the player is gone.
func (pl *Player) WritePacked(p Packed) (messages int, err error) {
	s := pl.p.s
	s.mu.Lock()
	switch {
	case s.sealed:
		defer s.mu.Unlock()
		return 0, s.reason
	case pl.p.over:
		s.mu.Unlock()
		return 0, ErrClosed
	case pl.p.id != SharedStream || !pl.g.open():
		s.mu.Unlock()
		return 0, ErrMessages
	case s.c.src.raw == nil || s.writing || s.out.q != nil || !s.running:
		return s.queuePackedLocked(p)
	}
	s.writing = true // we are the writer
	s.wg.Add(1)
	defer s.wg.Done()
	rest := s.rest
	s.rest = nil
	s.mu.Unlock()

	n, err := pl.w.run(s.c, rest, p.Bytes)
	if err != nil {
		s.fail(err)
		return 0, err // writing stays true: nothing can be written any more
	}
	messages, end := p.through(n[1])
	s.mu.Lock()
	switch {
	case n[0] < len(rest):
		s.rest = rest[n[0]:]
	case n[1] < end:
		s.rest = p.Bytes[n[1]:end:end]
	}
	s.writing = false
	write := s.startWriterLocked()
	s.mu.Unlock()
	if write {
		go s.write()
	}
	return messages, nil
}

// queuePackedLocked puts a part of p into the outbox, by reference, if little
// media waits there. It unlocks mu.
func (s *Session) queuePackedLocked(p Packed) (messages int, err error) {
	if s.out.bytes[laneMedia] >= mediaQueue {
		s.mu.Unlock()
		return 0, nil
	}
	messages, end := p.through(min(len(p.Bytes), maxBatch))
	s.out.add(laneMedia, backlog.Piece{B: p.Bytes[:end:end]}) // not counted: the bytes are the relay's
	return messages, s.writeLocked()
}

// run writes first and then second, as far as there is room, and returns how
// much of each. Only the session's writer may call it.
func (b *burst) run(c *Conn, first, second []byte) (n [2]int, err error) {
	if b.try == nil {
		b.try = b.write
	}
	b.pieces, b.n, b.err = [2][]byte{first, second}, [2]int{}, nil
	err = c.src.raw.Control(b.try) // unlike Write, Control does not prepare to wait
	b.pieces = [2][]byte{}
	c.bytesOut.Add(uint64(b.n[0] + b.n[1]))
	return b.n, normalize(cmp.Or(err, b.err))
}

// write writes without waiting for room.
func (b *burst) write(fd uintptr) {
	for i, p := range b.pieces {
		if len(p) == 0 {
			continue
		}
		n, err := pollBurst(fd, p)
		b.n[i] = max(n, 0)
		if err != nil && !errors.Is(err, errWouldBlock) {
			b.err = err
		}
		if n < len(p) {
			return
		}
	}
}
