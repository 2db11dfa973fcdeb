package server

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"foyer/server/amf"
	"foyer/server/rtmp"
)

// die ends a node as a crash does: its connections break, nobody answers there,
// and what it had claimed is free after a while.
func (s *site) die(name string, lease time.Duration) {
	s.net.mu.Lock()
	delete(s.net.listeners, name)
	s.net.mu.Unlock()
	s.mu.Lock()
	for _, c := range s.conns[name] {
		c.Close()
	}
	s.conns[name] = nil
	s.mu.Unlock()
	time.AfterFunc(lease, func() {
		s.world.mu.Lock()
		defer s.world.mu.Unlock()
		for instance, d := range s.world.owners {
			if d.node == name {
				delete(s.world.owners, instance)
			}
		}
	})
}

// told waits for the end of a client, and returns the words that came with it.
func told(t *testing.T, c *caller) *rtmp.StatusError {
	t.Helper()
	<-c.ended
	synctest.Wait()
	if len(c.status) == 0 {
		return &rtmp.StatusError{}
	}
	return c.status[len(c.status)-1]
}

// TestOwnerDies: the clients of the other nodes are sent away, come back where
// they were, and find the instance at a new owner.
func TestOwnerDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, "a", "b", "c")
		defer s.close()
		one := mustDial(t, &s.net, "rtmp://a/app/x", amf.String("one"))
		two := mustDial(t, &s.net, "rtmp://b/app/x", amf.String("two"))
		w := s.watch("c", "live")
		s.die("a", 5*time.Second)
		for _, c := range []*caller{two, w.caller} {
			info := told(t, c)
			if retry, _ := amf.AsNumber(amf.Lookup(info.Application, "retryAfter")); info.Code != rtmp.CodeConnectShutdown || retry <= 0 {
				t.Errorf("told %v", info)
			}
		}
		began := time.Now()
		back := mustDial(t, &s.net, "rtmp://b/app/x", amf.String("two"))
		if d := time.Since(began); d > 6*time.Second {
			t.Errorf("back after %v", d)
		}
		if v, err := back.Call(t.Context(), "where"); err != nil || v != amf.String("b false") {
			t.Errorf("where: %v, %v", v, err)
		}
		again := mustDial(t, &s.net, "rtmp://c/app/x", amf.String("three"))
		if v, err := again.Call(t.Context(), "where"); err != nil || v != amf.String("b false") {
			t.Errorf("where: %v, %v", v, err)
		}
		goodbye(back, again)
		one.Close(nil)
		<-one.ended
	})
}

// TestOwnerStops: the end of an owner that stops in good order is passed on.
func TestOwnerStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, "a", "b")
		two := func() *caller {
			one := mustDial(t, &s.net, "rtmp://a/app/x", amf.String("one"))
			two := mustDial(t, &s.net, "rtmp://b/app/x", amf.String("two"))
			s.stops["a"]()
			told(t, one)
			return two
		}()
		delete(s.stops, "a")
		if info := told(t, two); info.Code != rtmp.CodeConnectShutdown {
			t.Errorf("told %v", info)
		}
		back := mustDial(t, &s.net, "rtmp://b/app/x", amf.String("two"))
		if v, err := back.Call(t.Context(), "where"); err != nil || v != amf.String("b false") {
			t.Errorf("where: %v, %v", v, err)
		}
		goodbye(back)
		s.close()
	})
}

// TestLostWhilePeopleAreIn: an owner that has lost its instance sends everybody
// away, and serves it from the new owner when they come back.
func TestLostWhilePeopleAreIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, "a", "b", "c")
		defer s.close()
		one := mustDial(t, &s.net, "rtmp://a/app/x", amf.String("one"))
		two := mustDial(t, &s.net, "rtmp://b/app/x", amf.String("two"))
		s.world.mu.Lock()
		lost := s.world.owners["app/x"].lost
		s.world.owners["app/x"] = &deed{node: "c", rtmp: "rtmp://c"} // which is about to start it
		s.world.mu.Unlock()
		lost()
		for _, c := range []*caller{one, two} {
			info := told(t, c)
			if retry, _ := amf.AsNumber(amf.Lookup(info.Application, "retryAfter")); info.Code != rtmp.CodeConnectShutdown || retry <= 0 {
				t.Errorf("told %v", info)
			}
		}
		s.world.mu.Lock()
		delete(s.world.owners, "app/x")
		s.world.mu.Unlock()
		three := mustDial(t, &s.net, "rtmp://c/app/x", amf.String("three"))
		for _, node := range []string{"a", "b"} {
			back := mustDial(t, &s.net, "rtmp://"+node+"/app/x", amf.String("one"))
			if v, err := back.Call(t.Context(), "where"); err != nil || v != amf.String("c false") {
				t.Errorf("%s: %v, %v", node, v, err)
			}
			goodbye(back)
		}
		goodbye(three)
	})
}

