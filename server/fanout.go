package server

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"foyer/server/relay"
)

// How often players are written to. Passing on pictures costs mostly system
// calls, so with more players more goes into one write: the pause between
// writes grows with their number, from nothing at all. It adds half of itself
// to the delay.
const (
	fewPlayers    = 10 // so many are written to without a pause
	pausePerOne   = 500 * time.Microsecond
	maxPause      = 47 * time.Millisecond
	retryPause    = 10 * time.Millisecond // at least, before a player whose buffer was full
	maxFanWriters = 8
)

// A fanout gives the followers of all streams the messages that they miss. Each
// of its writers has a share of the followers, and works while there is
// something to write: a timer starts a sweep, which never blocks, and is set
// again while anything is left. The zero value works.
type fanout struct {
	once    sync.Once
	writers []*fanWriter
	turn    atomic.Uint64
	players atomic.Int64
}

type fanWriter struct {
	f *fanout // set by audiences

	// guarded by mu
	mu     sync.Mutex
	timer  *time.Timer // runs sweep; nil until needed
	active bool        // the timer is set, or a sweep is running
	began  time.Time   // the last sweep
	due    []*audience // may have something to write
	spare  []*audience
}

// An audience is the share of one writer in the followers of one stream.
type audience struct {
	w *fanWriter
	s *relay.Stream

	// guarded by w.mu
	cursors []*relay.Cursor // never changed in place
	due     bool            // is in w.due
}

// audiences returns the audiences of a stream, which wakes them from now on.
func (f *fanout) audiences(s *relay.Stream) []*audience {
	f.once.Do(func() {
		for range min(runtime.GOMAXPROCS(0), maxFanWriters) {
			f.writers = append(f.writers, &fanWriter{f: f})
		}
	})
	all := make([]*audience, len(f.writers))
	for i, w := range f.writers {
		all[i] = &audience{w: w, s: s}
	}
	s.Watch(func() {
		for _, a := range all {
			a.wake()
		}
	})
	return all
}

// follow adds a follower to one of the audiences. It returns a function that
// takes the follower out; a write that is under way may still reach it.
func (f *fanout) follow(all []*audience, s *relay.Stream, player relay.Follower) (leave func()) {
	a := all[f.turn.Add(1)%uint64(len(all))]
	c := s.Follow(player)
	f.players.Add(1)
	a.w.mu.Lock()
	a.cursors = append(slices.Clip(a.cursors), c)
	a.w.mu.Unlock()
	a.wake()
	return func() { a.remove(c) }
}

// remove takes a follower out, once.
func (a *audience) remove(c *relay.Cursor) {
	a.w.mu.Lock()
	i := slices.Index(a.cursors, c)
	if i >= 0 {
		a.cursors = slices.Delete(slices.Clone(a.cursors), i, i+1)
	}
	a.w.mu.Unlock()
	if i >= 0 {
		a.w.f.players.Add(-1)
		c.Leave()
	}
}

// wake says that there is something to write.
func (a *audience) wake() {
	w := a.w
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(a.cursors) == 0 {
		return
	}
	w.markLocked(a)
	if !w.active {
		w.active = true
		w.setLocked(0)
	}
}

func (w *fanWriter) markLocked(a *audience) {
	if !a.due {
		a.due = true
		w.due = append(w.due, a)
	}
}

// setLocked sets the timer for the next sweep: a pause after the last one
// began, and not before min has passed.
func (w *fanWriter) setLocked(min time.Duration) {
	d := max(min, w.f.pause()-time.Since(w.began))
	if w.timer == nil {
		w.timer = time.AfterFunc(d, w.sweep)
		return
	}
	w.timer.Reset(d)
}

// pause is how long players wait from one write to the next.
func (f *fanout) pause() time.Duration {
	n := f.players.Load()
	if n <= fewPlayers {
		return 0
	}
	return min(time.Duration(n)*pausePerOne, maxPause)
}

// sweep writes to everybody who misses something. It runs on the timer's
// goroutine and does not block. Only one runs at a time.
func (w *fanWriter) sweep() {
	w.mu.Lock()
	due := w.due
	w.due, w.began = w.spare[:0], time.Now()
	for _, a := range due {
		a.due = false
	}
	w.mu.Unlock()
	behind := 0
	for i, a := range due {
		if a.serve() {
			due[behind] = due[i]
			behind++
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	var pause time.Duration
	if len(w.due) == 0 {
		pause = retryPause
	}
	for _, a := range due[:behind] {
		w.markLocked(a)
	}
	clear(due)
	w.spare = due
	if len(w.due) == 0 {
		w.active = false
		return
	}
	w.setLocked(pause)
}

// serve writes to the audience and reports whether anybody is left behind.
// Followers that have gone, or must go, are taken out.
func (a *audience) serve() (behind bool) {
	a.w.mu.Lock()
	cursors := a.cursors
	a.w.mu.Unlock()
	for _, c := range cursors {
		late, err := c.Serve()
		if err != nil {
			a.remove(c)
		}
		behind = behind || late
	}
	if !behind {
		a.s.Settle()
	}
	return behind
}
