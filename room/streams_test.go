package room_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"foyer/room"
	"foyer/server"
	"foyer/server/amf"
	"foyer/server/rtmp"
)

// watched returns a host whose room blue is also returned.
func watched(t *testing.T, cfg room.Config) (*server.Host, *room.Room) {
	t.Helper()
	var r *room.Room
	h := &server.Host{}
	h.Handle("room", func() server.Application { r = room.New(cfg).(*room.Room); return r })
	t.Cleanup(func() { h.Stop(t.Context()) })
	spectate(t, h)
	return h, r
}

// do runs f on the instance goroutine.
func do(p *peer, f func()) {
	p.client.Instance().Post(f)
	synctest.Wait()
}

func TestPublish(t *testing.T) {
	for _, c := range []struct {
		name, stream, public, want string
	}{
		{"the right key", "live?key=stream-key-blue", "live", ""},
		{"more in the query", "live?x=1&key=stream-key-blue&y=%zz", "live", ""},
		{"another name", "cam-2?key=stream-key-blue", "cam-2", ""},
		{"a blank behind the key", "live?key=stream-key-blue ", "live", ""},
		{"an encoded blank", "live?key=stream-key-blue%20", "live", ""},
		{"a plus", "live?key=stream-key-blue+", "live", ""},
		{"a line end", "live?key=stream-key-blue\r\n", "live", ""},
		{"a byte order mark", "live?key=\ufeffstream-key-blue\u200b", "live", ""},
		{"two keys", "live?key=stream-key-red&key=stream-key-blue", "live", ""},
		{"a template with a key", "live?key=&key=stream-key-blue&key=", "live", ""},
		{"a slash behind the key", "live?key=stream-key-blue/", "live", ""},
		{"a stream behind the key", "live?key=stream-key-blue/live", "live", ""},
		{"the key of another room behind the right one", "live?key=stream-key-blue&key=stream-key-red", "", "Wrong stream key for room blue."},
		{"the key of another room", "live?key=stream-key-red", "", "Wrong stream key for room blue."},
		{"a part of the key", "live?key=stream-key-blu", "", "Wrong stream key for room blue."},
		{"no key", "live", "", "The stream key is missing: publish as live?key=KEY."},
		{"no key, another name", "cam-2", "", "The stream key is missing: publish as cam-2?key=KEY."},
		{"the key alone", "m7477v56xveanjyy54ztl277", "", "The stream key is missing: publish as live?key=KEY."},
		{"an empty key", "live?key=", "", "The stream key is missing: publish as live?key=KEY."},
		{"another query", "live?token=stream-key-blue", "", "The stream key is missing: publish as live?key=KEY."},
		{"no name", "?key=stream-key-blue", "", "Stream name is not valid. The stream key is live?key=KEY, where live is the name."},
		{"a bad name", "a/b?key=stream-key-blue", "", "Stream name is not valid. The stream key is live?key=KEY, where live is the name."},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, r := watched(t, config())
				p := spectate(t, h)
				do(p, func() {
					public, takeover, err := r.OnPublish(p.client, c.stream, "live")
					if c.want == "" {
						if public != c.public || !takeover || err != nil {
							t.Errorf("got %q, %v, %v", public, takeover, err)
						}
						return
					}
					s, ok := err.(*rtmp.StatusError)
					if !ok || s.Level != "error" || s.Code != "NetStream.Publish.BadName" || s.Description != c.want {
						t.Errorf("got %v, want %q", err, c.want)
					}
				})
			})
		})
	}
}

func TestNobodyPublishes(t *testing.T) {
	for name, streamKey := range map[string]func(string, int64) string{"no keys": nil, "an empty key": func(string, int64) string { return "" }} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := config()
				cfg.StreamKey = streamKey
				h, r := watched(t, cfg)
				p := spectate(t, h)
				do(p, func() {
					for _, stream := range []string{"live?key=", "live", "live?key=x"} {
						if _, _, err := r.OnPublish(p.client, stream, "live"); err == nil {
							t.Errorf("%s was accepted", stream)
						}
					}
				})
			})
		})
	}
}

func TestStreamsInTheObject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config()
		cfg.Streams = room.MaxStreams
		h, r := watched(t, cfg)
		watcher, one, two := spectate(t, h), spectate(t, h), spectate(t, h)
		watcher.use(room.ObjectRoom, false)
		check := func(want string) {
			t.Helper()
			if got := watcher.slot(room.ObjectRoom, "streams"); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
		publish := func(p *peer, name string) {
			do(p, func() {
				if _, _, err := r.OnPublish(p.client, name+"?key=stream-key-blue", "live"); err != nil {
					t.Error(err)
				}
				r.OnPublished(p.client, name)
			})
		}
		publish(one, "live")
		publish(two, "cam")
		check("[cam live]")
		do(one, func() { r.OnUnpublish(one.client, "live") })
		check("[cam]")
		do(two, func() { r.OnUnpublish(two.client, "cam") })
		publish(one, "cam") // has taken over
		check("[cam]")
		one.client.Leave(rtmp.ErrClosed)
		check("[]")
		for i := range room.MaxStreams {
			publish(two, string(rune('a'+i)))
		}
		do(two, func() {
			if _, _, err := r.OnPublish(two.client, "z?key=stream-key-blue", "live"); err == nil {
				t.Error("one stream more than there may be")
			}
		})
	})
}

