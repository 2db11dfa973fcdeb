package room_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"foyer/room"
	"foyer/server"
	"foyer/server/amf"
	"foyer/server/rtmp"
	"foyer/server/sharedobject"
)

const (
	secret = "secretPassword6"
	token  = "admin token"
	key    = "stream-key"
)

func config() room.Config {
	return room.Config{
		Secret: secret, AdminToken: token, Node: "n1", PublicRTMP: "rtmp://h:1935", PublicHTTP: "http://h:8080",
		StreamKey: keyOf, Takeover: true,
	}
}

// keyOf is the key of a room: the first one of blue is stream-key-blue.
func keyOf(name string, generation int64) string {
	if generation == 0 {
		return key + "-" + name
	}
	return fmt.Sprintf("%s-%s-%d", key, name, generation)
}

// newHost returns a host with rooms.
func newHost(t *testing.T, cfg room.Config) *server.Host {
	t.Helper()
	h := &server.Host{Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	h.Handle("room", func() server.Application { return room.New(cfg) })
	t.Cleanup(func() { h.Stop(context.Background()) })
	return h
}

// peer is a connection that only remembers what it was sent.
type peer struct {
	t *testing.T

	mu       sync.Mutex
	client   *server.Client
	calls    []string // as method(args)
	pushes   []*server.Push
	statuses []*rtmp.StatusError // of the connection
	objects  map[string]*sharedobject.Replica
	status   string // of the last message of a shared object that had one
	closed   error
}

func (p *peer) Push(m *server.Push) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if m.Method != "" {
		p.calls = append(p.calls, fmt.Sprintf("%s(%s)", m.Method, brief(m.Args...)))
		p.pushes = append(p.pushes, m)
	}
	if m.Status != nil {
		p.statuses = append(p.statuses, m.Status)
	}
	if so := m.SharedObject; so != nil {
		if p.objects[so.Name] == nil {
			p.objects[so.Name] = new(sharedobject.Replica)
		}
		p.objects[so.Name].Apply(so)
		for _, e := range so.Events {
			if e.Type == sharedobject.Status {
				p.status = e.Code
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

// connect comes to the room blue from 192.0.2.1.
func connect(t *testing.T, h *server.Host, args ...amf.Value) (*peer, error) {
	return connectAs(t, h, server.Request{Args: args})
}

func connectAs(t *testing.T, h *server.Host, r server.Request) (*peer, error) {
	t.Helper()
	if r.Path == "" {
		r.Path = "room/blue"
	}
	if r.Protocol == "" {
		r.Protocol = "rtmp"
	}
	if !r.Addr.IsValid() {
		r.Addr = netip.MustParseAddrPort("192.0.2.1:1")
	}
	p := &peer{t: t, objects: make(map[string]*sharedobject.Replica)}
	c, err := h.Connect(t.Context(), p, r)
	p.mu.Lock()
	p.client = c
	p.mu.Unlock()
	return p, err
}

// join comes with a nick and, if given, a credential.
func join(t *testing.T, h *server.Host, nick string, credential ...amf.Value) *peer {
	t.Helper()
	p, err := connect(t, h, append([]amf.Value{amf.String(nick)}, credential...)...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func spectate(t *testing.T, h *server.Host) *peer {
	t.Helper()
	p, err := connect(t, h)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func moderate(t *testing.T, h *server.Host) *peer {
	t.Helper()
	return join(t, h, "mod", amf.String(token))
}

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

// must calls a method that has to work.
func (p *peer) must(method string, args ...amf.Value) amf.Value {
	p.t.Helper()
	v, err := p.call(method, args...)
	if err != nil {
		p.t.Fatalf("%s: %v", method, err)
	}
	return v
}

// refused calls a method that has to fail, and returns the refusal.
func (p *peer) refused(method string, args ...amf.Value) *rtmp.StatusError {
	p.t.Helper()
	v, err := p.call(method, args...)
	s, ok := errors.AsType[*rtmp.StatusError](err)
	if !ok {
		p.t.Fatalf("%s: got %v, %v, want a refusal", method, v, err)
	}
	if s.Code != rtmp.CodeCallFailed {
		p.t.Errorf("%s: got code %s", method, s.Code)
	}
	return s
}

func (p *peer) say(text string) { p.t.Helper(); p.must("say", amf.String(text)) }

// heard returns, and forgets, what the peer was told.
func (p *peer) heard() string {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	s := strings.Join(p.calls, " ")
	p.calls = nil
	return s
}

func (p *peer) use(object string, persistent bool) {
	p.client.ServeSharedObject(&sharedobject.Message{Name: object, Persistent: persistent, Events: []sharedobject.Event{{Type: sharedobject.Use}}})
	synctest.Wait()
}

// write asks for a slot, and returns the status that came back.
func (p *peer) write(object, slot string, v amf.Value) string {
	p.mu.Lock()
	p.status = ""
	p.mu.Unlock()
	p.client.ServeSharedObject(&sharedobject.Message{Name: object, Events: []sharedobject.Event{{Type: sharedobject.RequestChange, Slot: slot, Value: v}}})
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status
}

// slot returns a slot of an object, as text.
func (p *peer) slot(object, slot string) string {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.objects[object] == nil {
		return ""
	}
	v, ok := p.objects[object].Slots[slot]
	if !ok {
		return ""
	}
	return brief(v)
}

// brief writes values for comparison, without times.
func brief(vs ...amf.Value) string {
	var list []string
	for _, v := range vs {
		if raw, ok := v.(amf.Raw); ok {
			v, _ = amf.Parse(raw)
		}
		switch v := v.(type) {
		case amf.Object:
			var fields []string
			for _, f := range v {
				if f.Name == "at" || f.Name == "since" {
					continue
				}
				fields = append(fields, f.Name+":"+brief(f.Value))
			}
			list = append(list, "{"+strings.Join(fields, " ")+"}")
		case amf.StrictArray:
			list = append(list, "["+brief(v...)+"]")
		case amf.Null:
			list = append(list, "null")
		default:
			list = append(list, fmt.Sprint(v))
		}
	}
	return strings.Join(list, " ")
}

// application returns what a program reads in a refusal.
func application(err error) (reason string, retryAfter float64) {
	s, _ := errors.AsType[*rtmp.StatusError](err)
	if s == nil {
		return "", 0
	}
	reason, _ = amf.AsString(amf.Lookup(s.Application, "reason"))
	retryAfter, _ = amf.AsNumber(amf.Lookup(s.Application, "retryAfter"))
	return reason, retryAfter
}
