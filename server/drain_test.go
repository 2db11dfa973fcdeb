package server

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"foyer/server/amf"
	"foyer/server/rtmp"
)

// drainingApp hears of the end.
type drainingApp struct {
	testApp
	drained []time.Duration
}

func (a *drainingApp) OnDrain(retryAfter time.Duration) { a.drained = append(a.drained, retryAfter) }

// joinFollowing connects a fake peer that understands Reconnect to app/x.
func joinFollowing(t *testing.T, h *Host) (*Client, *fakePeer) {
	t.Helper()
	p := new(fakePeer)
	c, err := h.Connect(t.Context(), p, Request{Path: "app/x", Reconnects: true})
	if err != nil {
		t.Fatal(err)
	}
	return c, p
}

// statuses are the codes that the peer was told.
func (p *fakePeer) statuses() (all []*rtmp.StatusError) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.pushed {
		if m.Status != nil {
			all = append(all, m.Status)
		}
	}
	return all
}

// drainTime is how long Drain takes when it may take ten seconds.
func drainTime(h *Host) time.Duration {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	began := time.Now()
	h.Drain(ctx)
	return time.Since(began)
}

func TestDrainAsksAndWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app := new(drainingApp)
		h := newHost(t, func() Application { return app })
		ann, annPeer := joinFollowing(t, h)
		bob, _ := joinFollowing(t, h)
		_, old := join(t, h)
		time.AfterFunc(time.Second, func() { ann.Leave(rtmp.ErrGoodbye) })
		time.AfterFunc(3*time.Second, func() { bob.Leave(rtmp.ErrGoodbye) })
		if d := drainTime(h); d != 3*time.Second {
			t.Errorf("Drain took %v, want 3s: until the last who was asked had left", d)
		}
		told := annPeer.statuses()
		if len(told) != 1 || told[0].Code != rtmp.CodeReconnectRequest || told[0].Level != rtmp.LevelStatus {
			t.Fatalf("told %v", told)
		}
		if n, _ := amf.AsNumber(amf.Lookup(told[0].Application, "retryAfter")); n != 1000 {
			t.Errorf("retryAfter %v", n)
		}
		if _, there := amf.Lookup(told[0].Object(), "tcUrl").(amf.String); there {
			t.Error("told an address: it is the same one")
		}
		if got := old.statuses(); got != nil {
			t.Errorf("one that does not understand it was told %v", got)
		}
		if len(old.closed) != 0 {
			t.Error("it was closed before Stop")
		}
		if len(app.drained) != 1 || app.drained[0] != RetryAfter {
			t.Errorf("OnDrain: %v", app.drained)
		}
		stopHost(h)
		if len(old.closed) != 1 {
			t.Error("it was not closed by Stop")
		}
	})
}

func TestDrainWaitsForNobody(t *testing.T) {
	for name, come := range map[string]func(*testing.T, *Host){
		"no instance":                func(*testing.T, *Host) {},
		"nobody in":                  func(t *testing.T, h *Host) { h.Start("app/x") },
		"one that cannot understand": func(t *testing.T, h *Host) { join(t, h) },
	} {
		synctest.Test(t, func(t *testing.T) {
			h := newHost(t, same(new(testApp)))
			come(t, h)
			if d := drainTime(h); d != 0 {
				t.Errorf("%s: Drain took %v", name, d)
			}
			stopHost(h)
		})
	}
}

func TestDrainEndsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, same(new(testApp)))
		_, p := joinFollowing(t, h)
		if d := drainTime(h); d != 10*time.Second {
			t.Errorf("Drain took %v with somebody who stays", d)
		}
		stopHost(h)
		if len(p.closed) != 1 {
			t.Error("who stayed was not closed")
		}
	})
}

func TestDrainLetsNobodyIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app := new(testApp)
		app.connect = func(*Client, amf.Args) error { return ErrPending }
		h := newHost(t, same(app))
		waiting := new(fakePeer)
		arrived := make(chan *Client, 1)
		go func() {
			c, _ := h.Connect(t.Context(), waiting, Request{Path: "app/x", Reconnects: true})
			arrived <- c
		}()
		synctest.Wait()
		drainTime(h)
		_, err := h.Connect(t.Context(), new(fakePeer), Request{Path: "app/x"})
		no, ok := errors.AsType[*rtmp.StatusError](err)
		if !ok || no.Code != rtmp.CodeConnectShutdown {
			t.Fatalf("a newcomer: %v", err)
		}
		if n, _ := amf.AsNumber(amf.Lookup(no.Application, "retryAfter")); n != 1000 {
			t.Errorf("retryAfter %v", n)
		}
		if s, _ := amf.AsString(amf.Lookup(no.Application, "reason")); s != no.Description {
			t.Errorf("reason %q", s)
		}
		// A client that was waiting when it began comes in, and is asked to
		// leave.
		app.in.Post(func() {
			for c := range app.in.pending {
				app.in.Accept(c)
			}
		})
		if c := <-arrived; c == nil {
			t.Error("who was waiting was refused")
		}
		if told := waiting.statuses(); len(told) != 1 || told[0].Code != rtmp.CodeReconnectRequest {
			t.Errorf("who was waiting was told %v", told)
		}
		stopHost(h)
	})
}

// An instance that another node may run does not wait for the rest of the host.
func TestDrainHandsOver(t *testing.T) {
	for _, test := range []struct {
		name  string
		stays bool // ann does, who was asked to leave
		after time.Duration
	}{
		{"everybody has left", false, handover / 2},
		{"somebody does not leave", true, handover},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				world := new(atlas)
				h := newHost(t, same(new(testApp)))
				h.HandleClaimed("claimed", same(new(testApp)))
				h.Owners = world.of("a", "rtmp://a")
				joinFollowing(t, h) // elsewhere: app/x keeps Drain waiting
				ann, bob := new(fakePeer), new(fakePeer)
				c, err := h.Connect(t.Context(), ann, Request{Path: "claimed/x", Reconnects: true})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := h.Connect(t.Context(), bob, Request{Path: "claimed/x"}); err != nil {
					t.Fatal(err)
				}
				go drainTime(h)
				if !test.stays {
					time.AfterFunc(test.after, func() { c.Leave(rtmp.ErrGoodbye) })
				}
				time.Sleep(test.after - time.Millisecond)
				synctest.Wait()
				if world.owner("claimed/x") != "a" {
					t.Error("given back before ann had her time")
				}
				time.Sleep(2 * time.Millisecond)
				synctest.Wait()
				if got := world.owner("claimed/x"); got != "" || h.Running("claimed/x") {
					t.Errorf("owned by %q, running %v", got, h.Running("claimed/x"))
				}
				bob.mu.Lock()
				defer bob.mu.Unlock()
				if len(bob.closed) != 1 {
					t.Fatalf("bob was closed %d times", len(bob.closed))
				}
				s, ok := errors.AsType[*rtmp.StatusError](bob.closed[0])
				if !ok || s.Code != rtmp.CodeConnectShutdown || s.Application == nil {
					t.Errorf("bob was told %v", bob.closed[0])
				}
				stopHost(h)
			})
		})
	}
}
