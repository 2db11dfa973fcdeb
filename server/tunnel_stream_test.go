package server

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"foyer/server/amf"
	"foyer/server/rtmp"
)

// watching is a client that plays.
type watching struct {
	*caller
	st       *rtmp.Stream
	pics     sink
	statuses []string
}

func (w *watching) WriteMessage(m rtmp.Message) { w.pics.WriteMessage(m) }
func (w *watching) Close(error)                 {}

func (w *watching) ServeStatus(info amf.Object) {
	w.pics.mu.Lock()
	defer w.pics.mu.Unlock()
	if code := rtmp.ParseStatus(info).Code; code != rtmp.CodePlayReset {
		w.statuses = append(w.statuses, code)
	}
}

func (w *watching) pictures() []string {
	w.pics.mu.Lock()
	defer w.pics.mu.Unlock()
	return slices.Clone(w.pics.got)
}

func (w *watching) heard() []string {
	w.pics.mu.Lock()
	defer w.pics.mu.Unlock()
	return slices.Clone(w.statuses)
}

func (s *site) watch(node, name string) *watching {
	s.t.Helper()
	w := &watching{caller: mustDial(s.t, &s.net, "rtmp://"+node+"/app/x")}
	var err error
	if w.st, err = w.CreateStream(s.t.Context()); err == nil {
		err = w.st.Play(s.t.Context(), name, rtmp.StartAny, w)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	synctest.Wait()
	return w
}

func (s *site) publish(node, name string) (*caller, *rtmp.Stream) {
	s.t.Helper()
	c := mustDial(s.t, &s.net, "rtmp://"+node+"/app/x")
	st, err := publishTo(c, name)
	if err != nil {
		s.t.Fatal(err)
	}
	synctest.Wait()
	return c, st
}

// show publishes a picture and lets it arrive everywhere.
func show(st *rtmp.Stream, at uint32) string {
	st.WriteMessage(rtmp.Message{Type: rtmp.TypeVideo, Timestamp: at, Payload: keyFrame})
	time.Sleep(time.Second) // of the bubble: players are written to from time to time
	synctest.Wait()
	return fmt.Sprintf("%v %d %x", rtmp.TypeVideo, at, keyFrame)
}

func (s *site) pulls(node string) (n int) {
	s.do(node, func() { n = len(s.apps[node].in.streams.nodes) })
	return n
}

// TestOnePullForAll: however many play at another node, the owner sends the
// pictures once, and counts every player once.
func TestOnePullForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, "a", "b")
		defer s.close()
		publisher, out := s.publish("a", "live?key=secret")
		first := show(out, 40)
		const many = 20
		var all []*watching
		for range many {
			w := s.watch("b", "live")
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
			if got := w.pictures(); !slices.Equal(got, []string{first}) {
				t.Fatalf("player %d began with %q", len(all), got)
			}
			all = append(all, w)
		}
		if n := s.pulls("a"); n != 1 {
			t.Errorf("%d pulls", n)
		}
		a := s.apps["a"]
		if len(a.guests) != many+1 {
			t.Errorf("the owner's application knows %d clients", len(a.guests))
		}
		sum := func(node string) (all int) {
			for _, n := range s.hosts[node].Stats().Clients["app"] {
				all += n
			}
			return all - s.hosts[node].Stats().OfNodes["app"]
		}
		if atA, atB, of := sum("a"), sum("b"), s.hosts["a"].Stats().OfNodes["app"]; atA != 1 || atB != many || of != many {
			t.Errorf("a counts %d people, b %d; %d connections of nodes", atA, atB, of)
		}
		second := show(out, 80)
		for _, w := range all {
			if got := w.pictures(); !slices.Equal(got, []string{first, second}) {
				t.Errorf("got %q", got)
			}
		}
		publisher.Close(nil)
		<-publisher.ended
		time.Sleep(time.Second)
		for _, w := range all {
			if !slices.Equal(w.heard(), []string{rtmp.CodeUnpublishNotify}) {
				t.Errorf("told %q", w.heard())
			}
		}
		for _, w := range all {
			goodbye(w.caller)
		}
		plays, stops := 0, 0
		for _, e := range a.events {
			switch e {
			case "play live":
				plays++
			case "stop live":
				stops++
			}
		}
		if plays != many || stops != many {
			t.Errorf("%d plays, %d stops", plays, stops)
		}
		if n := s.pulls("a"); n != 1 {
			t.Error("the pull did not linger")
		}
		time.Sleep(streamLinger + time.Second)
		if n := s.pulls("a"); n != 0 {
			t.Error("the pull did not end")
		}
	})
}

