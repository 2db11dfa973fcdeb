package web

import (
	"errors"
	"io"
	"net"
	"time"

	"foyer/server/guard"
	"foyer/server/rtmp"
)

// Of a frame that has begun to come. As over RTMP, it makes progress or the
// connection ends: a byte is enough for a short one, but no memory is held for
// long by a drip.
const (
	frameBegins = 512 // the first room that is made for a frame
	minProgress = 32  // progress is one part in so many of what is there
)

// An inbound is the frame that is being read. It belongs to the socket's reader.
type inbound struct {
	budget *guard.Budget // of all unfinished messages; set before the socket is read
	share  guard.Share   // of it
	alive  int64         // until when the page must show a sign of life (Unix ns)
	due    int64         // until when the frame must make progress; 0: none has begun
}

// deadline is until when something must come.
func (in *inbound) deadline() time.Time {
	if in.due != 0 && in.due < in.alive {
		return time.Unix(0, in.due)
	}
	return time.Unix(0, in.alive)
}

// readFrame reads the rest of a message.
func (s *socket) readFrame(r io.Reader) (text []byte, err error) {
	in := &s.in
	defer func() {
		in.due = 0
		in.budget.Release(&in.share)
	}()
	text = make([]byte, 0, frameBegins)
	grown := 0
	for {
		if len(text) == cap(text) {
			text = append(text, 0)[:len(text)] // about twice as much
		}
		n, err := r.Read(text[len(text):cap(text)])
		text = text[:len(text)+n]
		if err == io.EOF {
			return text, nil
		}
		if err != nil {
			return nil, s.stalled(err)
		}
		if in.due == 0 || len(text)-grown >= max(1, grown/minProgress) {
			grown, in.due = len(text), time.Now().Add(rtmp.MaxStall).UnixNano()
			s.extend(0) // a frame is a sign of life when it is whole
		}
		if err := in.budget.Hold(&in.share, cap(text), s.net); err != nil {
			return nil, err
		}
	}
}

// stalled is why a frame that has begun has not ended.
func (s *socket) stalled(err error) error {
	timeout, isNet := errors.AsType[net.Error](err)
	switch {
	case !isNet || !timeout.Timeout():
		return err
	case s.in.budget.Over(&s.in.share):
		return guard.ErrBudget
	case s.in.due != 0 && s.in.due < s.in.alive:
		return rtmp.ErrStalled
	}
	return err
}
