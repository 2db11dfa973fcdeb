package store

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// claimsBucket says who claimed an instance last: it is theirs while the lease
// that the claim names is alive (lease.go).
const claimsBucket = "CLAIMS"

// claimBuckets are the buckets of leases and claims.
func (s *Store) claimBuckets() []jetstream.KeyValueConfig {
	p := cmp.Or(s.cfg.pace, &defaultPace)
	return []jetstream.KeyValueConfig{
		{Bucket: leasesBucket, TTL: p.lease, Storage: jetstream.MemoryStorage, Description: "which nodes are alive"},
		{Bucket: claimsBucket, Storage: jetstream.FileStorage, Description: "which node runs an instance"},
	}
}

// retryAfter is when something is tried again that NATS did not do.
const retryAfter = 200 * time.Millisecond

// OwnedError says that another node runs an instance.
type OwnedError struct{ Node, RTMP string }

func (e *OwnedError) Error() string { return "runs on node " + e.Node + ", " + e.RTMP }

// errEarlier is returned for a claim of a process of this node's name: one
// before this, most likely, which ends by itself.
var errEarlier = errors.New("an earlier process of this node still has it")

// errTaken is returned for an instance that others have, or had and gave back,
// since its owner was out of touch.
var errTaken = errors.New("another node has had it since")

// owner is a claim as it is stored.
type owner struct {
	Node  string `json:"node"`
	RTMP  string `json:"rtmp"`
	ID    string `json:"id,omitempty"`    // of the claim
	Lease string `json:"lease,omitempty"` // "": it was given back
}

// A holding is an instance that is ours, or about to be.
type holding struct {
	// set by Claim
	store    *Store
	instance string
	key      part
	id       string
	lost     func()
	giving   context.Context // ends with release
	give     context.CancelFunc
	ended    chan struct{} // closed when it is not ours any more

	turn  chan struct{} // 1: who has put something in may write
	wrote bool          // owned by who has the turn: NATS may have it
	lease string        // guarded by others.mu: which it names in NATS; "": none yet

	kept    atomic.Bool           // something is kept of the instance, so the claim stays when it is given back
	objects atomic.Pointer[fence] // for the instance's objects, since they were loaded
}

// Claim makes this node the owner of an instance until release, or answers
// with an [*OwnedError] who is. It blocks at most until ctx ends: it waits for
// a NATS that is away, for an earlier claim of this node to end, and for the
// owners of before a break to come back first. The owner keeps its claim while
// NATS is away; lost runs once, on any goroutine, when another node turns out
// to have it. Release gives it back, so that another may claim it at once; it
// blocks until that is done, at most 2 s, and does nothing the second time.
//
// With the embedded engine there are no other nodes and everything is ours.
func (s *Store) Claim(ctx context.Context, instance string, lost func()) (release func(), err error) {
	if s.others == nil {
		return func() {}, nil
	}
	l := &holding{
		store: s, instance: instance, key: token(instance), id: rand.Text(), lost: lost,
		ended: make(chan struct{}), turn: make(chan struct{}, 1),
	}
	l.giving, l.give = context.WithCancel(s.others.ctx)
	l.turn <- struct{}{}
	defer func() { <-l.turn }()
	if err = s.others.hold(ctx, l); err == nil {
		err = l.claim(ctx)
		switch {
		case err == nil:
			s.log.Info("instance claimed", "instance", instance)
			return l.release, nil
		case l.wrote:
			defer s.others.rouse() // it is given back
		default:
			s.others.drop(l)
		}
	}
	l.give()
	return nil, fmt.Errorf("claiming %s: %w", instance, err)
}

