package server

import (
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"foyer/server/amf"
	"foyer/server/guard"
	"foyer/server/rtmp"
	"foyer/server/sharedobject"
)

const (
	// MaxCalls is how many calls and shared object messages of one client may
	// be in flight. With more its reader waits, and so does the peer.
	MaxCalls = 64
	// MaxHeld is how much an application may push to a client before it has
	// accepted the client.
	MaxHeld = 256
)

// A Client is the instance's view of one connection made to it: a visitor, an
// encoder, a browser tab, or another instance. Agent, Referrer and IP are
// hints, never proof.
type Client struct {
	// Data is the application's own. Owned by the instance goroutine.
	Data any

	// set by newClient
	in    *Instance
	peer  Peer
	req   *Request // without Args
	id    uint64
	since time.Duration // when it came, after the start of the process

	// owned by the instance goroutine
	settled chan<- error // nil once it was told
	objects []*object    // in use by this client
	streams []*publication
	playing []*playback
	parked  *parked // nil: nothing has to wait
	state   clientState
	asked   bool // to leave
	free    bool // of limits on calls
	late    bool // waits to be in step again, to catch up

	left  atomic.Bool
	calls credits
	quota debt // of requests; owned by the caller of ServeSharedObject

	opened atomic.Bool // held is empty and stays so
	mu     sync.Mutex  // guards held
	held   []func()    // what was pushed before the client was accepted
}

// unlimited is a limit of credits that nobody ever reaches.
const unlimited = 1 << 30

type clientState uint8

const (
	clientNew clientState = iota
	clientPending
	clientAccepted
	clientGone // rejected or departed
)

var lastClientID atomic.Uint64

// cameUp is roughly when the process started.
var cameUp = time.Now()

func newClient(in *Instance, p Peer, r *Request) *Client {
	c := &Client{in: in, peer: p, req: r, id: lastClientID.Add(1), since: time.Since(cameUp)}
	c.calls.limit = MaxCalls
	c.free = r.node != fromVisitor || in.Guard().Exempt(c.IP())
	return c
}

// ID is unique in the process.
func (c *Client) ID() string { return strconv.FormatUint(c.id, 36) }

// Instance is where the client is.
func (c *Client) Instance() *Instance { return c.in }

// IP is the address that the client comes from, as far as it is known: see
// guard.
func (c *Client) IP() netip.Addr { return c.req.Addr.Addr() }

// Person is IP if that is likely to stand for one person. An address of this
// machine or of a private network does so only when a trusted proxy has named
// it: whole offices, and everybody behind a proxy that we have not been told
// of, share such an address. Otherwise Person is invalid.
func (c *Client) Person() netip.Addr {
	if guard.Private(c.IP()) && !c.req.Named {
		return netip.Addr{}
	}
	return c.IP()
}

// Agent is flashVer. For another instance it starts with FlashCom. A hint.
func (c *Client) Agent() string { return c.req.Agent }

// Referrer is swfUrl. For another instance it is that one's address. A hint.
func (c *Client) Referrer() string { return c.req.Referrer }

// PageURL is the page that loaded the client, as the client says.
func (c *Client) PageURL() string { return c.req.PageURL }

// URI is the address that the client asked for (tcUrl).
func (c *Client) URI() string { return c.req.URI }

// Query is the query of the address, without "?".
func (c *Client) Query() string { _, q := clean(c.req.Path); return q }

// Protocol is "rtmp", "rtmps", "ws" or "wss".
func (c *Client) Protocol() string { return c.req.Protocol }

// Local reports whether the client is this process itself, calling by
// Host.Call.
func (c *Client) Local() bool { return c.peer == Peer(deaf{}) }

// Vouch says that the client belongs to this site, as a room belongs to its
// lobby: neither the limits for addresses nor those for calls apply to it.
// Instance goroutine only.
func (c *Client) Vouch() {
	c.free = true
	if v, ok := c.peer.(Voucher); ok {
		v.Vouch()
	}
}

