package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"foyer/server/amf"
	"foyer/server/rtmp"
	"foyer/server/sharedobject"
)

// guest is a client as the application of a site has seen it.
type guest struct{ node, addr, protocol, agent string }

// edgeApp is what a site runs.
type edgeApp struct {
	streamingApp
	node    string
	guests  []guest
	said    []string
	left    []error
	clients map[string]*Client // by first argument of connect
}

func (a *edgeApp) OnAppStart(in *Instance) error {
	a.in = in
	a.clients = make(map[string]*Client)
	in.SharedObject("held", false).Set("slot", amf.String("by "+a.node))
	return nil
}

func (a *edgeApp) OnConnect(c *Client, args amf.Args) error {
	name, _ := amf.AsString(args.At(0))
	if name == "banned" {
		e := comeBack(Reject(""), "You are banned.")
		e.Extra = []amf.Field{{Name: "ex", Value: amf.Object{{Name: "code", Value: amf.Number(302)}}}}
		return e
	}
	if name == "slow" {
		a.in.After(20*time.Second, func() { a.in.Accept(c) })
		return ErrPending
	}
	a.guests = append(a.guests, guest{a.node, c.req.Addr.String(), c.Protocol(), c.Agent()})
	a.clients[name] = c
	c.Push(&Push{Method: "welcome", Args: []amf.Value{amf.String(a.node)}})
	return nil
}

func (a *edgeApp) OnDisconnect(_ *Client, err error) { a.left = append(a.left, err) }

func (a *edgeApp) CanRead(*Client, string, bool) bool        { return true }
func (a *edgeApp) CanWrite(_ *Client, object, _ string) bool { return object != "held" }
func (a *edgeApp) OnLost(_ *Client, public string) bool {
	a.events = append(a.events, "lost "+public)
	return false
}

func (a *edgeApp) Methods() map[string]Method {
	return map[string]Method{
		"where": func(c *Client, _ amf.Args) (amf.Value, error) {
			return amf.String(fmt.Sprint(a.node, " ", c.Local())), nil
		},
		"fail": func(*Client, amf.Args) (amf.Value, error) {
			return nil, comeBack(Fail(""), "Not today.")
		},
		"say": func(_ *Client, args amf.Args) (amf.Value, error) {
			text, _ := amf.AsString(args.At(0))
			a.said = append(a.said, text)
			a.in.BroadcastMsg("said", args.At(0))
			return nil, nil
		},
	}
}

// site is several nodes on one network.
type site struct {
	t     *testing.T
	net   network
	world atlas
	hosts map[string]*Host
	apps  map[string]*edgeApp // the newest of each node
	stops map[string]func()

	mu    sync.Mutex
	conns map[string][]net.Conn // by the node that was dialed
}

const siteSecret = "secret among nodes"

func newSite(t *testing.T, names ...string) *site {
	s := &site{t: t, hosts: make(map[string]*Host), apps: make(map[string]*edgeApp), stops: make(map[string]func()), conns: make(map[string][]net.Conn)}
	for _, name := range names {
		h := &Host{
			Log:  slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})).With("on", name),
			Node: name, Owners: s.world.of(name, "rtmp://"+name), NodeSecret: siteSecret,
		}
		h.HandleClaimed("app", func() Application {
			a := &edgeApp{node: name}
			a.takeover = true
			s.apps[name] = a
			return a
		})
		s.hosts[name] = h
		s.stops[name] = serve(t, &s.net, name, h)
		h.Dial = s.dial
	}
	return s
}

func (s *site) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := s.net.Dial(ctx, network, addr)
	if err == nil {
		name, _, _ := strings.Cut(addr, ":")
		s.mu.Lock()
		s.conns[name] = append(s.conns[name], c)
		s.mu.Unlock()
	}
	return c, err
}

func (s *site) close() {
	for _, stop := range s.stops {
		stop()
	}
}

// do runs f on the instance goroutine of a node, and waits for it.
func (s *site) do(node string, f func()) {
	s.t.Helper()
	done := make(chan bool)
	if !s.apps[node].in.post(func() { f(); close(done) }) {
		s.t.Fatal("instance has stopped")
	}
	<-done
	synctest.Wait()
}

// goodbye ends clients and waits for that.
func goodbye(all ...*caller) {
	for _, c := range all {
		c.Close(nil)
		<-c.ended
	}
	synctest.Wait()
}

func TestTunnelPassesEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, "a", "b")
		defer s.close()
		one := mustDial(t, &s.net, "rtmp://a/app/x", amf.String("one"))
		two := mustDial(t, &s.net, "rtmp://b/app/x", amf.String("two"))
		if got := two.calls(); !slices.Equal(got, []string{"onBWDone", "welcome"}) && !slices.Equal(got, []string{"welcome"}) {
			t.Errorf("told %q", got)
		}
		if v, err := two.Call(t.Context(), "where"); err != nil || v != amf.String("a false") {
			t.Errorf("where: %v, %v", v, err)
		}
		_, err := two.Call(t.Context(), "fail")
		info, ok := errors.AsType[*rtmp.StatusError](err)
		if !ok || info.Description != "Not today." || amf.Lookup(info.Application, "retryAfter") != amf.Number(1000) {
			t.Errorf("fail: %v", err)
		}
		for _, reserved := range []string{"nosuch", "getStats"} {
			if _, err := two.Call(t.Context(), reserved); err == nil || err.Error() != rtmp.MethodNotFound(reserved).Error() {
				t.Errorf("%s: %v", reserved, err)
			}
		}
		two.Request("say", []amf.Value{amf.String("hello")}, nil)
		synctest.Wait()
		if !slices.Contains(one.calls(), "said") || !slices.Contains(two.calls(), "said") {
			t.Errorf("one heard %q, two %q", one.calls(), two.calls())
		}
		var answer amf.Value
		s.do("a", func() {
			c := s.apps["a"].clients["two"]
			c.Call("ask", func(v amf.Value, _ error) { answer = v })
			c.Push(&Push{Status: &rtmp.StatusError{Level: "status", Code: "Some.Status"}})
		})
		if answer != amf.String("did ask") {
			t.Errorf("the client answered %v", answer)
		}
		if len(two.status) != 1 || two.status[0].Code != "Some.Status" {
			t.Errorf("statuses %v", two.status)
		}
		if n := s.hosts["b"].Stats().Clients["app"]["rtmp"]; n != 1 {
			t.Errorf("%d clients at b", n)
		}
		goodbye(two)
		if left := s.apps["a"].left; len(left) != 1 || !errors.Is(left[0], rtmp.ErrGoodbye) {
			t.Errorf("left with %v", left)
		}
		if _, ok := s.apps["b"]; ok {
			t.Error("b made an application of its own")
		}
		goodbye(one)
	})
}

// ownersOnly is the ObjectStore of a node that owns nothing.
type ownersOnly struct{ t *testing.T }

func (o ownersOnly) LoadObjects(context.Context, string) (map[string][]byte, map[string]time.Time, error) {
	o.t.Error("objects loaded")
	return nil, nil, nil
}

func (o ownersOnly) SaveObject(_, _ string, _ []byte, done func(error)) {
	o.t.Error("object saved")
	done(nil)
}

func TestTunnelSharedObject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, "a", "b")
		defer s.close()
		s.hosts["b"].Objects = ownersOnly{t}
		one := mustDial(t, &s.net, "rtmp://a/app/x", amf.String("one"))
		two := mustDial(t, &s.net, "rtmp://b/app/x", amf.String("two"))
		use := func(c *caller, name string, events ...sharedobject.Event) {
			m := sharedobject.Message{Name: name, Events: events}
			c.Send(rtmp.Pack(rtmp.Message{Type: rtmp.TypeSharedObjectAMF0, Payload: m.Append(nil, false)}))
			synctest.Wait()
		}
		for _, name := range []string{"held", "free"} {
			use(one, name, sharedobject.Event{Type: sharedobject.Use})
			use(two, name, sharedobject.Event{Type: sharedobject.Use})
		}
		use(two, "free", sharedobject.Event{Type: sharedobject.RequestChange, Slot: "s", Value: amf.String("v")})
		use(two, "held", sharedobject.Event{Type: sharedobject.RequestChange, Slot: "s", Value: amf.String("v")})
		said := func(c *caller) (all []string) {
			for _, m := range c.objects {
				so, err := sharedobject.Parse(m.Payload, false)
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range so.Events {
					all = append(all, fmt.Sprint(so.Name, " ", e.Type, " ", e.Slot, e.Code))
				}
			}
			return all
		}
		want := []string{"held useSuccess ", "held clear ", "held change slot", "free useSuccess ", "free clear ",
			"free success s", "held status SharedObject.NoWriteAccess"}
		if got := said(two); !slices.Equal(got, want) {
			t.Errorf("two was told %q", got)
		}
		if got := said(one); got[len(got)-1] != "free change s" {
			t.Errorf("one was told %q", got)
		}
		first := func(c *caller) uint32 { m, _ := sharedobject.Parse(c.objects[0].Payload, false); return m.Version }
		if first(one) != first(two) {
			t.Errorf("versions %d and %d", first(one), first(two))
		}
		goodbye(one, two)
	})
}

func TestTunnelRefusesInTheOwnersWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, "a", "b")
		defer s.close()
		one := mustDial(t, &s.net, "rtmp://a/app/x", amf.String("one"))
		said := func(node string) string {
			_, err := dial(t, &s.net, "rtmp://"+node+"/app/x", amf.String("banned"))
			info, ok := errors.AsType[*rtmp.StatusError](err)
			if !ok {
				t.Fatalf("%s: %v", node, err)
			}
			return fmt.Sprint(info.Object())
		}
		if a, b := said("a"), said("b"); a != b {
			t.Errorf("a says %s, b says %s", a, b)
		}
		goodbye(one)
	})
}

// TestTunnelShowsWhoItIs: the owner sees the address and protocol of the
// client, and throws out the right one.
func TestTunnelShowsWhoItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, "a", "b")
		defer s.close()
		one := mustDial(t, &s.net, "rtmp://a/app/x", amf.String("one"))
		p := new(fakePeer)
		c, err := s.hosts["b"].Connect(t.Context(), p, Request{
			Path: "app/x", Args: amf.Args{amf.String("two")}, Protocol: "wss", Agent: "Browser/1", AMF3: true,
			Addr: netip.MustParseAddrPort("203.0.113.7:4711"),
		})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		want := guest{"a", "203.0.113.7:4711", "wss", "Browser/1"}
		if got := s.apps["a"].guests; len(got) != 2 || got[1] != want {
			t.Errorf("got %v, want %v", got, want)
		}
		if n := s.hosts["a"].Stats().Clients["app"]["wss"]; n != 1 {
			t.Errorf("a counts %d", n)
		}
		for _, name := range []string{"close", "_result", "deleteStream", "publish", "connect", syncMethod} {
			answered := make(chan error, 1)
			c.ServeCall(name, nil, func(_ amf.Value, err error) { answered <- err })
			if err := <-answered; err == nil || err.Error() != rtmp.MethodNotFound(name).Error() {
				t.Errorf("%s: %v", name, err)
			}
		}
		s.do("a", func() { s.apps["a"].clients["two"].Close(Reject("You were kicked.")) })
		info, ok := errors.AsType[*rtmp.StatusError](p.closed[0])
		if !ok || info.Code != rtmp.CodeConnectRejected || info.Description != "You were kicked." || len(p.pushed) != 1 {
			t.Errorf("closed with %v after %d pushes", p.closed, len(p.pushed))
		}
		c.Leave(p.closed[0])
		goodbye(one)
	})
}

// TestNodeAtAnotherFront: a node that takes another for the owner is told so,
// and not led on. Two nodes that take each other for the owner would go in
// circles.
func TestNodeAtAnotherFront(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, "a", "b")
		defer s.close()
		one := mustDial(t, &s.net, "rtmp://a/app/x", amf.String("one"))
		two := mustDial(t, &s.net, "rtmp://b/app/x", amf.String("two"))
		for kind := range nodeKinds {
			_, err := s.dialAs("b", kind, nil)
			if info, ok := errors.AsType[*rtmp.StatusError](err); !ok || info.Code != codeElsewhere {
				t.Errorf("%s: %v", kind, err)
			}
		}
		goodbye(one, two)
	})
}

func TestNodesWithoutACommonSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, "a", "b")
		defer s.close()
		s.hosts["b"].NodeSecret = "another"
		one := mustDial(t, &s.net, "rtmp://a/app/x", amf.String("one"))
		began := time.Now()
		_, err := dial(t, &s.net, "rtmp://b/app/x", amf.String("two"))
		info, ok := errors.AsType[*rtmp.StatusError](err)
		if retry, _ := amf.AsNumber(amf.Lookup(info.Application, "retryAfter")); !ok || retry <= 0 {
			t.Errorf("got %v", err)
		}
		if d := time.Since(began); d < reachTimeout || d > reachTimeout+reachPause+controlDial {
			t.Errorf("refused after %v", d)
		}
		goodbye(one)
	})
}

// TestTunnelKeepsOrderAndHoldsBack: messages that need no answer arrive in
// order, and a client that talks faster than the owner listens has to wait.
func TestTunnelKeepsOrderAndHoldsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, "a", "b")
		defer s.close()
		one := mustDial(t, &s.net, "rtmp://a/app/x", amf.String("one"))
		two := mustDial(t, &s.net, "rtmp://b/app/x", amf.String("two"))
		release := make(chan bool)
		s.apps["a"].in.post(func() { <-release })
		const many = 1000
		for i := range many {
			if err := two.Request("say", []amf.Value{amf.String(fmt.Sprint(i))}, nil); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		passed := int(s.hosts["b"].Stats().Calls)
		if most := 2*MaxCalls + maxUnread + 2; passed > most {
			t.Errorf("%d calls taken while the owner takes none, want at most %d", passed, most)
		}
		close(release)
		synctest.Wait()
		said := s.apps["a"].said
		if len(said) != many {
			t.Fatalf("%d of %d arrived", len(said), many)
		}
		for i := range said {
			if said[i] != fmt.Sprint(i) {
				t.Fatalf("%s is number %d", said[i], i)
			}
		}
		goodbye(one, two)
	})
}