// TestPullWaitsForPublisher: a player that comes before the publisher hears
// when that comes.
func TestPullWaitsForPublisher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, "a", "b")
		defer s.close()
		one := mustDial(t, &s.net, "rtmp://a/app/x")
		w := s.watch("b", "live")
		publisher, out := s.publish("a", "live?key=secret")
		first := show(out, 40)
		if !slices.Equal(w.heard(), []string{rtmp.CodePublishNotify}) || !slices.Equal(w.pictures(), []string{first}) {
			t.Errorf("told %q, got %q", w.heard(), w.pictures())
		}
		// The pull breaks: the players wait, and hear nothing of that.
		s.mu.Lock()
		for _, c := range s.conns["a"] {
			if c != s.conns["a"][0] && c != s.conns["a"][1] {
				c.Close() // neither the control connection nor the player's
			}
		}
		s.mu.Unlock()
		time.Sleep(time.Second)
		show(out, 2000)
		if got := w.pictures(); len(got) != 3 || got[2] == got[1] || len(w.heard()) != 1 {
			t.Errorf("got %q, told %q", got, w.heard())
		}
		goodbye(publisher, w.caller, one)
	})
}

// TestPublishElsewhere: a client that publishes at another node is seen at
// both, after the owner has agreed.
func TestPublishElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, "a", "b")
		defer s.close()
		here, there := s.watch("a", "live"), s.watch("b", "live")
		c := mustDial(t, &s.net, "rtmp://b/app/x")
		if _, err := publishTo(c, "live?key=wrong"); err == nil || err.Error() != badName("Wrong key.").Error() {
			t.Errorf("wrong key: %v", err)
		}
		older, out := s.publish("b", "live?key=secret")
		first := show(out, 40)
		for _, w := range []*watching{here, there} {
			if got := w.pictures(); !slices.Equal(got, []string{first}) {
				t.Errorf("got %q", got)
			}
		}
		newer, out := s.publish("a", "live?key=secret")
		if err := <-older.ended; err == nil {
			t.Error("the older publisher was not ended")
		}
		show(out, 80)
		goodbye(newer)
		last, out := s.publish("b", "live?key=secret")
		s.apps["a"].events = nil
		out.Close()
		synctest.Wait()
		if got := s.apps["a"].events; !slices.Equal(got, []string{"unpublish live"}) {
			t.Errorf("closing the stream: %q", got)
		}
		if out, _ = last.CreateStream(t.Context()); out.Publish(t.Context(), "live?key=secret", "live") != nil {
			t.Error("not published again")
		}
		last.Close(rtmp.ErrClosed) // without a word
		<-last.ended
		synctest.Wait()
		if got := s.apps["a"].events; !slices.Equal(got[len(got)-2:], []string{"lost live", "unpublish live"}) {
			t.Errorf("losing the publisher: %q", got)
		}
		goodbye(c, here.caller, there.caller)
	})
}

type idlePlayer struct{ reason error } // why it was closed

func (*idlePlayer) WriteMessage(rtmp.Message) error { return nil }
func (*idlePlayer) Status(string, string)           {}
func (p *idlePlayer) Close(err error)               { p.reason = err }

