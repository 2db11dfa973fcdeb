package room_test

import (
	"context"
	"testing"
	"testing/synctest"

	"foyer/server"
	"foyer/server/amf"
	"foyer/server/rtmp"
)

// follower connects a program: one that understands ReconnectRequest over RTMP, or one
// with a given protocol.
func follower(t *testing.T, h *server.Host, nick, protocol, uri string) *peer {
	t.Helper()
	p, err := connectAs(t, h, server.Request{Args: amf.Args{amf.String(nick)}, Protocol: protocol, URI: uri, Reconnects: true})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// asked returns, and forgets, which ReconnectRequests the peer got.
func (p *peer) asked() (all []*rtmp.StatusError) {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.statuses {
		if m.Code == rtmp.CodeReconnectRequest {
			all = append(all, m)
		}
	}
	p.statuses = nil
	return all
}

func TestRestarting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, config())
		ann, bob := join(t, h, "ann"), follower(t, h, "bob", "ws", "")
		bob.heard()
		go h.Drain(t.Context())
		if got := ann.heard(); got != "restarting({retryAfter:1000})" {
			t.Errorf("ann, an old program, heard %s", got)
		}
		if got := bob.heard(); got != "" || len(bob.asked()) != 1 {
			t.Errorf("bob, who is asked, heard %s", got)
		}
		_, err := connect(t, h, amf.String("carl"))
		if _, retryAfter := application(err); retryAfter != 1000 {
			t.Errorf("a newcomer: %v", err)
		}
		bob.client.Leave(rtmp.ErrGoodbye)
		h.Stop(context.Background())
	})
}

func TestMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, r := watched(t, config())
		mod, old, watching := moderate(t, h), join(t, h, "old"), spectate(t, h)
		page := follower(t, h, "page", "wss", "wss://web.example/ws/room/blue")
		terminal := follower(t, h, "terminal", "rtmp", "rtmp://rtmp.example:1936/chapter4/room/blue?x=1")
		odd := follower(t, h, "odd", "rtmp", "blue")
		studio := follower(t, h, "studio", "rtmp", "rtmp://h/room/blue")
		do(studio, func() {
			if _, _, err := r.OnPublish(studio.client, "live?key=stream-key-blue", "live"); err != nil {
				t.Error(err)
			}
			r.OnPublished(studio.client, "live")
		})
		for _, p := range []*peer{mod, old, watching, page, terminal, odd, studio} {
			p.heard()
		}

		mod.must("move", amf.String("jazz"))
		const text, notice = "mod sends everybody to the room jazz.", "notice({text:mod sends everybody to the room jazz.})"
		for _, tt := range []struct {
			name  string
			p     *peer
			url   string // "": not sent anywhere
			asked bool
		}{
			{"the moderator", mod, "", false},
			{"an old program", old, "rtmp://h:1935/room/jazz", false},
			{"a spectator", watching, "rtmp://h:1935/room/jazz", false},
			{"a page", page, "wss://web.example/ws/room/jazz", false},
			{"a terminal", terminal, "rtmp://rtmp.example:1936/chapter4/room/jazz", true},
			{"one without an address", odd, "rtmp://h:1935/room/jazz", true},
			{"a publisher", studio, "", false},
		} {
			want := notice
			if tt.url != "" {
				want += " moved({room:jazz by:mod url:" + tt.url + "})"
			}
			if got := tt.p.heard(); got != want {
				t.Errorf("%s heard %s, want %s", tt.name, got, want)
			}
			asked := tt.p.asked()
			if len(asked) > 0 != tt.asked {
				t.Errorf("%s was asked to reconnect: %v", tt.name, asked)
			}
			for _, info := range asked {
				if uri, _ := amf.AsString(amf.Lookup(info.Object(), "tcUrl")); uri != tt.url || info.Description != text {
					t.Errorf("%s was asked %v", tt.name, info.Object())
				}
			}
		}
	})
}

func TestMoveRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, config())
		mod, ann := moderate(t, h), join(t, h, "ann")
		if got := ann.refused("move", amf.String("jazz")).Description; got != "Not allowed." {
			t.Errorf("ann: %s", got)
		}
		for name, want := range map[string]string{
			"": "Room name is not valid.", "a/b": "Room name is not valid.", "javascript:alert(1)": "Room name is not valid.",
			"blue": "This is the room blue already.",
		} {
			if got := mod.refused("move", amf.String(name)).Description; got != want {
				t.Errorf("%q: %s, want %s", name, got, want)
			}
		}
		if got := mod.refused("move").Description; got != "Room name is not valid." {
			t.Errorf("nothing: %s", got)
		}
		if got := ann.heard(); got != "" {
			t.Errorf("ann heard %s", got)
		}
	})
}

// While people are leaving, the lobby says so; then the room says goodbye.
func TestLobbyShowsRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lobbies, rooms, _ := newNetwork(t, secret)
		ann := follower(t, rooms, "ann", "ws", "")
		synctest.Wait()
		if _, told := amf.Lookup(entry(t, lobbies).Value(), "restarting").(amf.Bool); told {
			t.Error("the entry of a room that stays has a member for it")
		}
		go rooms.Drain(t.Context())
		synctest.Wait()
		if e := entry(t, lobbies); !e.Restarting || e.Users != 1 {
			t.Errorf("the lobby shows %+v", e)
		}
		ann.client.Leave(rtmp.ErrGoodbye)
		rooms.Stop(context.Background())
		synctest.Wait()
		if e := entry(t, lobbies); e.Name != "" {
			t.Errorf("the lobby still shows %+v", e)
		}
	})
}
