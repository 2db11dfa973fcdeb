package server

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"foyer/server/amf"
	"foyer/server/backlog"
	"foyer/server/guard"
	"foyer/server/relay"
	"foyer/server/rtmp"
)

// Defaults of Host.
const (
	DefaultIdle         = 30 * time.Second
	DefaultAdmitTimeout = 30 * time.Second
	DefaultMaxInstances = 10000
)

// Host runs application instances. Set its fields, call Handle, then Serve.
type Host struct {
	Log          *slog.Logger  // nil: nothing is logged
	Node         string        // this process's name
	Mounts       []string      // extra leading paths: "chapter4"
	Idle         time.Duration // when an instance without clients stops; default 30 s
	AdmitTimeout time.Duration // how long OnConnect may leave a client pending; default 30 s
	MaxInstances int           // default 10,000; those of Always and Start are not counted
	Config       rtmp.Config
	// OnStream is told whenever somebody begins to publish, of the instance
	// ("room/blue") and the public name, before the first message; nil: nobody
	// is told. It runs on the instance's goroutine and must not block.
	OnStream func(instance, name string, s *relay.Stream)
	Objects  ObjectStore                                                       // keeps persistent shared objects; nil: they live as temporary ones do
	Dial     func(ctx context.Context, network, addr string) (net.Conn, error) // outgoing; nil means net.Dialer
	// Owners knows which node runs an instance of HandleClaimed; nil: this one.
	Owners Owners
	// NodeSecret is what nodes prove to each other that they know; "": there are
	// no other nodes.
	NodeSecret string
	// Redirect sends RTMP clients to the node that runs what they came for
	// (Connect.Rejected with ex.code 302), instead of serving it from here.
	Redirect bool
	// Guard counts what addresses have and do; nil: one that limits nothing but
	// wrong credentials.
	Guard *guard.Guard
	// Always are the instances that may start whatever the limits say, by full
	// name ("lobby/_definst_").
	Always []string
	// Opens says whether a peer may start an instance that is not of Always and
	// runs nowhere; nil: everybody may. It may block until ctx ends.
	Opens func(ctx context.Context, instance string, r *Request) bool

	calls      atomic.Uint64
	maxBitrate atomic.Int64                // see SetMaxBitrate
	wire       atomic.Pointer[rtmp.Config] // see wireConfig
	lax        guard.Guard                 // the Guard of a host without one
	sessions   sessions
	fan        fanout
	outboxes   backlog.Budget // the Config.Outboxes of a host without them

	mu        sync.Mutex // guards what follows
	apps      map[string]*application
	instances map[string]*Instance // by full name; until they have ended
	counted   int                  // those of instances that MaxInstances is about
	draining  bool                 // nobody new is let in
}

// application is what the host knows of one application.
type application struct {
	name    string
	make    func() Application
	claimed bool // Host.Owners decides whether an instance runs here

	accepted, rejected, disconnected atomic.Uint64
	clients                          [len(protocols)]atomic.Int64
	ofNodes                          atomic.Int64 // of clients
}

// Handle names an application: new makes the Application of each instance.
// Call it before Serve.
func (h *Host) Handle(app string, new func() Application) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.apps == nil {
		h.apps = make(map[string]*application)
		h.instances = make(map[string]*Instance)
	}
	name, _ := clean(app)
	h.apps[name] = &application{name: name, make: new}
}

// Resolve reports whether path ("chapter4/room/Blue") leads to an application
// here ("room"), and to an instance that may be ("room/blue").
func (h *Host) Resolve(path string) (app, instance string, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	name, _ := clean(path)
	a, short := h.resolveLocked(name)
	if a == nil || !ValidName(short) {
		return "", "", false
	}
	return a.name, a.full(short), true
}

