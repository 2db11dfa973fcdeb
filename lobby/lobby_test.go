package lobby_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"foyer/lobby"
	"foyer/server"
	"foyer/server/amf"
	"foyer/server/guard"
	"foyer/server/rtmp"
)

func TestAdmission(t *testing.T) {
	str := func(s string) amf.Value { return amf.String(s) }
	const invalid, badName = "Invalid room connection attempt.", "Room name is not valid."
	for _, c := range []struct {
		name string
		args []amf.Value
		want string // description of the rejection, "" for none
		room bool
	}{
		{"a visitor says nothing", nil, "", false},
		{"a first argument that is null counts as none", []amf.Value{amf.Null{}, str("x")}, "", false},
		{"a first argument that is undefined counts as none", []amf.Value{amf.Undefined{}}, "", false},
		{"a room with the password", []amf.Value{str("Room"), str(secret)}, "", true},
		{"a room with an epoch", []amf.Value{str("Room"), str(secret), amf.Object{{Name: "epoch", Value: amf.Number(3)}}}, "", true},
		{"a wrong password", []amf.Value{str("Room"), str("room54780561Password")}, invalid, false},
		{"a part of the password", []amf.Value{str("Room"), str(secret[:5])}, invalid, false},
		{"no password", []amf.Value{str("Room")}, invalid, false},
		{"a password that is a number", []amf.Value{str("Room"), amf.Number(6)}, invalid, false},
		{"a userName that is a number", []amf.Value{amf.Number(6), str(secret)}, badName, false},
		{"an empty userName", []amf.Value{str(""), str(secret)}, badName, false},
		{"a userName with a space", []amf.Value{str("my room"), str(secret)}, badName, false},
		{"a userName with a slash", []amf.Value{str("a/b"), str(secret)}, badName, false},
		{"a userName of 65 bytes", []amf.Value{str(string(make([]byte, 65))), str(secret)}, badName, false},
		{"a bad userName without the password", []amf.Value{str("a/b"), str("x")}, invalid, false},
		{"an operator", []amf.Value{str("admin"), str(token)}, "", false},
		{"an operator with a wrong token", []amf.Value{str("admin"), str("x")}, invalid, false},
		{"a room called admin", []amf.Value{str("admin"), str(secret)}, "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newLobby(t)
				visitor := must(t, h)
				_, err := connect(t, h, c.args...)
				code, got := rejection(err)
				if got != c.want {
					t.Errorf("got %q, want %q", got, c.want)
				}
				if c.want != "" && code != rtmp.CodeConnectRejected {
					t.Errorf("got code %q", code)
				}
				if got := len(visitor.entries()) == 1; got != c.room {
					t.Errorf("listed: got %v, want %v", got, c.room)
				}
			})
		})
	}
}

func TestNoSecretAdmitsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, lobby.Config{})
		for _, name := range []string{"Room", "admin"} {
			if _, err := connect(t, h, amf.String(name), amf.String("")); err == nil {
				t.Errorf("%s was accepted", name)
			}
		}
	})
}

func TestNameInUse(t *testing.T) {
	const inUse = "Room name is already in use."
	same := resumeOf("blue", "n1")
	for _, c := range []struct {
		name         string
		node, resume string        // of the newcomer; the older one has n1
		after        time.Duration // since the older one was heard last
		want         string
		keepsLast    bool // the last report stays on the list
	}{
		{"another room while the link is live", "n2", resumeOf("blue", "n2"), 0, inUse, true},
		{"nothing while the link is live", "", "", 0, inUse, true},
		{"the name of the node, which anybody can see", "n1", "", 0, inUse, true},
		{"a part of resume", "n1", same[:20], 0, inUse, true},
		{"the same room", "n1", same, 0, "", true},
		{"the same room on another node", "n2", same, 0, "", false},
		{"another room when the link is stale", "n2", "", 16 * time.Second, "", false},
		{"another room of the same node when the link is stale", "n1", "", 16 * time.Second, "", false},
		{"another room when the room is gone", "n2", "", 46 * time.Second, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newLobby(t)
				visitor := must(t, h)
				old := mustRoom(t, h, "blue", "n1")
				old.report(lobby.Status{Epoch: 9, Users: 3})
				time.Sleep(c.after)
				_, err := connect(t, h, amf.String("blue"), amf.String(secret), amf.Object{
					{Name: "node", Value: amf.String(c.node)}, {Name: "resume", Value: amf.String(c.resume)},
				})
				if _, got := rejection(err); got != c.want {
					t.Fatalf("got %q, want %q", got, c.want)
				}
				if replaced := old.closed != nil; replaced != (c.want == "") {
					t.Errorf("older link closed: %v", old.closed)
				}
				synctest.Wait() // the older link's departure is handled
				e := visitor.entries()[0]
				if e.State != lobby.StateLive || (e.Users == 3) != c.keepsLast {
					t.Errorf("got %+v", e)
				}
			})
		})
	}
}

