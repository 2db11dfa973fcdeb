package rtmp

import "time"

// ping watches for signs of life. Any bytes are one, but a message that has
// begun must make progress. It is one timer for each session, and no goroutine.
// It is guarded by the session's mu.
type ping struct {
	timer *time.Timer
	token uint32        // of the ping without an answer yet
	sent  time.Duration // when it was sent, since the connection began; 0: there is none
}

// startPingLocked starts the timer.
func (s *Session) startPingLocked() {
	s.c.lastRead.Store(int64(time.Since(s.c.begun)))
	s.ping.timer = time.AfterFunc(s.c.cfg.PingInterval, s.tick)
}

func (p *ping) stopLocked() {
	if p.timer != nil {
		p.timer.Stop()
	}
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
		s.ping.timer.Reset(min(cfg.PingInterval-idle, patience))
		s.mu.Unlock()
		return
	}
	s.ping.token, s.ping.sent = uint32(now.Milliseconds()), now
	s.addLocked(laneControl, Pack(userControl(eventPingRequest, s.ping.token)), nil)
	s.ping.timer.Reset(min(cfg.PingInterval, cfg.PingTimeout-idle, patience))
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

// pong takes the answer to a ping.
func (s *Session) pong(token uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if token == s.ping.token && s.ping.sent != 0 {
		s.rtt.Store(int64(max(1, time.Since(s.c.begun)-s.ping.sent)))
		s.ping.sent = 0
	}
}