// Find says which other node runs an instance, without claiming it: nil when
// that is this one, or none. It blocks at most until ctx ends.
func (s *Store) Find(ctx context.Context, instance string) (*OwnedError, error) {
	if s.others == nil {
		return nil, nil
	}
	now, _, err := s.claimNow(ctx, token(instance))
	if err == nil && now.Lease != "" && now.Node != s.cfg.Node {
		var m *stored
		if m, err = s.entry(ctx, leasesBucket, token(now.Lease)); m != nil && len(m.data) > 0 {
			return &OwnedError{now.Node, now.RTMP}, nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("finding %s: %w", instance, err)
	}
	return nil, nil
}

// Owns reports whether an instance is surely this node's at this moment. It is
// not for a while when NATS is away, or when this process was stopped.
func (s *Store) Owns(instance string) bool {
	if s.others == nil {
		return true
	}
	l := s.others.holding(instance)
	return l != nil && l.sure()
}

// holding is what this node has of an instance, or nil.
func (o *others) holding(instance string) *holding {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.held[instance]
}

// hold notes l as the holding of its instance when that has no other here.
func (o *others) hold(ctx context.Context, l *holding) error {
	for {
		o.mu.Lock()
		old := o.held[l.instance]
		if old == nil {
			o.held[l.instance] = l
		}
		o.mu.Unlock()
		if old == nil {
			return nil
		}
		select {
		case <-old.ended:
		case <-o.ctx.Done():
			return errors.New("this node is closed")
		case <-ctx.Done():
			return errors.New("this node has it already")
		}
	}
}

// drop ends l: its instance may be claimed here again.
func (o *others) drop(l *holding) {
	o.mu.Lock()
	delete(o.held, l.instance)
	o.mu.Unlock()
	close(l.ended)
}

// claim tries until it is ours, another's, or ctx ends.
func (l *holding) claim(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.giving, cancel)() // the node is closed
	var why error                               // it is not ours yet
	for {
		if err := l.store.others.settle(ctx); err != nil {
			return err
		}
		err := l.try(ctx, false)
		if err == nil && l.sure() {
			return nil
		}
		if _, owned := errors.AsType[*OwnedError](err); owned {
			return err
		}
		if why == nil || ctx.Err() == nil {
			why = err
		}
		if !wrongSequence(err) && pause(ctx, jitter(retryAfter)) != nil {
			return errors.Join(why, context.Cause(ctx))
		}
	}
}

// try claims once. Again says that it was ours before: then nobody else must
// have had it.
func (l *holding) try(ctx context.Context, again bool) error {
	ctx, cancel := l.store.others.linkedTo(ctx)
	defer cancel()
	lease := l.store.others.lease.sure()
	if lease == "" {
		return errNoLease
	}
	now, revision, err := l.store.claimNow(ctx, l.key)
	switch {
	case err != nil:
		return err
	case revision == 0 || now.ID == l.id: // nobody's, or NATS came back empty; ours
	case again:
		return fmt.Errorf("node %s: %w", now.Node, errTaken)
	case now.Lease == "" || now.Lease == lease: // given back; left over
	default:
		ended, err := l.store.ended(ctx, now.Lease)
		switch {
		case err != nil:
			return err
		case !ended && now.Node == l.store.cfg.Node:
			return errEarlier
		case !ended:
			return &OwnedError{now.Node, now.RTMP}
		}
	}
	l.wrote = true
	if _, err := l.write(ctx, lease, revision); err != nil {
		return err
	}
	l.store.others.mu.Lock()
	defer l.store.others.mu.Unlock()
	l.lease = lease
	return nil
}

// write stores that the claim names a lease, or none.
func (l *holding) write(ctx context.Context, lease string, revision uint64) (uint64, error) {
	value, err := json.Marshal(owner{l.store.cfg.Node, l.store.cfg.RTMP, l.id, lease})
	if err != nil {
		return 0, err
	}
	return l.store.swap(ctx, claimsBucket, l.key, value, revision)
}

// claimNow reads the claim of an instance. A revision of 0 says that there is
// none. What cannot be read names no lease: it is nobody's.
func (s *Store) claimNow(ctx context.Context, key part) (now owner, revision uint64, err error) {
	m, err := s.entry(ctx, claimsBucket, key)
	if m == nil || err != nil {
		return owner{}, 0, err
	}
	if json.Unmarshal(m.data, &now) != nil {
		now = owner{}
	}
	return now, m.seq, nil
}

// sure reports whether l is surely ours.
func (l *holding) sure() bool {
	lease := l.store.others.lease.sure()
	l.store.others.mu.Lock()
	defer l.store.others.mu.Unlock()
	return lease != "" && lease == l.lease && l.giving.Err() == nil
}

