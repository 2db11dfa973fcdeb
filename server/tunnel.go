package server

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"foyer/server/amf"
	"foyer/server/guard"
	"foyer/server/rtmp"
	"foyer/server/sharedobject"
)

// The control connection soon tells when the owner is gone.
const (
	controlPing    = time.Second
	controlTimeout = 5 * time.Second
	controlDial    = 2 * time.Second
)

// A tunnel is the application of an instance that another node runs, the owner.
// Each client has a connection of its own to the owner, a tunnelClient, which
// carries everything both ways but the pictures to players: those come by one
// tunnelStream for each stream. All of a tunnel belongs to the instance
// goroutine.
type tunnel struct {
	in      *Instance
	owner   *ElsewhereError
	control *rtmp.Session // set by OnAppStart
	streams int           // that have a tunnelStream
}

// uri is the address of the instance at the owner.
func (t *tunnel) uri() string { return strings.TrimSuffix(t.owner.RTMP, "/") + "/" + t.in.name }

// OnAppStart connects to the owner.
func (t *tunnel) OnAppStart(in *Instance) error {
	in.life.pinned.Store(false)
	if in.host.NodeSecret == "" {
		return fmt.Errorf("%w: no node secret is set", errUnreachable)
	}
	cfg := *in.host.wireConfig()
	cfg.PingInterval, cfg.PingTimeout = controlPing, controlTimeout
	ctx, cancel := context.WithTimeout(in.life.starting, controlDial)
	defer cancel()
	s, err := t.dialOwner(ctx, "control", nil, t.uri(), rtmp.ConnectRequest{FlashVer: agent, ObjectEncoding: 3}, rtmp.DialOptions{Config: &cfg})
	if err != nil {
		return fmt.Errorf("%w: %w", errUnreachable, err)
	}
	t.control = s
	in.log.Info("instance runs elsewhere", "node", t.owner.Node)
	in.Go(t.watch)
	return nil
}

// watch ends the instance when the owner does not run it any more.
func (t *tunnel) watch(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { t.control.Close(nil) })
	defer stop()
	err := t.control.Run(context.Background())
	if ctx.Err() == nil {
		t.in.log.Info("owner gone", "node", t.owner.Node, "err", err)
		t.in.post(t.in.life.lose)
	}
}

// OnConnect asks the owner.
func (t *tunnel) OnConnect(c *Client, args amf.Args) error {
	switch {
	case c.req.node != fromVisitor:
		return notHere()
	case t.in.host.Redirect && c.req.Protocol == "rtmp":
		return t.redirect(c)
	}
	tc := &tunnelClient{t: t, c: c}
	c.Data = tc
	tc.ctx, tc.cancel = context.WithCancel(t.in.ctx)
	t.in.Go(func(context.Context) { tc.run(tc.ctx, args) })
	return ErrPending
}

// redirect sends a client to the owner.
func (t *tunnel) redirect(c *Client) error {
	return Moved("The application instance runs on another node.", guard.SeenFrom(t.uri(), guard.HostOf(c.URI())), c.Query())
}

// OnDisconnect ends the client's connection to the owner in the way its own has
// ended.
func (t *tunnel) OnDisconnect(c *Client, reason error) {
	if tc, ok := c.Data.(*tunnelClient); ok {
		tc.leave(reason)
	}
}

// OnAppStop implements Application: the control connection ends with the
// instance.
func (t *tunnel) OnAppStop() {}

// call passes on a call of a client or of this process.
func (t *tunnel) call(k *call) {
	tc, ok := k.from.Data.(*tunnelClient)
	switch {
	case rtmp.Reserved(k.method) || reserved[k.method]:
		k.answer(nil, rtmp.MethodNotFound(k.method))
	case !ok:
		t.callOwner(k)
	case k.reply == nil:
		k.done()
		tc.send(func(s *rtmp.Session) error { return s.Request(k.method, k.args, nil) })
	default:
		if err := tc.session.Request(k.method, k.args, k.answer); err != nil {
			k.answer(nil, err)
		}
	}
}

