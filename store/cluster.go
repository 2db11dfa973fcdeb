package store

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// pingInterval is the time between two pings of NATS. The connection counts as
// broken when two of them go unanswered.
const pingInterval = 2 * time.Second

// pace says how fast nodes notice each other.
type pace struct {
	lease   time.Duration // how long a node's lease lasts without being renewed
	renew   time.Duration // between two renewals
	grace   time.Duration // after a break, the time that owners have to write their claims again before others claim
	live    time.Duration // how long an entry of the directory lasts without being renewed
	refresh time.Duration // between two renewals of an entry
	gap     time.Duration // between two changes of one entry
}

var defaultPace = pace{
	lease: 5 * time.Second, renew: 1500 * time.Millisecond, grace: 1500 * time.Millisecond,
	live: 20 * time.Second, refresh: 5 * time.Second, gap: 500 * time.Millisecond,
}

// A cluster is this node's part in the nodes that share an external NATS: its
// connection as it comes and goes, its lease, its claims and its directory.
type cluster struct {
	// set by join
	pace      pace
	ctx       context.Context // ends with the connection
	end       context.CancelFunc
	lease     *lease
	directory *Directory

	running sync.WaitGroup                // every goroutine of the cluster
	wake    bell                          // wakes mend
	stalled atomic.Pointer[chan struct{}] // set by tests: renewals wait until it is closed

	mu     sync.Mutex
	up     bool                  // guarded by mu: connected
	broke  bool                  // guarded by mu: has been cut once
	since  time.Time             // guarded by mu: when up was set last
	linked context.Context       // guarded by mu: ends when up changes; another replaces it
	unlink context.CancelFunc    // guarded by mu: ends linked
	owned  map[string]*ownership // guarded by mu: by instance
}

// join makes this node one of the cluster, until leave.
func (s *Store) join() (err error) {
	c := &cluster{
		pace: *cmp.Or(s.cfg.pace, &defaultPace), wake: newBell(), owned: make(map[string]*ownership),
	}
	s.cluster = c
	c.ctx, c.end = context.WithCancel(context.Background())
	c.linked, c.unlink = context.WithCancel(c.ctx)
	c.watchLink(s)
	if c.lease, err = newLease(s, c); err != nil {
		return err
	}
	c.running.Go(c.lease.keep)
	c.running.Go(c.mend)
	c.directory, err = newDirectory(s, c)
	return err
}

// leave ends the lease, and with it all claims, and every goroutine of the
// cluster. It is called before the connection is closed.
func (c *cluster) leave() {
	c.end()
	c.running.Wait()
	c.mu.Lock()
	held := slices.Collect(maps.Values(c.owned))
	c.mu.Unlock()
	for _, o := range held {
		o.release()
	}
}

// watchLink begins to keep track of the present connection. Close waits for it.
func (c *cluster) watchLink(s *Store) {
	nc := s.nc()
	status := nc.StatusChanged()
	if nc.IsConnected() {
		c.noteLink(true)
	}
	s.wg.Go(func() { c.followLink(nc, status) })
}

// followLink keeps track of one connection until it is closed, or until leave.
func (c *cluster) followLink(nc *nats.Conn, status chan nats.Status) {
	defer nc.RemoveStatusListener(status)
	for {
		select {
		case <-c.ctx.Done():
			return
		case s, ok := <-status:
			if !ok {
				return
			}
			c.noteLink(s == nats.CONNECTED)
			if s == nats.CLOSED {
				return // there will be another
			}
		}
	}
}

func (c *cluster) noteLink(up bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if up && c.up {
		c.broke = true // a break in between was not reported
	}
	c.up, c.broke, c.since = up, c.broke || !up, time.Now()
	c.unlink()
	c.linked, c.unlink = context.WithCancel(c.ctx)
}

// link reports whether there is a connection, and returns a channel that is
// closed when that changes.
func (c *cluster) link() (up bool, changed <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.up, c.linked.Done()
}

// try returns a context for one request: a request sent before the connection
// breaks is never answered.
func (c *cluster) try(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, timeout := context.WithTimeout(ctx, tryTimeout)
	ctx, cancel := c.linkedTo(ctx)
	return ctx, func() { cancel(); timeout() }
}

// linkedTo returns a context for requests that ends with the connection.
func (c *cluster) linkedTo(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	c.mu.Lock()
	stop := context.AfterFunc(c.linked, cancel)
	c.mu.Unlock()
	return ctx, func() { stop(); cancel() }
}

// awaitLink waits for a connection and, after a break, until earlier owners
// have had the time to claim again.
func (c *cluster) awaitLink(ctx context.Context) error {
	for {
		c.mu.Lock()
		up, changed, wait := c.up, c.linked.Done(), time.Duration(0)
		if c.broke {
			wait = c.pace.grace - time.Since(c.since)
		}
		c.mu.Unlock()
		if up && wait <= 0 {
			return nil
		}
		if up {
			_ = pause(ctx, wait) // ctx is checked below
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