// release is what Claim returns.
func (l *holding) release() {
	l.give()
	l.turn <- struct{}{} // who has it hears of give
	if err := l.mend(); err != nil {
		l.store.log.Warn("claim not given back yet", "instance", l.instance, "err", err)
	}
}

// mend makes what NATS has of l what it should be: nobody's when it was given
// back, else ours under the lease of now. The caller has the turn, and mend
// lets it go.
func (l *holding) mend() (err error) {
	o := l.store.others
	lost := false
	switch {
	case o.holding(l.instance) != l: // it has ended
	case l.giving.Err() != nil:
		if err = l.free(); err == nil {
			o.drop(l)
		}
	case l.sure(): // it was claimed meanwhile
	default:
		if err = l.try(l.giving, true); errors.Is(err, errTaken) {
			l.store.log.Warn("instance lost to another node", "instance", l.instance, "err", err)
			o.drop(l)
			lost, err = true, nil
		}
	}
	<-l.turn
	if lost {
		l.lost()
	}
	return err
}

// free gives back what NATS has of l.
func (l *holding) free() error {
	o := l.store.others
	if o.ctx.Err() != nil {
		return nil // the lease ends
	}
	ctx, cancel := o.try(o.ctx)
	defer cancel()
	now, revision, err := l.store.claimNow(ctx, l.key)
	if err != nil || now.ID != l.id || now.Lease == "" {
		return err
	}
	if revision, err = l.write(ctx, "", revision); err == nil && !l.kept.Load() {
		l.vanish(ctx, revision)
	}
	return err
}

// vanish leaves nothing of an instance of which nothing is kept: not the mark
// of its fence, nor its claim, unless another node has written there since.
//
// Where something is kept the claim stays. It tells a former owner that was out
// of touch that the instance was another's meanwhile.
func (l *holding) vanish(ctx context.Context, revision uint64) {
	var err error
	if f := l.objects.Load(); f != nil {
		err = l.store.purge(ctx, f.filter, f.expect+1)
	}
	if err = errors.Join(err, l.store.purge(ctx, kv(claimsBucket, l.key), revision+1)); err != nil {
		l.store.log.Warn("claim of an instance without anything not removed", "instance", l.instance, "err", err)
	}
}

// roomInstances is what the instances of rooms begin with.
const roomInstances = "room/"

// keeps notes that something is kept of an instance of this node.
func (o *others) keeps(instance string) {
	if o == nil {
		return
	}
	if l := o.holding(instance); l != nil {
		l.kept.Store(true)
	}
}

// rouse has mend look.
func (o *others) rouse() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// mend mends what needs it after each renewal of the lease, until leave.
func (o *others) mend() {
	for {
		select {
		case <-o.ctx.Done():
			return
		case <-o.wake:
		}
		for o.lease.sure() != "" {
			err := o.mendAll()
			if err == nil {
				break
			}
			o.lease.store.log.Warn("claims not written yet", "err", err)
			_ = pause(o.ctx, jitter(retryAfter))
		}
	}
}

// mendAtOnce is how many claims are written at a time.
const mendAtOnce = 64

// mendAll mends what names a lease that has ended, and what was given back in
// vain. It returns one of the errors.
func (o *others) mendAll() error {
	var working sync.WaitGroup
	slots, failed := make(chan struct{}, mendAtOnce), make(chan error, 1)
	for _, l := range o.wrong() {
		slots <- struct{}{}
		working.Go(func() {
			defer func() { <-slots }()
			select {
			case l.turn <- struct{}{}:
			default:
				return // it is being claimed, or given back
			}
			if err := l.mend(); err != nil {
				select {
				case failed <- err:
				default:
				}
			}
		})
	}
	working.Wait()
	close(failed)
	return <-failed
}

// wrong is what mendAll mends.
func (o *others) wrong() (wrong []*holding) {
	lease := o.lease.sure()
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, l := range o.held {
		if l.lease != lease || l.giving.Err() != nil {
			wrong = append(wrong, l)
		}
	}
	return wrong
}
