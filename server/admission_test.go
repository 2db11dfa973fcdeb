package server

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"foyer/server/amf"
	"foyer/server/rtmp"
)

// pendingApp leaves everybody pending and keeps them, by name.
type pendingApp struct {
	testApp
	waiting map[string]*Client
	gone    []error
}

func newPendingApp() *pendingApp {
	a := &pendingApp{waiting: make(map[string]*Client)}
	a.connect = func(c *Client, args amf.Args) error {
		a.waiting[string(args[0].(amf.String))] = c
		return ErrPending
	}
	a.disconnect = func(c *Client, err error) { a.gone = append(a.gone, err) }
	return a
}

type connected struct {
	c   *Client
	err error
}

// knock connects a client to app/x without waiting for the decision.
func knock(ctx context.Context, h *Host, p Peer, name string) <-chan connected {
	done := make(chan connected, 1)
	go func() {
		c, err := h.Connect(ctx, p, Request{Path: "app/x", Args: amf.Args{amf.String(name)}})
		done <- connected{c, err}
	}()
	synctest.Wait()
	return done
}

func TestPendingAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newPendingApp()
		h := newHost(t, func() Application { return a })
		p := new(fakePeer)
		done := knock(t.Context(), h, p, "ann")
		a.waiting["ann"].Push(&Push{Method: "early"})
		synctest.Wait()
		if got := p.methods(); len(got) != 0 {
			t.Errorf("a pending client was told %q", got)
		}
		time.Sleep(DefaultAdmitTimeout - 1)
		a.in.Post(func() {
			if n := len(a.in.Clients()); n != 0 {
				t.Errorf("%d clients while pending", n)
			}
			a.in.Accept(a.waiting["ann"])
			a.in.Accept(a.waiting["ann"]) // a client is settled once
			a.in.Reject(a.waiting["ann"], Reject("no"))
			a.in.BroadcastMsg("hello")
		})
		if r := <-done; r.err != nil {
			t.Fatal(r.err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if got, want := p.methods(), []string{"early", "hello"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		if n := h.Stats().Clients["app"]["other"]; n != 1 {
			t.Errorf("%d clients", n)
		}
		stopHost(h)
	})
}

func TestPendingRejected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newPendingApp()
		h := newHost(t, func() Application { return a })
		done := knock(t.Context(), h, new(fakePeer), "ann")
		a.in.Post(func() { a.in.Reject(a.waiting["ann"], Reject("no")) })
		r := <-done
		if s, ok := errors.AsType[*rtmp.StatusError](r.err); !ok || s.Description != "no" {
			t.Errorf("got %v", r.err)
		}
		synctest.Wait()
		if len(a.gone) != 0 {
			t.Errorf("OnDisconnect of a rejected client: %v", a.gone)
		}
		if n := running(h); n != 0 {
			t.Errorf("%d instances", n)
		}
	})
}

func TestPendingTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newPendingApp()
		h := newHost(t, func() Application { return a })
		start := time.Now()
		r := <-knock(t.Context(), h, new(fakePeer), "ann")
		if s, ok := errors.AsType[*rtmp.StatusError](r.err); !ok || s.Code != rtmp.CodeConnectRejected {
			t.Errorf("got %v", r.err)
		}
		if d := time.Since(start); d != DefaultAdmitTimeout {
			t.Errorf("after %v", d)
		}
		synctest.Wait()
		if len(a.gone) != 1 || !errors.Is(a.gone[0], errUndecided) {
			t.Errorf("OnDisconnect: %v", a.gone)
		}
		if n := running(h); n != 0 {
			t.Errorf("%d instances", n)
		}
	})
}

