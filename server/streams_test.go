package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"foyer/server/rtmp"
)

// streamingApp lets everybody publish who knows the key.
type streamingApp struct {
	testApp
	takeover bool
	events   []string
}

func (a *streamingApp) OnPublish(_ *Client, name, kind string) (string, bool, error) {
	public, key, _ := strings.Cut(name, "?key=")
	a.events = append(a.events, "publish "+public)
	if key != "secret" {
		return "", false, badName("Wrong key.")
	}
	return public, a.takeover, nil
}

func (a *streamingApp) OnUnpublish(_ *Client, public string) {
	a.events = append(a.events, "unpublish "+public)
}

func (a *streamingApp) OnPlay(_ *Client, name string) (string, error) {
	if name == "forbidden" {
		return "", errors.New("a secret of ours")
	}
	a.events = append(a.events, "play "+name)
	return name, nil
}

func (a *streamingApp) OnStop(_ *Client, public string) { a.events = append(a.events, "stop "+public) }

// sink keeps everything that a player gets.
type sink struct {
	mu  sync.Mutex
	got []string
}

func (s *sink) WriteMessage(m rtmp.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.Type == rtmp.TypeVideo || m.Type == rtmp.TypeAudio {
		s.got = append(s.got, fmt.Sprintf("%v %d %x", m.Type, m.Timestamp, m.Payload))
	}
}

func (s *sink) Close(error) {}

func publishTo(c *caller, name string) (*rtmp.Stream, error) {
	st, err := c.CreateStream(context.Background())
	if err != nil {
		return nil, err
	}
	return st, st.Publish(context.Background(), name, "live")
}

var keyFrame = []byte{0x12, 1, 2, 3} // Sorenson: no header needed

func TestPublishAndPlay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n network
		a := new(streamingApp)
		h := newHost(t, func() Application { return a })
		stop := serve(t, &n, "here", h)
		player := mustDial(t, &n, "rtmp://here/app/x")
		st, err := player.CreateStream(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got := new(sink)
		if err := st.Play(t.Context(), "live", rtmp.StartAny, got); err != nil {
			t.Fatal(err)
		}
		publisher := mustDial(t, &n, "rtmp://here/app/x")
		if _, err := publishTo(publisher, "live?key=wrong"); err == nil || !strings.Contains(err.Error(), "Wrong key.") {
			t.Errorf("wrong key: %v", err)
		}
		out, err := publishTo(publisher, "live?key=secret")
		if err != nil {
			t.Fatal(err)
		}
		out.WriteMessage(rtmp.Message{Type: rtmp.TypeVideo, Timestamp: 40, Payload: keyFrame})
		synctest.Wait()
		if want := fmt.Sprintf("%v 40 12010203", rtmp.TypeVideo); !slices.Equal(got.got, []string{want}) {
			t.Errorf("player got %q, want %q", got.got, want)
		}
		var live bool
		a.in.Post(func() { live = a.in.Stream("live").Live() })
		synctest.Wait()
		if !live {
			t.Error("not live while published")
		}
		goodbye(publisher)
		goodbye(player)
		want := []string{"play live", "publish live", "publish live", "unpublish live", "stop live"}
		if !slices.Equal(a.events, want) {
			t.Errorf("got %q, want %q", a.events, want)
		}
		stop()
	})
}

// TestTakeover: the older publisher is told and ends; players stay.
func TestTakeover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n network
		a := &streamingApp{takeover: true}
		var gone error
		a.disconnect = func(_ *Client, err error) { gone = err }
		h := newHost(t, func() Application { return a })
		stop := serve(t, &n, "here", h)
		player := mustDial(t, &n, "rtmp://here/app/x")
		st, _ := player.CreateStream(t.Context())
		got := new(sink)
		if err := st.Play(t.Context(), "live", rtmp.StartAny, got); err != nil {
			t.Fatal(err)
		}
		older := mustDial(t, &n, "rtmp://here/app/x")
		if _, err := publishTo(older, "live?key=secret"); err != nil {
			t.Fatal(err)
		}
		newer := mustDial(t, &n, "rtmp://here/app/x")
		out, err := publishTo(newer, "live?key=secret")
		if err != nil {
			t.Fatal(err)
		}
		<-older.ended
		synctest.Wait()
		last, ok := errors.AsType[*rtmp.StatusError](gone)
		if !ok || last.Code != rtmp.CodePublishBadName || last.Description != "Taken over by a newer publisher." {
			t.Errorf("older was ended by %v", gone)
		}
		out.WriteMessage(rtmp.Message{Type: rtmp.TypeVideo, Timestamp: 1, Payload: keyFrame})
		synctest.Wait()
		if len(got.got) != 1 {
			t.Errorf("player got %q", got.got)
		}
		if want := []string{"play live", "publish live", "publish live", "unpublish live"}; !slices.Equal(a.events, want) {
			t.Errorf("got %q, want %q", a.events, want)
		}
		if _, err := publishTo(newer, "live?key=secret"); err == nil || newer.Err() != nil {
			t.Errorf("taking over from oneself: %v, ended by %v", err, newer.Err())
		}
		stop()
	})
}

