package guard

import (
	"cmp"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// MaxPartial is how much memory all unfinished messages of the process may take
// together, however their peers are connected.
const MaxPartial = 256 << 20

// smallShare is how much a peer may hold without being listed. It counts, but
// the peer is never the worst.
const smallShare = 16 << 10

// ErrBudget says that a peer has to go: all peers together hold too much, and
// this one holds the most of it, or has held it longest.
var ErrBudget = errors.New("unfinished messages of all peers take too much memory, and this peer holds the worst part of it")

// A Budget bounds the memory that many peers fill without knowing of each
// other. When it is used up, the worst of them has to go, not the next one that
// needs a little. The zero value is ready. It is safe for concurrent use.
type Budget struct {
	Max int64 // set before use; 0: MaxPartial

	used atomic.Int64 // small shares are changed without the lock

	mu     sync.Mutex // guards what follows; a leaf
	listed map[*listed]struct{}
}

// A Share is the part of a Budget that one peer holds. It belongs to the
// goroutine that reads from the peer. The zero value holds nothing.
type Share struct {
	held   int
	listed *listed // nil: it has never held much
}

// listed is a share that is not small. Guarded by Budget.mu.
type listed struct {
	held  int
	since time.Time
	peer  Peer
	over  bool // the peer has to go, and does not count any more
}

// A Peer is woken from its wait for more bytes by a deadline that has passed.
// Then [Budget.Over] says why. A net.Conn is one.
type Peer interface{ SetReadDeadline(time.Time) error }

// Hold says that the peer holds n bytes now. The error is ErrBudget when this
// peer has to go.
func (b *Budget) Hold(s *Share, n int, peer Peer) error {
	if n == s.held {
		return nil
	}
	more := n - s.held
	if s.listed == nil && n <= smallShare {
		s.held = n
		if total := b.used.Add(int64(more)); more < 0 || total <= b.max() {
			return nil
		}
		return b.shed(s, more)
	}
	b.mu.Lock()
	if s.listed == nil {
		s.listed = &listed{peer: peer}
	}
	l := s.listed
	if l.over {
		b.mu.Unlock()
		return ErrBudget
	}
	s.held, l.held = n, n
	if n <= smallShare {
		delete(b.listed, l)
		l.since = time.Time{}
	} else if l.since.IsZero() {
		if b.listed == nil {
			b.listed = make(map[*listed]struct{})
		}
		b.listed[l], l.since = struct{}{}, time.Now()
	}
	total := b.used.Add(int64(more))
	b.mu.Unlock()
	if more < 0 || total <= b.max() {
		return nil
	}
	return b.shed(s, more)
}

// shed ends the worst peer. The error is ErrBudget when that is s, or when
// there is nobody else; in the second case the additional bytes of s do not
// count.
func (b *Budget) shed(s *Share, more int) error {
	b.mu.Lock()
	w := b.worstLocked(time.Now())
	if w == nil {
		b.used.Add(int64(-more))
		s.held -= more
		b.mu.Unlock()
		return ErrBudget
	}
	delete(b.listed, w)
	w.over = true
	b.used.Add(int64(-w.held))
	w.held = 0
	b.mu.Unlock()
	if w == s.listed {
		s.held = 0
		return ErrBudget
	}
	w.peer.SetReadDeadline(time.Unix(1, 0))
	return nil
}

// worstLocked is the share that costs the most: its bytes, times how long it
// has held them.
func (b *Budget) worstLocked(now time.Time) (worst *listed) {
	var most float64
	for l := range b.listed {
		if cost := float64(l.held) * (now.Sub(l.since) + time.Millisecond).Seconds(); cost > most {
			worst, most = l, cost
		}
	}
	return worst
}

// Empty reports whether the share holds nothing.
func (s *Share) Empty() bool { return s.held == 0 }

// Over reports whether the peer has to go.
func (b *Budget) Over(s *Share) bool {
	if s.listed == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return s.listed.over
}

// Release ends a share. The peer has gone.
func (b *Budget) Release(s *Share) {
	if b.Over(s) {
		s.held = 0
		return
	}
	b.Hold(s, 0, nil)
}

// Partial is the budget for messages that peers have begun and not finished.
func (g *Guard) Partial() *Budget { return &g.partial }

// Used is how many bytes are held.
func (b *Budget) Used() int64 { return b.used.Load() }

func (b *Budget) max() int64 { return cmp.Or(b.Max, MaxPartial) }
