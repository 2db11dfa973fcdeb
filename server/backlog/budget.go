package backlog

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// DefaultLimit is how many bytes may wait in all outboxes of a process together.
const DefaultLimit = 256 << 20

// Free is how many bytes an outbox may have without counting them. With 10,000
// of them that is less than a sixth of the budget.
const Free = 4 << 10

// A Budget is what waits in the outboxes of a process. The zero value has
// DefaultLimit. It is safe for concurrent use; nil counts nothing.
type Budget struct {
	Limit int // in bytes, set before use; 0 means DefaultLimit

	mu     sync.Mutex          // guards what follows, and the Bytes and counts in it; a leaf
	used   int                 // bytes that wait, shared ones once
	doomed int                 // of those, about what goes when all ends that were asked for have come
	counts map[*count]struct{} // outboxes with something counted
}

// Bytes are encoded once and may wait in any number of outboxes.
type Bytes struct {
	b       []byte
	waiting int // in how many outboxes; guarded by the Budget's mu
}

// Share makes Bytes of b, which is not copied and must not be changed.
func Share(b []byte) *Bytes { return &Bytes{b: b} }

// Bytes are the bytes.
func (b *Bytes) Bytes() []byte { return b.b }

// overhead is what each message that waits costs, beside its bytes.
const overhead = 64

// An Owner has an outbox and writes it. It is called without locks, and does
// not block.
type Owner interface {
	// EndSlow ends the connection at once. Any goroutine may call it.
	EndSlow()
	// Moved says that some of what is being written was written. The goroutine
	// that writes calls it.
	Moved()
}

// A count is what is counted of one outbox. Guarded by the Budget's mu.
type count struct {
	owner  Owner
	bytes  int
	moved  time.Time // the last progress
	doomed bool
}

func (b *Budget) limit() int { return cmp.Or(b.Limit, DefaultLimit) }

// Used is how many bytes wait, as far as they are counted.
func (b *Budget) Used() int {
	if b == nil {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}

// hold counts p for c, and reports whether there is too much.
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

// release takes back what hold has counted.
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

// Relieve ends the worst outboxes until an eighth of the budget is free: those
// with most bytes, each weighed by the seconds since its last progress. Call it,
// without locks, when Add has said so.
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
