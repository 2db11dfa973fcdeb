package server

import (
	"context"
	"log/slog"
	"sync"
	"testing"

	"foyer/server/amf"
)

// testApp is an Application made of functions. Those that are nil do the usual.
type testApp struct {
	in         *Instance
	start      func(*Instance) error
	connect    func(*Client, amf.Args) error
	disconnect func(*Client, error)
	stop       func()
	methods    map[string]Method
}

func (a *testApp) OnAppStart(in *Instance) error {
	a.in = in
	if a.start != nil {
		return a.start(in)
	}
	return nil
}

func (a *testApp) OnConnect(c *Client, args amf.Args) error {
	if a.connect != nil {
		return a.connect(c, args)
	}
	return nil
}

func (a *testApp) OnDisconnect(c *Client, err error) {
	if a.disconnect != nil {
		a.disconnect(c, err)
	}
}

func (a *testApp) OnAppStop() {
	if a.stop != nil {
		a.stop()
	}
}

func (a *testApp) Methods() map[string]Method { return a.methods }

// fakePeer keeps everything that it is told.
type fakePeer struct {
	mu       sync.Mutex
	pushed   []*Push
	closed   []error
	requests []string
}

func (p *fakePeer) Push(m *Push) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pushed = append(p.pushed, m)
	return nil
}

func (p *fakePeer) Request(method string, args []amf.Value, done func(amf.Value, error)) error {
	p.mu.Lock()
	p.requests = append(p.requests, method)
	p.mu.Unlock()
	go done(amf.String("did "+method), nil)
	return nil
}

func (p *fakePeer) Close(reason error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = append(p.closed, reason)
}

func (p *fakePeer) methods() (all []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.pushed {
		all = append(all, m.Method)
	}
	return all
}

// newHost is a host of one application, "app", that stops with the test.
func newHost(t *testing.T, make func() Application) *Host {
	h := &Host{Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))}
	h.Handle("app", make)
	return h
}

// same makes every instance of an application the same value.
func same(a *testApp) func() Application { return func() Application { return a } }

// join connects a fake peer to app/x, or fails the test.
func join(t *testing.T, h *Host, args ...amf.Value) (*Client, *fakePeer) {
	t.Helper()
	p := new(fakePeer)
	c, err := h.Connect(t.Context(), p, Request{Path: "app/x", Args: args, Protocol: "ws"})
	if err != nil {
		t.Fatal(err)
	}
	return c, p
}

func stopHost(h *Host) { h.Stop(context.Background()) }
