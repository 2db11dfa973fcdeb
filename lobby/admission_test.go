package lobby_test

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"foyer/lobby"
	"foyer/server/amf"
	"foyer/server/rtmp"
)

// TestPassword keeps the rule that others compute passwords by: HMAC-SHA256 with the
// lobby secret over "room:" and the name in lower case, 20 bytes of it, in base32.
func TestPassword(t *testing.T) {
	for _, c := range []struct{ secret, room, want string }{
		// printf room:studio | openssl dgst -sha256 -hmac secretPassword6 -binary | head -c 20 | base32 | tr A-Z a-z
		{"secretPassword6", "Studio", "v2bim4olbie7qrqtvpzfpcu74g35g5bt"},
		{"secretPassword6", "studio", "v2bim4olbie7qrqtvpzfpcu74g35g5bt"},
	} {
		if got := lobby.Password(c.secret, c.room); got != c.want {
			t.Errorf("%s of %s: got %s, want %s", c.room, c.secret, got, c.want)
		}
	}
	if a, b := lobby.Password("s", "a"), lobby.Password("s", "b"); a == b || !regexp.MustCompile("^[a-z2-7]{32}$").MatchString(a) {
		t.Errorf("got %s and %s", a, b)
	}
}

// TestOwnPassword: a room's own password is good for its name and for no other.
func TestOwnPassword(t *testing.T) {
	blue := lobby.Password(secret, "blue")
	for _, c := range []struct {
		name, password, want string
	}{
		{"blue", blue, ""},
		{"BLUE", blue, ""},
		{"red", blue, "Invalid room connection attempt."},
		{"blue2", blue, "Invalid room connection attempt."},
		{"blue", strings.ToUpper(blue), "Invalid room connection attempt."},
		{"blue", blue[:31], "Invalid room connection attempt."},
		{"admin", blue, "Invalid room connection attempt."},
		{"blue ", lobby.Password(secret, "blue "), "Invalid room connection attempt."},
	} {
		synctest.Test(t, func(t *testing.T) {
			_, err := connect(t, newLobby(t), amf.String(c.name), amf.String(c.password))
			if _, got := rejection(err); got != c.want {
				t.Errorf("%s with %s: got %q, want %q", c.name, c.password, got, c.want)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, lobby.Config{}) // without a secret there are no own passwords
		if _, err := connect(t, h, amf.String("blue"), amf.String(lobby.Password("", "blue"))); err == nil {
			t.Error("let in by a lobby without a secret")
		}
	})
}

// TestOwnPasswordPinsNothing: a room that has only its own password cannot put
// itself in front of the others.
func TestOwnPasswordPinsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newLobby(t)
		own := must(t, h, amf.String("own"), amf.String(lobby.Password(secret, "own")))
		ours := mustRoom(t, h, "ours", "n1")
		for _, r := range []*peer{own, ours} {
			r.report(lobby.Status{Pinned: true, Users: 1})
		}
		for _, e := range must(t, h).entries() {
			if e.Pinned != (e.Name == "ours") || e.Users != 1 {
				t.Errorf("got %+v", e)
			}
		}
	})
}

// TestUnlistedFromTheFirstMoment: visitors never see a room that is unlisted as it
// connects, whichever way they look.
func TestUnlistedFromTheFirstMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := new(nodes)
		h, p := n.newNode(t)
		visitor := must(t, h).watch()
		before := visitor.received()
		blue := must(t, h, amf.String("blue"), amf.String(secret), amf.Object{{Name: "unlisted", Value: amf.Bool(true)}})
		if _, shown := visitor.slot("blue"); shown || visitor.received() != before || len(visitor.entries()) > 0 {
			t.Errorf("shown: %v, %d messages, %v", shown, visitor.received()-before, visitor.entries())
		}
		if e := string(p.entries["blue"]); !strings.Contains(e, `"unlisted":true`) {
			t.Errorf("other nodes are told %s", e)
		}
		operator := must(t, h, amf.String("admin"), amf.String(token))
		if e := operator.entries(); len(e) != 1 || !e[0].Unlisted {
			t.Errorf("an operator sees %v", e)
		}
		blue.report(lobby.Status{})
		time.Sleep(lobby.PublishInterval)
		if _, shown := visitor.slot("blue"); !shown {
			t.Error("not shown although it says so now")
		}
	})
}

// TestNamesWithoutCase: names that differ only by case are one room, shown as it was
// first opened, here and on other nodes.
func TestNamesWithoutCase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := new(nodes)
		a, _ := n.newNode(t)
		b, _ := n.newNode(t)
		mustRoom(t, a, "Blue", "n1")
		if _, err := connect(t, a, amf.String("bLUE"), amf.String(secret)); err == nil {
			t.Error("two rooms of one name")
		}
		visitors := []*peer{must(t, a).watch(), must(t, b).watch()}
		is := func(name string) {
			t.Helper()
			for i, v := range visitors {
				synctest.Wait()
				v.mu.Lock()
				slots := len(v.rooms.Slots)
				v.mu.Unlock()
				e, shown := v.slot(name)
				if all := v.entries(); !shown || slots != 1 || e.Name != name || len(all) != 1 || all[0].Name != name {
					t.Errorf("node %d: %d slots, %+v, %v", i, slots, e, all)
				}
			}
		}
		is("Blue")
		resumed := amf.Object{{Name: "resume", Value: amf.String(resumeOf("Blue", "n1"))}}
		one, err := connect(t, a, amf.String("BLUE"), amf.String(secret), resumed)
		if err != nil {
			t.Fatal(err)
		}
		is("Blue")
		one.client.Leave(rtmp.ErrGoodbye)
		mustRoom(t, a, "blue", "n1")
		time.Sleep(2 * lobby.PublishInterval)
		is("blue")
		other := mustRoom(t, b, "BLUE", "n2") // the same room on another node: each shows its own
		time.Sleep(2 * lobby.PublishInterval)
		for i, want := range []string{"blue", "BLUE"} {
			if all := visitors[i].entries(); len(all) != 1 || all[0].Name != want {
				t.Errorf("node %d: %v", i, all)
			}
		}
		other.client.Leave(rtmp.ErrGoodbye)
		time.Sleep(2 * lobby.PublishInterval)
		is("blue")
		a.Stop(context.Background())
	})
}