// TestPendingLeft: an answer that comes after the client has left brings no
// client back.
func TestPendingLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newPendingApp()
		h := newHost(t, func() Application { return a })
		h.Idle = time.Minute
		ctx, cancel := context.WithCancelCause(t.Context())
		done := knock(ctx, h, new(fakePeer), "ann")
		cancel(rtmp.ErrClosed)
		if r := <-done; !errors.Is(r.err, rtmp.ErrClosed) && r.err == nil {
			t.Errorf("got %v", r.err)
		}
		synctest.Wait()
		a.in.Post(func() {
			a.in.Accept(a.waiting["ann"])
			if n := len(a.in.Clients()); n != 0 {
				t.Errorf("%d ghosts", n)
			}
		})
		synctest.Wait()
		if len(a.gone) != 1 || !errors.Is(a.gone[0], rtmp.ErrClosed) {
			t.Errorf("OnDisconnect: %v", a.gone)
		}
		stopHost(h)
	})
}

// TestLeaveBeforeDecision: whatever is decided in the same moment, each arrival
// has one departure, and nobody stays.
func TestLeaveBeforeDecision(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newPendingApp()
		h := newHost(t, func() Application { return a })
		h.Idle = time.Hour
		ctx, cancel := context.WithCancelCause(t.Context())
		done := knock(ctx, h, new(fakePeer), "ann")
		block := make(chan bool)
		a.in.Post(func() { <-block }) // so that both come in one turn
		a.in.Post(func() { a.in.Accept(a.waiting["ann"]) })
		cancel(rtmp.ErrClosed)
		synctest.Wait()
		close(block)
		r := <-done
		if r.err == nil {
			r.c.Leave(rtmp.ErrClosed)
		}
		synctest.Wait()
		a.in.Post(func() {
			if n := len(a.in.Clients()); n != 0 {
				t.Errorf("%d ghosts", n)
			}
		})
		synctest.Wait()
		if len(a.gone) != 1 {
			t.Errorf("OnDisconnect: %v", a.gone)
		}
		stopHost(h)
	})
}

// TestDecisionInsideOnConnect: an explicit decision wins over the return
// value.
func TestDecisionInsideOnConnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, same(&testApp{connect: func(c *Client, args amf.Args) error {
			if args[0] == amf.String("in") {
				c.Instance().Accept(c)
				return Reject("no")
			}
			c.Instance().Reject(c, Reject("explicitly"))
			return nil
		}}))
		if r := <-knock(t.Context(), h, new(fakePeer), "in"); r.err != nil {
			t.Error(r.err)
		}
		r := <-knock(t.Context(), h, new(fakePeer), "out")
		if s, ok := errors.AsType[*rtmp.StatusError](r.err); !ok || s.Description != "explicitly" {
			t.Errorf("got %v", r.err)
		}
		stopHost(h)
	})
}

// accepter is a peer that queues its success.
type accepter struct{ fakePeer }

func (p *accepter) Accept() { p.Push(&Push{Method: "success"}) }

// TestNothingBeforeSuccess: everything that OnConnect says comes after the
// answer.
func TestNothingBeforeSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, same(&testApp{connect: func(c *Client, _ amf.Args) error {
			c.Call("first", nil)
			c.Call("ask", func(v amf.Value, err error) { c.Call("third", nil) })
			c.Call("second", nil)
			return nil
		}}))
		p := new(accepter)
		<-knock(t.Context(), h, p, "ann")
		synctest.Wait()
		if got, want := p.methods(), []string{"success", "first", "second", "third"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		stopHost(h)
	})
}

// TestMaxHeld: an application that talks without end to a client that is not in
// yet ends that client.
func TestMaxHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, same(&testApp{connect: func(c *Client, _ amf.Args) error {
			for range MaxHeld + 10 {
				c.Call("on", nil)
			}
			return nil
		}}))
		p := new(fakePeer)
		<-knock(t.Context(), h, p, "ann")
		synctest.Wait()
		if len(p.pushed) != MaxHeld || len(p.closed) != 1 {
			t.Errorf("%d pushed, closed %v", len(p.pushed), p.closed)
		}
		stopHost(h)
	})
}