// Push queues p for the client. An error means that it is gone or going.
func (c *Client) Push(p *Push) error {
	if c.opened.Load() {
		return c.peer.Push(p)
	}
	c.whenOpen(func() { c.peer.Push(p) })
	return nil
}

// Call calls a method of the client. result runs on the instance goroutine,
// once, unless the instance stops before; nil means that no answer is wanted.
func (c *Client) Call(method string, result func(amf.Value, error), args ...amf.Value) {
	if result == nil {
		c.Push(&Push{Method: method, Args: args})
		return
	}
	done := func(v amf.Value, err error) { c.in.Post(func() { result(v, err) }) }
	c.whenOpen(func() {
		if err := c.peer.Request(method, args, done); err != nil {
			done(nil, err)
		}
	})
}

// Close ends the client's connection. A *rtmp.StatusError is told to the client
// first. Close does not wait: OnDisconnect follows.
func (c *Client) Close(reason error) {
	c.whenOpen(func() { c.peer.Close(reason) })
}

// whenOpen runs f now, or when the client is opened, in order. A client for
// which more than MaxHeld wait is taken to be in a loop, and is closed.
func (c *Client) whenOpen(f func()) {
	c.mu.Lock()
	if c.opened.Load() {
		c.mu.Unlock()
		f()
		return
	}
	switch n := len(c.held); {
	case n < MaxHeld:
		c.held = append(c.held, f)
	case n == MaxHeld:
		c.held = append(c.held, func() { c.peer.Close(rtmp.ErrSlow) })
	}
	c.mu.Unlock()
}

// open runs everything that was held, in order: the client is accepted.
func (c *Client) open() {
	for {
		c.mu.Lock()
		held := c.held
		c.held = nil
		if len(held) == 0 {
			c.opened.Store(true)
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
		for _, f := range held {
			f()
		}
	}
}

// ServeCall passes on a call of the peer. It blocks while the client has
// MaxCalls in flight; reply runs once, on any goroutine, and is nil when no
// answer is wanted. Calls of one client are served in the order they came.
func (c *Client) ServeCall(method string, args amf.Args, reply func(amf.Value, error)) {
	c.calls.take()
	c.in.host.calls.Add(1)
	k := &call{from: c, method: method, args: args, reply: reply}
	if !c.in.post(k.begin) {
		c.calls.give()
		if reply != nil {
			reply(nil, appShutdown())
		}
	}
}

// ServeSharedObject passes on a shared object message of the peer. It blocks
// as ServeCall does, and while the client asks for more than MaxRequestRate.
// Call it from one goroutine.
func (c *Client) ServeSharedObject(m *sharedobject.Message) {
	if wait := c.quota.take(requests, float32(weigh(m)), time.Now()); wait > 0 {
		c.slowed(&c.quota, "objects-client", "You are writing to shared objects too fast.", wait)
		<-time.After(wait)
	}
	c.calls.take()
	if !c.in.post(func() { c.in.objects.take(c, m) }) {
		c.calls.give()
	}
}

// ask posts f on behalf of the peer, at the cost of a credit. It reports
// false when the instance has stopped.
func (c *Client) ask(f func()) bool {
	c.calls.take()
	if c.in.post(func() {
		if c.parked == nil {
			defer c.calls.give()
			f()
			return
		}
		c.park(func(bool) time.Duration { defer c.calls.give(); f(); return 0 })
	}) {
		return true
	}
	c.calls.give()
	return false
}

// Leave says that the peer has gone, and why. It is the last call of the Peer's
// owner and does not block; a second one is ignored.
func (c *Client) Leave(reason error) {
	if c.left.Swap(true) {
		return
	}
	c.in.host.disconnected(c, reason)
	c.in.post(func() { c.in.depart(c, reason) })
}

// credits bound how much a peer may have in flight.
type credits struct {
	limit int32

	mu   sync.Mutex
	used int32
	owes debt          // of answers
	free chan struct{} // closed when one is given back; nil while nobody waits
}

// take waits for a credit.
func (c *credits) take() {
	c.mu.Lock()
	for c.used >= c.limit {
		if c.free == nil {
			c.free = make(chan struct{})
		}
		free := c.free
		c.mu.Unlock()
		<-free
		c.mu.Lock()
	}
	c.used++
	c.mu.Unlock()
}

// hold takes n credits without waiting, or gives them back when n is negative.
// The next to take one waits the longer.
func (c *credits) hold(n int32) {
	c.mu.Lock()
	c.used += n
	c.wakeLocked()
	c.mu.Unlock()
}

func (c *credits) give() { c.hold(-1) }

// charge takes bytes from the allowance for answers, unless the client has to
// wait for it first.
func (c *credits) charge(bytes float32, now time.Time) (wait time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if wait = c.owes.wait(answers, now); wait == 0 {
		c.owes.bytes += bytes
	}
	return wait
}

// pay takes bytes that have been used already from the allowance for answers.
func (c *credits) pay(bytes float32, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.owes.take(answers, bytes, now)
}

// giveBack is give, and gives back bytes of the allowance for answers. The
// result does not depend on the time, so it needs no clock.
func (c *credits) giveBack(bytes float32) {
	c.mu.Lock()
	c.owes.bytes = max(0, c.owes.bytes-bytes)
	c.used--
	c.wakeLocked()
	c.mu.Unlock()
}

// first reports whether the debt has not been reported yet.
func (c *credits) first() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.owes.first()
}

