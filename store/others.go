package store

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// pingInterval is how often NATS is asked whether it is there. It is missed
// when it does not answer twice.
const pingInterval = 2 * time.Second

// pace is how fast nodes notice each other.
type pace struct {
	lease   time.Duration // of a node: it lives so long without being renewed
	renew   time.Duration // between two renewals
	grace   time.Duration // after a break, owners write their claims again before anybody claims anew
	live    time.Duration // an entry of the directory lives so long
	refresh time.Duration // between two renewals of it
	gap     time.Duration // between two changes of one entry
}

var defaultPace = pace{
	lease: 5 * time.Second, renew: 1500 * time.Millisecond, grace: 1500 * time.Millisecond,
	live: 20 * time.Second, refresh: 5 * time.Second, gap: 500 * time.Millisecond,
}

// others is what this node shares with the other nodes of an external NATS.
type others struct {
	// set by join
	pace      pace
	ctx       context.Context // ends with the connection
	end       context.CancelFunc
	lease     *lease
	directory *Directory

	running sync.WaitGroup                // every goroutine of this part
	wake    chan struct{}                 // of mend; 1: one look sees all
	stalled atomic.Pointer[chan struct{}] // set by tests: renewals wait until it is closed

	mu     sync.Mutex
	up     bool                // guarded by mu: connected
	broke  bool                // guarded by mu: has been cut once
	since  time.Time           // guarded by mu: of up
	linked context.Context     // guarded by mu: ends, and is made anew, when up changes
	unlink context.CancelFunc  // guarded by mu: ends it
	held   map[string]*holding // guarded by mu: by instance
}

// join begins to share. The other's leave ends it.
func (s *Store) join() (err error) {
	o := &others{
		pace: *cmp.Or(s.cfg.pace, &defaultPace), wake: make(chan struct{}, 1), held: make(map[string]*holding),
	}
	s.others = o
	o.ctx, o.end = context.WithCancel(context.Background())
	o.linked, o.unlink = context.WithCancel(o.ctx)
	o.attend(s)
	if o.lease, err = newLease(s, o); err != nil {
		return err
	}
	o.running.Go(o.lease.keep)
	o.running.Go(o.mend)
	o.directory, err = newDirectory(s, o)
	return err
}

// leave ends the lease, and with it all claims, and what else runs, before the
// connection is closed.
func (o *others) leave() {
	o.end()
	o.running.Wait()
	o.mu.Lock()
	held := slices.Collect(maps.Values(o.held))
	o.mu.Unlock()
	for _, l := range held {
		l.release()
	}
}

// attend begins to keep track of the connection of now. Close waits for it.
func (o *others) attend(s *Store) {
	nc := s.nc()
	status := nc.StatusChanged()
	if nc.IsConnected() {
		o.note(true)
	}
	s.wg.Go(func() { o.follow(nc, status) })
}

// follow keeps track of one connection until it is closed, or until leave.
func (o *others) follow(nc *nats.Conn, status chan nats.Status) {
	defer nc.RemoveStatusListener(status)
	for {
		select {
		case <-o.ctx.Done():
			return
		case s, ok := <-status:
			if !ok {
				return
			}
			o.note(s == nats.CONNECTED)
			if s == nats.CLOSED {
				return // there will be another
			}
		}
	}
}

func (o *others) note(up bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if up && o.up {
		o.broke = true // the news of the break was dropped
	}
	o.up, o.broke, o.since = up, o.broke || !up, time.Now()
	o.unlink()
	o.linked, o.unlink = context.WithCancel(o.ctx)
}

// link reports whether there is a connection, and what is closed when that changes.
func (o *others) link() (up bool, changed <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.up, o.linked.Done()
}

// try is a context for one request: what is asked before the connection breaks
// is never answered.
func (o *others) try(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, timeout := context.WithTimeout(ctx, tryTimeout)
	ctx, cancel := o.linkedTo(ctx)
	return ctx, func() { cancel(); timeout() }
}

// linkedTo is a context for requests while the connection lasts.
func (o *others) linkedTo(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	o.mu.Lock()
	stop := context.AfterFunc(o.linked, cancel)
	o.mu.Unlock()
	return ctx, func() { stop(); cancel() }
}

// settle waits for a connection and, when there was none for a while, lets the
// owners of before go first.
func (o *others) settle(ctx context.Context) error {
	for {
		o.mu.Lock()
		up, changed, wait := o.up, o.linked.Done(), time.Duration(0)
		if o.broke {
			wait = o.pace.grace - time.Since(o.since)
		}
		o.mu.Unlock()
		if up && wait <= 0 {
			return nil
		}
		if up {
			_ = pause(ctx, wait) // ctx is looked at below
		} else {
			select {
			case <-changed:
			case <-ctx.Done():
			}
		}
		if ctx.Err() != nil {
			return fmt.Errorf("waiting for NATS: %w", context.Cause(ctx))
		}
	}
}

// jitter is d, give or take a fifth: what began together does not stay together.
func jitter(d time.Duration) time.Duration {
	return d*4/5 + time.Duration(rand.Int64N(int64(d)*2/5+1))
}