// TestNoTakeover: the newcomer is refused, unless the older one is silent.
func TestNoTakeover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n network
		a := new(streamingApp)
		h := newHost(t, func() Application { return a })
		stop := serve(t, &n, "here", h)
		older := mustDial(t, &n, "rtmp://here/app/x")
		out, err := publishTo(older, "live?key=secret")
		if err != nil {
			t.Fatal(err)
		}
		newer := mustDial(t, &n, "rtmp://here/app/x")
		time.Sleep(publisherGrace - time.Millisecond)
		out.WriteMessage(rtmp.Message{Type: rtmp.TypeVideo, Payload: keyFrame})
		time.Sleep(publisherGrace)
		if _, err := publishTo(newer, "live?key=secret"); err == nil || !strings.Contains(err.Error(), "already published") {
			t.Errorf("newcomer: %v", err)
		}
		time.Sleep(time.Millisecond)
		if _, err := publishTo(newer, "live?key=secret"); err != nil {
			t.Errorf("newcomer after silence: %v", err)
		}
		<-older.ended
		stop()
	})
}

func TestPublishRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n network
		h := newHost(t, same(new(testApp)))
		h.Handle("tv", func() Application { return &streamingApp{takeover: true} })
		stop := serve(t, &n, "here", h)
		for _, tt := range []struct{ uri, name, want string }{
			{"rtmp://here/app", "live", "Publishing is not allowed here."},
			{"rtmp://here/tv", "", "The stream has no name. The stream key is live?key=KEY, where live is the name."},
			{"rtmp://here/tv", "?key=secret", "The stream has no name. The stream key is live?key=KEY, where live is the name."},
			{"rtmp://here/tv", strings.Repeat("x", MaxStreamName+1), "too long"},
			// ffmpeg with rtmp://here/chapter4/tv/blue/live
			{"rtmp://here/tv", "blue/live?key=secret", "-rtmp_app tv/blue -rtmp_playpath live"},
		} {
			c := mustDial(t, &n, tt.uri)
			if _, err := publishTo(c, tt.name); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("publish %.20q: %v, want %q", tt.name, err, tt.want)
			}
			c.Close(nil)
			<-c.ended
		}
		c := mustDial(t, &n, "rtmp://here/tv/blue")
		if _, err := publishTo(c, "a/b?key=secret"); err != nil {
			t.Errorf("a slash in a named instance: %v", err)
		}
		st, _ := c.CreateStream(t.Context())
		if err := st.Play(t.Context(), "", rtmp.StartAny, new(sink)); err == nil || err.Error() != rtmp.CodePlayFailed+": "+noName {
			t.Errorf("play without a name: %v", err)
		}
		err := st.Play(t.Context(), "forbidden", rtmp.StartAny, new(sink))
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("forbidden play: %v", err)
		}
		stop()
	})
}

// TestStreamsAreForgotten: a name that somebody once played costs nothing.
func TestStreamsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n network
		a := new(streamingApp)
		h := newHost(t, func() Application { return a })
		stop := serve(t, &n, "here", h)
		c := mustDial(t, &n, "rtmp://here/app/x")
		for i := range 10 {
			st, err := c.CreateStream(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if err := st.Play(t.Context(), fmt.Sprint("s", i), rtmp.StartAny, new(sink)); err != nil {
				t.Fatal(err)
			}
			if i < 9 {
				st.Close()
			}
		}
		synctest.Wait()
		if k := len(a.in.streams.byName); k != 1 {
			t.Errorf("%d streams", k)
		}
		c.Close(nil)
		<-c.ended
		synctest.Wait()
		if k := len(a.in.streams.byName); k != 0 {
			t.Errorf("%d streams", k)
		}
		stop()
	})
}

// TestPublishLoop: a client that begins and ends all the time is read more
// slowly, and its neighbour is not.
func TestPublishLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n network
		h := newHost(t, func() Application { return new(streamingApp) })
		stop := serve(t, &n, "here", h)
		loop, other := mustDial(t, &n, "rtmp://here/app/x"), mustDial(t, &n, "rtmp://here/app/x")
		publish := func(c *caller, times int) time.Duration {
			t.Helper()
			begun := time.Now()
			for range times {
				st, err := c.CreateStream(t.Context())
				if err == nil {
					err = st.Publish(t.Context(), "live?key=secret", "live")
				}
				if err != nil {
					t.Fatal(err)
				}
				st.Close()
				synctest.Wait()
			}
			return time.Since(begun)
		}
		if d := publish(loop, publishBurst+20); d != 20*publishPause {
			t.Errorf("%d times take %v", publishBurst+20, d)
		}
		if d := publish(other, publishBurst); d != 0 {
			t.Errorf("another client waits %v", d)
		}
		time.Sleep(publishBurst * publishPause)
		if d := publish(loop, publishBurst); d != 0 {
			t.Errorf("after a rest it waits %v", d)
		}
		for _, c := range []*caller{loop, other} {
			c.Close(nil)
			<-c.ended
		}
		synctest.Wait()
		for _, in := range h.instances {
			in.Post(func() {
				if len(in.streams.nextPublish) > 0 {
					t.Errorf("%d clients are remembered", len(in.streams.nextPublish))
				}
			})
		}
		synctest.Wait()
		stop()
	})
}
