package server

import (
	"context"
	"errors"
	"net"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"foyer/server/amf"
	"foyer/server/rtmp"
)

func TestServeCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n network
		var asked amf.Value
		var gone error
		h := newHost(t, same(&testApp{
			connect: func(c *Client, args amf.Args) error {
				if c.Agent() != "" || c.Protocol() != "rtmp" || c.URI() != "rtmp://here/app/x?a=b" || c.Query() != "a=b" {
					t.Errorf("client says %q %q %q %q", c.Agent(), c.Protocol(), c.URI(), c.Query())
				}
				c.Call("welcome", nil)
				c.Call("name", func(v amf.Value, err error) { asked = v })
				return nil
			},
			disconnect: func(_ *Client, err error) { gone = err },
			methods: map[string]Method{"add": func(_ *Client, args amf.Args) (amf.Value, error) {
				var a, b float64
				if err := args.Scan(&a, &b); err != nil {
					return nil, Fail(err.Error())
				}
				return amf.Number(a + b), nil
			}},
		}))
		stop := serve(t, &n, "here", h)
		c := mustDial(t, &n, "rtmp://here/app/x?a=b")
		if v, err := c.Call(t.Context(), "add", amf.Number(1), amf.Number(2)); err != nil || v != amf.Value(amf.Number(3)) {
			t.Errorf("got %v, %v", v, err)
		}
		_, err := c.Call(t.Context(), "nix")
		if s, ok := errors.AsType[*rtmp.StatusError](err); !ok || s.Description != "Method not found (nix)." || s.Code != rtmp.CodeCallFailed {
			t.Errorf("got %v", err)
		}
		synctest.Wait()
		if got := c.calls(); !slices.Equal(got, []string{"welcome", "name"}) || asked != amf.Value(amf.String("did name")) {
			t.Errorf("called %q, answered %v", got, asked)
		}
		if s := h.Stats(); s.Clients["app"]["rtmp"] != 1 || s.BytesIn == 0 || s.BytesOut == 0 || s.Accepted["app"] != 1 {
			t.Errorf("stats %+v", s)
		}
		before := h.Stats().BytesIn
		c.Close(nil)
		<-c.ended
		synctest.Wait()
		if !errors.Is(gone, rtmp.ErrGoodbye) {
			t.Errorf("OnDisconnect: %v", gone)
		}
		if s := h.Stats(); s.Clients["app"]["rtmp"] != 0 || s.BytesIn <= before || s.Disconnected["app"] != 1 {
			t.Errorf("stats %+v", s)
		}
		stop()
	})
}

// TestLostIsNoGoodbye: a connection that breaks is told apart.
func TestLostIsNoGoodbye(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n network
		var gone error
		h := newHost(t, same(&testApp{disconnect: func(_ *Client, err error) { gone = err }}))
		stop := serve(t, &n, "here", h)
		ctx, cancel := context.WithCancel(t.Context())
		s, _, err := rtmp.Dial(ctx, "rtmp://here/app", nil, rtmp.DialOptions{Dial: n.Dial})
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error)
		go func() { ended <- s.Run(ctx) }()
		synctest.Wait()
		cancel() // the process is killed
		<-ended
		synctest.Wait()
		if errors.Is(gone, rtmp.ErrGoodbye) || !errors.Is(gone, rtmp.ErrClosed) {
			t.Errorf("OnDisconnect: %v", gone)
		}
		stop()
	})
}

func TestServeRejects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n network
		h := newHost(t, same(&testApp{connect: func(c *Client, args amf.Args) error {
			c.Call("early", nil)
			e := Reject("Room is full.")
			e.Application = amf.Object{{Name: "reason", Value: amf.String("full")}}
			return e
		}}))
		stop := serve(t, &n, "here", h)
		_, err := dial(t, &n, "rtmp://here/app")
		s, ok := errors.AsType[*rtmp.StatusError](err)
		if !ok || s.Code != rtmp.CodeConnectRejected || s.Description != "Room is full." {
			t.Fatalf("got %v", err)
		}
		if reason, _ := amf.AsString(amf.Lookup(s.Application, "reason")); reason != "full" {
			t.Errorf("application %v", s.Application)
		}
		_, err = dial(t, &n, "rtmp://here/nix")
		if s, ok := errors.AsType[*rtmp.StatusError](err); !ok || s.Description != NotDefined("nix").Description {
			t.Errorf("got %v", err)
		}
		if s := h.Stats(); s.Rejected["app"] != 1 || s.Clients["app"]["rtmp"] != 0 {
			t.Errorf("stats %+v", s)
		}
		stop()
	})
}

