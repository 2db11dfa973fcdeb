package server

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"foyer/server/amf"
	"foyer/server/guard"
)

// An Instance is one running, named copy of an application. One goroutine runs
// all of the application's code and everything below that is owned by it, in
// turns: see run. Its parts have files of their own: life.go, turn.go,
// sharedobjects.go and streams.go; admission.go lets clients in and out.
type Instance struct {
	// set by newInstance
	host   *Host
	app    *application
	name   string // "room/blue", folded
	short  string // "Blue", as the client that opened it wrote it
	ref    string // the referrer of its NetConnections
	log    *slog.Logger
	local  *Client         // the client on whose behalf Host.Call calls
	ctx    context.Context // ends when the instance stops
	cancel context.CancelFunc
	wg     sync.WaitGroup // everything that Go, NetConnections and saves have started

	// owned by the instance goroutine
	code    Application
	tunnel  *tunnel   // is the code when another node runs the instance; fixed when started is closed
	clients []*Client // accepted, in order of arrival
	pending map[*Client]bool
	links   map[*link]bool // of its NetConnections

	life    life    // how it begins and ends
	turn    turn    // how it runs what is posted
	objects objects // the shared objects
	streams streams // what is published and played
}

func newInstance(h *Host, a *application, short string) *Instance {
	in := &Instance{host: h, app: a, name: a.full(short), short: short}
	in.ref = "rtmp://_defaultVHost_:1935/" + a.name + "/" + short
	in.log = h.log().With("app", a.name, "instance", in.name)
	in.ctx, in.cancel = context.WithCancel(context.Background())
	in.life.init(in)
	in.turn.in, in.turn.mailbox.wake = in, make(chan struct{}, 1)
	in.objects.in, in.streams.in = in, in
	in.local = newClient(in, deaf{}, &Request{Path: in.name})
	in.local.state = clientAccepted
	in.local.calls.limit = unlimited
	in.local.opened.Store(true)
	return in
}

// run is the instance goroutine. Host.open starts it, and Host.Stop waits for
// done.
func (in *Instance) run() {
	defer close(in.life.done)
	in.life.begin()
	for !in.life.over() {
		<-in.turn.mailbox.wake
		in.turn.run()
	}
	in.life.end()
}

// broken reports whether the application has panicked: none of its code may
// run.
func (in *Instance) broken() bool { return in.life.phase == phaseBroken }

// Name is the full name, "room/blue", as application.name. It is in lower case:
// names that differ only by case are one instance.
func (in *Instance) Name() string { return in.name }

// App is the application's name, "room".
func (in *Instance) App() string { return in.app.name }

// ShortName is the rest of the address behind the application's name, as the
// instance was opened: "Blue"; "_definst_" when there was nothing.
func (in *Instance) ShortName() string { return in.short }

// Log adds the instance's name to every record.
func (in *Instance) Log() *slog.Logger { return in.log }

// Host is where the instance runs.
func (in *Instance) Host() *Host { return in.host }

// Guard counts the wrong credentials and enforces the limits of this process.
func (in *Instance) Guard() *guard.Guard { return in.host.guard() }

// Post runs f on the instance goroutine, after everything that was posted
// before, and never blocks. It reports false when the instance has stopped:
// then f will not run.
func (in *Instance) Post(f func()) bool {
	return in.post(func() {
		if !in.broken() {
			f()
		}
	})
}

// post is Post for the package itself, whose functions run to the very end of
// the instance.
func (in *Instance) post(f func()) bool { return in.turn.mailbox.put(f) }

// After posts f after d, unless the timer is stopped or the instance has ended.
func (in *Instance) After(d time.Duration, f func()) *time.Timer {
	return time.AfterFunc(d, func() { in.Post(f) })
}

// Go runs f beside the instance. When the instance stops, ctx ends and the
// instance waits for f. Call Go on the instance goroutine or from another such
// f.
func (in *Instance) Go(f func(ctx context.Context)) {
	in.wg.Go(func() {
		defer in.life.recover(func() { in.post(in.life.breakDown) })
		f(in.ctx)
	})
}

// Clients are the accepted clients, in order of arrival. Instance goroutine
// only.
func (in *Instance) Clients() []*Client { return slices.Clone(in.clients) }

// BroadcastMsg calls method on every client, without an answer. The call is
// encoded once for all. Instance goroutine only.
func (in *Instance) BroadcastMsg(method string, args ...amf.Value) {
	p := &Push{Method: method, Args: args}
	for _, c := range in.clients {
		c.Push(p)
	}
}

// Later is for a Method that returns ErrPending: the function that it returns
// answers the call. That function must be called, may be called from any
// goroutine, and does nothing the second time.
func (in *Instance) Later() func(amf.Value, error) {
	k := in.turn.serving
	in.turn.serving = nil
	var once sync.Once
	return func(v amf.Value, err error) { once.Do(func() { k.answer(v, err) }) }
}
