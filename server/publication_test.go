package server

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"foyer/server/amf"
	"foyer/server/rtmp"
)

// keepingApp keeps the players of lost publishers, and counts the messages of
// publishers.
type keepingApp struct {
	streamingApp
	refuse bool
	seen   int // of the publisher's goroutine; read when nothing moves
}

func (a *keepingApp) OnLost(_ *Client, public string) bool {
	a.events = append(a.events, "lost "+public)
	return !a.refuse
}

func (a *keepingApp) OnPublished(_ *Client, public string) func(rtmp.Message) {
	a.events = append(a.events, "published "+public)
	return func(rtmp.Message) { a.seen++ }
}

// statusSink keeps the statuses, too.
type statusSink struct{ sink }

func (s *statusSink) ServeStatus(info amf.Object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	code, _ := amf.AsString(amf.Lookup(info, "code"))
	s.got = append(s.got, strings.TrimPrefix(code, "NetStream.Play."))
}

func (s *statusSink) take() string {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	got := strings.Join(s.got, " ")
	s.got = nil
	return got
}

var errCrashed = errors.New("crashed")

func TestKeep(t *testing.T) {
	for _, c := range []struct {
		name   string
		refuse bool
		leave  func(*caller, *rtmp.Stream)
		told   string // of the player, when the publisher is gone
		lost   bool
	}{
		{"crashed", false, func(c *caller, _ *rtmp.Stream) { c.Close(errCrashed) }, "", true},
		{"crashed, and the application does not care", true, func(c *caller, _ *rtmp.Stream) { c.Close(errCrashed) }, "UnpublishNotify", true},
		{"deleted the stream", false, func(_ *caller, st *rtmp.Stream) { st.Close() }, "UnpublishNotify", false},
		{"deleted the stream and left", false, func(c *caller, st *rtmp.Stream) { st.Close(); c.Close(nil) }, "UnpublishNotify", false},
		{"said goodbye", false, func(c *caller, _ *rtmp.Stream) { c.Close(nil) }, "UnpublishNotify", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var n network
				a := &keepingApp{refuse: c.refuse}
				h := newHost(t, func() Application { return a })
				stop := serve(t, &n, "here", h)
				player := mustDial(t, &n, "rtmp://here/app/x")
				st, err := player.CreateStream(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				got := new(statusSink)
				if err := st.Play(t.Context(), "live", rtmp.StartAny, got); err != nil {
					t.Fatal(err)
				}
				first := mustDial(t, &n, "rtmp://here/app/x")
				out, err := publishTo(first, "live?key=secret")
				if err != nil {
					t.Fatal(err)
				}
				out.WriteMessage(rtmp.Message{Type: rtmp.TypeVideo, Timestamp: 40, Payload: keyFrame})
				got.take()
				c.leave(first, out)
				if told := got.take(); told != c.told {
					t.Errorf("the player was told %q, want %q", told, c.told)
				}
				if lost := slices.Contains(a.events, "lost live"); lost != c.lost || a.events[len(a.events)-1] != "unpublish live" {
					t.Errorf("got %q", a.events)
				}
				second := mustDial(t, &n, "rtmp://here/app/x")
				out, err = publishTo(second, "live?key=secret")
				if err != nil {
					t.Fatal(err)
				}
				out.WriteMessage(rtmp.Message{Type: rtmp.TypeVideo, Timestamp: 80, Payload: keyFrame})
				if told := got.take(); strings.Contains(told, "PublishNotify") == (c.told == "") || !strings.Contains(told, "12010203") {
					t.Errorf("then the player was told %q", told)
				}
				if a.seen != 2 {
					t.Errorf("the application saw %d messages", a.seen)
				}
				stop()
			})
		})
	}
}

// TestEndStream: it does not matter who publishes it, or whether anybody does.
func TestEndStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n network
		a := new(keepingApp)
		h := newHost(t, func() Application { return a })
		stop := serve(t, &n, "here", h)
		player := mustDial(t, &n, "rtmp://here/app/x")
		st, _ := player.CreateStream(t.Context())
		got := new(statusSink)
		if err := st.Play(t.Context(), "live", rtmp.StartAny, got); err != nil {
			t.Fatal(err)
		}
		end := func(name string) (ended bool) {
			a.in.Post(func() { ended = a.in.EndStream(name, badName("Released.")) })
			synctest.Wait()
			return ended
		}
		if end("live") || end("other") {
			t.Error("ended what nobody publishes")
		}
		var gone error
		a.disconnect = func(_ *Client, err error) { gone = err }
		publisher := mustDial(t, &n, "rtmp://here/app/x")
		if _, err := publishTo(publisher, "live?key=secret"); err != nil {
			t.Fatal(err)
		}
		got.take()
		if !end("live") || end("live") {
			t.Error("did not end the stream once")
		}
		<-publisher.ended
		synctest.Wait()
		if last, ok := errors.AsType[*rtmp.StatusError](gone); !ok || last.Description != "Released." {
			t.Errorf("the publisher was ended by %v", gone)
		}
		if told := got.take(); told != "UnpublishNotify" {
			t.Errorf("the player was told %q", told)
		}
		if want := []string{"play live", "publish live", "published live", "unpublish live"}; !slices.Equal(a.events, want) {
			t.Errorf("got %q, want %q", a.events, want)
		}
		stop()
	})
}

// TestEndStreamOfTheLost: the wait for a publisher ends, and nothing is left.
func TestEndStreamOfTheLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n network
		a := new(keepingApp)
		h := newHost(t, func() Application { return a })
		stop := serve(t, &n, "here", h)
		player := mustDial(t, &n, "rtmp://here/app/x")
		st, _ := player.CreateStream(t.Context())
		got := new(statusSink)
		if err := st.Play(t.Context(), "live", rtmp.StartAny, got); err != nil {
			t.Fatal(err)
		}
		publisher := mustDial(t, &n, "rtmp://here/app/x")
		if _, err := publishTo(publisher, "live?key=secret"); err != nil {
			t.Fatal(err)
		}
		got.take()
		publisher.Close(errCrashed)
		if told := got.take(); told != "" {
			t.Errorf("the player was told %q", told)
		}
		a.in.Post(func() {
			if !a.in.EndStream("live", nil) || a.in.EndStream("live", nil) {
				t.Error("did not end the wait once")
			}
		})
		if told := got.take(); told != "UnpublishNotify" {
			t.Errorf("the player was told %q", told)
		}
		player.Close(nil)
		<-player.ended
		synctest.Wait()
		if k := len(a.in.streams.byName); k != 0 {
			t.Errorf("%d streams are left", k)
		}
		stop()
	})
}

// TestNobodyIsKeptAtTheEnd: an instance that stops waits for nobody.
func TestNobodyIsKeptAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n network
		a := new(keepingApp)
		h := newHost(t, func() Application { return a })
		stop := serve(t, &n, "here", h)
		publisher := mustDial(t, &n, "rtmp://here/app/x")
		if _, err := publishTo(publisher, "live?key=secret"); err != nil {
			t.Fatal(err)
		}
		stop()
		if slices.Contains(a.events, "lost live") {
			t.Errorf("got %q", a.events)
		}
	})
}
