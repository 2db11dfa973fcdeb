package cluster

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

// The buckets of claims. OWNERS says who runs an instance now: it is in memory
// and forgets a claim that is not renewed. CLAIMS says who claimed it last,
// which is still known when an owner comes back after a long time.
const (
	ownersBucket = "OWNERS"
	claimsBucket = "CLAIMS"
)

// claimBuckets are those two.
func (c *Cluster) claimBuckets() []jetstream.KeyValueConfig {
	p := cmp.Or(c.cfg.pace, &defaultPace)
	return []jetstream.KeyValueConfig{
		{Bucket: ownersBucket, TTL: p.lease, Storage: jetstream.MemoryStorage, Description: "which node runs an instance"},
		{Bucket: claimsBucket, Storage: jetstream.FileStorage, Description: "who claimed an instance last"},
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

// errTaken is returned for an instance that others had, and gave back, while
// its owner was out of touch.
var errTaken = errors.New("another node has had it since")

// owner is a claim as it is stored.
type owner struct {
	Node string `json:"node"`
	RTMP string `json:"rtmp"`
	ID   string `json:"id"`             // of the claim
	Free bool   `json:"free,omitempty"` // it was given back
}

// A lease is a claim of ours, kept alive by its goroutine. What says how long
// it lasts is the monotonic clock of this process: nobody compares clocks.
type lease struct {
	// set by Claim
	c        *Cluster
	instance string
	key      string
	owner    owner
	value    []byte
	lost     func()
	giving   context.Context // ends with release
	give     context.CancelFunc
	ended    chan struct{} // closed when it is not ours any more

	revision uint64 // owned by Claim, then by keep

	objects atomic.Pointer[fence] // for the instance's objects, since they were loaded

	mu    sync.Mutex
	until time.Time // guarded by mu: until then it is surely ours
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
func (c *Cluster) Claim(ctx context.Context, instance string, lost func()) (release func(), err error) {
	if c.others == nil {
		return func() {}, nil
	}
	l := &lease{
		c: c, instance: instance, key: token(instance), lost: lost,
		owner: owner{Node: c.cfg.Node, RTMP: c.cfg.RTMP, ID: rand.Text()},
		ended: make(chan struct{}),
	}
	l.giving, l.give = context.WithCancel(context.Background())
	if l.value, err = json.Marshal(l.owner); err != nil {
		return nil, err
	}
	if err := c.others.hold(ctx, l); err != nil {
		l.give()
		return nil, fmt.Errorf("claiming %s: %w", instance, err)
	}
	if err := l.claim(ctx); err != nil {
		l.give()
		c.others.drop(l)
		return nil, fmt.Errorf("claiming %s: %w", instance, err)
	}
	c.log.Info("instance claimed", "instance", instance)
	c.others.running.Go(l.keep)
	return l.release, nil
}

// Find says which other node runs an instance, without claiming it: nil when
// that is this one, or none. It blocks at most until ctx ends.
func (c *Cluster) Find(ctx context.Context, instance string) (*OwnedError, error) {
	if c.others == nil {
		return nil, nil
	}
	value, revision, err := c.last(ctx, ownersBucket, token(instance))
	if errors.Is(err, errNoBucket) || err == nil && revision == 0 {
		return nil, nil
	}
	var now owner
	if err == nil {
		err = json.Unmarshal(value, &now)
	}
	if err != nil {
		return nil, fmt.Errorf("finding %s: %w", instance, err)
	}
	if now.Free || now.Node == c.cfg.Node {
		return nil, nil
	}
	return &OwnedError{now.Node, now.RTMP}, nil
}

// Owns reports whether an instance is surely this node's at this moment. It is
// not for a while when NATS is away, or when this process was stopped.
func (c *Cluster) Owns(instance string) bool {
	if c.others == nil {
		return true
	}
	l := c.others.lease(instance)
	return l != nil && l.sure()
}

// lease is what this node has of an instance, or nil.
func (o *others) lease(instance string) *lease {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.leases[instance]
}

// hold notes l as the lease of its instance when that has no other here.
func (o *others) hold(ctx context.Context, l *lease) error {
	for {
		o.mu.Lock()
		old := o.leases[l.instance]
		if old == nil {
			o.leases[l.instance] = l
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
func (o *others) drop(l *lease) {
	o.mu.Lock()
	delete(o.leases, l.instance)
	o.mu.Unlock()
	close(l.ended)
}

// claim tries until it is ours, another's, or ctx ends.
func (l *lease) claim(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.giving, cancel)() // the node is closed
	var why error                               // it is not ours yet
	for {
		if err := l.c.others.settle(ctx); err != nil {
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
		if !raced(err) && pause(ctx, jitter(retryAfter)) != nil {
			return errors.Join(why, context.Cause(ctx), l.giveBack())
		}
	}
}

// try claims once. Again says that it was ours before.
func (l *lease) try(ctx context.Context, again bool) error {
	ctx, cancel := l.c.others.linkedTo(ctx)
	defer cancel()
	value, revision, err := l.c.last(ctx, ownersBucket, l.key)
	if noBucket(err) {
		err = l.c.ensureBucket(ctx, l.c.claimBuckets()[0])
	}
	if err != nil {
		return err
	}
	var now owner
	if err := json.Unmarshal(value, &now); revision != 0 && err != nil {
		return fmt.Errorf("reading the claim: %w", err)
	}
	switch {
	case revision == 0 || now.Free, now.ID == l.owner.ID:
	case now.Node == l.owner.Node && !again:
		return errEarlier
	default:
		return &OwnedError{now.Node, now.RTMP}
	}
	if again && now.ID != l.owner.ID {
		if err := l.unclaimed(ctx); err != nil {
			return err
		}
	}
	if err := l.write(ctx, revision); err != nil {
		return err
	}
	if again {
		return nil
	}
	return l.note(ctx)
}

// write claims, or renews the claim, if nobody has written since revision. From
// when it was sent, not answered, the claim lasts.
func (l *lease) write(ctx context.Context, revision uint64) error {
	ctx, cancel := l.c.others.try(ctx)
	defer cancel()
	sent := time.Now()
	ack, err := l.c.js.Publish(ctx, "$KV."+ownersBucket+"."+l.key, l.value,
		jetstream.WithExpectLastSequencePerSubject(revision), jetstream.WithRetryAttempts(0))
	if err != nil {
		return err
	}
	l.revision = ack.Sequence
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until = sent.Add(l.c.others.pace.lease)
	return nil
}

// sure reports whether l is surely ours.
func (l *lease) sure() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Now().Before(l.until)
}

// note writes down who claimed last: a former owner that comes back sees it.
// (What it still wants to write comes too late by then: see [Cluster.OpenRoom].)
func (l *lease) note(ctx context.Context) error {
	err := l.noteOnce(ctx)
	if noBucket(err) {
		err = l.c.ensureBucket(ctx, l.c.claimBuckets()[1])
		if err == nil {
			err = l.noteOnce(ctx)
		}
	}
	return err
}

func (l *lease) noteOnce(ctx context.Context) error {
	ctx, cancel := l.c.others.try(ctx)
	defer cancel()
	_, err := l.c.js.Publish(ctx, "$KV."+claimsBucket+"."+l.key, []byte(l.owner.ID), jetstream.WithRetryAttempts(0))
	return err
}

// unclaimed checks that nobody had the instance since it was ours.
func (l *lease) unclaimed(ctx context.Context) error {
	id, revision, err := l.c.last(ctx, claimsBucket, l.key)
	switch {
	case errors.Is(err, errNoBucket), err == nil && revision == 0:
		return l.note(ctx) // NATS came back empty
	case err != nil:
		return err
	case string(id) != l.owner.ID:
		return errTaken
	}
	return nil
}

// keep renews l until it is given back or lost. Claim starts it.
func (l *lease) keep() {
	for wait := jitter(l.c.others.pace.renew); ; {
		_, changed := l.c.others.link()
		timer := time.NewTimer(wait)
		select {
		case <-l.giving.Done():
			timer.Stop()
			if err := l.giveBack(); err != nil {
				l.c.log.Warn("claim not given back: it ends by itself", "instance", l.instance, "err", err)
			}
			l.c.others.drop(l)
			return
		case <-timer.C:
		case <-changed:
		}
		timer.Stop()
		if up, _ := l.c.others.link(); !up {
			wait = jitter(l.c.others.pace.renew)
			continue
		}
		err := l.renew()
		if _, owned := errors.AsType[*OwnedError](err); owned || errors.Is(err, errTaken) {
			l.c.log.Warn("instance lost to another node", "instance", l.instance, "err", err)
			l.c.others.drop(l)
			l.lost()
			return
		}
		if wait = jitter(l.c.others.pace.renew); err != nil {
			l.c.log.Warn("claim not renewed", "instance", l.instance, "err", err)
			wait = jitter(retryAfter)
		}
	}
}

// renew renews l. When that is refused, because its answer was lost the last
// time or because the claim has ended, it claims again.
func (l *lease) renew() error {
	if gate := l.c.others.stalled.Load(); gate != nil {
		<-*gate
	}
	err := l.write(l.c.others.ctx, l.revision)
	if raced(err) || noBucket(err) {
		err = l.try(l.c.others.ctx, true)
	}
	return err
}

// release is what Claim returns.
func (l *lease) release() {
	l.give()
	<-l.ended
}

// giveBack frees what l has.
func (l *lease) giveBack() error {
	if l.revision == 0 {
		return nil
	}
	l.mu.Lock()
	l.until = time.Time{}
	l.mu.Unlock()
	if up, _ := l.c.others.link(); !up {
		return errors.New("NATS is away")
	}
	ctx, cancel := l.c.others.try(context.Background())
	defer cancel()
	free := l.owner
	free.Free = true
	value, err := json.Marshal(free)
	if err == nil {
		_, err = l.c.js.Publish(ctx, "$KV."+ownersBucket+"."+l.key, value, jetstream.WithExpectLastSequencePerSubject(l.revision))
	}
	if raced(err) {
		return nil // it is another's already
	}
	return err
}

// raced reports whether somebody else wrote first.
func raced(err error) bool {
	e, ok := errors.AsType[*jetstream.APIError](err)
	return ok && (e.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || e.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}
