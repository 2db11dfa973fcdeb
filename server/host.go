package server

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
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
	// OnStream is called whenever somebody begins to publish, before the first
	// message, with the instance ("room/blue") and the public name of the
	// stream. nil: nobody is told. It runs on the instance's goroutine and must
	// not block.
	OnStream func(instance, name string, s *relay.Stream)
	Objects  ObjectStore                                                       // keeps persistent shared objects; nil: they live as long as temporary ones
	Dial     func(ctx context.Context, network, addr string) (net.Conn, error) // outgoing; nil means net.Dialer
	// Owners knows which node runs an instance of HandleClaimed; nil: this one.
	Owners Owners
	// NodeSecret is known to all nodes, which prove it to each other; "": there
	// are no other nodes.
	NodeSecret string
	// Redirect sends RTMP clients to the node that runs their instance
	// (Connect.Rejected with ex.code 302), instead of serving them from here.
	Redirect bool
	// Elsewhere returns how a client is refused that asks for an instance
	// ("room/blue") that another server has, as far as this one knows: with
	// Moved, mostly; nil: nobody knows of it. It is asked before an instance
	// starts for a peer, and about applications that this host does not have. It
	// may block until ctx ends.
	Elsewhere func(ctx context.Context, instance string, r *Request) *rtmp.StatusError
	// Guard counts the connections, rooms and failures of each address; nil:
	// one that limits nothing but wrong credentials.
	Guard *guard.Guard
	// Always are the instances that may start regardless of the limits, by full
	// name ("lobby/_definst_").
	Always []string
	// Opens says whether a peer may start an instance that runs nowhere and is
	// not one of Always; nil: everybody may. It may block until ctx ends.
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
	counted   int                  // how many of instances count for MaxInstances
	draining  bool                 // nobody new is let in
}

// application is one application of a host.
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
// of this host ("room") and to a valid name of an instance ("room/blue").
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
		// The pin may be too late for an idle instance that has decided to
		// stop.
		in.life.pinned.Store(true)
		if in.post(func() {}) {
			return nil
		}
		<-in.life.done
	}
}

// Stop stops all instances: their clients are told AppShutdown, and OnAppStop
// runs. When it returns, everything that they started has ended, unless ctx
// ended first. Nothing starts afterwards.
func (h *Host) Stop(ctx context.Context) {
	h.shut()
	all := h.all()
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

// shut lets nobody new in from now on.
func (h *Host) shut() {
	h.mu.Lock()
	h.draining = true
	h.mu.Unlock()
}

// all returns the instances that have not ended.
func (h *Host) all() []*Instance {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Collect(maps.Values(h.instances))
}

// Call calls a method of a running instance on behalf of this process: the
// method gets a Client whose Local is true. Call starts nothing: for an
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

// CallOrStart is Call, but it starts the instance if it does not run. The
// instance stops again when nobody comes.
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
		select { // it is about to end, or did not start: wait until its name is free
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

// Connect asks for admission on behalf of a peer, as the WebSocket bridge does
// for its pages; Serve does it for RTMP. It blocks until the application has
// decided, at most for AdmitTimeout. A *rtmp.StatusError is a refusal in words
// for the peer. On success the caller passes on whatever the peer asks
// (Client.ServeCall and so on), and must end with Client.Leave.
func (h *Host) Connect(ctx context.Context, p Peer, r Request) (*Client, error) {
	return h.connect(ctx, p, &r)
}

// connect is Connect for a request that belongs to the client from then on.
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
		// The instance stopped before it could decide. The next one starts when
		// it is done.
		select {
		case <-in.life.done:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// refusal turns an error of OnConnect or OnAppStart into the one that the
// client is told.
func refusal(err error) error {
	if errors.Is(err, errUnreachable) {
		return unplaced() // the owner's words are not for clients
	}
	return words(err, Reject("Connection failed."))
}

// refuse reports a refusal of the guard and puts it into words for the peer.
func (h *Host) refuse(addr netip.Addr, no *guard.Refusal, attrs ...any) error {
	h.guard().Refuse(addr, no, attrs...)
	status := Reject(no.Reason)
	status.Application = Because(no.Reason, no.RetryAfter)
	return &refused{status, no}
}

// refused is a refusal of the guard. An RTMP peer reads the status; the web
// side may want the rest.
type refused struct {
	*rtmp.StatusError
	no *guard.Refusal
}

func (r *refused) Unwrap() []error { return []error{r.StatusError, r.no} }

// connected and disconnected log the beginning and the end of a client.
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

// misbehaved reports whether the peer is at fault for the end of its
// connection.
func misbehaved(reason error) bool {
	if _, ok := errors.AsType[*rtmp.ProtocolError](reason); ok {
		return true
	}
	return errors.Is(reason, rtmp.ErrSlow) || errors.Is(reason, rtmp.ErrSilent)
}

// limitOf are the limits that end a connection, by the error it ends with.
var limitOf = map[error]string{
	rtmp.ErrMessageSize: "message-size",
	rtmp.ErrSlow:        "outbox",
	rtmp.ErrStalled:     "progress",
	guard.ErrBudget:     "partial-memory",
}

// limited counts a connection that ended because it exceeded a limit.
func (h *Host) limited(addr netip.Addr, err error) {
	for cause, limit := range limitOf {
		if errors.Is(err, cause) {
			h.guard().Refuse(addr, &guard.Refusal{Limit: limit, Reason: err.Error()}, "err", err)
			return
		}
	}
}

// silent is the Log of a host without one.
var silent = slog.New(slog.DiscardHandler)

func (h *Host) log() *slog.Logger { return cmp.Or(h.Log, silent) }

func (h *Host) guard() *guard.Guard { return cmp.Or(h.Guard, &h.lax) }

// wireConfig is Config with its defaults filled in, the same for all
// connections.
func (h *Host) wireConfig() *rtmp.Config {
	if cfg := h.wire.Load(); cfg != nil {
		return cfg
	}
	cfg := h.Config
	cfg.Partial = cmp.Or(cfg.Partial, h.guard().Partial())
	cfg.Outboxes = cmp.Or(cfg.Outboxes, &h.outboxes)
	h.wire.CompareAndSwap(nil, cfg.WithDefaults())
	return h.wire.Load()
}

// Partial is the budget for messages that peers have begun and not finished,
// however they are connected.
func (h *Host) Partial() *guard.Budget { return h.wireConfig().Partial }

// Outboxes are the budget for data that waits to be written to peers, however
// they are connected.
func (h *Host) Outboxes() *backlog.Budget { return h.wireConfig().Outboxes }

func (h *Host) idle() time.Duration { return cmp.Or(h.Idle, DefaultIdle) }

func (h *Host) admitTimeout() time.Duration { return cmp.Or(h.AdmitTimeout, DefaultAdmitTimeout) }
