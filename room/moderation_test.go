package room_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"foyer/room"
	"foyer/server"
	"foyer/server/amf"
	"foyer/server/rtmp"
)

func TestOnlyModeratorsModerate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, config())
		ann, watcher := join(t, h, "ann"), spectate(t, h)
		for _, method := range []string{"topic", "kick", "ban", "mute", "remove", "slow", "lock", "record", "title", "tags", "unlist"} {
			for _, p := range []*peer{ann, watcher} {
				if got := p.refused(method, amf.String("x")).Description; got != "Not allowed." {
					t.Errorf("%s: got %q", method, got)
				}
			}
		}
		if _, err := h.Call(t.Context(), "room/blue", "topic", amf.String("by the process")); err != nil {
			t.Error(err)
		}
	})
}

func TestRoomObject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, config())
		ann, mod := join(t, h, "ann"), moderate(t, h)
		ann.use(room.ObjectRoom, false)
		check := func(slot, want string) {
			t.Helper()
			if got := ann.slot(room.ObjectRoom, slot); got != want {
				t.Errorf("%s: got %q, want %q", slot, got, want)
			}
		}
		for slot, want := range map[string]string{"title": "", "topic": "", "streams": "[]", "slow": "0", "locked": "false"} {
			check(slot, want)
		}
		if got := len(ann.objects[room.ObjectRoom].Slots); got != 5 {
			t.Errorf("got %d slots", got)
		}
		mod.must("title", amf.String(" Blue \x07 room "))
		check("title", "Blue room")
		mod.must("topic", amf.String("tea"))
		mod.must("topic", amf.String("tea")) // again: no news
		check("topic", "tea")
		mod.must("slow", amf.Number(10))
		check("slow", "10")
		mod.must("lock", amf.Bool(true))
		check("locked", "true")
		mod.must("lock", amf.Bool(true)) // says nothing twice
		mod.must("slow", amf.Number(0))
		mod.must("lock", amf.Bool(false))
		mod.must("topic", amf.String(""))
		want := "notice({text:The topic is now: tea}) notice({text:Slow mode: one message per person every 10s.}) " +
			"notice({text:The room is locked: newcomers can only watch.}) notice({text:Slow mode is off.}) " +
			"notice({text:The room is open again.}) notice({text:The room has no topic now.})"
		if got := ann.heard(); got != want {
			t.Errorf("got %s", got)
		}
		for method, bad := range map[string]amf.Value{
			"title": amf.Number(1), "topic": amf.Null{}, "lock": amf.String("yes"), "unlist": amf.Number(1),
			"tags": amf.String("a"), "slow": amf.Number(-1), "remove": amf.String("1"), "mute": amf.Number(1),
		} {
			mod.refused(method, bad)
		}
		mod.refused("slow", amf.Number(room.MaxSlow.Seconds()+1))
		mod.must("topic", amf.String(strings.Repeat("x", 1000)))
		if got := ann.slot(room.ObjectRoom, "topic"); len(got) != 300 {
			t.Errorf("a topic of %d characters", len(got))
		}
	})
}

// TestBadSwitchChangesNothing: a call that is refused opens no locked room, and
// lists no unlisted one.
func TestBadSwitchChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := room.New(config()).(*room.Room)
		h := newHost(t, config())
		h.Handle("room", func() server.Application { return r })
		mod := moderate(t, h)
		for _, method := range []string{"lock", "unlist"} {
			mod.must(method, amf.Bool(true))
			mod.refused(method, amf.String("yes"))
			mod.refused(method)
		}
		if s := r.Status(); !s.Locked || !s.Unlisted {
			t.Errorf("locked: %v, unlisted: %v", s.Locked, s.Unlisted)
		}
	})
}