// TestBothAtOnce: two nodes where somebody arrives in the same moment.
func TestBothAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, "a", "b")
		defer s.close()
		s.world.hold = make(chan struct{})
		got := make(chan *caller, 4)
		for _, node := range []string{"a", "b", "a", "b"} {
			go func() {
				c, err := dial(t, &s.net, "rtmp://"+node+"/app/x")
				if err != nil {
					t.Error(err)
				}
				got <- c
			}()
		}
		synctest.Wait()
		close(s.world.hold)
		var where []amf.Value
		var all []*caller
		for range cap(got) {
			c := <-got
			v, err := c.Call(t.Context(), "where")
			if err != nil {
				t.Error(err)
			}
			where, all = append(where, v), append(all, c)
		}
		if len(s.apps) != 1 || len(slices.Compact(where)) != 1 {
			t.Errorf("%d applications, %v", len(s.apps), where)
		}
		goodbye(all...)
	})
}

// TestNoOwnerAnswers: an owner that is away without giving up its claim costs a
// client some seconds. Then the client is told when to come again.
func TestNoOwnerAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, "b")
		defer s.close()
		s.world.owners = map[string]*deed{"app/x": {node: "a", rtmp: "rtmp://a"}, "app/y": {node: "b", rtmp: "rtmp://b"}}
		for _, instance := range []string{"x", "y"} { // y: our own claim from before we were restarted
			began := time.Now()
			_, err := dial(t, &s.net, "rtmp://b/app/"+instance)
			info, ok := errors.AsType[*rtmp.StatusError](err)
			if !ok {
				t.Fatal(err)
			}
			if retry, _ := amf.AsNumber(amf.Lookup(info.Application, "retryAfter")); info.Code != rtmp.CodeConnectFailed || retry <= 0 {
				t.Errorf("got %v", err)
			}
			if d := time.Since(began); d < reachTimeout || d > 2*reachTimeout {
				t.Errorf("refused after %v", d)
			}
		}
		if _, err := s.hosts["b"].Call(t.Context(), "app/x", "where"); err != ErrNotRunning {
			t.Errorf("call: %v", err)
		}
	})
}

// TestStartElsewhere: an instance that is to stay runs on one node only.
func TestStartElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, "a", "b")
		defer s.close()
		if err := s.hosts["a"].Start("app/x"); err != nil {
			t.Fatal(err)
		}
		away, ok := errors.AsType[*ElsewhereError](s.hosts["b"].Start("app/x"))
		if !ok || away.Node != "a" {
			t.Errorf("got %v", away)
		}
		s.die("a", 3*time.Second)
		if err := s.hosts["b"].Start("app/y"); err != nil {
			t.Error(err)
		}
		time.AfterFunc(time.Second, func() { s.world.seize("app/z") })
		s.world.mu.Lock()
		s.world.owners["app/z"] = &deed{node: "a", rtmp: "rtmp://a", lost: func() {}}
		s.world.mu.Unlock()
		if err := s.hosts["b"].Start("app/z"); err != nil || s.world.owner("app/z") != "b" {
			t.Errorf("owner %q: %v", s.world.owner("app/z"), err)
		}
	})
}

// TestStartStaysOut: an instance that was not started does not stay.
func TestStartStaysOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, "a", "b")
		defer s.close()
		if err := s.hosts["a"].Start("app/x"); err != nil {
			t.Fatal(err)
		}
		s.hosts["b"].Start("app/x")
		time.Sleep(2 * DefaultIdle)
		if len(s.hosts["b"].Stats().Instances) != 1 || s.hosts["b"].Stats().Instances["app"] != 0 || s.world.owner("app/x") != "a" {
			t.Errorf("b has %v", s.hosts["b"].Stats().Instances)
		}
	})
}
