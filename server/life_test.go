package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"foyer/server/amf"
	"foyer/server/rtmp"
)

// running is how many instances a host has.
func running(h *Host) int { return h.Stats().Instances["app"] }

// TestRefusedInstanceIsCollected: an instance that was started only to refuse
// somebody stops at once.
func TestRefusedInstanceIsCollected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stopped := false
		h := newHost(t, same(&testApp{
			connect: func(*Client, amf.Args) error { return Reject("no") },
			stop:    func() { stopped = true },
		}))
		_, err := h.Connect(t.Context(), new(fakePeer), Request{Path: "app/x"})
		if s, ok := errors.AsType[*rtmp.StatusError](err); !ok || s.Description != "no" {
			t.Errorf("got %v", err)
		}
		synctest.Wait()
		if n := running(h); n != 0 || !stopped {
			t.Errorf("%d instances, stopped %v", n, stopped)
		}
	})
}

// TestRefusedName: if an application does not take a name, the client is at
// fault. If an instance cannot start, the operator has to look.
func TestRefusedName(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want bool // a warning
	}{{Reject("no such name"), false}, {errors.New("the disk is full"), true}} {
		synctest.Test(t, func(t *testing.T) {
			var logged strings.Builder
			h := newHost(t, same(&testApp{start: func(*Instance) error { return tt.err }}))
			h.Log = slog.New(slog.NewTextHandler(&logged, nil))
			if _, err := h.Connect(t.Context(), new(fakePeer), Request{Path: "app/x"}); err == nil {
				t.Error("it started")
			}
			h.Stop(t.Context())
			if got := strings.Contains(logged.String(), "WARN"); got != tt.want || !strings.Contains(logged.String(), tt.err.Error()) {
				t.Errorf("%v: logged %s", tt.err, logged.String())
			}
		})
	}
}

// TestPhases follows an instance through its life, as in the picture in
// life.go.
func TestPhases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen []string
		app := new(drainingApp)
		note := func() { seen = append(seen, app.in.life.phase.String()) }
		app.start = func(*Instance) error { note(); return nil }
		app.connect = func(_ *Client, args amf.Args) error {
			note()
			if len(args) > 0 {
				return Reject("no")
			}
			return nil
		}
		app.stop = note
		h := newHost(t, func() Application { return app })
		look := func() {
			synctest.Wait()
			app.in.Post(note)
			synctest.Wait()
		}
		if err := h.Start("app/x"); err != nil {
			t.Fatal(err)
		}
		h.Connect(t.Context(), new(fakePeer), Request{Path: "app/x", Args: amf.Args{amf.Null{}}})
		look()
		c, _ := joinFollowing(t, h)
		look()
		c.in.post(c.in.life.drain)
		look()
		c.Leave(rtmp.ErrClosed)
		look()
		h.Stop(t.Context())
		want := []string{"starting", "fresh", "unwanted", "unwanted", "open", "draining", "drained", "stopping"}
		if !slices.Equal(seen, want) {
			t.Errorf("went through %v, want %v", seen, want)
		}
	})
}

// TestRefusalDisturbsNobody: with somebody there it stays.
func TestRefusalDisturbsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, same(&testApp{connect: func(c *Client, args amf.Args) error {
			if len(args) > 0 {
				return errors.New("a secret of ours")
			}
			return nil
		}}))
		c, _ := join(t, h)
		_, err := h.Connect(t.Context(), new(fakePeer), Request{Path: "app/x", Args: amf.Args{amf.Null{}}})
		if s, ok := errors.AsType[*rtmp.StatusError](err); !ok || s.Description != "Connection failed." {
			t.Errorf("got %v", err)
		}
		time.Sleep(time.Hour)
		if n := running(h); n != 1 {
			t.Errorf("%d instances", n)
		}
		c.Leave(rtmp.ErrClosed)
		time.Sleep(DefaultIdle)
		synctest.Wait()
		if n := running(h); n != 0 {
			t.Errorf("%d instances after everybody left", n)
		}
	})
}

func TestStartErrorRefusesTheStarter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, same(&testApp{
			start: func(*Instance) error { return Reject("Room name is not valid.") },
			stop:  func() { t.Error("OnAppStop of what never started") },
		}))
		_, err := h.Connect(t.Context(), new(fakePeer), Request{Path: "app/x"})
		if s, ok := errors.AsType[*rtmp.StatusError](err); !ok || s.Description != "Room name is not valid." {
			t.Errorf("got %v", err)
		}
		if err := h.Start("app/x"); err == nil {
			t.Error("Start succeeded")
		}
		synctest.Wait()
		if n := running(h); n != 0 {
			t.Errorf("%d instances", n)
		}
	})
}

func TestPinnedInstanceStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, same(new(testApp)))
		if err := h.Start("app/x"); err != nil {
			t.Fatal(err)
		}
		c, _ := join(t, h)
		c.Leave(rtmp.ErrClosed)
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if n := running(h); n != 1 {
			t.Errorf("%d instances", n)
		}
		stopHost(h)
		if n := running(h); n != 0 {
			t.Errorf("%d instances after Stop", n)
		}
		if err := h.Start("app/x"); err == nil {
			t.Error("started after Stop")
		}
	})
}

func TestStopTellsEverybody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []string
		a := &testApp{
			connect: func(c *Client, args amf.Args) error {
				if len(args) > 0 {
					return ErrPending
				}
				return nil
			},
			disconnect: func(*Client, error) { events = append(events, "disconnect") },
			stop:       func() { events = append(events, "stop") },
		}
		h := newHost(t, same(a))
		_, p := join(t, h)
		pending := make(chan error, 1)
		go func() {
			_, err := h.Connect(t.Context(), new(fakePeer), Request{Path: "app/x", Args: amf.Args{amf.Null{}}})
			pending <- err
		}()
		synctest.Wait()
		stopHost(h)
		if want := []string{"disconnect", "disconnect", "stop"}; !slices.Equal(events, want) {
			t.Errorf("got %q, want %q", events, want)
		}
		if s, ok := errors.AsType[*rtmp.StatusError](<-pending); !ok || s.Code != rtmp.CodeConnectShutdown {
			t.Errorf("pending client was told %v", s)
		}
		if len(p.closed) != 1 {
			t.Fatalf("closed %v", p.closed)
		}
		if s, ok := errors.AsType[*rtmp.StatusError](p.closed[0]); !ok || s.Code != rtmp.CodeConnectShutdown {
			t.Errorf("client was told %v", p.closed[0])
		}
	})
}

// TestArrivalWhileStopping: the next instance starts when the old one has ended
// entirely, whatever that takes.
func TestArrivalWhileStopping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []string
		h := newHost(t, func() Application {
			return &testApp{
				start: func(in *Instance) error {
					events = append(events, "start")
					in.Go(func(ctx context.Context) {
						<-ctx.Done()
						time.Sleep(time.Second) // winding up
						events = append(events, "ended")
					})
					return nil
				},
				stop: func() { events = append(events, "stop") },
			}
		})
		c, _ := join(t, h)
		first := c.Instance()
		c.Leave(rtmp.ErrClosed)
		time.Sleep(DefaultIdle + time.Millisecond) // it is winding up now
		c, _ = join(t, h)
		if c.Instance() == first {
			t.Error("joined an instance that was stopping")
		}
		stopHost(h)
		want := []string{"start", "stop", "ended", "start", "stop", "ended"}
		if !slices.Equal(events, want) {
			t.Errorf("got %q, want %q", events, want)
		}
	})
}

// TestArrivalAtTheLastMoment: a client that comes when the idle time is over,
// or just before, is in the old instance or in a new one, but it is in.
func TestArrivalAtTheLastMoment(t *testing.T) {
	for _, d := range []time.Duration{-1, 0, 1} {
		synctest.Test(t, func(t *testing.T) {
			h := newHost(t, func() Application { return new(testApp) })
			c, _ := join(t, h)
			c.Leave(rtmp.ErrClosed)
			synctest.Wait()
			time.Sleep(DefaultIdle + d)
			c, _ = join(t, h)
			time.Sleep(DefaultIdle * 2)
			if !c.Instance().Post(func() {}) {
				t.Error("the instance of a client has stopped")
			}
			stopHost(h)
		})
	}
}