func TestKick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, config())
		ann, bob, mod := join(t, h, "ann"), join(t, h, "bob"), moderate(t, h)
		ann.use(room.ObjectUsers, false)
		mod.must("kick", amf.String("BOB"), amf.String("too loud"))
		s, ok := bob.closed.(*rtmp.StatusError)
		if !ok || s.Code != rtmp.CodeConnectRejected || s.Description != "You were kicked: too loud" {
			t.Errorf("bob was told %v", bob.closed)
		}
		if got := ann.heard(); got != "notice({text:bob was kicked: too loud})" {
			t.Errorf("got %s", got)
		}
		if got := ann.slot(room.ObjectUsers, "u2"); got != "" {
			t.Errorf("bob is still %s", got)
		}
		join(t, h, "bob") // may come back
		if got := mod.refused("kick", amf.String("carl")).Description; got != "Nobody here has this nick." {
			t.Errorf("got %q", got)
		}
		ann.heard()
		mod.must("kick", amf.String("bob")) // without a reason
		join(t, h, "bob")
		mod.must("kick", amf.String("bob"), amf.String(strings.Repeat("x", 1000)))
		want := "notice({text:bob was kicked.}) notice({text:bob was kicked: " + strings.Repeat("x", room.MaxReason) + "})"
		if got := ann.heard(); got != want {
			t.Errorf("got %s", got)
		}
	})
}

func TestBan(t *testing.T) {
	from := func(ip string, nick string) server.Request {
		return server.Request{Args: amf.Args{amf.String(nick)}, Addr: netip.AddrPortFrom(netip.MustParseAddr(ip), 1)}
	}
	for _, c := range []struct {
		name, ip   string
		other, nip string // newcomers after that
		banned     bool
	}{
		{"the nick from elsewhere", "203.0.113.5", "Bob", "203.0.113.9", true},
		{"another nick from the address", "203.0.113.5", "carl", "203.0.113.5", true},
		{"somebody else", "203.0.113.5", "carl", "203.0.113.9", false},
		{"a look-alike from elsewhere", "203.0.113.5", "b\u043eb", "203.0.113.9", true},
		{"another look-alike", "203.0.113.5", "B0B", "203.0.113.9", true},
		{"the same /64", "2001:db8::1", "carl", "2001:db8::2", true},
		{"this machine's address", "127.0.0.1", "carl", "127.0.0.1", false},
		{"this machine's address, in IPv6", "::1", "carl", "::1", false},
		{"a private network's", "10.0.0.3", "carl", "10.0.0.3", false},
		{"the nick from this machine", "127.0.0.1", "bob", "127.0.0.1", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHost(t, config())
				mod := moderate(t, h)
				bob, err := connectAs(t, h, from(c.ip, "bob"))
				if err != nil {
					t.Fatal(err)
				}
				mod.must("ban", amf.String("bob"), amf.Number(60), amf.String("spam"))
				if reason, wait := application(bob.closed); reason != "spam" || wait != 60000 {
					t.Errorf("bob was told %v", bob.closed)
				}
				time.Sleep(20 * time.Second)
				_, err = connectAs(t, h, from(c.nip, c.other))
				if (err != nil) != c.banned {
					t.Errorf("got %v", err)
				}
				if c.banned {
					reason, wait := application(err)
					description := err.(*rtmp.StatusError).Description
					if reason != "spam" || wait != 40000 || description != "You are banned until 2000-01-01 00:01:00 UTC: spam" {
						t.Errorf("got %q {%q, %v}", description, reason, wait)
					}
				}
				time.Sleep(40 * time.Second)
				if _, err = connectAs(t, h, from(c.nip, "bob")); err != nil {
					t.Errorf("after its end: %v", err)
				}
			})
		})
	}
}

func TestBanOfSomebodyAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, config())
		mod := moderate(t, h)
		mod.must("ban", amf.String("Bob"), amf.Number(3600))
		if _, err := connect(t, h, amf.String("bob")); err == nil {
			t.Error("bob came in")
		}
		carl := join(t, h, "carl")
		if got := carl.refused("nick", amf.String("bob")).Description; got != "Nickname is banned." {
			t.Errorf("got %q", got)
		}
		mod.must("ban", amf.String("bob"), amf.Number(0))
		join(t, h, "bob")
		for _, bad := range [][]amf.Value{
			{}, {amf.String("x")}, {amf.String("x"), amf.Number(-1)}, {amf.String("x"), amf.Number(room.MaxSentence.Seconds() + 1)}, {amf.String(""), amf.Number(1)},
		} {
			mod.refused("ban", bad...)
		}
	})
}

func TestBansAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, config())
		mod := moderate(t, h)
		for i := range room.MaxSentences + 1 {
			mod.must("ban", amf.String(fmt.Sprint("n", i)), amf.Number(float64(1000+i)))
		}
		join(t, h, "n0") // the one that would have ended first
		if _, err := connect(t, h, amf.String("n1")); err == nil {
			t.Error("n1 came in")
		}
	})
}