// With takeover off the host may refuse a publisher that the room would take.
func TestRefusedNewcomerIsNoPublisher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config()
		cfg.Takeover = false
		s := newStudio(t, cfg)
		watcher := spectate(t, s.host)
		watcher.use(room.ObjectRoom, false)
		older, newer := s.encoder(), s.encoder()
		older.must("live")
		if err := newer.publish("live"); err == nil || !strings.Contains(err.Error(), "already published") {
			t.Errorf("got %v", err)
		}
		older.crash()
		if got := watcher.slot(room.ObjectRoom, "streams"); got != "[]" {
			t.Errorf("the refused newcomer publishes: %s", got)
		}
		silent := s.encoder()
		silent.must("live")
		time.Sleep(6 * time.Second)
		newer.must("live")
		if got := watcher.slot(room.ObjectRoom, "streams"); got != "[live]" {
			t.Errorf("the accepted newcomer does not publish: %s", got)
		}
		if silent.reason() == "" {
			t.Error("the silent one stays")
		}
	})
}

func TestPlay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, r := watched(t, config())
		p := spectate(t, h)
		do(p, func() {
			if public, err := r.OnPlay(p.client, "live?x=1"); public != "live" || err != nil {
				t.Errorf("got %q, %v", public, err)
			}
			r.OnStop(p.client, "live")
			r.OnStop(p.client, "live") // once too often
			for _, bad := range []string{"", "a/b", "?x"} {
				if _, err := r.OnPlay(p.client, bad); err == nil {
					t.Errorf("plays %q", bad)
				}
			}
		})
	})
}

func TestThrownOutClientsAreNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, r := watched(t, config())
		bob, mod := join(t, h, "bob"), moderate(t, h)
		do(bob, func() {
			r.OnPublished(bob.client, "live")
			r.OnPlay(bob.client, "live")
		})
		mod.must("kick", amf.String("bob"), amf.String(""))
		do(mod, func() {
			r.OnUnpublish(bob.client, "live")
			r.OnStop(bob.client, "live")
			if _, _, err := r.OnPublish(bob.client, "live?key=stream-key-blue", "live"); err == nil {
				t.Error("publishes")
			}
			if r.OnPublished(bob.client, "live") != nil || r.OnLost(bob.client, "live") {
				t.Error("is published for")
			}
			if r.CanRead(bob.client, "users", false) || r.CanWrite(bob.client, "public/x", "") {
				t.Error("uses objects")
			}
		})
	})
}

// TestStreamKeyGuesses: after five wrong keys within a minute, each further answer waits,
// also to a right key. Nobody else waits.
func TestStreamKeyGuesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, config())
		e := s.encoder()
		attempt := func(key string) (time.Duration, error) {
			st, err := e.session.CreateStream(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			err = st.Publish(t.Context(), "live?key="+key, "live")
			d := time.Since(began)
			if err != nil {
				st.Close()
			}
			return d, err
		}
		ms := time.Millisecond
		for i, want := range []time.Duration{0, 0, 0, 0, 0, 250 * ms, 500 * ms, 1000 * ms, 2000 * ms} {
			if d, err := attempt("wrong"); d != want || err == nil || !strings.Contains(err.Error(), "Wrong stream key") {
				t.Errorf("guess %d: %v after %v, want after %v", i, err, d, want)
			}
		}
		if n := s.host.Stats().Instances["room"]; n != 1 {
			t.Fatalf("%d rooms", n)
		}
		began := time.Now()
		var viewer *device
		time.AfterFunc(time.Second, func() { viewer = s.player() }) // while the encoder waits
		d, err := attempt(key + "-blue")
		if err != nil || d != 4*time.Second || time.Since(began) != d {
			t.Errorf("the right key: %v after %v", err, d)
		}
		synctest.Wait()
		if viewer == nil {
			t.Error("a viewer had to wait")
		}
		began = time.Now()
		if _, err := s.host.Connect(t.Context(), &peer{t: t}, server.Request{Path: "room/blue", Protocol: "ws", Args: amf.Args{amf.String("ann"), amf.String("x")}}); err == nil {
			t.Error("let in with a wrong credential")
		}
		if d := time.Since(began); d != 4*time.Second {
			t.Errorf("a moderator's credential was answered after %v: another count", d)
		}
		began = time.Now()
		if _, err := s.host.Connect(t.Context(), &peer{t: t}, server.Request{Path: "room/blue", Protocol: "ws", Args: amf.Args{amf.String("ann")}}); err != nil || time.Since(began) > 0 {
			t.Errorf("a user came in after %v: %v", time.Since(began), err)
		}
	})
}

// TestPublisherLeavesWhileItWaits: nobody is left to be told.
func TestPublisherLeavesWhileItWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, config())
		for i := range 8 {
			e := s.encoder()
			st, err := e.session.CreateStream(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			go st.Publish(t.Context(), "live?key="+map[bool]string{true: key + "-blue", false: "wrong"}[i > 6], "live")
			synctest.Wait()
			e.crash()
		}
		time.Sleep(time.Minute)
		if s.host.Stream("room/blue", "live") != nil {
			t.Error("it is published by nobody")
		}
	})
}
