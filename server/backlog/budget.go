package backlog

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// DefaultLimit is how many bytes may wait in all outboxes of a process, taken
// together.
const DefaultLimit = 256 << 20

// Free is how many bytes an outbox may hold without being counted. In 10,000
// outboxes that is less than a sixth of the budget.
const Free = 4 << 10

// A Budget counts the bytes that wait in the outboxes of a process. The zero
// value has DefaultLimit. It is safe for concurrent use; nil counts nothing.
type Budget struct {
	Limit int // in bytes, set before use; 0 means DefaultLimit

	mu     sync.Mutex          // guards what follows, and the Bytes and counts in it; a leaf
	used   int                 // bytes that wait; shared ones count once
	doomed int                 // roughly how many of them go once every connection that is being ended has ended
	counts map[*count]struct{} // outboxes with something counted
}

// Bytes are encoded once, and may wait in any number of outboxes.
type Bytes struct {
	b       []byte
	waiting int // in how many outboxes; guarded by the Budget's mu
}

// Share returns b as Bytes. b is not copied and must not be changed.
func Share(b []byte) *Bytes { return &Bytes{b: b} }

// Bytes returns the bytes.
func (b *Bytes) Bytes() []byte { return b.b }

// overhead is counted for each message that waits, beside its bytes.
const overhead = 64

// An Owner has an outbox and writes from it. Its methods are called without
// locks held, and do not block.
type Owner interface {
	// EndSlow ends the connection at once. Any goroutine may call it.
	EndSlow()
	// Moved says that a part of the current write is done. The writing
	// goroutine calls it.
	Moved()
}

// A count holds the figures of one outbox. It is guarded by the Budget's mu.
type count struct {
	owner  Owner
	bytes  int
	moved  time.Time // the last progress
	doomed bool
}

func (b *Budget) limit() int { return cmp.Or(b.Limit, DefaultLimit) }

// Used returns how many of the waiting bytes are counted.
func (b *Budget) Used() int {
	if b == nil {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}

// hold counts p for c, and reports whether the budget is exceeded.
func (b *Budget) hold(c *count, p *Bytes) (over bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c.bytes == 0 {
		if b.counts == nil {
			b.counts = make(map[*count]struct{})
		}
		b.counts[c] = struct{}{}
		c.moved = time.Now()
	}
	n := len(p.b)
	b.used += overhead
	if p.waiting++; p.waiting == 1 {
		b.used += n
	}
	c.bytes += n + overhead
	if c.doomed {
		b.doomed += n + overhead
	}
	return b.used-b.doomed > b.limit()
}

// release undoes hold.
func (b *Budget) release(c *count, pieces []Piece) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c.moved = time.Now()
	for _, p := range pieces {
		if p.held == nil {
			continue
		}
		n := len(p.held.b)
		b.used -= overhead
		if p.held.waiting--; p.held.waiting == 0 {
			b.used -= n
		}
		c.bytes -= n + overhead
		if c.doomed {
			b.doomed -= n + overhead
		}
	}
	if c.bytes == 0 {
		delete(b.counts, c)
	}
}

// Relieve ends the worst outboxes until an eighth of the budget is free. The
// worst have the most bytes, multiplied by the seconds since their last
// progress. Call it without locks held, when Add reports over.
func (b *Budget) Relieve() {
	for _, c := range b.worst() {
		c.owner.EndSlow()
	}
}

func (b *Budget) worst() (ended []*count) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used-b.doomed <= b.limit() {
		return nil
	}
	now := time.Now()
	weigh := func(c *count) float64 { return float64(c.bytes) * (1 + now.Sub(c.moved).Seconds()) }
	all := make([]*count, 0, len(b.counts))
	for c := range b.counts {
		if !c.doomed {
			all = append(all, c)
		}
	}
	slices.SortFunc(all, func(x, y *count) int { return cmp.Compare(weigh(y), weigh(x)) })
	for _, c := range all {
		if b.used-b.doomed <= b.limit()/8*7 {
			break
		}
		c.doomed = true
		b.doomed += c.bytes
		ended = append(ended, c)
	}
	return ended
}
