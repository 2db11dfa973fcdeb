package store

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// unusedFor is how long an object is kept that nobody uses.
const unusedFor = 30 * 24 * time.Hour

// sweptKey says since when objects have been stored again while they were used.
// What was stored before may have been used without a trace. It has one part,
// so it is no object.
const sweptKey part = "=swept"

// A quota bounds what all objects take in the store, of an external NATS too.
// The store says every second how much that is; what was taken since counts
// until it has been seen twice.
type quota struct {
	mu          sync.Mutex
	most        int64 // guarded by mu
	stored      int64 // guarded by mu: as it was seen last
	now, before int64 // guarded by mu: taken since, and between the two last looks
}

// take reports whether so many bytes more may be stored, and counts them.
func (q *quota) take(bytes int64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.stored+q.before+q.now+bytes > q.most {
		return false
	}
	q.now += bytes
	return true
}

// look notes what the store says.
func (q *quota) look(bytes int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.stored, q.before, q.now = bytes, q.now, 0
}

// SetLimits changes Config.Reserve and Config.Objects of a store that runs.
func (s *Store) SetLimits(reserve, objects int64) {
	s.reserve.Store(max(cmp.Or(reserve, DefaultReserve), 0))
	s.objects.mu.Lock()
	defer s.objects.mu.Unlock()
	s.objects.most = cmp.Or(objects, DefaultObjects)
}

// TakesObjects reports whether clients may store so many bytes more in objects.
func (s *Store) TakesObjects(bytes int) bool { return s.objects.take(int64(bytes)) }

// measureDisk keeps the embedded engine from filling its disk: with less free
// than the reserve nothing more is stored. A full disk would end the engine.
func (s *Store) measureDisk() error {
	reserve := s.reserve.Load()
	if !s.embedded() || reserve == 0 {
		return nil
	}
	free, err := Free(s.cfg.Dir)
	if err != nil {
		return nil // the engine will say what is wrong with it
	}
	var low error
	if free < reserve {
		low = fmt.Errorf("the disk of %s has %d MiB left, fewer than the %d MiB that must stay free: make room there, or set --disk-reserve",
			s.cfg.Dir, free>>20, reserve>>20)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.low = low
	return low
}

// SweepObjects forgets the objects that were stored last before 30 days, and
// returns how many. An object in use is stored again each day; those from before
// that was so are left alone for 30 days. It blocks, but not long when nothing
// is to be forgotten: the oldest ones come first.
func (s *Store) SweepObjects(ctx context.Context) (gone int, err error) {
	began, err := s.sweptSince(ctx)
	if err != nil || time.Since(began) < unusedFor {
		return 0, err
	}
	return s.forgetBefore(ctx, time.Now().Add(-unusedFor))
}

// forgetBefore forgets the objects that were stored last before that.
func (s *Store) forgetBefore(ctx context.Context, oldest time.Time) (gone int, err error) {
	for next := uint64(1); ; {
		m, err := s.get(ctx, "KV_"+objectsBucket, map[string]any{"seq": next, "next_by_subj": kv(objectsBucket, "*", "*")})
		if err != nil || m == nil || m.at >= oldest.UnixNano() {
			return gone, err
		}
		if err := s.purge(ctx, m.subject, m.seq+1); err != nil {
			return gone, err
		}
		if next = m.seq + 1; !strings.HasSuffix(m.subject, "."+string(ownerKey)) {
			gone++
		}
	}
}

// sweptSince is when the first sweep was.
func (s *Store) sweptSince(ctx context.Context) (time.Time, error) {
	subject := kv(objectsBucket, sweptKey)
	for {
		m, err := s.lastOf(ctx, "KV_"+objectsBucket, subject)
		if err != nil {
			return time.Time{}, err
		}
		if m != nil {
			return time.Unix(0, m.at), nil
		}
		if _, err := s.publish(ctx, nats.NewMsg(subject)); err != nil {
			return time.Time{}, err
		}
	}
}
