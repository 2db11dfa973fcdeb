package client_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"

	"foyer/client"
	"foyer/server/amf"
	"foyer/server/rtmp"
	"foyer/server/rtmp/rtmptest"
	"foyer/server/sharedobject"
)

// A server is a small server: one instance with shared objects.
type server struct {
	wg sync.WaitGroup

	mu      sync.Mutex
	objects map[string]*sharedobject.Object[*peer]
	seen    []*rtmp.ConnectRequest
	peers   []*peer
	calls   []string // the methods that peers called
	ends    []error  // why the peers left
}

func newServer() *server {
	return &server{objects: make(map[string]*sharedobject.Object[*peer])}
}

// A peer is one connection to the server.
type peer struct {
	*server
	session *rtmp.Session
}

// serve serves a connection until it ends. A peer with a wrong password is
// rejected, and a peer that belongs at another address is sent there.
func (s *server) serve(nc net.Conn) error {
	c, err := rtmp.NewServerConn(context.Background(), nc, nil)
	if err != nil {
		return err
	}
	r, err := rtmp.ReadConnect(context.Background(), c)
	if err != nil {
		return err
	}
	if password, _ := amf.AsString(r.Args.At(1)); password == "wrong" {
		return r.Reject(&rtmp.StatusError{Code: rtmp.CodeConnectRejected, Description: "Invalid room connection attempt."})
	}
	if to, _ := amf.AsString(r.Args.At(2)); to != "" && r.TCURL != to {
		if to == "farther" {
			to = r.TCURL + "x"
		}
		return r.Reject(&rtmp.StatusError{Code: rtmp.CodeConnectRejected, Description: "Elsewhere.", Extra: []amf.Field{{
			Name: "ex", Value: amf.Object{{Name: "code", Value: amf.Number(302)}, {Name: "redirect", Value: amf.String(to)}},
		}}})
	}
	if err := r.Accept(); err != nil {
		return err
	}
	p := &peer{server: s}
	p.session = rtmp.NewSession(c, p, r.ObjectEncoding)
	s.mu.Lock()
	s.seen = append(s.seen, r)
	s.peers = append(s.peers, p)
	s.mu.Unlock()
	err = p.session.Run(context.Background())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ends = append(s.ends, err)
	for _, o := range s.objects {
		o.Release(p)
	}
	return nil
}

// dial connects to the server in memory.
func (s *server) dial(t *testing.T, o client.Options, args ...amf.Value) (*client.NetConnection, error) {
	o.Dial = func(context.Context, string, string) (net.Conn, error) {
		cnc, snc := rtmptest.Pipe()
		s.wg.Go(func() {
			if err := s.serve(snc); err != nil {
				t.Error(err)
			}
		})
		return cnc, nil
	}
	return client.Dial(t.Context(), "rtmp://test/room/blue", o, args...)
}

// connect dials and closes when the test is over.
func (s *server) connect(t *testing.T, o client.Options) *client.NetConnection {
	t.Helper()
	nc, err := s.dial(t, o)
	if err != nil {
		t.Fatal(err)
	}
	return nc
}

func (p *peer) ServeCall(c *rtmp.Call) {
	p.mu.Lock()
	p.calls = append(p.calls, c.Method)
	p.mu.Unlock()
	switch c.Method {
	case "echo":
		c.Reply(c.Args.At(0))
	case "refuse":
		c.Fail(&rtmp.StatusError{Code: rtmp.CodeCallFailed, Description: "Not allowed."})
	case "callBack": // calls the method it is told to, and answers with the result, or the text of the error
		method, _ := amf.AsString(c.Args.At(0))
		err := p.session.Request(method, c.Args[1:], func(v amf.Value, err error) {
			if err != nil {
				v = amf.String(err.Error())
			}
			c.Reply(v)
		})
		if err != nil {
			c.Fail(err)
		}
	case "never":
	case "bye":
		p.session.Close(nil)
	case "kick":
		p.session.Close(&rtmp.StatusError{Code: rtmp.CodeConnectShutdown, Description: "Enough."})
	case "garble":
		p.session.Send(rtmp.Pack(rtmp.Message{Type: rtmp.TypeSharedObjectAMF0, Payload: []byte("\xff")}))
	default:
		c.Fail(rtmp.MethodNotFound(c.Method))
	}
}

func (p *peer) ServeSharedObject(m rtmp.Message) {
	so, err := sharedobject.Parse(m.Payload, m.Type == rtmp.TypeSharedObjectAMF3)
	if err != nil {
		p.session.Close(err)
		return
	}
	if strings.HasPrefix(so.Name, "secret") {
		p.push(sharedobject.Refusal(so.Name, so.Persistent, sharedobject.CodeNoReadAccess))
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	o := p.objectLocked(so.Name, so.Persistent)
	for _, e := range so.Events {
		switch e.Type {
		case sharedobject.Use:
			o.Use(p, so.Version)
		case sharedobject.Release:
			o.Release(p)
		default:
			_ = o.Request(p, e, e.Slot != "readonly")
		}
	}
	o.Flush((*peer).push)
}

func (s *server) objectLocked(name string, persistent bool) *sharedobject.Object[*peer] {
	k := name
	if persistent {
		k += " persistent"
	}
	if s.objects[k] == nil {
		s.objects[k] = sharedobject.New[*peer](name, persistent, 1)
	}
	return s.objects[k]
}

func (p *peer) push(m *sharedobject.Message) {
	t, amf3 := rtmp.TypeSharedObjectAMF0, p.session.ObjectEncoding() == 3
	if amf3 {
		t = rtmp.TypeSharedObjectAMF3
	}
	p.session.Send(rtmp.Pack(rtmp.Message{Type: t, Payload: m.Append(nil, amf3)}))
}

// own changes an object as its owner.
func (s *server) own(name string, change func(*sharedobject.Object[*peer])) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.objectLocked(name, false)
	change(o)
	o.Flush((*peer).push)
}

// left returns why the only peer has left.
func (s *server) left(t *testing.T) error {
	t.Helper()
	s.wg.Wait()
	if len(s.ends) != 1 {
		t.Fatalf("%d peers have left", len(s.ends))
	}
	return s.ends[0]
}

var errOwn = errors.New("own words")
