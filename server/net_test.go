package server

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"foyer/server/amf"
	"foyer/server/rtmp"
	"foyer/server/rtmp/rtmptest"
)

// network is a network in memory: hosts listen by name.
type network struct {
	mu        sync.Mutex
	listeners map[string]*listener
}

// listener is a net.Listener of a network.
type listener struct {
	name   string
	conns  chan net.Conn
	errs   chan error
	closed chan struct{}
	once   sync.Once
}

func (n *network) listen(name string) *listener {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners == nil {
		n.listeners = make(map[string]*listener)
	}
	l := &listener{name: name, conns: make(chan net.Conn), errs: make(chan error), closed: make(chan struct{})}
	n.listeners[name] = l
	return l
}

// Dial connects to the listener of that name, whatever the port.
func (n *network) Dial(ctx context.Context, _, addr string) (net.Conn, error) {
	name, _, _ := strings.Cut(addr, ":")
	n.mu.Lock()
	l := n.listeners[name]
	n.mu.Unlock()
	if l == nil {
		return nil, errors.New("no such host: " + name)
	}
	client, server := rtmptest.Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-l.closed:
		return nil, errors.New("connection refused by " + name)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case err := <-l.errs:
		return nil, err
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *listener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1935} }

// serve serves h under a name of the network. The function that it returns must
// be called before the test's bubble ends.
func serve(t *testing.T, n *network, name string, h *Host) (stop func()) {
	t.Helper()
	h.Dial = n.Dial
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	l := n.listen(name)
	go func() { ended <- h.Serve(ctx, l) }()
	return func() {
		h.Stop(context.Background())
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	}
}

// caller is a client program: a session and everything that it was told.
type caller struct {
	*rtmp.Session
	info    amf.Object
	ended   chan error
	mu      sync.Mutex
	called  []string
	status  []*rtmp.StatusError
	objects []rtmp.Message
}

func (c *caller) ServeCall(k *rtmp.Call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.called = append(c.called, k.Method)
	k.Reply(amf.String("did " + k.Method))
}

func (c *caller) ServeStatus(info amf.Object) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status = append(c.status, rtmp.ParseStatus(info))
}

func (c *caller) ServeSharedObject(m rtmp.Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.objects = append(c.objects, m)
}

func (c *caller) calls() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.called...)
}

// dial connects a client program and runs its session.
func dial(t *testing.T, n *network, uri string, args ...amf.Value) (*caller, error) {
	t.Helper()
	c := &caller{ended: make(chan error, 1)}
	s, info, err := rtmp.Dial(context.Background(), uri, &rtmp.ConnectRequest{Args: args},
		rtmp.DialOptions{Handler: c, Dial: n.Dial})
	if err != nil {
		return nil, err
	}
	c.Session, c.info = s, info
	go func() { c.ended <- s.Run(context.Background()) }()
	return c, nil
}

// mustDial is dial for a client that has to be let in.
func mustDial(t *testing.T, n *network, uri string, args ...amf.Value) *caller {
	t.Helper()
	c, err := dial(t, n, uri, args...)
	if err != nil {
		t.Fatalf("dialing %s: %v", uri, err)
	}
	synctest.Wait()
	return c
}
