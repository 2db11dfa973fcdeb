package lobby_test

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"

	"foyer/lobby"
	"foyer/server"
	"foyer/server/amf"
	"foyer/server/rtmp"
	"foyer/server/sharedobject"
)

const (
	secret = "secretPassword6"
	token  = "admin token"
)

// newHost returns a host with a lobby.
func newHost(t *testing.T, cfg lobby.Config) *server.Host {
	t.Helper()
	h := &server.Host{Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	h.Handle("lobby", func() server.Application { return lobby.New(cfg) })
	t.Cleanup(func() { h.Stop(context.Background()) })
	return h
}

func newLobby(t *testing.T) *server.Host {
	return newHost(t, lobby.Config{Secret: secret, AdminToken: token})
}

// peer is a connection that only remembers what it was sent.
type peer struct {
	t      *testing.T
	client *server.Client

	mu       sync.Mutex
	calls    []call
	rooms    sharedobject.Replica
	messages int // of shared objects
	refused  string
	closed   error
}

type call struct {
	method string
	args   []amf.Value
}

func (p *peer) Push(m *server.Push) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case m.Method != "":
		p.calls = append(p.calls, call{m.Method, m.Args})
	case m.SharedObject != nil:
		p.messages++
		p.rooms.Apply(m.SharedObject)
		for _, e := range m.SharedObject.Events {
			if e.Type == sharedobject.Status {
				p.refused = e.Code
			}
		}
	}
	return nil
}

func (p *peer) Request(string, []amf.Value, func(amf.Value, error)) error { return rtmp.ErrClosed }

func (p *peer) Close(reason error) {
	p.mu.Lock()
	p.closed = reason
	client := p.client
	p.mu.Unlock()
	if client != nil {
		client.Leave(reason)
	}
}

// connect comes to the lobby from 192.0.2.1.
func connect(t *testing.T, h *server.Host, args ...amf.Value) (*peer, error) {
	return connectFrom(t, h, "192.0.2.1", args...)
}

func connectFrom(t *testing.T, h *server.Host, ip string, args ...amf.Value) (*peer, error) {
	return connectUntil(t, t.Context(), h, ip, args...)
}

func connectUntil(t *testing.T, ctx context.Context, h *server.Host, ip string, args ...amf.Value) (*peer, error) {
	p := &peer{t: t}
	c, err := h.Connect(ctx, p, server.Request{
		Path: "lobby", Args: args, Addr: netip.AddrPortFrom(netip.MustParseAddr(ip), 1), Protocol: "rtmp",
	})
	p.mu.Lock()
	p.client = c
	p.mu.Unlock()
	return p, err
}

// must connects, which has to work.
func must(t *testing.T, h *server.Host, args ...amf.Value) *peer {
	t.Helper()
	p, err := connect(t, h, args...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func mustRoom(t *testing.T, h *server.Host, name, node string) *peer {
	t.Helper()
	return must(t, h, amf.String(name), amf.String(secret), amf.Object{
		{Name: "node", Value: amf.String(node)}, {Name: "epoch", Value: amf.Number(1)},
		{Name: "resume", Value: amf.String(resumeOf(name, node))},
	})
}

// resumeOf is the resume that mustRoom gives.
func resumeOf(name, node string) string { return "room " + name + ", started at " + node }

// call calls a method and waits for the answer.
func (p *peer) call(method string, args ...amf.Value) (amf.Value, error) {
	type answer struct {
		v   amf.Value
		err error
	}
	c := make(chan answer, 1)
	p.client.ServeCall(method, args, func(v amf.Value, err error) { c <- answer{v, err} })
	a := <-c
	return a.v, a.err
}

// report reports s, and returns whether it was ignored.
func (p *peer) report(s lobby.Status) (ignored bool) {
	p.t.Helper()
	v, err := p.call(lobby.MethodReport, s.Value())
	if err != nil {
		p.t.Fatal(err)
	}
	if n, _ := amf.AsNumber(amf.Lookup(v, "interval")); n != 5000 {
		p.t.Errorf("interval: got %v, want 5000", n)
	}
	ignored, _ = amf.AsBool(amf.Lookup(v, "ignored"))
	return ignored
}

// entries returns the answer of rooms(query).
func (p *peer) entries(query ...amf.Value) []lobby.Entry {
	p.t.Helper()
	v, err := p.call(lobby.MethodRooms, query...)
	if err != nil {
		p.t.Fatal(err)
	}
	var list []lobby.Entry
	for _, v := range v.(amf.StrictArray) {
		e, err := lobby.ParseEntry(v)
		if err != nil {
			p.t.Fatal(err)
		}
		list = append(list, e)
	}
	return list
}

// state returns the state of a room, "" when it is not listed.
func (p *peer) state(name string) string {
	p.t.Helper()
	for _, e := range p.entries() {
		if e.Name == name {
			return e.State
		}
	}
	return ""
}

// watch uses the shared object.
func (p *peer) watch() *peer {
	p.client.ServeSharedObject(&sharedobject.Message{Name: lobby.ObjectRooms, Events: []sharedobject.Event{{Type: sharedobject.Use}}})
	synctest.Wait()
	return p
}

func (p *peer) slot(name string) (lobby.Entry, bool) {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	v, ok := p.rooms.Slots[name]
	if !ok {
		return lobby.Entry{}, false
	}
	e, err := lobby.ParseEntry(v)
	if err != nil {
		p.t.Error(err)
	}
	return e, true
}

func (p *peer) received() int {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.messages
}

// rejection returns the parts of a *rtmp.StatusError.
func rejection(err error) (code, description string) {
	if s, ok := errors.AsType[*rtmp.StatusError](err); ok {
		return s.Code, s.Description
	}
	return "", ""
}
