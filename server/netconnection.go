package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"foyer/server/amf"
	"foyer/server/rtmp"
)

// agent is the flashVer of our instances.
const agent = "FlashCom/1.5.2 foyer"

// NetConnection is an instance's connection to another instance, here or on
// another server, always over the wire. It is used as in the seed page: make
// it, set OnStatus, Connect. All its methods, OnStatus and results run on the
// instance goroutine. It does not keep its own instance from stopping, and is
// closed when the instance has stopped.
type NetConnection struct {
	// OnStatus hears of NetConnection.Connect.Success, .Failed, .Rejected,
	// .Closed and of NetConnection.Call.Failed. Closed follows Rejected and the
	// end of a connection. OnStatus may connect again.
	OnStatus func(info *rtmp.StatusError)
	// Methods are those that the other side may call.
	Methods map[string]func(args amf.Args) (amf.Value, error)

	in   *Instance
	uri  string
	link *link // of the last Connect; nil when it has ended
}

// NewNetConnection makes a NetConnection that is not connected.
func (in *Instance) NewNetConnection() *NetConnection { return &NetConnection{in: in} }

// Connect starts to connect and returns. A relative address, or one that is not
// rtmp or rtmps, is an error at once; everything else is told to OnStatus. A
// connection that is still there is closed first, and OnStatus hears nothing
// more of it.
func (nc *NetConnection) Connect(uri string, args ...amf.Value) error {
	if err := checkAddress(uri); err != nil {
		return err
	}
	if nc.in.life.phase >= phaseStopping {
		return fmt.Errorf("connecting to %s: %w", uri, errStopped)
	}
	if nc.link != nil {
		nc.link.goodbye()
		nc.link.cancel()
	}
	l := &link{nc: nc}
	l.calls.limit = MaxCalls
	l.ctx, l.cancel = context.WithCancel(context.WithoutCancel(nc.in.ctx))
	nc.uri, nc.link = uri, l
	if nc.in.links == nil {
		nc.in.links = make(map[*link]bool)
	}
	nc.in.links[l] = true
	nc.in.wg.Go(func() { l.run(uri, args) })
	return nil
}

// checkAddress refuses addresses that have no meaning between servers: without
// a host or an application, or of an HTTP tunnel.
func checkAddress(uri string) error {
	a, err := rtmp.ParseURI(uri)
	if err == nil && strings.Trim(a.App, "/") == "" {
		err = &rtmp.AddressError{URI: uri, Reason: "it names no application"}
	}
	if err != nil {
		return fmt.Errorf("%w: write it as rtmp://HOST/APPLICATION/INSTANCE", err)
	}
	return nil
}

// Call calls a method of the other side. With a nil result no answer is wanted,
// and OnStatus hears of a failure.
func (nc *NetConnection) Call(method string, result func(amf.Value, error), args ...amf.Value) {
	err := error(Fail("The NetConnection is not connected."))
	if nc.IsConnected() {
		err = nc.link.session.Request(method, args, nc.done(result))
	}
	if err == nil {
		return
	}
	nc.in.Post(func() {
		if result != nil {
			result(nil, err)
		} else {
			nc.status("error", rtmp.CodeCallFailed, err.Error())
		}
	})
}

// done brings a result to the instance goroutine.
func (nc *NetConnection) done(result func(amf.Value, error)) func(amf.Value, error) {
	if result == nil {
		return nil
	}
	return func(v amf.Value, err error) { nc.in.Post(func() { result(v, err) }) }
}

// Close sends the command close and ends the connection. OnStatus hears of
// Closed when it has ended.
func (nc *NetConnection) Close() {
	if nc.link != nil {
		nc.link.goodbye()
	}
}

// IsConnected reports whether calls can be made: from Success to the end.
func (nc *NetConnection) IsConnected() bool { return nc.link != nil && nc.link.connected }

// URI is the address of the last Connect.
func (nc *NetConnection) URI() string { return nc.uri }

func (nc *NetConnection) status(level, code, description string) {
	nc.deliver(&rtmp.StatusError{Level: level, Code: code, Description: description})
}

func (nc *NetConnection) deliver(s *rtmp.StatusError) {
	nc.in.log.Debug("netconnection status", "uri", nc.uri, "code", s.Code, "err", s.Description)
	if nc.OnStatus != nil {
		nc.OnStatus(s)
	}
}

// link is one connection of a NetConnection, from Connect to its end.
type link struct {
	nc     *NetConnection
	ctx    context.Context
	cancel context.CancelFunc
	calls  credits

	// owned by the instance goroutine
	connected bool
	session   *rtmp.Session // set while connected

	mu      sync.Mutex    // guards what follows
	reached bool          // there is a transport
	open    *rtmp.Session // nil while dialing
	closed  bool          // goodbye was called
}

