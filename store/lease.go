package store

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// leasesBucket has a key for each node that is alive. It is in memory, and
// entries that are not renewed expire.
const leasesBucket = "LEASES"

// errNoLease is why a node can claim nothing at the moment.
var errNoLease = errors.New("this node has no lease")

// A lease says that this process is alive, and so keeps all claims that name
// it: one write renews them all. The monotonic clock of this process decides
// how long it lasts; clocks are never compared. A lease that is missing from
// NATS has ended for good, since other nodes may have seen that. The next one
// has a new ID.
type lease struct {
	// set by join
	store   *Store
	cluster *cluster
	value   []byte

	revision uint64 // owned by join, then by keep

	mu    sync.Mutex
	id    string    // guarded by mu, written by the owner of revision
	until time.Time // guarded by mu: the lease is certainly alive until then
}

// newLease takes the first lease, if NATS is there.
func newLease(s *Store, c *cluster) (*lease, error) {
	value, err := json.Marshal(owner{Node: s.cfg.Node, RTMP: s.cfg.RTMP})
	l := &lease{store: s, cluster: c, value: value, id: rand.Text()}
	if err == nil && s.Ready() == nil {
		_ = l.renew() // keep tries again
	}
	return l, err
}

// sure returns the ID of the lease while it is certainly alive, else "".
func (l *lease) sure() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Now().Before(l.until) {
		return l.id
	}
	return ""
}

// keep renews the lease until leave, and then ends it.
func (l *lease) keep() {
	for wait := jitter(l.cluster.pace.renew); ; {
		_, changed := l.cluster.link()
		timer := time.NewTimer(wait)
		select {
		case <-l.cluster.ctx.Done():
			timer.Stop()
			l.end()
			return
		case <-timer.C:
		case <-changed:
		}
		timer.Stop()
		wait = jitter(l.cluster.pace.renew)
		if up, _ := l.cluster.link(); !up {
			continue
		}
		if err := l.renew(); err != nil {
			l.store.log.Warn("lease not renewed", "err", err)
			wait = jitter(retryAfter)
			continue
		}
		l.cluster.wake.ring()
	}
}

// renew renews the lease, or begins a new one when it has ended.
func (l *lease) renew() error {
	if gate := l.cluster.stalled.Load(); gate != nil {
		<-*gate
	}
	err := l.write()
	if wrongSequence(err) {
		if err = l.examine(); err == nil {
			err = l.write()
		}
	}
	return err
}

// examine finds out why the lease could not be renewed: an answer was lost, or
// the lease has ended.
func (l *lease) examine() error {
	m, err := l.store.entry(l.cluster.ctx, leasesBucket, token(l.id))
	if err != nil {
		return err
	}
	if m != nil && len(m.data) > 0 {
		l.revision = m.seq
		return nil
	}
	if l.revision != 0 {
		l.store.log.Warn("lease ended: taking another")
	}
	l.revision = 0
	l.mu.Lock()
	defer l.mu.Unlock()
	l.id, l.until = rand.Text(), time.Time{}
	return nil
}

// write renews the lease, unless it has ended. The lease lasts from when the
// request was sent, not from when it was answered.
func (l *lease) write() error {
	sent := time.Now()
	revision, err := l.store.swap(l.cluster.ctx, leasesBucket, token(l.id), l.value, l.revision)
	if err != nil {
		return err
	}
	l.revision = revision
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until = sent.Add(l.cluster.pace.lease)
	return nil
}

// end ends the lease, and with it all claims.
func (l *lease) end() {
	l.mu.Lock()
	l.until = time.Time{}
	l.mu.Unlock()
	if up, _ := l.cluster.link(); !up {
		return
	}
	gone := nats.NewMsg(kv(leasesBucket, token(l.id)))
	gone.Header.Set("KV-Operation", "DEL")
	_, err := timed(context.Background(), func(ctx context.Context) (*nats.Msg, error) { return l.store.nc().RequestMsgWithContext(ctx, gone) })
	if err != nil {
		l.store.log.Warn("lease not ended: it will expire", "err", err)
	}
}

// ended reports whether a lease has ended. A lease that is missing is marked as
// ended, since the server that was asked may have been behind: if the lease is
// alive after all, that write fails with an error that wrongSequence
// recognises.
func (s *Store) ended(ctx context.Context, lease string) (bool, error) {
	m, err := s.entry(ctx, leasesBucket, token(lease))
	if err != nil || m != nil {
		return m != nil && len(m.data) == 0, err
	}
	_, err = s.swap(ctx, leasesBucket, token(lease), nil, 0)
	return err == nil, err
}

// entry returns the newest value of a key, nil when there is none. It asks the
// server that decides about writes, since a copy may be behind.
func (s *Store) entry(ctx context.Context, bucket string, key part) (*stored, error) {
	m, err := s.lastOf(ctx, "KV_"+bucket, kv(bucket, key))
	if noBucket(err) {
		return nil, nil
	}
	return m, err
}

// swap stores the value of a key unless it was written after revision, and
// returns the new revision. No value deletes the key.
func (s *Store) swap(ctx context.Context, bucket string, key part, value []byte, revision uint64) (uint64, error) {
	m := nats.NewMsg(kv(bucket, key))
	m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(revision, 10))
	if m.Data = value; value == nil {
		m.Header.Set("KV-Operation", "DEL")
	}
	ctx, cancel := s.cluster.try(ctx)
	defer cancel()
	now, err := s.publishOnce(ctx, m)
	if !noBucket(err) {
		return now, err
	}
	for _, cfg := range s.claimBuckets() {
		if err := s.ensureBucket(ctx, cfg); err != nil {
			return 0, err
		}
	}
	return s.publishOnce(ctx, m)
}
