package server

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"foyer/server/amf"
	"foyer/server/rtmp"
)

func TestResolve(t *testing.T) {
	h := &Host{Mounts: []string{"chapter4", "/a/b/"}}
	for _, app := range []string{"lobby", "room", "chapter4/special"} {
		h.Handle(app, same(new(testApp)))
	}
	for _, tt := range []struct{ path, app, instance string }{
		{"lobby", "lobby", "lobby/_definst_"},
		{"lobby/", "lobby", "lobby/_definst_"},
		{"/lobby", "lobby", "lobby/_definst_"},
		{"chapter4/lobby", "lobby", "lobby/_definst_"},
		{"a/b/lobby", "lobby", "lobby/_definst_"},
		{"a/lobby", "", ""},
		{"lobby/_definst_", "lobby", "lobby/_definst_"},
		{"room/blue", "room", "room/blue"},
		{"chapter4//room///blue/?key=a/b", "room", "room/blue"},
		{"chapter4/room/Blue", "room", "room/blue"},
		{"chapter4/room/blue/live", "", ""},
		{"chapter4/special/x", "chapter4/special", "chapter4/special/x"},
		{"chapter4/chapter4/room", "", ""},
		{"Room", "", ""},
		{"rooms", "", ""},
		{"chapter4", "", ""},
		{"", "", ""},
		{"///", "", ""},
		{"?room", "", ""},
	} {
		app, instance, ok := h.Resolve(tt.path)
		if app != tt.app || instance != tt.instance || ok != (tt.app != "") {
			t.Errorf("Resolve(%q) = %q, %q, %v; want %q, %q", tt.path, app, instance, ok, tt.app, tt.instance)
		}
	}
}

func TestConnectUnknownApplication(t *testing.T) {
	h := newHost(t, same(new(testApp)))
	for path, name := range map[string]string{"nix": "nix", "/nix//da/?q": "nix/da", "": ""} {
		_, err := h.Connect(t.Context(), new(fakePeer), Request{Path: path})
		s, ok := errors.AsType[*rtmp.StatusError](err)
		want := fmt.Sprintf("[ Server.Reject ] : (_defaultRoot_, _defaultVHost_) : Application (%s) is not defined.", name)
		if !ok || s.Code != rtmp.CodeConnectRejected || s.Description != want {
			t.Errorf("Connect(%q): %#v, want %q", path, err, want)
		}
	}
}

func TestMountIsTheSameInstance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, same(new(testApp)))
		h.Mounts = []string{"chapter4"}
		a, err := h.Connect(t.Context(), new(fakePeer), Request{Path: "app"})
		if err != nil {
			t.Fatal(err)
		}
		b, err := h.Connect(t.Context(), new(fakePeer), Request{Path: "chapter4/app/?x=1"})
		if err != nil {
			t.Fatal(err)
		}
		if a.Instance() != b.Instance() {
			t.Errorf("%s and %s are two", a.Instance().Name(), b.Instance().Name())
		}
		if q := b.Query(); q != "x=1" {
			t.Errorf("query %q", q)
		}
		stopHost(h)
	})
}

// TestOrderOfEvents is the life of an instance as the page tells it.
func TestOrderOfEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []string
		log := func(s string) { events = append(events, s) }
		a := &testApp{
			start:   func(in *Instance) error { log("start " + in.Name()); return nil },
			connect: func(c *Client, args amf.Args) error { log("connect " + string(args[0].(amf.String))); return nil },
			disconnect: func(c *Client, err error) {
				log("disconnect " + err.Error())
			},
			stop: func() { log("stop") },
			methods: map[string]Method{"say": func(c *Client, args amf.Args) (amf.Value, error) {
				log("say " + string(args[0].(amf.String)))
				return amf.Null{}, nil
			}},
		}
		h := newHost(t, same(a))
		c, _ := join(t, h, amf.String("ann"))
		c.ServeCall("say", amf.Args{amf.String("one")}, nil)
		c.ServeCall("say", amf.Args{amf.String("two")}, nil)
		c.Leave(rtmp.ErrGoodbye)
		c.Leave(rtmp.ErrClosed) // ignored
		synctest.Wait()
		in := c.Instance()
		time.Sleep(DefaultIdle - time.Nanosecond)
		synctest.Wait()
		select {
		case <-in.life.done:
			t.Error("stopped early")
		default:
		}
		time.Sleep(time.Nanosecond)
		<-in.life.done
		want := []string{"start app/x", "connect ann", "say one", "say two",
			"disconnect rtmp: peer said goodbye", "stop"}
		if !slices.Equal(events, want) {
			t.Errorf("got %q, want %q", events, want)
		}
		if in.Post(func() {}) {
			t.Error("a stopped instance takes posts")
		}
	})
}

// TestEndedByLimit: a connection that exceeds a limit of the wire is ended and
// counted.
func TestEndedByLimit(t *testing.T) {
	half := rtmp.Pack(rtmp.Message{Type: rtmp.TypeVideo, StreamID: 1, Payload: make([]byte, 1000)})[:500]
	long := rtmp.Pack(rtmp.Message{Type: rtmp.TypeVideo, StreamID: 1, Payload: make([]byte, rtmp.MaxMessageOfSpectator+1)})
	for limit, bytes := range map[string][]byte{"progress": half, "message-size": long} {
		t.Run(limit, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var n network
				h := newHost(t, func() Application { return newChatApp() })
				stop := serve(t, &n, "here", h)
				nc := rawClientOf(t, &n, "app/x")
				nc.Write(bytes)
				begun := time.Now()
				drainConn(nc)
				if d := time.Since(begun); d > rtmp.MaxStall+time.Second {
					t.Errorf("ended after %v", d)
				}
				nc.Close()
				synctest.Wait()
				if got := h.guard().Refused()[limit]; got != 1 || h.Partial().Used() != 0 {
					t.Errorf("counted %v, %d bytes are held", h.guard().Refused(), h.Partial().Used())
				}
				stop()
			})
		})
	}
}

// rawClientOf is the raw end of a connection whose connect was accepted.
func rawClientOf(t *testing.T, n *network, app string) net.Conn {
	t.Helper()
	nc, err := n.Dial(t.Context(), "tcp", "here")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := rtmp.NewClientConn(t.Context(), nc, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rtmp.Connect(t.Context(), conn, &rtmp.ConnectRequest{App: app}); err != nil {
		t.Fatal(err)
	}
	return nc
}
