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

// unusedFor is how long an unused object is kept.
const unusedFor = 30 * 24 * time.Hour

// sweptKey marks since when objects in use have been stored again every day.
// Objects stored before then may have been in use without a trace. The key has
// one part, so it is no object's.
const sweptKey part = "=swept"

// A quota bounds what all objects take in the store, even in an external NATS.
// The store measures that every second. Bytes taken since then count until it
// has been measured twice.
type quota struct {
	mu                 sync.Mutex
	most               int64 // guarded by mu
	stored             int64 // guarded by mu: as it was measured last
	since, sinceBefore int64 // guarded by mu: taken since the last measurement, and between the last two
}

// take reports whether so many more bytes may be stored, and counts them.
func (q *quota) take(bytes int64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.stored+q.sinceBefore+q.since+bytes > q.most {
		return false
	}
	q.since += bytes
	return true
}

// measured notes a measurement.
func (q *quota) measured(bytes int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.stored, q.sinceBefore, q.since = bytes, q.since, 0
}

// SetLimits changes Config.Reserve and Config.Objects while the store is open.
func (s *Store) SetLimits(reserve, objects int64) {
	s.reserve.Store(max(cmp.Or(reserve, DefaultReserve), 0))
	s.objects.mu.Lock()
	defer s.objects.mu.Unlock()
	s.objects.most = cmp.Or(objects, DefaultObjects)
}

// TakesObjects reports whether clients may store so many more bytes in objects.
func (s *Store) TakesObjects(bytes int) bool { return s.objects.take(int64(bytes)) }

// measureDisk keeps the embedded engine from filling its disk: nothing more is
// stored while less is free than the reserve. A full disk would end the engine.
func (s *Store) measureDisk() error {
	reserve := s.reserve.Load()
	if !s.embedded() || reserve == 0 {
		return nil
	}
	free, err := Free(s.cfg.Dir)
	if err != nil {
		return nil // the engine will find out what is wrong with the disk
	}
	var low error
	if free < reserve {
		low = fmt.Errorf("the disk of %s has %d MiB left, less than the %d MiB that must stay free: make room there, or lower --disk-reserve",
			s.cfg.Dir, free>>20, reserve>>20)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.diskLow = low
	return low
}

// SweepObjects forgets the objects that were stored more than 30 days ago, and
// returns how many there were. An object in use is stored again each day, since
// the first sweep; so nothing goes for 30 days after that. It blocks, but only
// briefly when there is nothing to forget, since it begins with the oldest
// objects.
func (s *Store) SweepObjects(ctx context.Context) (gone int, err error) {
	began, err := s.sweptSince(ctx)
	if err != nil || time.Since(began) < unusedFor {
		return 0, err
	}
	return s.forgetBefore(ctx, time.Now().Add(-unusedFor))
}

// forgetBefore forgets the objects that were stored last before oldest.
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

// sweptSince returns when the first sweep was.
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
