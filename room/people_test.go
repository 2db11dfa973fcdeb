package room_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"foyer/room"
	"foyer/room/nick"
	"foyer/server"
	"foyer/server/amf"
	"foyer/server/rtmp"
)

func TestAdmission(t *testing.T) {
	str := func(s string) amf.Value { return amf.String(s) }
	nick32 := strings.Repeat("é", room.MaxNick)
	for _, c := range []struct {
		name string
		path string // "": room/blue
		args []amf.Value
		want string // the description of the rejection
		user string // the entry in users
	}{
		{"a spectator says nothing", "", nil, "", ""},
		{"null counts as none", "", []amf.Value{amf.Null{}, str(token)}, "", ""},
		{"undefined counts as none", "", []amf.Value{amf.Undefined{}}, "", ""},
		{"a user", "", []amf.Value{str("bob")}, "", "{id:u2 nick:bob role:user via:rtmp}"},
		{"spaces around a nick", "", []amf.Value{str(" \tbob\u00a0")}, "", "{id:u2 nick:bob role:user via:rtmp}"},
		{"no credential", "", []amf.Value{str("bob"), amf.Null{}}, "", "{id:u2 nick:bob role:user via:rtmp}"},
		{"an empty credential", "", []amf.Value{str("bob"), str("")}, "", "{id:u2 nick:bob role:user via:rtmp}"},
		{"a moderator", "", []amf.Value{str("bob"), str(token)}, "", "{id:u2 nick:bob role:moderator via:rtmp}"},
		{"a wrong credential", "", []amf.Value{str("bob"), str("x")}, "Credential is not valid.", ""},
		{"a credential that is a number", "", []amf.Value{str("bob"), amf.Number(1)}, "Credential is not valid.", ""},
		{"32 code points", "", []amf.Value{str(nick32)}, "", "{id:u2 nick:" + nick32 + " role:user via:rtmp}"},
		{"33 code points", "", []amf.Value{str(nick32 + "x")}, "Nickname is longer than 32 characters.", ""},
		{"an empty nick", "", []amf.Value{str("  ")}, "Nickname is empty.", ""},
		{"a nick of joiners", "", []amf.Value{str("\u200d\u200c")}, "Nickname is empty.", ""},
		{"a nick that is a number", "", []amf.Value{amf.Number(7)}, "Nickname must be a string.", ""},
		{"a control character", "", []amf.Value{str("b\x07b")}, "Nickname has control or invisible characters.", ""},
		{"a line end", "", []amf.Value{str("b\nb")}, "Nickname has control or invisible characters.", ""},
		{"a mark that turns the writing", "", []amf.Value{str("\u202ebob")}, "Nickname has control or invisible characters.", ""},
		{"a space without width", "", []amf.Value{str("an\u200bn")}, "Nickname has control or invisible characters.", ""},
		{"no UTF-8", "", []amf.Value{str("b\xff")}, "Nickname has control or invisible characters.", ""},
		{"taken", "", []amf.Value{str("ann")}, "Nickname is already in use.", ""},
		{"taken in another case", "", []amf.Value{str("ANN")}, "Nickname is already in use.", ""},
		{"a joiner where none is written", "", []amf.Value{str("an\u200dn")}, "Nickname has control or invisible characters.", ""},
		{"a blank that is a letter", "", []amf.Value{str("ann\u3164")}, "Nickname has control or invisible characters.", ""},
		{"a blank alone", "", []amf.Value{str("\u2800")}, "Nickname is empty.", ""},
		{"three marks on a letter", "", []amf.Value{str("q\u0301\u0302\u0303")}, "Nickname has too many marks on one letter.", ""},
		{"taken, in Cyrillic", "", []amf.Value{str("\u0430nn")}, "Nickname is already in use.", ""},
		{"taken, in full width", "", []amf.Value{str("\uff21nn")}, "Nickname is already in use.", ""},
		{"another, in Cyrillic", "", []amf.Value{str("\u0410\u043d\u043d\u0430")}, "", "{id:u2 nick:\u0410\u043d\u043d\u0430 role:user via:rtmp}"},
		{"several blanks", "", []amf.Value{str("bob \u2003 bee")}, "", "{id:u2 nick:bob bee role:user via:rtmp}"},
		{"composed", "", []amf.Value{str("Rene\u0301")}, "", "{id:u2 nick:Ren\u00e9 role:user via:rtmp}"},
		{"a room name with a space", "room/my room", []amf.Value{str("bob")}, "Room name is not valid.", ""},
		{"a deeper path", "room/a/b", []amf.Value{str("bob")}, "Room name is not valid.", ""},
		{"a room name of 65 bytes", "room/" + strings.Repeat("x", 65), nil, "Room name is not valid.", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHost(t, config())
				ann := join(t, h, "ann")
				_, err := connectAs(t, h, server.Request{Path: c.path, Args: c.args})
				if c.want != "" {
					s, ok := err.(*rtmp.StatusError)
					if !ok || s.Description != c.want || s.Code != rtmp.CodeConnectRejected {
						t.Errorf("got %v, want %q", err, c.want)
					}
				} else if err != nil {
					t.Error(err)
				}
				others := strings.TrimPrefix(brief(ann.must("users")), "[{id:u1 nick:ann role:user via:rtmp}")
				if got := strings.Trim(others, " ]"); got != c.user {
					t.Errorf("users: got %q, want %q", got, c.user)
				}
			})
		})
	}
}