// Start starts an instance that stays until the host stops ("room/blue"). It
// returns when OnAppStart has run, with its error; an *ElsewhereError says that
// another node runs it.
func (h *Host) Start(instance string) error {
	patience := time.Now().Add(reachTimeout)
	for {
		in, err := h.instance(context.Background(), instance, nil)
		if err != nil {
			return err
		}
		<-in.life.started
		if in.life.startErr != nil {
			<-in.life.done
			if errors.Is(in.life.startErr, errUnreachable) && time.Now().Before(patience) {
				<-time.After(reachPause) // its owner may just have gone
				continue
			}
			return in.life.startErr
		}
		if in.tunnel != nil {
			return in.tunnel.owner
		}
		// The pin may have come when an idle instance had already decided.
		in.life.pinned.Store(true)
		if in.post(func() {}) {
			return nil
		}
		<-in.life.done
	}
}

// Stop stops all instances: their clients are told AppShutdown, OnAppStop
// runs, and what they started has ended when it returns. It returns early when
// ctx ends. Nothing starts afterwards.
func (h *Host) Stop(ctx context.Context) {
	h.mu.Lock()
	h.draining = true
	var all []*Instance
	for _, in := range h.instances {
		all = append(all, in)
	}
	h.mu.Unlock()
	for _, in := range all {
		in.life.giveUp()
		in.post(in.life.stop)
	}
	for _, in := range all {
		select {
		case <-in.life.done:
		case <-ctx.Done():
			return
		}
	}
}

