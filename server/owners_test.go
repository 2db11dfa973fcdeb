package server

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"foyer/server/amf"
	"foyer/server/rtmp"
)

// atlas knows where instances run, for all nodes of a test.
type atlas struct {
	mu     sync.Mutex
	owners map[string]*deed
	claims int
	hold   chan struct{} // if not nil, claims wait for it
}

// deed is one node's right to an instance.
type deed struct {
	node, rtmp string
	lost       func()
}

// nodeOwners is the Owners of one node.
type nodeOwners struct {
	*atlas
	node, rtmp string
}

func (a *atlas) of(node, rtmp string) *nodeOwners { return &nodeOwners{a, node, rtmp} }

func (p *nodeOwners) Claim(ctx context.Context, instance string, lost func()) (func(), error) {
	p.mu.Lock()
	p.claims++
	hold := p.hold
	p.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if d := p.owners[instance]; d != nil {
		return nil, &ElsewhereError{Node: d.node, RTMP: d.rtmp}
	}
	if p.owners == nil {
		p.owners = make(map[string]*deed)
	}
	d := &deed{p.node, p.rtmp, lost}
	p.owners[instance] = d
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.owners[instance] == d {
			delete(p.owners, instance)
		}
	}, nil
}

func (p *nodeOwners) Find(_ context.Context, instance string) *ElsewhereError {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d := p.owners[instance]; d != nil && d.node != p.node {
		return &ElsewhereError{Node: d.node, RTMP: d.rtmp}
	}
	return nil
}

// seize takes an instance away from its owner.
func (a *atlas) seize(instance string) {
	a.mu.Lock()
	d := a.owners[instance]
	delete(a.owners, instance)
	a.mu.Unlock()
	if d != nil {
		d.lost()
	}
}

func (a *atlas) owner(instance string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if d := a.owners[instance]; d != nil {
		return d.node
	}
	return ""
}

func TestArrivalsShareOneClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		world := &atlas{hold: make(chan struct{})}
		h := newHost(t, same(new(testApp)))
		h.HandleClaimed("app", same(new(testApp)))
		h.Owners = world.of("a", "rtmp://a")
		got := make(chan error, 3)
		for range cap(got) {
			go func() {
				_, err := h.Connect(t.Context(), new(fakePeer), Request{Path: "app/x", Protocol: "ws"})
				got <- err
			}()
		}
		synctest.Wait()
		if !h.Running("app/x") || world.owner("app/x") != "" {
			t.Error("the claim has not begun, or ended too early")
		}
		close(world.hold)
		for range cap(got) {
			if err := <-got; err != nil {
				t.Error(err)
			}
		}
		if world.claims != 1 || world.owner("app/x") != "a" {
			t.Errorf("%d claims, owner %q", world.claims, world.owner("app/x"))
		}
		stopHost(h)
		if world.owner("app/x") != "" {
			t.Error("the claim was not released")
		}
	})
}

func TestStopGivesUpAClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		world := &atlas{hold: make(chan struct{})}
		h := newHost(t, same(new(testApp)))
		h.HandleClaimed("app", same(new(testApp)))
		h.Owners = world.of("a", "rtmp://a")
		got := make(chan error, 1)
		go func() {
			_, err := h.Connect(t.Context(), new(fakePeer), Request{Path: "app/x", Protocol: "ws"})
			got <- err
		}()
		synctest.Wait()
		stopHost(h)
		if info, ok := errors.AsType[*rtmp.StatusError](<-got); !ok || info.Code != rtmp.CodeConnectShutdown {
			t.Errorf("got %v", info)
		}
	})
}

func TestLostInstanceEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		world := new(atlas)
		stopped := 0
		h := newHost(t, same(new(testApp)))
		h.HandleClaimed("app", same(&testApp{stop: func() { stopped++ }}))
		h.Owners = world.of("a", "rtmp://a")
		_, p := join(t, h)
		world.seize("app/x")
		synctest.Wait()
		if h.Running("app/x") || stopped != 1 || len(p.closed) != 1 {
			t.Fatalf("running %v, stopped %d times, closed %v", h.Running("app/x"), stopped, p.closed)
		}
		info, ok := errors.AsType[*rtmp.StatusError](p.closed[0])
		if !ok || info.Code != rtmp.CodeConnectShutdown || amf.Lookup(info.Application, "retryAfter") != amf.Number(1000) {
			t.Errorf("told %v", p.closed[0])
		}
		if _, _ = join(t, h); world.owner("app/x") != "a" || world.claims != 2 {
			t.Errorf("owner %q after %d claims", world.owner("app/x"), world.claims)
		}
		stopHost(h)
	})
}

// TestLostInstanceStoresNothing: after the loss an instance stores nothing any
// more, because it would overwrite what the new owner has stored.
func TestLostInstanceStoresNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		world, s := new(atlas), &fakeStore{fail: fixed(errDiskFull)}
		h, a := storing(t, s)
		h.HandleClaimed("app", func() Application { return a })
		h.Owners = world.of("a", "rtmp://a")
		c, _ := join(t, h)
		c.ServeSharedObject(use("public/x", true))
		c.ServeSharedObject(askKept("public/x", set("a", amf.Number(1))))
		synctest.Wait()
		before := s.saves
		world.seize("app/x")
		synctest.Wait()
		if s.saves != before || before == 0 {
			t.Errorf("%d saves before it was lost, %d after", before, s.saves)
		}
		stopHost(h)
	})
}
