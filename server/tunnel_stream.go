package server

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"foyer/server/amf"
	"foyer/server/relay"
	"foyer/server/rtmp"
)

const (
	// MaxTunnelStreams is how many streams of one instance a node may bring
	// here.
	MaxTunnelStreams = 64
	// streamLinger is how long a stream is brought after its last player has gone.
	streamLinger = 5 * time.Second
	// streamWait is how long Host.Stream waits to hear whether somebody publishes.
	streamWait = 3 * time.Second
	// How long to wait after a failure before asking again, at first and at
	// most.
	minStreamRetry = 100 * time.Millisecond
	maxStreamRetry = 5 * time.Second
)

// A tunnelStream brings the pictures of one stream from the owner to the players
// here, from the first one until streamLinger after the last.
type tunnelStream struct {
	t      *tunnel
	s      *stream
	relay  *relay.Stream
	cancel context.CancelFunc
	told   chan struct{} // closed when the owner has said whether somebody publishes

	timer *time.Timer // owned by the instance goroutine: see linger

	// owned by run
	fresh bool // the owner has said nothing on this connection
	once  sync.Once
}

// mayOpen reports whether a stream may be brought here, or is already.
func (t *tunnel) mayOpen(name string) bool {
	s := t.in.streams.byName[name]
	return t.streams < MaxTunnelStreams || s != nil && s.tunnel != nil
}

// open brings a stream here, unless that is done already.
func (t *tunnel) open(s *stream) *tunnelStream {
	if s.tunnel != nil {
		return s.tunnel
	}
	ctx, cancel := context.WithCancel(t.in.ctx)
	ts := &tunnelStream{t: t, s: s, relay: s.relay, cancel: cancel, told: make(chan struct{})}
	s.tunnel = ts
	t.streams++
	t.in.Go(func(context.Context) { ts.run(ctx) })
	return ts
}

// linger ends it after a while, unless somebody plays it then.
func (t *tunnel) linger(ts *tunnelStream) {
	if ts.timer != nil {
		ts.timer.Stop()
	}
	ts.timer = t.in.After(streamLinger, func() { t.closeUnused(ts) })
}

// closeUnused ends it if nobody needs it.
func (t *tunnel) closeUnused(ts *tunnelStream) {
	switch {
	case ts.s.playing > 0 || ts.s.tunnel != ts:
	case ts.relay.Players() > 0:
		t.linger(ts)
	default:
		ts.cancel()
		ts.s.tunnel = nil
		t.streams--
		t.in.streams.forget(ts.s)
	}
}

// bring opens a stream and returns when the owner has said whether somebody
// publishes, at the latest after streamWait. It returns nil when there are too
// many. Not for the instance goroutine.
func (t *tunnel) bring(name string) *tunnelStream {
	ts := await(t.in, func() *tunnelStream {
		if !t.mayOpen(name) {
			return nil
		}
		ts := t.open(t.in.streams.get(name))
		t.linger(ts)
		return ts
	})
	if ts == nil {
		return nil
	}
	wait := time.NewTimer(streamWait)
	defer wait.Stop()
	select {
	case <-ts.told:
	case <-wait.C:
	case <-t.in.ctx.Done():
	}
	return ts
}

// stream is Host.Stream for an instance that another node runs.
func (t *tunnel) stream(name string) *relay.Stream {
	if t.in.streams.check(name) != "" {
		return nil
	}
	ts := t.bring(name)
	switch {
	case ts == nil:
		return nil
	case ts.relay.Live():
		return ts.relay
	}
	t.in.post(func() { t.closeUnused(ts) })
	return nil
}

// run brings the stream until ctx ends. When a connection breaks it connects
// again, and the players wait.
func (ts *tunnelStream) run(ctx context.Context) {
	defer ts.cancel()
	log := ts.t.in.log.With("stream", ts.s.name, "node", ts.t.owner.Node)
	log.Info("pull began")
	retry := minStreamRetry
	for ctx.Err() == nil {
		began := time.Now()
		err := ts.follow(ctx)
		if ctx.Err() != nil {
			break
		}
		log.Warn("pull broke", "err", err)
		if time.Since(began) > maxStreamRetry {
			retry = minStreamRetry
		}
		select {
		case <-time.After(retry + rand.N(retry)):
		case <-ctx.Done():
		}
		retry = min(2*retry, maxStreamRetry)
	}
	ts.relay.Lose()
	log.Info("pull ended")
}

// follow is one connection to the owner.
func (ts *tunnelStream) follow(ctx context.Context) error {
	h := ts.t.in.host
	s, err := ts.t.dialOwner(ctx, "pull", nil, ts.t.uri(), rtmp.ConnectRequest{FlashVer: agent}, rtmp.DialOptions{Config: h.wireConfig()})
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { s.Close(nil) })
	defer stop()
	ts.fresh = true
	var asking sync.WaitGroup
	defer asking.Wait()
	asking.Go(func() {
		st, err := s.CreateStream(ctx)
		if err == nil {
			err = st.Play(ctx, ts.s.name, rtmp.StartLive, ts)
		}
		if err != nil {
			s.Close(err)
		}
	})
	return s.Run(context.Background())
}

// WriteMessage passes a message on to the players. It implements rtmp.Sink.
func (ts *tunnelStream) WriteMessage(m rtmp.Message) { ts.relay.WriteMessage(m) }

// Close implements rtmp.Sink. The players wait for the next connection.
func (ts *tunnelStream) Close(error) {}

// ServeStatus hears when the publisher comes and goes. It implements
// rtmp.StatusSink.
func (ts *tunnelStream) ServeStatus(info amf.Object) {
	switch rtmp.ParseStatus(info).Code {
	case rtmp.CodePublishNotify:
		if ts.fresh || !ts.relay.Live() {
			ts.relay.Publish()
		}
	case rtmp.CodeUnpublishNotify:
		ts.relay.Unpublish()
	default:
		return
	}
	ts.fresh = false
	ts.once.Do(func() { close(ts.told) })
}