// TestServeEnds: the end of ctx alone is told to the clients too.
func TestServeEnds(t *testing.T) {
	for _, way := range []string{"stop", "ctx"} {
		t.Run(way, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var n network
				h := newHost(t, same(new(testApp)))
				ctx, cancel := context.WithCancel(context.Background())
				ended := make(chan error)
				l := n.listen("here")
				go func() { ended <- h.Serve(ctx, l) }()
				c := mustDial(t, &n, "rtmp://here/app")
				half, _ := n.Dial(ctx, "tcp", "here") // never says a word
				if way == "stop" {
					h.Stop(ctx)
				}
				cancel()
				if err := <-ended; err != nil {
					t.Errorf("Serve: %v", err)
				}
				<-c.ended
				if len(c.status) != 1 || c.status[0].Code != rtmp.CodeConnectShutdown {
					t.Errorf("client was told %v", c.status)
				}
				half.Close()
				h.Stop(context.Background())
			})
		})
	}
}

// TestAcceptBackoff: errors that pass are waited out, others end Serve.
func TestAcceptBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n network
		h := newHost(t, same(new(testApp)))
		l := n.listen("here")
		ended := make(chan error)
		go func() { ended <- h.Serve(context.Background(), l) }()
		start := time.Now()
		for range 12 {
			l.errs <- &net.OpError{Op: "accept", Err: syscall.EMFILE}
		}
		// 5 ms doubled seven times is under a second; the rest wait that long.
		if d := time.Since(start); d != 635*time.Millisecond+640*time.Millisecond+3*time.Second {
			t.Errorf("waited %v", d)
		}
		fatal := errors.New("it is on fire")
		l.errs <- fatal
		if err := <-ended; !errors.Is(err, fatal) {
			t.Errorf("Serve: %v", err)
		}
	})
}

// TestSilentConnection: a peer that does not connect in time is let go.
func TestSilentConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n network
		h := newHost(t, same(new(testApp)))
		stop := serve(t, &n, "here", h)
		nc, err := n.Dial(t.Context(), "tcp", "here")
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if _, err := nc.Read(make([]byte, 1)); err == nil {
			t.Error("read something")
		}
		if d := time.Since(start); d != 10*time.Second {
			t.Errorf("let go after %v", d)
		}
		nc.Close()
		stop()
	})
}

// TestAMF3: a client of object encoding 3 gets the other form.
func TestAMF3(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n network
		h := newHost(t, same(&testApp{methods: map[string]Method{
			"echo": func(_ *Client, args amf.Args) (amf.Value, error) { return args.At(0), nil },
		}}))
		stop := serve(t, &n, "here", h)
		c := &caller{ended: make(chan error, 1)}
		s, _, err := rtmp.Dial(t.Context(), "rtmp://here/app/x", &rtmp.ConnectRequest{ObjectEncoding: 3},
			rtmp.DialOptions{Handler: c, Dial: n.Dial})
		if err != nil {
			t.Fatal(err)
		}
		go func() { c.ended <- s.Run(context.Background()) }()
		v, err := s.Call(t.Context(), "echo", amf.Bytes("abc"))
		if b, ok := v.(amf.Bytes); err != nil || !ok || string(b) != "abc" {
			t.Errorf("got %#v, %v", v, err)
		}
		old := mustDial(t, &n, "rtmp://here/app/x")
		for _, in := range h.instances {
			in.Post(func() { in.BroadcastMsg("bytes", amf.Bytes("abc")) })
		}
		synctest.Wait()
		if !slices.Contains(c.calls(), "bytes") || !slices.Contains(old.calls(), "bytes") {
			t.Errorf("called %q and %q", c.calls(), old.calls())
		}
		stop()
	})
}