// Call calls a method of a running instance on behalf of this process: the
// method's from is a Client whose Local is true. It starts nothing: for an
// instance that does not run, here or on another node, the error is
// ErrNotRunning.
func (h *Host) Call(ctx context.Context, instance, method string, args ...amf.Value) (amf.Value, error) {
	in := h.reach(ctx, instance)
	if in == nil {
		return nil, ErrNotRunning
	}
	type answer struct {
		v   amf.Value
		err error
	}
	answered := make(chan answer, 1)
	if !in.call(method, args, func(v amf.Value, err error) { answered <- answer{v, err} }) {
		return nil, ErrNotRunning
	}
	select {
	case a := <-answered:
		return a.v, a.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// CallOrStart is Call that starts the instance if it does not run; it stops
// again when nobody comes.
func (h *Host) CallOrStart(ctx context.Context, instance, method string, args ...amf.Value) (amf.Value, error) {
	for {
		in, err := h.instance(ctx, instance, nil)
		if err != nil {
			return nil, err
		}
		v, err := h.Call(ctx, instance, method, args...)
		if !errors.Is(err, ErrNotRunning) {
			return v, err
		}
		select { // it is about to end, or did not start: its name is free then
		case <-in.life.done:
		case <-time.After(reachPause):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		select {
		case <-in.life.started:
			if in.life.startErr != nil && !errors.Is(in.life.startErr, errUnreachable) {
				return nil, refusal(in.life.startErr)
			}
		default:
		}
	}
}

// call calls a method on behalf of this process. It reports false when the
// instance has stopped.
func (in *Instance) call(method string, args []amf.Value, reply func(amf.Value, error)) bool {
	k := &call{from: in.local, method: method, args: args, reply: reply}
	in.local.calls.take()
	if !in.post(func() { in.turn.serve(k) }) {
		in.local.calls.give()
		return false
	}
	return true
}

// Connect asks for admission on behalf of a peer; the WebSocket bridge does
// for its own what Serve does for RTMP. It blocks until the application has
// decided, at most AdmitTimeout; a *rtmp.StatusError says no in words for the
// peer. On success the caller passes on what the peer asks (Client.ServeCall
// and so on) and must end with Client.Leave.
func (h *Host) Connect(ctx context.Context, p Peer, r Request) (*Client, error) {
	return h.connect(ctx, p, &r)
}

// connect is Connect. What r points to is the client's from then on.
func (h *Host) connect(ctx context.Context, p Peer, r *Request) (*Client, error) {
	args := r.Args
	r.tidy()
	if r.node == forStream && h.owned(r.Path) == nil {
		return nil, notHere()
	}
	patience := time.Now().Add(reachTimeout)
	for {
		in, err := h.instance(ctx, r.Path, r)
		if err != nil {
			if _, told := errors.AsType[*guard.Refusal](err); !told {
				h.log().Info("client rejected", "remote", r.Addr, "err", err)
			}
			return nil, err
		}
		r.Args = nil // not kept for the life of the client
		c := newClient(in, p, r)
		switch err := in.admit(ctx, c, args); {
		case err == nil:
			h.connected(c)
			return c, nil
		case errors.Is(err, errUnreachable) && r.node == fromVisitor && time.Now().Before(patience):
			select {
			case <-time.After(reachPause):
				continue
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		case !errors.Is(err, errStopped):
			in.app.rejected.Add(1)
			in.log.Info("client rejected", "client", c.ID(), "remote", r.Addr, "err", err)
			return nil, refusal(err)
		}
		// It stopped before it could decide. The next one starts when it is done.
		select {
		case <-in.life.done:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// refusal is what a client is told of an error of OnConnect or OnAppStart:
// only a *rtmp.StatusError in its own words.
func refusal(err error) error {
	if errors.Is(err, errUnreachable) {
		return unplaced() // what the owner said is not for clients
	}
	if s, ok := errors.AsType[*rtmp.StatusError](err); ok {
		return s
	}
	return Reject("Connection failed.")
}

// connected and disconnected write the one line at each end of a client.
func (h *Host) connected(c *Client) {
	c.in.app.accepted.Add(1)
	c.in.log.Info("client connected", "client", c.ID(), "remote", c.req.Addr,
		"protocol", c.Protocol(), "agent", c.Agent())
}

func (h *Host) disconnected(c *Client, reason error) {
	level := slog.LevelInfo
	if misbehaved(reason) {
		level = slog.LevelWarn
	}
	c.in.log.Log(context.Background(), level, "client disconnected", "client", c.ID(),
		"remote", c.req.Addr, "dur", time.Since(cameUp)-c.since, "err", reason)
	h.limited(c.req.Addr.Addr(), reason)
}

// misbehaved reports whether a connection ended by its peer's fault.
func misbehaved(reason error) bool {
	if _, ok := errors.AsType[*rtmp.ProtocolError](reason); ok {
		return true
	}
	return errors.Is(reason, rtmp.ErrSlow) || errors.Is(reason, rtmp.ErrSilent)
}

func (h *Host) log() *slog.Logger {
	if h.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return h.Log
}

func (h *Host) guard() *guard.Guard {
	if h.Guard == nil {
		return &h.lax
	}
	return h.Guard
}

// wireConfig is Config with all that is left out, the same for all connections.
func (h *Host) wireConfig() *rtmp.Config {
	if cfg := h.wire.Load(); cfg != nil {
		return cfg
	}
	cfg := h.Config
	if cfg.Partial == nil {
		cfg.Partial = h.guard().Partial()
	}
	if cfg.Outboxes == nil {
		cfg.Outboxes = &h.outboxes
	}
	h.wire.CompareAndSwap(nil, cfg.WithDefaults())
	return h.wire.Load()
}

// Partial is what peers hold of messages that are not whole yet, whatever they
// come by.
func (h *Host) Partial() *guard.Budget { return h.wireConfig().Partial }

// Outboxes count what waits to be written to peers, whatever they come by.
func (h *Host) Outboxes() *backlog.Budget { return h.wireConfig().Outboxes }

func (h *Host) idle() time.Duration {
	if h.Idle == 0 {
		return DefaultIdle
	}
	return h.Idle
}

func (h *Host) admitTimeout() time.Duration {
	if h.AdmitTimeout == 0 {
		return DefaultAdmitTimeout
	}
	return h.AdmitTimeout
}