// TestTunnelWaitsForTheOwner: an application may leave a client pending for
// longer than a handshake takes. A client that does not wait is gone there,
// too.
func TestTunnelWaitsForTheOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, "a", "b")
		defer s.close()
		one := mustDial(t, &s.net, "rtmp://a/app/x", amf.String("one"))
		slow := Request{Path: "app/x", Args: amf.Args{amf.String("slow")}, Protocol: "ws"}
		began := time.Now()
		c, err := s.hosts["b"].Connect(t.Context(), new(fakePeer), slow)
		if err != nil || time.Since(began) != 20*time.Second {
			t.Fatalf("after %v: %v", time.Since(began), err)
		}
		c.Leave(rtmp.ErrGoodbye)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.hosts["b"].Connect(ctx, new(fakePeer), slow); err == nil {
			t.Error("let in after it has gone")
		}
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if left := s.apps["a"].left; len(left) != 2 {
			t.Errorf("left: %v", left)
		}
		goodbye(one)
	})
}

func TestCallElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, "a", "b")
		defer s.close()
		if _, err := s.hosts["b"].Call(t.Context(), "app/x", "where"); err != ErrNotRunning {
			t.Errorf("nobody: %v", err)
		}
		one := mustDial(t, &s.net, "rtmp://a/app/x", amf.String("one"))
		for range 2 {
			if v, err := s.hosts["b"].Call(t.Context(), "app/x", "where"); err != nil || v != amf.String("a true") {
				t.Errorf("got %v, %v", v, err)
			}
		}
		_, err := s.hosts["b"].Call(t.Context(), "app/x", "fail")
		if info, ok := errors.AsType[*rtmp.StatusError](err); !ok || info.Description != "Not today." {
			t.Errorf("fail: %v", err)
		}
		if !s.hosts["b"].Running("app/x") || s.hosts["b"].Running("app/y") {
			t.Error("b does not know what runs")
		}
		if len(s.apps["a"].guests) != 1 {
			t.Errorf("guests %v", s.apps["a"].guests)
		}
		goodbye(one)
	})
}

// TestTunnelSaysWhoCanReconnect: the owner asks only clients that understand it
// to leave, also through another node.
func TestTunnelSaysWhoCanReconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, "a", "b")
		defer s.close()
		one := mustDial(t, &s.net, "rtmp://a/app/x", amf.String("one"))
		for _, can := range []bool{true, false} {
			c, err := s.hosts["b"].Connect(t.Context(), new(fakePeer), Request{Path: "app/x", Protocol: "ws", Reconnects: can})
			if err != nil {
				t.Fatal(err)
			}
			if got := s.apps["a"].clients[""].req.Reconnects; got != can {
				t.Errorf("the owner takes it for %v, want %v", got, can)
			}
			c.Leave(rtmp.ErrGoodbye)
		}
		goodbye(one)
	})
}

func TestRedirect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, "a", "b")
		defer s.close()
		s.hosts["b"].Redirect = true
		one := mustDial(t, &s.net, "rtmp://a/app/x", amf.String("one"))
		_, err := dial(t, &s.net, "rtmp://b/app/x?p=1", amf.String("two"))
		info, ok := errors.AsType[*rtmp.StatusError](err)
		ex := amf.Lookup(amf.Value(info.Object()), "ex")
		if !ok || info.Code != rtmp.CodeConnectRejected || amf.Lookup(ex, "code") != amf.Number(302) || amf.Lookup(ex, "redirect") != amf.String("rtmp://a/app/x?p=1") {
			t.Errorf("got %v, %v", err, info)
		}
		c, _ := join(t, s.hosts["b"]) // a browser cannot follow
		c.req.URI = "rtmp://live.example.org/app/x"
		local := &tunnel{in: c.Instance(), owner: &ElsewhereError{RTMP: "rtmp://127.0.0.1:1936"}}
		info, _ = errors.AsType[*rtmp.StatusError](local.redirect(c))
		if to := amf.Lookup(amf.Lookup(amf.Value(info.Object()), "ex"), "redirect"); to != amf.String("rtmp://live.example.org:1936/app/x") {
			t.Errorf("led from elsewhere to %v", to)
		}
		c.Leave(rtmp.ErrGoodbye)
		goodbye(one)
	})
}