func TestVia(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, config())
		ann := join(t, h, "ann")
		for protocol, name := range map[string]string{"rtmps": "a", "ws": "b", "wss": "c"} {
			if _, err := connectAs(t, h, server.Request{Protocol: protocol, Args: amf.Args{amf.String(name)}}); err != nil {
				t.Fatal(err)
			}
		}
		list := brief(ann.must("users"))
		for _, want := range []string{"nick:a role:user via:rtmp", "nick:b role:user via:web", "nick:c role:user via:web"} {
			if !strings.Contains(list, want) {
				t.Errorf("%s is not in %s", want, list)
			}
		}
	})
}

func TestFullRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config()
		cfg.MaxUsers = 2
		h := newHost(t, cfg)
		join(t, h, "ann")
		bob := join(t, h, "bob")
		_, err := connect(t, h, amf.String("carl"))
		if s, ok := err.(*rtmp.StatusError); !ok || s.Description != "Room is full." {
			t.Errorf("got %v", err)
		}
		spectate(t, h)
		mod := moderate(t, h) // always finds a place
		bob.client.Leave(rtmp.ErrGoodbye)
		if _, err := connect(t, h, amf.String("carl")); err == nil {
			t.Error("a moderator takes no place")
		}
		mod.client.Leave(rtmp.ErrClosed)
		join(t, h, "carl")
	})
}

func TestModeratorGuessesSlowDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, config())
		join(t, h, "ann")
		answer := func(args ...amf.Value) time.Duration {
			start := time.Now()
			connect(t, h, args...)
			return time.Since(start)
		}
		for i, want := range []time.Duration{0, 0, 0, 0, 0, 250, 500} {
			if got := answer(amf.String("bob"), amf.String("guess")); got != want*time.Millisecond {
				t.Errorf("attempt %d waited %v, want %v ms", i+1, got, int(want))
			}
		}
		if got := answer(amf.String("mod"), amf.String(token)); got != time.Second {
			t.Errorf("the right credential waited %v", got)
		}
		if got := answer(amf.String("carl")); got != 0 {
			t.Errorf("without a credential: waited %v", got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		r := server.Request{Path: "room/blue", Args: amf.Args{amf.String("late"), amf.String(token)}, Addr: netip.MustParseAddrPort("192.0.2.1:1")}
		if _, err := h.Connect(ctx, &peer{t: t}, r); err == nil {
			t.Error("did not wait")
		}
		time.Sleep(time.Minute)
		if list := brief(spectate(t, h).must("users")); strings.Contains(list, "late") {
			t.Errorf("somebody who left while they waited is in: %s", list)
		}
	})
}

func TestUsersObject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, config())
		ann := join(t, h, "ann")
		ann.use(room.ObjectUsers, false)
		if got := ann.slot(room.ObjectUsers, "u1"); got != "{nick:ann role:user via:rtmp}" {
			t.Errorf("got %s", got)
		}
		bob := join(t, h, "bob")
		if got := ann.slot(room.ObjectUsers, "u2"); got != "{nick:bob role:user via:rtmp}" {
			t.Errorf("got %s", got)
		}
		spectate(t, h)
		if got := len(ann.objects[room.ObjectUsers].Slots); got != 2 {
			t.Errorf("got %d slots", got)
		}
		bob.client.Leave(rtmp.ErrClosed)
		if got := ann.slot(room.ObjectUsers, "u2"); got != "" {
			t.Errorf("bob left and is %s", got)
		}
	})
}