// TestPanicStopsOneInstance: callers get an answer, everybody is told, and the
// instance next door does not notice.
func TestPanicStopsOneInstance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, func() Application {
			return &testApp{
				methods: map[string]Method{
					"bomb": func(*Client, amf.Args) (amf.Value, error) { panic("boom") },
					"fine": func(*Client, amf.Args) (amf.Value, error) { return amf.Number(1), nil },
				},
				disconnect: func(c *Client, _ error) {
					if c.Instance().broken() {
						t.Error("code of a broken application ran")
					}
				},
			}
		})
		c, p := join(t, h)
		other := new(fakePeer)
		d, err := h.Connect(t.Context(), other, Request{Path: "app/y"})
		if err != nil {
			t.Fatal(err)
		}
		answers := make(chan error, 3)
		reply := func(_ amf.Value, err error) { answers <- err }
		c.ServeCall("fine", nil, reply)
		c.ServeCall("bomb", nil, reply)
		c.ServeCall("fine", nil, reply)
		if err := <-answers; err != nil {
			t.Errorf("the call before: %v", err)
		}
		for range 2 {
			if err := <-answers; err == nil {
				t.Error("the bomb was answered with success")
			}
		}
		<-c.Instance().life.done
		if len(p.closed) != 1 || len(other.closed) != 0 {
			t.Errorf("closed %v and %v", p.closed, other.closed)
		}
		d.ServeCall("fine", nil, reply)
		if err := <-answers; err != nil {
			t.Errorf("next door: %v", err)
		}
		if c, _ := join(t, h); !c.Instance().Post(func() {}) {
			t.Error("no new instance after a panic")
		}
		stopHost(h)
	})
}

// TestPanicAnywhere: in each event, in a post and in a function of Go.
func TestPanicAnywhere(t *testing.T) {
	boom := func() { panic("boom") }
	for name, a := range map[string]*testApp{
		"start":   {start: func(*Instance) error { panic("boom") }},
		"connect": {connect: func(*Client, amf.Args) error { panic("boom") }},
		"post":    {connect: func(c *Client, _ amf.Args) error { c.Instance().Post(boom); return nil }},
		"go": {connect: func(c *Client, _ amf.Args) error {
			c.Instance().Go(func(context.Context) { boom() })
			return nil
		}},
		"after":      {connect: func(c *Client, _ amf.Args) error { c.Instance().After(time.Second, boom); return nil }},
		"disconnect": {connect: func(c *Client, _ amf.Args) error { return nil }, disconnect: func(*Client, error) { boom() }},
		"stop":       {stop: boom},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHost(t, same(a))
				c, err := h.Connect(t.Context(), new(fakePeer), Request{Path: "app/x"})
				time.Sleep(2 * time.Second)
				if err == nil {
					c.Leave(rtmp.ErrClosed)
				}
				time.Sleep(DefaultIdle)
				synctest.Wait()
				if n := running(h); n != 0 {
					t.Errorf("%d instances", n)
				}
			})
		})
	}
}

func TestMaxInstances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, same(new(testApp)))
		h.MaxInstances = 2
		for i := range 3 {
			_, err := h.Connect(t.Context(), new(fakePeer), Request{Path: fmt.Sprint("app/", i)})
			if (err != nil) != (i == 2) {
				t.Errorf("instance %d: %v", i, err)
			}
		}
		stopHost(h)
	})
}

// TestTurnIsBounded: subscribers hear of changes after maxTurn posts, even when
// more have come.
func TestTurnIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newSharingApp()
		h := newHost(t, func() Application { return a })
		c, p := join(t, h)
		c.ServeSharedObject(use("rooms", false))
		synctest.Wait()
		p.heard()
		block := make(chan bool)
		a.in.Post(func() { <-block })
		synctest.Wait()
		for i := range 2 * maxTurn {
			a.in.Post(func() { a.in.SharedObject("rooms", false).Set("blue", amf.Number(i+2)) })
		}
		close(block)
		synctest.Wait()
		if n := len(p.heard()); n != 2 {
			t.Errorf("%d messages for %d posts, want 2", n, 2*maxTurn)
		}
		stopHost(h)
	})
}

// TestLiarAboutItself: a stranger that shows the instance's own referrer keeps
// nothing alive, and the people in it lose nothing.
func TestLiarAboutItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, same(&testApp{connect: func(*Client, amf.Args) error { return nil }}))
		lie := Request{Path: "app/x", Referrer: "rtmp://_defaultVHost_:1935/app/x", Agent: "FlashCom/1.5.2", Addr: netip.MustParseAddrPort("192.0.2.1:1")}
		c, _ := join(t, h)
		for range 3 {
			liar, err := h.Connect(t.Context(), new(fakePeer), lie)
			if err != nil {
				t.Fatal(err)
			}
			liar.Leave(rtmp.ErrGoodbye)
		}
		liar, err := h.Connect(t.Context(), new(fakePeer), lie)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * DefaultIdle)
		if running(h) != 1 || liar.Local() {
			t.Errorf("%d instances with somebody in, local %v", running(h), liar.Local())
		}
		c.Leave(rtmp.ErrGoodbye)
		time.Sleep(2 * DefaultIdle)
		if running(h) != 0 {
			t.Error("a liar keeps it alive")
		}
	})
}
