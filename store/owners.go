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

// claimsBucket says which node claimed an instance last. The instance is that
// node's while the lease that the claim names is alive (lease.go).
const claimsBucket = "CLAIMS"

// claimBuckets returns the settings of the buckets of leases and claims.
func (s *Store) claimBuckets() []jetstream.KeyValueConfig {
	p := cmp.Or(s.cfg.pace, &defaultPace)
	return []jetstream.KeyValueConfig{
		{Bucket: leasesBucket, TTL: p.lease, Storage: jetstream.MemoryStorage, Description: "which nodes are alive"},
		{Bucket: claimsBucket, Storage: jetstream.FileStorage, Description: "which node runs an instance"},
	}
}

// retryAfter is the pause before another try of something that NATS did not do.
const retryAfter = 200 * time.Millisecond

// An OwnedError says which other node runs an instance.
type OwnedError struct{ Node, RTMP string }

func (e *OwnedError) Error() string { return "runs on node " + e.Node + ", " + e.RTMP }

// errEarlier is returned when another process with this node's name has the
// claim: most likely an earlier one, whose lease will end.
var errEarlier = errors.New("an earlier process of this node still owns it")

// errTaken is returned for an instance that another node has claimed while its
// owner was out of touch, whether it still has it or not.
var errTaken = errors.New("another node has had it since")

// owner is a claim, and a lease, as they are stored.
type owner struct {
	Node  string `json:"node"`
	RTMP  string `json:"rtmp"`
	ID    string `json:"id,omitempty"`    // of the claim
	Lease string `json:"lease,omitempty"` // "": it was given back
}

// An ownership is an instance that this node has claimed, or is claiming.
type ownership struct {
	// set by Claim
	store    *Store
	instance string
	key      part
	id       string
	lost     func()
	held     context.Context // ends with release
	letGo    context.CancelFunc
	ended    chan struct{} // closed when the instance is no longer ours

	turn  chan struct{} // 1: whoever has put something in may write the claim
	wrote bool          // owned by whoever has the turn: NATS may have the claim
	lease string        // guarded by cluster.mu: the one that the claim names in NATS; "": none yet

	kept    atomic.Bool           // something is stored of the instance, so its claim stays when it is given back
	objects atomic.Pointer[fence] // of the instance's objects, once they have been loaded
}

// Claim makes this node the owner of an instance until release is called, or
// returns an [*OwnedError] that names the owner. It blocks until ctx ends at
// the latest: it waits while NATS is away, until an earlier claim of this node
// has ended, and after a break until earlier owners have had the time to claim
// again. The owner keeps its claim while NATS is away; lost runs once, on any
// goroutine, when another node turns out to have taken the instance. release
// gives the claim back, so that another node can take it at once. It blocks
// until that is done, at most 2 s; a second call does nothing.
//
// With the embedded engine there are no other nodes: everything is ours.
func (s *Store) Claim(ctx context.Context, instance string, lost func()) (release func(), err error) {
	if s.cluster == nil {
		return func() {}, nil
	}
	o := &ownership{
		store: s, instance: instance, key: token(instance), id: rand.Text(), lost: lost,
		ended: make(chan struct{}), turn: make(chan struct{}, 1),
	}
	o.held, o.letGo = context.WithCancel(s.cluster.ctx)
	o.turn <- struct{}{}
	defer func() { <-o.turn }()
	if err = s.cluster.add(ctx, o); err == nil {
		err = o.claim(ctx)
		switch {
		case err == nil:
			s.log.Info("instance claimed", "instance", instance)
			return o.release, nil
		case o.wrote:
			defer s.cluster.wake.ring() // it is given back
		default:
			s.cluster.drop(o)
		}
	}
	o.letGo()
	return nil, fmt.Errorf("claiming %s: %w", instance, err)
}

