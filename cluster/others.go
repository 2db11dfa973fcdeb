package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// pingInterval is how often NATS is asked whether it is there. It is missed
// when it does not answer twice.
const pingInterval = 2 * time.Second

// pace is how fast nodes notice each other.
type pace struct {
	lease   time.Duration // a claim lives so long without being renewed
	renew   time.Duration // between two renewals
	grace   time.Duration // after a break, owners renew before anybody claims anew
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
	directory *Directory

	running sync.WaitGroup                // every goroutine of this part
	stalled atomic.Pointer[chan struct{}] // set by tests: renewals wait until it is closed

	mu     sync.Mutex
	up     bool               // guarded by mu: connected
	broke  bool               // guarded by mu: has been cut once
	since  time.Time          // guarded by mu: of up
	linked context.Context    // guarded by mu: ends, and is made anew, when up changes
	unlink context.CancelFunc // guarded by mu: ends it
	leases map[string]*lease  // guarded by mu: by instance
}

// join begins to share. The other's leave ends it.
func (c *Cluster) join() (*others, error) {
	o := &others{pace: defaultPace, leases: make(map[string]*lease)}
	if c.cfg.pace != nil {
		o.pace = *c.cfg.pace
	}
	o.ctx, o.end = context.WithCancel(context.Background())
	o.linked, o.unlink = context.WithCancel(o.ctx)
	status := c.nc.StatusChanged()
	o.up = c.nc.IsConnected()
	o.running.Go(func() { o.follow(c.nc, status) })
	var err error
	o.directory, err = newDirectory(c, o)
	return o, err
}

// leave gives the claims back and ends what runs, before the connection is closed.
func (o *others) leave() {
	o.mu.Lock()
	var held []*lease
	for _, l := range o.leases {
		held = append(held, l)
	}
	o.mu.Unlock()
	var wait sync.WaitGroup
	for _, l := range held {
		wait.Go(l.release)
	}
	wait.Wait()
	o.end()
	o.running.Wait()
}

// follow keeps track of the connection until leave.
func (o *others) follow(nc *nats.Conn, status chan nats.Status) {
	defer nc.RemoveStatusListener(status)
	for {
		select {
		case <-o.ctx.Done():
			return
		case s := <-status:
			o.note(s == nats.CONNECTED)
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

// errNoBucket is returned for a bucket that NATS does not have (any more).
var errNoBucket = errors.New("no such bucket")

// last reads the newest value of a key where writes are decided: what a
// replica answers may be old. A revision of 0 says that there is none.
func (c *Cluster) last(ctx context.Context, bucket, key string) (value []byte, revision uint64, err error) {
	ctx, cancel := c.others.try(ctx)
	defer cancel()
	ask, _ := json.Marshal(map[string]string{"last_by_subj": "$KV." + bucket + "." + key}) // a map of strings always encodes
	m, err := c.nc.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET.KV_"+bucket, ask)
	if err != nil {
		return nil, 0, err
	}
	var answer struct {
		Error   *jetstream.APIError `json:"error"`
		Message struct {
			Seq  uint64 `json:"seq"`
			Data []byte `json:"data"`
		} `json:"message"`
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		return nil, 0, err
	}
	switch e := answer.Error; {
	case e == nil:
		return answer.Message.Data, answer.Message.Seq, nil
	case e.ErrorCode == jetstream.JSErrCodeMessageNotFound:
		return nil, 0, nil
	case e.ErrorCode == jetstream.JSErrCodeStreamNotFound:
		return nil, 0, errNoBucket
	default:
		return nil, 0, e
	}
}

// jitter is d, give or take a fifth: what began together does not stay together.
func jitter(d time.Duration) time.Duration {
	return d*4/5 + time.Duration(rand.Int64N(int64(d)*2/5+1))
}