func TestRename(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, config())
		ann, bob, watcher := join(t, h, "ann"), join(t, h, "bob"), spectate(t, h)
		ann.use(room.ObjectUsers, false)
		if got := brief(bob.must("nick", amf.String(" BOB "))); got != "{id:u2 nick:BOB role:user via:rtmp}" {
			t.Errorf("the case of one's own: got %s", got)
		}
		if got := ann.slot(room.ObjectUsers, "u2"); got != "{nick:BOB role:user via:rtmp}" {
			t.Errorf("got %s", got)
		}
		for want, v := range map[string]amf.Value{
			"Nickname is already in use.":            amf.String("Ann"),
			"Nickname is empty.":                     amf.String(""),
			"Nickname must be a string.":             amf.Null{},
			"Nickname is longer than 32 characters.": amf.String(strings.Repeat("x", 33)),
		} {
			if got := bob.refused("nick", v).Description; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
		if got := watcher.refused("nick", amf.String("eve")).Description; !strings.HasPrefix(got, "Not allowed.") {
			t.Errorf("a spectator: got %q", got)
		}
		bob.must("nick", amf.String("robert"))
		join(t, h, "bob") // is free again
		for _, name := range []string{"a", "b", "c"} {
			bob.must("nick", amf.String(name))
		}
		if _, wait := application(bob.refused("nick", amf.String("d"))); wait != 1000 {
			t.Errorf("renaming all the time: wait %v ms", wait)
		}
	})
}

func TestLookAlikes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, config())
		kari := join(t, h, "kari")
		join(t, h, "karl")
		for _, name := range []string{"KarI", "KARl", "k\u0430ri", "K\u0391RI"} {
			if _, err := connect(t, h, amf.String(name)); err == nil {
				t.Errorf("%+q came in", name)
			}
		}
		if got := kari.refused("nick", amf.String("k\u0430rl")).Description; got != "Nickname is already in use." {
			t.Errorf("a look-alike: got %q", got)
		}
		// One's own nick may change its look, and the former look is free then.
		for _, name := range []string{"Kari", "k\u0430ri", "\uff2bari", "bea"} {
			kari.must("nick", amf.String(name))
		}
		join(t, h, "kari")
		kari.client.Leave(rtmp.ErrClosed)
		join(t, h, "BEA")
		moderate(t, h).must("kick", amf.String("B\u0415A")) // moderators may type a nick as they see it
	})
}

func TestReservedNicks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config()
		cfg.Reserved = new(nick.Reserved)
		cfg.Reserved.Set([]string{"admin", "mod"})
		h := newHost(t, cfg)
		mod, ann := moderate(t, h), join(t, h, "ann")
		for _, name := range []string{"admin", "ADMlN", "\u0430dmin", "adm\u0131n", "\u00e1dmin", "mod", "m0d", "rnod"} {
			_, err := connect(t, h, amf.String(name))
			if got, _ := application(err); got != "Nickname is reserved." {
				t.Errorf("%+q: %v", name, err)
			}
			if got := ann.refused("nick", amf.String(name)).Description; got != "Nickname is reserved." {
				t.Errorf("taking %+q: got %q", name, got)
			}
		}
		mod.must("nick", amf.String("admin"))
		if _, err := connect(t, h, amf.String("mod"), amf.Null{}, amf.String(resume)); err == nil {
			t.Error("mod came in without the token")
		}
		cfg.Reserved.Set(nil) // while it runs
		p, err := connect(t, h, amf.String("mod"), amf.Null{}, amf.String(resume))
		if err != nil {
			t.Fatal(err)
		}
		cfg.Reserved.Set([]string{"mod"})
		p.must("nick", amf.String("MOD")) // one's own
		if _, err = connect(t, h, amf.String("mod"), amf.Null{}, amf.String(resume)); err != nil {
			t.Errorf("who has it comes back: %v", err)
		}
	})
}
