package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"

	"foyer/server/amf"
	"foyer/server/rtmp"
	"foyer/server/sharedobject"
)

// DefaultAgent is the Agent of a connection unless Options has one.
const DefaultAgent = "foyer/1 (netconnection)"

// ErrInUse means that the connection already has this shared object.
var ErrInUse = errors.New("client: shared object is in use")

// Options are optional. The zero value is usable.
type Options struct {
	// Methods may be called by the server. They run one at a time, in order. A
	// *rtmp.StatusError goes to the server as it is, any other error as
	// NetConnection.Call.Failed without its text.
	Methods map[string]func(args amf.Args) (amf.Value, error)
	// OnStatus is called with onStatus of the connection.
	OnStatus func(*rtmp.StatusError)
	// OnReconnect is called instead of OnStatus when the server asks the
	// program to connect again. The connection continues until either side
	// closes it; the server waits a few seconds at most. nil: the server is not
	// told that this program understands such requests, and sends none.
	OnReconnect func(Reconnect)
	Agent       string // flashVer; "" means DefaultAgent
	// ObjectEncoding 3 offers AMF3; the server may decline.
	ObjectEncoding int
	TLS            *tls.Config // for rtmps; nil means the system's certificates
	// Dial opens the transport; nil means net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// A NetConnection is a connection to an application instance. Its methods are
// safe for concurrent use.
type NetConnection struct {
	// set by Dial
	o       Options
	asked   string // the address that Dial was given
	uri     string // the one that it was led to
	session *rtmp.Session

	// guarded by mu
	mu      sync.Mutex
	objects map[key]*SharedObject
}

// key identifies a shared object: a persistent and a temporary one with the
// same name are two objects.
type key struct {
	name       string
	persistent bool
}

// Dial connects to an absolute address ("rtmp://localhost/room/blue"), with the
// user arguments args. It follows a redirection to another server (ex.code
// 302). ctx bounds the time for connecting, not the connection. A rejection is
// a *rtmp.StatusError in the error's chain, a bad address a *rtmp.AddressError.
// The caller must Close the connection.
func Dial(ctx context.Context, uri string, o Options, args ...amf.Value) (*NetConnection, error) {
	if o.Agent == "" {
		o.Agent = DefaultAgent
	}
	nc := &NetConnection{o: o, asked: uri, uri: uri, objects: make(map[key]*SharedObject)}
	req := rtmp.ConnectRequest{FlashVer: o.Agent, ObjectEncoding: o.ObjectEncoding, Args: args}
	if o.OnReconnect != nil {
		req.Object = amf.Object{rtmp.Reconnecting()}
	}
	dial := func() (*rtmp.Session, error) {
		req := req // Dial sets the fields for the address
		session, _, err := rtmp.Dial(ctx, nc.uri, &req, rtmp.DialOptions{Handler: handler{nc}, Dial: o.Dial, TLS: o.TLS})
		return session, err
	}
	session, err := dial()
	for n := 0; n < maxRedirects && nc.redirected(err); n++ {
		session, err = dial()
	}
	if err != nil {
		return nil, err
	}
	nc.session = session
	// The connection's goroutine. Close ends it and waits for it, through Done;
	// its error is the session's own, which Err returns.
	go session.Run(context.WithoutCancel(ctx))
	return nc, nil
}

// Call calls a method of the server and waits for the answer. The error is the
// *rtmp.StatusError of a call that failed, the cause of ctx, or the reason for
// which the connection ended.
func (nc *NetConnection) Call(ctx context.Context, method string, args ...amf.Value) (amf.Value, error) {
	return nc.session.Call(ctx, method, args...)
}

// Notify calls a method of the server without asking for an answer. It does not
// wait.
func (nc *NetConnection) Notify(method string, args ...amf.Value) error {
	return nc.session.Request(method, args, nil)
}

// Done is closed when the connection has ended.
func (nc *NetConnection) Done() <-chan struct{} { return nc.session.Done() }

// Err returns why the connection has ended or is ending, or nil:
// rtmp.ErrGoodbye when the server said goodbye, rtmp.ErrClosed when it just
// left or after Close.
func (nc *NetConnection) Err() error { return nc.session.Err() }

// Close says goodbye and waits until the connection has ended. The error is nil
// if the connection ended with a goodbye, or because the peer left.
func (nc *NetConnection) Close() error {
	nc.session.Close(nil)
	<-nc.session.Done()
	err := nc.session.Err()
	if errors.Is(err, rtmp.ErrClosed) || errors.Is(err, rtmp.ErrGoodbye) {
		return nil
	}
	return err
}

// handler is a NetConnection in the role of its session's Handler. Its methods
// run on the session's goroutine.
type handler struct{ nc *NetConnection }

// ServeCall implements rtmp.Handler.
func (h handler) ServeCall(c *rtmp.Call) {
	method, ok := h.nc.o.Methods[c.Method]
	switch {
	case ok:
		v, err := method(c.Args)
		if err != nil {
			c.Fail(err)
			return
		}
		c.Reply(v)
	case strings.HasPrefix(c.Method, "_onbw"): // bandwidth checks of Adobe's servers
		c.Reply(amf.Null{})
	default:
		c.Fail(rtmp.MethodNotFound(c.Method))
	}
}

// ServeStatus implements rtmp.StatusHandler.
func (h handler) ServeStatus(info amf.Object) {
	status := rtmp.ParseStatus(info)
	switch {
	case status.Code == rtmp.CodeReconnectRequest && h.nc.o.OnReconnect != nil:
		h.nc.o.OnReconnect(h.nc.reconnect(status))
	case h.nc.o.OnStatus != nil:
		h.nc.o.OnStatus(status)
	}
}

// ServeSharedObject implements rtmp.SharedObjectHandler.
func (h handler) ServeSharedObject(m rtmp.Message) {
	so, err := sharedobject.Parse(m.Payload, m.Type == rtmp.TypeSharedObjectAMF3)
	if err != nil {
		h.nc.session.Close(fmt.Errorf("reading shared object message: %w", err))
		return
	}
	h.nc.mu.Lock()
	object := h.nc.objects[key{so.Name, so.Persistent}]
	h.nc.mu.Unlock()
	if object != nil { // otherwise the message was sent before our release arrived
		object.apply(so)
	}
}
