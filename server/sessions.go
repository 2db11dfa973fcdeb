package server

import (
	"context"
	"maps"
	"sync"
)

// sessions are the RTMP sessions of a host, to count them and to shut them
// down.
type sessions struct {
	mu      sync.Mutex // guards what follows
	live    map[*rtmpPeer]context.Context
	in, out uint64 // bytes of the sessions that have ended
}

// begin adds a session that was accepted by the Serve whose context is ctx.
func (s *sessions) begin(ctx context.Context, p *rtmpPeer) {
	s.mu.Lock()
	if s.live == nil {
		s.live = make(map[*rtmpPeer]context.Context)
	}
	s.live[p] = ctx
	s.mu.Unlock()
	if ctx.Err() != nil {
		p.Close(appShutdown())
	}
}

func (s *sessions) end(p *rtmpPeer) {
	stats := p.Stats()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.live, p)
	s.in += stats.BytesIn
	s.out += stats.BytesOut
}

// shutdown ends the sessions of one Serve.
func (s *sessions) shutdown(ctx context.Context) {
	s.mu.Lock()
	live := maps.Clone(s.live)
	s.mu.Unlock()
	for p, of := range live {
		if ctx == of {
			p.Close(appShutdown())
		}
	}
}

// bytes adds up the bytes of all sessions.
func (s *sessions) bytes() (in, out uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	in, out = s.in, s.out
	for p := range s.live {
		stats := p.Stats() // counters: it takes no lock
		in += stats.BytesIn
		out += stats.BytesOut
	}
	return in, out
}
