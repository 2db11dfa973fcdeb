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
	// MaxPulls is how many streams of one instance are brought to a node.
	MaxPulls = 64
	// pullLinger is how long a pull goes on after its last player.
	pullLinger = 5 * time.Second
	// pullWait is how long Host.Stream waits to hear whether somebody publishes.
	pullWait = 3 * time.Second
	// How long a pull that has failed waits before it tries again.
	minPullRetry = 100 * time.Millisecond
	maxPullRetry = 5 * time.Second
)

// A pull brings the pictures of one stream from the node that runs the
// instance to the players here, from the first one until pullLinger after the
// last.
type pull struct {
	t      *tunnel
	s      *stream
	relay  *relay.Stream
	cancel context.CancelFunc
	told   chan struct{} // closed when the owner has said whether somebody publishes

	timer *time.Timer // owned by the instance goroutine: see linger

	// owned by who runs the pull
	fresh bool // the owner has said nothing since we have connected
	once  sync.Once
}

// pullable reports whether there may be one more, unless there is one already.
func (t *tunnel) pullable(name string) bool {
	s := t.in.streams.byName[name]
	return t.pulls < MaxPulls || s != nil && s.pull != nil
}

// pull starts the pull of a stream if need be.
func (t *tunnel) pull(s *stream) *pull {
	if s.pull != nil {
		return s.pull
	}
	ctx, cancel := context.WithCancel(t.in.ctx)
	p := &pull{t: t, s: s, relay: s.relay, cancel: cancel, told: make(chan struct{})}
	s.pull = p
	t.pulls++
	t.in.Go(func(context.Context) { p.run(ctx) })
	return p
}

// linger ends a pull after a while, unless somebody plays then.
func (t *tunnel) linger(p *pull) {
	if p.timer != nil {
		p.timer.Stop()
	}
	p.timer = t.in.After(pullLinger, func() { t.look(p) })
}

// look ends a pull that nobody needs.
func (t *tunnel) look(p *pull) {
	switch {
	case p.s.playing > 0 || p.s.pull != p:
	case p.relay.Players() > 0:
		t.linger(p)
	default:
		p.cancel()
		p.s.pull = nil
		t.pulls--
		t.in.streams.forget(p.s)
	}
}

// bring returns the pull of a stream when the owner has said whether somebody
// publishes, or has taken pullWait; nil when there are too many. Not for the
// instance goroutine.
func (t *tunnel) bring(name string) *pull {
	found := make(chan *pull, 1)
	if !t.in.post(func() {
		if !t.pullable(name) {
			found <- nil
			return
		}
		p := t.pull(t.in.streams.get(name))
		t.linger(p)
		found <- p
	}) {
		return nil
	}
	p := <-found
	if p == nil {
		return nil
	}
	wait := time.NewTimer(pullWait)
	defer wait.Stop()
	select {
	case <-p.told:
	case <-wait.C:
	case <-t.in.ctx.Done():
	}
	return p
}

// stream is Host.Stream for an instance that another node runs.
func (t *tunnel) stream(name string) *relay.Stream {
	if t.in.streams.check(name) != "" {
		return nil
	}
	p := t.bring(name)
	switch {
	case p == nil:
		return nil
	case p.relay.Live():
		return p.relay
	}
	t.in.post(func() { t.look(p) })
	return nil
}

// run pulls until ctx ends. What breaks is mended; the players wait.
func (p *pull) run(ctx context.Context) {
	defer p.cancel()
	log := p.t.in.log.With("stream", p.s.name, "node", p.t.owner.Node)
	log.Info("pull began")
	retry := minPullRetry
	for ctx.Err() == nil {
		began := time.Now()
		err := p.follow(ctx)
		if ctx.Err() != nil {
			break
		}
		log.Warn("pull broke", "err", err)
		if time.Since(began) > maxPullRetry {
			retry = minPullRetry
		}
		select {
		case <-time.After(retry + rand.N(retry)):
		case <-ctx.Done():
		}
		retry = min(2*retry, maxPullRetry)
	}
	p.relay.Unpublish()
	log.Info("pull ended")
}

// follow is one connection of the pull.
func (p *pull) follow(ctx context.Context) error {
	h := p.t.in.host
	s, err := p.t.dialOwner(ctx, "pull", nil, p.t.uri(), rtmp.ConnectRequest{FlashVer: agent}, rtmp.DialOptions{Config: h.wireConfig()})
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { s.Close(nil) })
	defer stop()
	p.fresh = true
	var asking sync.WaitGroup
	defer asking.Wait()
	asking.Go(func() {
		st, err := s.CreateStream(ctx)
		if err == nil {
			err = st.Play(ctx, p.s.name, rtmp.StartLive, p)
		}
		if err != nil {
			s.Close(err)
		}
	})
	return s.Run(context.Background())
}

// WriteMessage passes a message on to the players. It is an rtmp.Sink's.
func (p *pull) WriteMessage(m rtmp.Message) { p.relay.WriteMessage(m) }

// Close implements rtmp.Sink. The players wait for the next connection.
func (p *pull) Close(error) {}

// ServeStatus hears when the publisher comes and goes. It is an
// rtmp.StatusSink's.
func (p *pull) ServeStatus(info amf.Object) {
	switch rtmp.ParseStatus(info).Code {
	case rtmp.CodePublishNotify:
		if p.fresh || !p.relay.Live() {
			p.relay.Publish()
		}
	case rtmp.CodeUnpublishNotify:
		p.relay.Unpublish()
	default:
		return
	}
	p.fresh = false
	p.once.Do(func() { close(p.told) })
}