// TestShortResume: a resume that could be guessed counts as none, and no entry shows one.
func TestShortResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for resume, replaces := range map[string]bool{
			strings.Repeat("r", lobby.MinResume-1): false, strings.Repeat("r", lobby.MinResume): true,
			strings.Repeat("r", lobby.MaxResume): true, strings.Repeat("r", lobby.MaxResume+1): false,
		} {
			h := newLobby(t)
			about := amf.Object{{Name: "resume", Value: amf.String(resume)}}
			must(t, h, amf.String("blue"), amf.String(secret), about)
			if _, err := connect(t, h, amf.String("blue"), amf.String(secret), about); (err == nil) != replaces {
				t.Errorf("resume of %d bytes: %v", len(resume), err)
			}
			operator := must(t, h, amf.String("admin"), amf.String(token))
			v, err := operator.call(lobby.MethodRooms)
			if err != nil || strings.Contains(string(amf.Append(nil, v)), "rrr") {
				t.Errorf("an operator sees it: %v %v", v, err)
			}
		}
	})
}

// A room that starts again on a machine whose clock was set back is heard.
func TestClockSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newLobby(t)
		mustRoom(t, h, "blue", "n1").report(lobby.Status{Epoch: 9, Seq: 5, Users: 3})
		time.Sleep(16 * time.Second) // it was killed
		room := mustRoom(t, h, "blue", "n1")
		if room.report(lobby.Status{Epoch: 1, Seq: 1, Users: 4}) {
			t.Error("its report was ignored")
		}
		if e := must(t, h).entries()[0]; e.Users != 4 {
			t.Errorf("got %+v", e)
		}
	})
}

func TestReplacedLinkIsIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newLobby(t)
		old := mustRoom(t, h, "blue", "n1")
		mustRoom(t, h, "blue", "n1")
		visitor := must(t, h)
		synctest.Wait()
		old.client.Leave(rtmp.ErrGoodbye)
		synctest.Wait()
		if got := visitor.state("blue"); got != lobby.StateLive {
			t.Errorf("got state %q after the late goodbye of a replaced link", got)
		}
	})
}

func TestDepartures(t *testing.T) {
	for _, c := range []struct {
		name   string
		reason error
		want   string
	}{
		{"a goodbye", rtmp.ErrGoodbye, ""},
		{"no goodbye", rtmp.ErrClosed, lobby.StateStale},
		{"silence", rtmp.ErrSilent, lobby.StateStale},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newLobby(t)
				visitor := must(t, h).watch()
				room := mustRoom(t, h, "blue", "n1")
				room.report(lobby.Status{Users: 4})
				room.client.Leave(c.reason)
				synctest.Wait()
				if got := visitor.state("blue"); got != c.want {
					t.Errorf("got state %q, want %q", got, c.want)
				}
				time.Sleep(time.Second)
				if e, ok := visitor.slot("blue"); ok != (c.want != "") || e.State != c.want {
					t.Errorf("shared object: got %+v, %v", e, ok)
				} else if ok && e.Users != 4 {
					t.Errorf("a stale entry lost its counts: %+v", e)
				}
			})
		})
	}
}

func TestFailuresSlowDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newLobby(t)
		answer := func(ip string, args ...amf.Value) time.Duration {
			start := time.Now()
			connectFrom(t, h, ip, args...)
			return time.Since(start)
		}
		wrong := []amf.Value{amf.String("Room"), amf.String("x")}
		for i, want := range []time.Duration{0, 0, 0, 0, 0, 250, 500, 1000, 2000, 4000, 5000, 5000} {
			if got := answer("192.0.2.7", wrong...); got != want*time.Millisecond {
				t.Errorf("attempt %d waited %v, want %v ms", i+1, got, int(want))
			}
		}
		if got := answer("192.0.2.7", amf.String("Room"), amf.String(secret)); got != 5*time.Second {
			t.Errorf("the right password waited %v", got)
		}
		if got := answer("192.0.2.7", amf.String("admin"), amf.String(token)); got != 5*time.Second {
			t.Errorf("an operator waited %v", got)
		}
		if got := answer("192.0.2.7"); got != 0 {
			t.Errorf("a visitor waited %v", got)
		}
		if got := answer("192.0.2.8", wrong...); got != 0 {
			t.Errorf("another address waited %v", got)
		}
		if got := must(t, h).state("Room"); got != lobby.StateLive {
			t.Errorf("the room that waited is %q", got)
		}
		time.Sleep(time.Minute)
		if got := answer("192.0.2.7", wrong...); got != 0 {
			t.Errorf("after a minute: waited %v", got)
		}
	})
}

func TestLeavingWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newLobby(t)
		for range guard.FreeFailures {
			connect(t, h, amf.String("Room"), amf.String("x"))
		}
		ctx, cancel := context.WithTimeout(t.Context(), guard.MinWait/2)
		defer cancel()
		if _, err := connectUntil(t, ctx, h, "192.0.2.1", amf.String("Blue"), amf.String(secret)); err == nil {
			t.Fatal("did not wait")
		}
		time.Sleep(time.Second)
		if got := must(t, h).state("Blue"); got != "" {
			t.Errorf("a room that left while it waited is %q", got)
		}
	})
}

func TestAnnounce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newLobby(t)
		visitor, room := must(t, h), mustRoom(t, h, "blue", "n1")
		operator := must(t, h, amf.String("admin"), amf.String(token))
		for _, p := range []*peer{visitor, room} {
			if _, err := p.call(lobby.MethodAnnounce, amf.String("hi")); err == nil {
				t.Error("somebody else announced")
			} else if _, got := rejection(err); got != "Not allowed." {
				t.Errorf("got %q", got)
			}
		}
		for _, bad := range []amf.Value{amf.Number(1), amf.String("  "), amf.String("a\x07"), amf.String(long(lobby.MaxAnnouncement + 1))} {
			if _, err := operator.call(lobby.MethodAnnounce, bad); err == nil {
				t.Errorf("announced %.20v", bad)
			}
		}
		if v, err := operator.call(lobby.MethodAnnounce, amf.String(" tea is ready ")); err != nil {
			t.Error(err)
		} else if n, _ := amf.AsNumber(amf.Lookup(v, "rooms")); n != 1 {
			t.Errorf("told %v rooms, want 1", n)
		}
		if _, err := h.Call(t.Context(), "lobby", lobby.MethodAnnounce, amf.String("by the web")); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if len(room.calls) != 2 || room.calls[0].method != "announce" || room.calls[0].args[0] != amf.String("tea is ready") {
			t.Errorf("the room got %v", room.calls)
		}
		if len(visitor.calls) != 0 {
			t.Errorf("the visitor got %v", visitor.calls)
		}
	})
}

func TestOnlyRoomsPublish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var app server.Publisher
		h := &server.Host{}
		h.Handle("lobby", func() server.Application {
			l := lobby.New(lobby.Config{Secret: secret})
			app = l.(server.Publisher)
			return l
		})
		defer h.Stop(t.Context())
		room, visitor := mustRoom(t, h, "blue", "n1"), must(t, h)
		if public, takeover, err := app.OnPublish(room.client, "x?key=1", "live"); public != "blue" || !takeover || err != nil {
			t.Errorf("a room publishes %q, %v, %v", public, takeover, err)
		}
		_, _, err := app.OnPublish(visitor.client, "x", "live")
		if code, _ := rejection(err); code != "NetStream.Publish.BadName" {
			t.Errorf("a visitor publishes: %v", err)
		}
	})
}

func TestVisitorsDoNotWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newLobby(t)
		mustRoom(t, h, "blue", "n1")
		visitor := must(t, h).watch()
		visitor.client.ServeSharedObject(setSlot("blue", amf.String("mine")))
		synctest.Wait()
		if visitor.refused != "SharedObject.NoWriteAccess" {
			t.Errorf("got %q", visitor.refused)
		}
	})
}

func TestFullLobby(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &server.Host{} // without a log of 10,000 rooms
		h.Handle("lobby", func() server.Application {
			return lobby.New(lobby.Config{Secret: secret, Log: slog.New(slog.DiscardHandler)})
		})
		defer h.Stop(t.Context())
		for i := range lobby.MaxRooms {
			mustRoom(t, h, fmt.Sprint("r", i), "n1")
		}
		_, err := connect(t, h, amf.String("late"), amf.String(secret))
		if _, got := rejection(err); got != "The lobby is full." {
			t.Errorf("got %q", got)
		}
		mustRoom(t, h, "r7", "n1") // is listed already
	})
}

// voucher notes whether the lobby takes its client for one of this site.
type voucher struct {
	peer
	vouched bool
}

func (p *voucher) Vouch() { p.vouched = true }

// TestRoomsAreNotCounted: many rooms of one server may report from one address.
func TestRoomsAreNotCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newLobby(t)
		for _, tt := range []struct {
			args amf.Args
			want bool
		}{{nil, false}, {amf.Args{amf.String("blue"), amf.String(secret)}, true},
			{amf.Args{amf.String("own"), amf.String(lobby.Password(secret, "own"))}, false}} {
			p := &voucher{peer: peer{t: t}}
			c, err := h.Connect(t.Context(), p, server.Request{Path: "lobby", Args: tt.args})
			if err != nil || p.vouched != tt.want {
				t.Errorf("%v: vouched %v, %v", tt.args, p.vouched, err)
			}
			c.Leave(nil)
		}
		h.Stop(t.Context())
	})
}