// run dials, then moves messages until the end. The instance waits for it when
// it stops.
func (l *link) run(uri string, args []amf.Value) {
	defer l.cancel()
	in := l.nc.in
	r := &rtmp.ConnectRequest{FlashVer: agent, SWFURL: in.ref, Args: args}
	s, info, err := rtmp.Dial(l.ctx, uri, r, rtmp.DialOptions{Config: in.host.wireConfig(), Handler: l, Dial: l.dial})
	if err != nil {
		in.Post(func() { l.failed(err) })
		return
	}
	l.mu.Lock()
	l.open = s
	closed := l.closed
	l.mu.Unlock()
	if closed {
		s.Close(nil)
	}
	in.Post(func() { l.succeeded(s, rtmp.ParseStatus(info)) })
	// Not l.ctx: when the instance ends, the peer is told.
	err = s.Run(context.Background())
	l.calls.lift()
	in.Post(func() { l.ended(err) })
}

func (l *link) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	dial := l.nc.in.host.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	c, err := dial(ctx, network, addr)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reached = err == nil
	return c, err
}

// goodbyeTime is how long a link that has to end may still wait for the answer
// to its connect. The other side may have let it in already, and should be told
// instead of seeing it vanish.
const goodbyeTime = time.Second

// goodbye ends the link from this side and does not wait. An open link sends
// the command close, one that waits for an answer sends it afterwards, and one
// that is dialing gives up.
func (l *link) goodbye() {
	l.connected = false
	l.mu.Lock()
	l.closed = true
	s, reached := l.open, l.reached
	l.mu.Unlock()
	switch {
	case s != nil:
		s.Close(nil)
	case reached:
		enough := time.AfterFunc(goodbyeTime, l.cancel)
		context.AfterFunc(l.ctx, func() { enough.Stop() })
	default:
		l.cancel()
	}
}

// current reports whether this is still the link of its NetConnection.
func (l *link) current() bool { return l.nc.link == l }

func (l *link) succeeded(s *rtmp.Session, info *rtmp.StatusError) {
	if l.closed || !l.current() { // only this goroutine sets closed
		return
	}
	l.session, l.connected = s, true
	l.nc.deliver(info)
}

// failed ends a link that was refused by the other side or never got there.
func (l *link) failed(err error) {
	if !l.forget() {
		return
	}
	if s, ok := errors.AsType[*rtmp.StatusError](err); ok {
		l.nc.deliver(s)
		if l.nc.link == nil {
			l.nc.status("status", rtmp.CodeConnectClosed, "Connection closed.")
		}
		return
	}
	if l.closed {
		l.nc.status("status", rtmp.CodeConnectClosed, "Connection closed.")
		return
	}
	l.nc.status("error", rtmp.CodeConnectFailed, err.Error())
}

func (l *link) ended(err error) {
	if l.forget() {
		l.nc.in.log.Debug("netconnection closed", "uri", l.nc.uri, "err", err)
		l.nc.status("status", rtmp.CodeConnectClosed, "Connection closed.")
	}
}

// forget removes the link, and reports whether OnStatus is to hear of it.
func (l *link) forget() bool {
	l.connected = false
	delete(l.nc.in.links, l)
	if !l.current() {
		return false
	}
	l.nc.link = nil
	return true
}

// ServeCall takes a call of the other side. It is an rtmp.Handler's.
func (l *link) ServeCall(k *rtmp.Call) {
	reply := answer(k, nil)
	l.calls.take()
	ok := l.nc.in.post(func() {
		defer l.calls.give()
		l.serve(k.Method, k.Args, reply)
	})
	if !ok {
		l.calls.give()
		k.Fail(appShutdown())
	}
}

func (l *link) serve(method string, args amf.Args, reply func(amf.Value, error)) {
	var v amf.Value
	err := error(rtmp.MethodNotFound(method))
	if m := l.nc.Methods[method]; m != nil && !l.nc.in.broken() {
		v, err = m(args)
	}
	if err != nil {
		l.nc.in.log.Debug("call failed", "uri", l.nc.uri, "method", method, "err", err)
		err = words(err, Fail("Call failed."))
	}
	if reply != nil {
		reply(v, err)
	}
}

// ServeStatus takes onStatus of the other side. It is an rtmp.StatusHandler's.
func (l *link) ServeStatus(info amf.Object) {
	l.nc.in.Post(func() {
		if l.current() {
			l.nc.deliver(rtmp.ParseStatus(info))
		}
	})
}