// callOwner is call on behalf of this process.
func (t *tunnel) callOwner(k *call) {
	done := func(v amf.Value, err error) {
		s, ok := errors.AsType[*rtmp.StatusError](err)
		if err != nil && (!ok || s.Code == codeNotRunning) {
			k.done()
			k.reply(nil, ErrNotRunning)
			return
		}
		k.answer(v, err)
	}
	if err := t.control.Request(k.method, k.args, done); err != nil {
		done(nil, err)
	}
}

// sharedObject passes on a client's request to a shared object.
func (t *tunnel) sharedObject(c *Client, m *sharedobject.Message) {
	c.Data.(*tunnelClient).send(func(s *rtmp.Session) error {
		return s.Send((&Push{SharedObject: m}).pack(s.ObjectEncoding()))
	})
}

// publish asks the owner, and passes the publication on to it.
func (t *tunnel) publish(c *Client, name, kind string, h publishing) {
	tc := c.Data.(*tunnelClient)
	t.in.Go(func(ctx context.Context) { // one at a time: the client is not read in the meantime
		st, err := tc.session.CreateStream(ctx)
		if err == nil {
			err = st.PublishTo(ctx, name, kind, verdict{h: h})
		}
		if err != nil {
			h.Reject(asked(err, rtmp.CodePublishBadName))
			closeStream(st)
			return
		}
		h.Accept(uplink{st})
	})
}

// play asks the owner, and begins to play here when it agrees.
func (t *tunnel) play(c *Client, name string, h playing) {
	tc := c.Data.(*tunnelClient)
	public, _, _ := strings.Cut(name, "?")
	if tc.opening >= rtmp.MaxStreams {
		h.reject(tooManyStreams())
		return
	}
	tc.opening++
	t.in.Go(func(ctx context.Context) {
		st, err := tc.session.CreateStream(ctx)
		if err == nil {
			err = st.Play(ctx, name, rtmp.StartLive, nothing{})
		}
		if err == nil && t.bring(public) == nil {
			err = tooManyStreams()
		}
		if !t.in.post(func() { tc.opening--; t.played(c, public, st, err, h) }) {
			h.reject(appShutdown())
		}
	})
}

// played takes the owner's answer.
func (t *tunnel) played(c *Client, public string, st *rtmp.Stream, err error, h playing) {
	if err == nil && c.state != clientAccepted {
		err = rtmp.ErrClosed
	}
	if err != nil {
		h.reject(asked(err, rtmp.CodePlayFailed))
		closeStream(st)
		return
	}
	s := t.in.streams.get(public)
	t.open(s) // it may have ended in the meantime
	t.in.streams.begin(&playback{client: c, stream: s, up: st}, h)
}

// stopped hears that a player has gone.
func (t *tunnel) stopped(p *playback) {
	closeStream(p.up)
	if s := p.stream; s.playing == 0 && s.tunnel != nil {
		t.linger(s.tunnel)
	}
}

func tooManyStreams() error {
	return &rtmp.StatusError{Code: rtmp.CodePlayFailed, Description: "Too many streams."}
}

// asked is the owner's answer, or says that the owner could not be asked.
func asked(err error, code string) error {
	return words(err, &rtmp.StatusError{Code: code, Description: "The application instance cannot be reached at the moment."})
}

func closeStream(st *rtmp.Stream) {
	if st != nil {
		st.Close()
	}
}

// nothing is the sink of a play that is only counted.
type nothing struct{}

func (nothing) WriteMessage(rtmp.Message) {}
func (nothing) Close(error)               {}

// uplink is the sink of a publication: it goes to the owner.
type uplink struct{ st *rtmp.Stream }

func (l uplink) WriteMessage(m rtmp.Message) { l.st.WriteMessage(m) }

// Close ends the stream when the publisher has ended it. Otherwise the
// publisher's connection ends, and the owner hears of that: see
// tunnelClient.leave.
func (l uplink) Close(err error) {
	if err == nil {
		l.st.Close()
	}
}

// verdict hears when the owner ends a publication.
type verdict struct {
	nothing
	h publishing
}

func (v verdict) ServeStatus(info amf.Object) {
	if s := rtmp.ParseStatus(info); s.Level == rtmp.LevelError {
		v.h.End(s)
	}
}