// Find returns which other node runs an instance, without claiming it: nil when
// it is this node, or none. It blocks until ctx ends at the latest.
func (s *Store) Find(ctx context.Context, instance string) (*OwnedError, error) {
	if s.cluster == nil {
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

// ownership returns this node's ownership of an instance, or nil.
func (c *cluster) ownership(instance string) *ownership {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.owned[instance]
}

// add waits until this node has no other ownership of the instance, and adds o.
func (c *cluster) add(ctx context.Context, o *ownership) error {
	for {
		c.mu.Lock()
		old := c.owned[o.instance]
		if old == nil {
			c.owned[o.instance] = o
		}
		c.mu.Unlock()
		if old == nil {
			return nil
		}
		select {
		case <-old.ended:
		case <-c.ctx.Done():
			return errors.New("this node is closed")
		case <-ctx.Done():
			return errors.New("this node has it already")
		}
	}
}

// drop ends o: this node may claim the instance again.
func (c *cluster) drop(o *ownership) {
	c.mu.Lock()
	delete(c.owned, o.instance)
	c.mu.Unlock()
	close(o.ended)
}

// claim tries until the instance is ours or another's, or ctx ends.
func (o *ownership) claim(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(o.held, cancel)() // the node is closed
	var why error                             // the reason why it is not ours yet
	for {
		if err := o.store.cluster.awaitLink(ctx); err != nil {
			return err
		}
		err := o.try(ctx, false)
		if err == nil && o.sure() {
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

// try claims once. again says that the instance was ours before; then try fails
// if another node has had it since.
func (o *ownership) try(ctx context.Context, again bool) error {
	ctx, cancel := o.store.cluster.linkedTo(ctx)
	defer cancel()
	lease := o.store.cluster.lease.sure()
	if lease == "" {
		return errNoLease
	}
	now, revision, err := o.store.claimNow(ctx, o.key)
	switch {
	case err != nil:
		return err
	case revision == 0 || now.ID == o.id: // nobody's, or NATS came back empty; ours
	case again:
		return fmt.Errorf("node %s: %w", now.Node, errTaken)
	case now.Lease == "" || now.Lease == lease: // given back; left over
	default:
		ended, err := o.store.ended(ctx, now.Lease)
		switch {
		case err != nil:
			return err
		case !ended && now.Node == o.store.cfg.Node:
			return errEarlier
		case !ended:
			return &OwnedError{now.Node, now.RTMP}
		}
	}
	o.wrote = true
	if _, err := o.write(ctx, lease, revision); err != nil {
		return err
	}
	o.store.cluster.mu.Lock()
	defer o.store.cluster.mu.Unlock()
	o.lease = lease
	return nil
}

// write stores the claim, naming a lease or none.
func (o *ownership) write(ctx context.Context, lease string, revision uint64) (uint64, error) {
	value, err := json.Marshal(owner{o.store.cfg.Node, o.store.cfg.RTMP, o.id, lease})
	if err != nil {
		return 0, err
	}
	return o.store.swap(ctx, claimsBucket, o.key, value, revision)
}

// claimNow reads the claim of an instance. A revision of 0 says that there is
// none. A claim that cannot be decoded names no lease, so it is nobody's.
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

// sure reports whether the instance is certainly ours.
func (o *ownership) sure() bool {
	lease := o.store.cluster.lease.sure()
	o.store.cluster.mu.Lock()
	defer o.store.cluster.mu.Unlock()
	return lease != "" && lease == o.lease && o.held.Err() == nil
}

// release is what Claim returns.
func (o *ownership) release() {
	o.letGo()
	o.turn <- struct{}{} // whoever has it sees that held has ended
	if err := o.mend(); err != nil {
		o.store.log.Warn("claim not given back yet", "instance", o.instance, "err", err)
	}
}

// mend brings the claim in NATS up to date: given back once it was released,
// else under the lease that this node has now. The caller has the turn, and
// mend passes it on.
func (o *ownership) mend() (err error) {
	c := o.store.cluster
	lost := false
	switch {
	case c.ownership(o.instance) != o: // it has ended
	case o.held.Err() != nil:
		if err = o.free(); err == nil {
			c.drop(o)
		}
	case o.sure(): // it was claimed meanwhile
	default:
		if err = o.try(o.held, true); errors.Is(err, errTaken) {
			o.store.log.Warn("instance lost to another node", "instance", o.instance, "err", err)
			c.drop(o)
			lost, err = true, nil
		}
	}
	<-o.turn
	if lost {
		o.lost()
	}
	return err
}

// free gives the claim back.
func (o *ownership) free() error {
	c := o.store.cluster
	if c.ctx.Err() != nil {
		return nil // the lease ends
	}
	ctx, cancel := c.try(c.ctx)
	defer cancel()
	now, revision, err := o.store.claimNow(ctx, o.key)
	if err != nil || now.ID != o.id || now.Lease == "" {
		return err
	}
	if revision, err = o.write(ctx, "", revision); err == nil && !o.kept.Load() {
		o.erase(ctx, revision)
	}
	return err
}

// erase removes every trace of an instance of which nothing is stored: the mark
// of its fence and its claim, unless another node has written there since.
//
// Where something is stored the claim stays. It tells a former owner that was
// out of touch that another node has had the instance meanwhile.
func (o *ownership) erase(ctx context.Context, revision uint64) {
	var err error
	if f := o.objects.Load(); f != nil {
		err = o.store.purge(ctx, f.filter, f.expect+1)
	}
	if err = errors.Join(err, o.store.purge(ctx, kv(claimsBucket, o.key), revision+1)); err != nil {
		o.store.log.Warn("claim of an empty instance not removed", "instance", o.instance, "err", err)
	}
}

// roomInstances is the prefix of the instance names of rooms.
const roomInstances = "room/"

// noteKept notes that something is stored of an instance of this node.
func (c *cluster) noteKept(instance string) {
	if c == nil {
		return
	}
	if o := c.ownership(instance); o != nil {
		o.kept.Store(true)
	}
}

// mend mends the claims that need it after each renewal of the lease, until leave.
func (c *cluster) mend() {
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-c.wake:
		}
		for c.lease.sure() != "" {
			err := c.mendAll()
			if err == nil {
				break
			}
			c.lease.store.log.Warn("claims not written yet", "err", err)
			_ = pause(c.ctx, jitter(retryAfter))
		}
	}
}

// mendAtOnce is how many claims are written at a time.
const mendAtOnce = 64

// mendAll mends the claims that name a lease that has ended, and those that
// could not be given back. It returns one of the errors.
func (c *cluster) mendAll() error {
	var working sync.WaitGroup
	slots, failed := make(chan struct{}, mendAtOnce), make(chan error, 1)
	for _, o := range c.outdated() {
		slots <- struct{}{}
		working.Go(func() {
			defer func() { <-slots }()
			select {
			case o.turn <- struct{}{}:
			default:
				return // it is being claimed, or given back
			}
			if err := o.mend(); err != nil {
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

// outdated returns the ownerships whose claims in NATS are not as they should be.
func (c *cluster) outdated() (found []*ownership) {
	lease := c.lease.sure()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, o := range c.owned {
		if o.lease != lease || o.held.Err() != nil {
			found = append(found, o)
		}
	}
	return found
}
