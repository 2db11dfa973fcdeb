package web

import (
	"errors"
	"io"
	"net"
	"time"

	"foyer/server/guard"
	"foyer/server/rtmp"
)

// As over RTMP, a frame that has begun makes progress or the connection ends. For a
// short one a byte is enough, but nobody holds memory for long by sending drops.
const (
	frameBegins = 512 // bytes that a frame gets at first
	minProgress = 32  // progress is this part of the bytes that are there
)

// A partialFrame is the frame that is being read.
type partialFrame struct {
	budget *guard.Budget // of all unfinished messages; set by newSocket
	share  guard.Share   // of the budget; owned by the reader

	// guarded by socket.mu
	alive int64 // the page must show a sign of life before this time (Unix ns)
	due   int64 // the frame must make progress before this time; 0: none has begun
}

// deadline is the time by which the page must send something.
func (p *partialFrame) deadline() time.Time {
	if p.due != 0 && p.due < p.alive {
		return time.Unix(0, p.due)
	}
	return time.Unix(0, p.alive)
}

// readFrame reads a frame to its end.
func (s *socket) readFrame(r io.Reader) (text []byte, err error) {
	p := &s.partial
	defer func() {
		s.setDue(0)
		p.budget.Release(&p.share)
	}()
	text = make([]byte, 0, frameBegins)
	grown := -1 // until something has been read
	for {
		if len(text) == cap(text) {
			text = append(text, 0)[:len(text)] // to about twice the size
		}
		n, err := r.Read(text[len(text):cap(text)])
		text = text[:len(text)+n]
		if err == io.EOF {
			return text, nil
		}
		if err != nil {
			return nil, s.stalled(err)
		}
		if grown < 0 || len(text)-grown >= max(1, grown/minProgress) {
			grown = len(text)
			s.setDue(time.Now().Add(rtmp.MaxStall).UnixNano())
		}
		if err := p.budget.Hold(&p.share, cap(text), s.net); err != nil {
			return nil, err
		}
	}
}

// setDue sets until when the frame must make progress. Only a whole frame is a sign of
// life.
func (s *socket) setDue(due int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.partial.due = due
	if due != 0 && !s.closing {
		s.conn.SetReadDeadline(s.partial.deadline())
	}
}

// stalled returns the reason that a frame has begun and not ended.
func (s *socket) stalled(err error) error {
	timeout, isNet := errors.AsType[net.Error](err)
	if !isNet || !timeout.Timeout() {
		return err
	}
	if s.partial.budget.Over(&s.partial.share) {
		return guard.ErrBudget
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.partial.due != 0 && s.partial.due < s.partial.alive {
		return rtmp.ErrStalled
	}
	return err
}
