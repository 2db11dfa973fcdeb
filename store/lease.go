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

// leasesBucket has a key for each node that is alive. It is in memory and
// forgets what is not renewed.
const leasesBucket = "LEASES"

// errNoLease is why nothing can be claimed yet, or any more for a while.
var errNoLease = errors.New("this node has no lease")

// A lease says that this process is alive, and with it all claims that name it:
// one write renews them all. What says how long it lasts is the monotonic clock
// of this process: nobody compares clocks. One that NATS does not have any more
// has ended for ever, since others may have seen that: the next has a new ID.
type lease struct {
	// set by join
	store   *Store
	cluster *cluster
	value   []byte

	revision uint64 // owned by join, then by keep

	mu    sync.Mutex
	id    string    // guarded by mu, written by whom revision belongs to
	until time.Time // guarded by mu: until then it is surely alive
}

// newLease takes the first lease, if NATS is there.
func newLease(s *Store, c *cluster) (*lease, error) {
	value, err := json.Marshal(owner{Node: s.cfg.Node, RTMP: s.cfg.RTMP})
	l := &lease{store: s, cluster: c, value: value, id: rand.Text()}
	if err == nil && s.Ready() == nil {
		_ = l.renew() // keep tries on
	}
	return l, err
}

// sure is the ID of the lease when it is surely alive, or "".
func (l *lease) sure() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Now().Before(l.until) {
		return l.id
	}
	return ""
}

// keep renews the lease until leave, and ends it then.
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

// look finds out why the lease could not be renewed: an answer was lost, or it
// has ended.
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
		l.store.log.Warn("lease has ended: another begins")
	}
	l.revision = 0
	l.mu.Lock()
	defer l.mu.Unlock()
	l.id, l.until = rand.Text(), time.Time{}
	return nil
}

// write renews the lease, if it has not ended. From when it was sent, not
// answered, it lasts.
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
		l.store.log.Warn("lease not ended: it ends by itself", "err", err)
	}
}

// ended reports whether a lease has ended. One that cannot be seen is ended for
// certain, since the server that was asked may have been behind: when it is
// alive after all, that is an error that wrongSequence knows.
func (s *Store) ended(ctx context.Context, lease string) (bool, error) {
	m, err := s.entry(ctx, leasesBucket, token(lease))
	if err != nil || m != nil {
		return m != nil && len(m.data) == 0, err
	}
	_, err = s.swap(ctx, leasesBucket, token(lease), nil, 0)
	return err == nil, err
}

// entry is the newest value of a key, nil when there is none. It is read where
// writes are decided, since a copy may be behind.
func (s *Store) entry(ctx context.Context, bucket string, key part) (*stored, error) {
	m, err := s.lastOf(ctx, "KV_"+bucket, kv(bucket, key))
	if noBucket(err) {
		return nil, nil
	}
	return m, err
}

// swap stores the value of a key if nobody has written it since revision, and
// returns the new one. No value: the key is gone.
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