// lift ends all waiting: nothing that is in flight will be answered.
func (c *credits) lift() {
	c.mu.Lock()
	c.limit = unlimited
	c.wakeLocked()
	c.mu.Unlock()
}

func (c *credits) wakeLocked() {
	if c.free != nil {
		close(c.free)
		c.free = nil
	}
}

// A call is one remote method call on its way through the instance.
type call struct {
	from   *Client
	method string
	args   amf.Args
	reply  func(amf.Value, error) // nil: no answer wanted

	charged bool // pendingCost, until it is answered; set before it is served
}

// begin serves the call, unless the client has to wait first. Instance
// goroutine.
func (k *call) begin() {
	c := k.from
	if c.free && c.parked == nil {
		c.in.turn.serve(k)
		return
	}
	if c.parked != nil || k.tryServe(false) > 0 {
		c.park(k.tryServe)
	}
}

// tryServe serves the call if the client need not wait. It is a task.
func (k *call) tryServe(last bool) (wait time.Duration) {
	c := k.from
	if c.free || last {
		c.in.turn.serve(k)
		return 0
	}
	now := time.Now()
	wait = c.in.Guard().Charge(c.IP(), callCost) // a hundred clients of one address get no more than a few
	if wait == 0 {
		wait = c.calls.charge(pendingCost, now)
	}
	if wait > 0 {
		if c.calls.first() {
			c.refused("answers", "You are making too many calls.", wait)
		}
		return wait
	}
	k.charged = true
	c.in.turn.serve(k)
	end := time.Now()
	c.calls.pay(float32(end.Sub(now).Seconds())*busyCost, end)
	return 0
}

// Answered says that an answer to the client took so many bytes. Any goroutine
// may use it.
func (c *Client) Answered(bytes int) {
	if bytes > callCost {
		c.calls.pay(float32(bytes-callCost), time.Now())
		if !c.free {
			c.in.Guard().Answered(c.IP(), bytes-callCost)
		}
	}
}

// answer ends the call, with the part of err that the caller may read, and
// gives back its credit.
func (k *call) answer(v amf.Value, err error) {
	k.done()
	if err != nil {
		k.from.in.log.Debug("call failed", "client", k.from.ID(), "method", brief(k.method, maxMethod), "err", err)
		err = words(err, Fail("Call failed."))
	}
	if k.reply != nil {
		k.reply(v, err)
	}
}

// done gives back whatever the call still holds.
func (k *call) done() {
	if k.charged {
		k.from.calls.giveBack(pendingCost - callCost)
		return
	}
	k.from.calls.give()
}