// TestStreamElsewhere is Host.Stream for peers that do not come by RTMP.
func TestStreamElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, "a", "b")
		defer s.close()
		b := s.hosts["b"]
		if b.Stream("app/x", "live") != nil || b.Running("app/x") {
			t.Error("found a stream that nobody has")
		}
		publisher, _ := s.publish("a", "live?key=secret")
		if b.Stream("app/x", "other") != nil {
			t.Error("found a stream that nobody publishes")
		}
		found := b.Stream("app/x", "live")
		if found == nil || !found.Live() {
			t.Fatal("not found")
		}
		c, _ := join(t, b)
		stop, err := c.Play("live", nil)
		if err != nil || c.Stream("live") != found {
			t.Errorf("another stream: %v", err)
		}
		time.Sleep(2 * streamLinger)
		if n := s.pulls("a"); n != 1 || !found.Live() {
			t.Errorf("%d pulls while somebody watches", n)
		}
		muxer := new(idlePlayer) // it is there for those who come and go
		found.Join(muxer)
		stop()
		time.Sleep(3 * streamLinger)
		if n := s.pulls("a"); n != 1 || !found.Live() {
			t.Errorf("%d pulls while something is made of it", n)
		}
		found.Leave(muxer)
		c.Leave(rtmp.ErrGoodbye)
		time.Sleep(2 * streamLinger)
		if n := s.pulls("a"); n != 0 || found.Live() {
			t.Errorf("%d pulls when nobody watches", n)
		}
		if got := s.apps["a"].events; got[len(got)-1] != "stop live" {
			t.Errorf("%q", got)
		}
		goodbye(publisher)
	})
}

func TestTooManyPulls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, "a", "b")
		defer s.close()
		one := mustDial(t, &s.net, "rtmp://a/app/x")
		c, _ := join(t, s.hosts["b"])
		for i := range MaxTunnelStreams {
			if _, err := c.Play(fmt.Sprint("s", i), nil); err != nil {
				// A connection has room for MaxStreams; the next has its own.
				c.Leave(rtmp.ErrGoodbye)
				c, _ = join(t, s.hosts["b"])
				if _, err := c.Play(fmt.Sprint("s", i), nil); err != nil {
					t.Fatal(i, err)
				}
			}
		}
		if _, err := c.Play("more", nil); err == nil {
			t.Error("more than MaxTunnelStreams")
		}
		c.Leave(rtmp.ErrGoodbye)
		time.Sleep(2 * streamLinger)
		c, _ = join(t, s.hosts["b"])
		if _, err := c.Play("more", nil); err != nil {
			t.Errorf("when the others have ended: %v", err)
		}
		c.Leave(rtmp.ErrGoodbye)
		goodbye(one)
	})
}

// TestStreamHere: a question about this node brings nothing here.
func TestStreamHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, "a", "b")
		defer s.close()
		check := func(node string, here bool, where string) {
			t.Helper()
			if stream, at := s.hosts[node].StreamHere(t.Context(), "app/x", "live"); (stream != nil) != here || at != where {
				t.Errorf("at %s: %v at %q, want %v at %q", node, stream, at, here, where)
			}
		}
		check("b", false, "")
		publisher, out := s.publish("a", "live?key=secret")
		show(out, 40)
		check("a", true, "")
		check("b", false, "a")
		if n := s.hosts["b"].Stats().Instances["app"]; n != 0 {
			t.Errorf("%d instances at b", n)
		}
		visitor := mustDial(t, &s.net, "rtmp://b/app/x")
		check("b", false, "a")
		w := s.watch("b", "live")
		check("b", true, "")
		visitor.Close(nil)
		w.caller.Close(nil)
		publisher.Close(nil)
		<-publisher.ended
		time.Sleep(streamLinger + time.Second)
		check("a", false, "")
	})
}

// TestTypedElsewhere: what people type means the same at another node, which
// passes it on as it was meant.
func TestTypedElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, "a", "b")
		defer s.close()
		w := s.watch("a", "live")
		for _, typed := range [][2]string{{"app/x/live?key=secret", ""}, {"app/x", " flv:live/?key=secret\n"}, {"app/x?key=secret", "live"}} {
			c := mustDial(t, &s.net, "rtmp://b/"+typed[0])
			out, err := publishTo(c, typed[1])
			if err != nil {
				t.Fatalf("%q: %v", typed, err)
			}
			out.Close()
			synctest.Wait()
			goodbye(c)
		}
		once := []string{rtmp.CodePublishNotify, rtmp.CodeUnpublishNotify}
		if got := w.heard(); !slices.Equal(got, slices.Repeat(once, 3)) {
			t.Errorf("told %q", got)
		}
		goodbye(w.caller)
	})
}
