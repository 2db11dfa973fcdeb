package rtmp

import "time"

// startPingLocked begins to watch for signs of life. Any bytes are one, but a
// message that has begun must make progress. It is one timer for each session,
// and no goroutine.
func (s *Session) startPingLocked() {
	s.c.lastRead.Store(int64(time.Since(s.c.begun)))
	s.ping = time.AfterFunc(s.c.cfg.PingInterval, s.tick)
}

// tick is run by the timer. It sends a ping when the peer is silent, ends the
// session when the peer stays silent, and sets the timer again.
func (s *Session) tick() {
	cfg := s.c.cfg
	now := time.Since(s.c.begun)
	if !s.c.reading.Load() { // this end is not reading
		s.c.lastRead.Store(int64(now))
	}
	idle := now - time.Duration(s.c.lastRead.Load())
	if idle >= cfg.PingTimeout {
		s.fail(ErrSilent)
		return
	}
	patience, ok := s.c.patience()
	if !ok {
		s.fail(&ProtocolError{Offset: s.c.bytesIn.Load(), Err: ErrStalled})
		return
	}
	s.mu.Lock()
	if !s.running || s.sealed {
		s.mu.Unlock()
		return
	}
	// A peer that answered the last ping after a moment has been silent for a
	// moment less than the interval, which is near enough.
	if idle < cfg.PingInterval*9/10 {
		s.ping.Reset(min(cfg.PingInterval-idle, patience))
		s.mu.Unlock()
		return
	}
	s.addLocked(laneControl, Pack(userControl(eventPingRequest, uint32(now.Milliseconds()))), nil)
	s.ping.Reset(min(cfg.PingInterval, cfg.PingTimeout-idle, patience))
	write := s.startWriterLocked()
	s.mu.Unlock()
	if write {
		s.write() // the timer's own goroutine may wait
	}
}

// patience returns how long an unfinished message may still wait for progress.
// ok is false when it may wait no longer.
func (c *Conn) patience() (left time.Duration, ok bool) {
	since := c.stalled.Load()
	if since == 0 {
		return MaxStall, true
	}
	left = MaxStall - time.Duration(c.milliseconds()-since)*time.Millisecond
	return left, left > 0
}
