package relay

import (
	"time"

	"foyer/server/rtmp"
)

// Limits for a slow follower.
const (
	// patience is how long a follower may stand still, and how far in the
	// stream's time it must get between two falls off the end of the log.
	patience = 10 * time.Second
	// maxServe is roughly how many bytes one Serve gives, since others are
	// waiting.
	maxServe = 256 << 10
)

// A Follower is a player that takes bytes that many players share, such as
// *rtmp.Player. Its methods do not block. They are called by the goroutine that
// serves its Cursor.
type Follower interface {
	Player
	// WritePacked takes some of the messages and returns how many. The error
	// rtmp.ErrMessages asks for WriteMessage instead; any other means that the
	// follower is gone.
	WritePacked(rtmp.Packed) (messages int, err error)
	// Close ends the follower, which is told why.
	Close(reason error)
}

// A Cursor is a follower's place in a stream. One goroutine at a time may use it.
type Cursor struct {
	// set by Follow
	s *Stream
	f Follower

	next    uint64    // number of the entry to come
	waiting bool      // for a place to begin: a key frame, if there is video
	left    bool      // guarded by the stream's mu
	fallen  bool      // has lost messages, last at the time at
	moved   bool      // has taken some since then
	at      uint32    // in the stream's time
	still   time.Time // since when the follower has taken nothing; zero: it takes messages
}

// Follow adds a follower, as Join adds a player that takes messages. It gets
// nothing until its cursor is served, and then the same as from Join.
func (s *Stream) Follow(f Follower) *Cursor {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cursors++
	return &Cursor{s: s, f: f, next: s.log.next(), waiting: s.live}
}

// Leave removes the follower.
func (c *Cursor) Leave() {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if !c.left {
		c.left = true
		c.s.cursors--
	}
}

// Serve gives the follower what it misses, as far as it takes it. behind says
// that there is more, so that it should be served again soon. An error means
// that the follower is gone, or had to go: it was closed with
// NetStream.Play.InsufficientBW after it fell off the end of the log twice, or
// stood still.
func (c *Cursor) Serve() (behind bool, err error) {
	for given := 0; given < maxServe; {
		st := c.step()
		switch {
		case st.hopeless:
			return false, c.giveUp()
		case st.fell:
			c.f.Status(rtmp.CodePlaySlow, "The connection is too slow for this stream: some of it was left out.")
		case st.notice != nil:
			c.f.Status(st.notice.code, st.notice.description)
		case st.messages != nil:
			for _, m := range st.messages {
				if err := c.f.WriteMessage(m); err != nil {
					return false, err
				}
			}
		case len(st.packed.Ends) > 0:
			took, err := c.give(st.packed)
			if err != nil {
				return false, err
			}
			if took < len(st.packed.Ends) {
				return c.stand(took > 0)
			}
			given += len(st.packed.Bytes)
			c.still = time.Time{}
			if st.last {
				return false, nil
			}
		default:
			return false, nil
		}
	}
	return true, nil
}

// give offers messages, and moves past those that were taken.
func (c *Cursor) give(p rtmp.Packed) (took int, err error) {
	took, err = c.f.WritePacked(p)
	if err == rtmp.ErrMessages {
		took = len(p.Ends)
		for _, m := range c.messages(took) {
			if err := c.f.WriteMessage(m); err != nil {
				return 0, err
			}
		}
		err = nil
	}
	c.next += uint64(took)
	c.moved = c.moved || took > 0
	return took, err
}

// messages returns the next n messages, or those that are left.
func (c *Cursor) messages(n int) (all []rtmp.Message) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	for i := max(c.next, c.s.log.first); i < c.next+uint64(n); i++ {
		all = append(all, c.s.log.at(i).message)
	}
	return all
}

// stand notes that the follower did not take everything.
func (c *Cursor) stand(moved bool) (behind bool, err error) {
	switch {
	case moved || c.still.IsZero():
		c.still = time.Now()
	case time.Since(c.still) > patience:
		return false, c.giveUp()
	}
	return true, nil
}

func (c *Cursor) giveUp() error {
	c.f.Close(&rtmp.StatusError{Code: rtmp.CodePlaySlow, Description: "The connection is too slow for this stream."})
	return rtmp.ErrSlow
}

// A step is what to do next for a follower: at most one of its fields is set.
type step struct {
	hopeless, fell bool
	notice         *notice
	messages       []rtmp.Message
	packed         rtmp.Packed
	last           bool // nothing follows packed
}

func (c *Cursor) step() step {
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.next < s.log.first {
		if st, ok := c.fallLocked(); ok {
			return st
		}
	}
	if c.waiting {
		if st, ok := c.beginLocked(); ok {
			return st
		}
	}
	if c.next == s.log.next() {
		return step{}
	}
	if n := s.log.at(c.next).notice; n != nil {
		c.next++
		return step{notice: n}
	}
	p := s.log.from(c.next)
	return step{packed: p, last: c.next+uint64(len(p.Ends)) == s.log.next()}
}

// fallLocked lets the follower begin again, and reports whether to tell it.
// Soon after the last time that would be of no use, unless nothing went through
// since; then stand decides.
func (c *Cursor) fallLocked() (st step, ok bool) {
	now := c.s.clock.now()
	soon := c.fallen && int32(now-c.at) < int32(patience/time.Millisecond)
	if soon && c.moved {
		return step{hopeless: true}, true
	}
	c.next, c.waiting = c.s.log.first, true
	if soon {
		return step{}, false
	}
	c.fallen, c.moved, c.at = true, false, now
	return step{fell: true}, true
}

// beginLocked moves to where a follower can begin. It does not leave out
// notices on the way. A follower that must wait gets ok with nothing to do.
func (c *Cursor) beginLocked() (st step, ok bool) {
	intro, begin, waiting := c.s.beginLocked()
	for ; c.next < begin; c.next++ {
		if n := c.s.log.at(c.next).notice; n != nil {
			c.next++
			return step{notice: n}, true
		}
	}
	if waiting {
		return step{}, true
	}
	c.waiting, c.next = false, begin
	return step{messages: intro}, len(intro) > 0
}

// Settle says that no follower misses anything at the moment.
func (s *Stream) Settle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log.settle()
}