func TestMute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, config())
		ann, mod := join(t, h, "ann"), moderate(t, h)
		ann.use("public/board", false)
		mod.must("mute", amf.String("ann"), amf.Number(60))
		reason, wait := application(ann.refused("say", amf.String("x")))
		if reason != "You are muted." || wait != 60000 {
			t.Errorf("got %q, %v", reason, wait)
		}
		if got := ann.write("public/board", "x", amf.Number(1)); got != "SharedObject.NoWriteAccess" {
			t.Errorf("writing: got %q", got)
		}
		ann.client.Leave(rtmp.ErrClosed)
		time.Sleep(time.Second)
		ann = join(t, h, "Ann") // coming back does not help
		if _, wait := application(ann.refused("say", amf.String("x"))); wait != 59000 {
			t.Errorf("back: wait %v", wait)
		}
		time.Sleep(59 * time.Second)
		ann.say("again")
		mod.must("mute", amf.String("ann"), amf.Number(60))
		mod.must("mute", amf.String("ann"), amf.Number(0))
		ann.say("pardoned")
		mod.must("mute", amf.String("ann"), amf.Number(60))
		ann.must("nick", amf.String("eve"))
		mod.must("mute", amf.String("eve"), amf.Number(0))
		ann.client.Leave(rtmp.ErrClosed)
		synctest.Wait()
		join(t, h, "dora").say("nothing is left of it")
	})
}

func TestRemove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, config())
		ann, mod, watcher := join(t, h, "ann"), moderate(t, h), spectate(t, h)
		ann.say("a")
		ann.say("b")
		watcher.heard()
		mod.must("remove", amf.Number(1))
		if got := watcher.heard(); got != "removed(1)" {
			t.Errorf("got %s", got)
		}
		if got := brief(amf.Lookup(watcher.must("history"), "messages")); got != "[{id:2 user:{id:u1 nick:ann role:user} text:b}]" {
			t.Errorf("got %s", got)
		}
		for _, id := range []amf.Value{amf.Number(1), amf.Number(3), amf.Number(1.5), amf.Number(1e300), amf.String("2")} {
			if got := mod.refused("remove", id).Description; got != "There is no such message." {
				t.Errorf("got %q", got)
			}
		}
		ann.say("c")
		if got := watcher.heard(); !strings.Contains(got, "id:3") {
			t.Errorf("ids do not continue: %s", got)
		}
	})
}

func TestSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, config())
		ann, mod := join(t, h, "ann"), moderate(t, h)
		mod.must("slow", amf.Number(30))
		ann.say("x")
		time.Sleep(10 * time.Second)
		if reason, wait := application(ann.refused("say", amf.String("y"))); wait != 20000 || !strings.HasPrefix(reason, "Slow mode") {
			t.Errorf("got %q, %v", reason, wait)
		}
		mod.say("moderators")
		mod.say("are not slowed down")
		time.Sleep(20 * time.Second)
		ann.say("y")
		mod.must("slow", amf.Number(0))
		ann.say("z")
	})
}

func TestLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, config())
		ann := join(t, h, "ann")
		moderate(t, h).must("lock", amf.Bool(true))
		if _, err := connect(t, h, amf.String("bob")); err == nil || err.(*rtmp.StatusError).Description != "Room is locked." {
			t.Errorf("a newcomer: %v", err)
		}
		spectate(t, h)
		join(t, h, "mod2", amf.String(token))
		ann.say("people who are in may continue")
	})
}

// tape is a recorder that only remembers what it was told.
type tape map[string]bool

func (t tape) Record(room string, on bool) { t[room] = on }

func (t tape) Recorded(room string) bool { return t[room] }

func TestRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg, kept := config(), tape{"blue": false}
		cfg.Recorder = kept
		h := newHost(t, cfg)
		ann, mod := join(t, h, "ann"), moderate(t, h)
		ann.use(room.ObjectRoom, false)
		for _, on := range []bool{true, true, false} { // says nothing twice
			mod.must("record", amf.Bool(on))
			if got := ann.slot(room.ObjectRoom, "recording"); got != fmt.Sprint(on) || kept["blue"] != on {
				t.Errorf("recording is %s, want %v", got, on)
			}
		}
		if got := mod.refused("record", amf.Number(1)).Description; got != "The argument must be true or false." {
			t.Error(got)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		if got := moderate(t, newHost(t, config())).refused("record", amf.Bool(true)).Description; got != "This server does not record." {
			t.Error(got)
		}
	})
}
