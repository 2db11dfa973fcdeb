package room_test

import (
	"testing"
	"testing/synctest"

	"foyer/room"
	"foyer/server/amf"
)

const resume = "0123456789abcdef"

func TestOldConnectionIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, config())
		mod, bob := moderate(t, h), join(t, h, "bob")
		bob.use(room.ObjectUsers, false)
		old := join(t, h, "ann", amf.Null{}, amf.String(resume))
		mod.must("mute", amf.String("ann"), amf.Number(60))
		mod.must("lock", amf.Bool(true))
		before := bob.slot(room.ObjectUsers, "u3")
		ann := join(t, h, "ANN", amf.String(""), amf.String(resume))
		if old.closed == nil {
			t.Error("the old connection is still there")
		}
		if got := bob.slot(room.ObjectUsers, "u3"); got != "{nick:ANN role:user via:rtmp}" || before != "{nick:ann role:user via:rtmp}" {
			t.Errorf("others see %s, and saw %s", got, before)
		}
		if got := ann.refused("say", amf.String("x")).Description; got != "You are muted." {
			t.Errorf("a mute was escaped: %s", got)
		}
		// The late end of the old connection changes nothing.
		if got := brief(bob.must("users").(amf.StrictArray)...); got != "{id:u1 nick:mod role:moderator via:rtmp} {id:u2 nick:bob role:user via:rtmp} {id:u3 nick:ANN role:user via:rtmp}" {
			t.Errorf("there are %s", got)
		}
	})
}

func TestNobodyElseIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, config())
		join(t, h, "ann", amf.Null{}, amf.String(resume))
		join(t, h, "bob")
		join(t, h, "carl", amf.Null{}, amf.String(resume[1:]))
		for _, tt := range []struct {
			name string
			args amf.Args
		}{
			{"another mark", amf.Args{amf.String("ann"), amf.Null{}, amf.String(resume + "0")}},
			{"none", amf.Args{amf.String("ann")}},
			{"none by somebody with none", amf.Args{amf.String("bob")}},
			{"an empty one", amf.Args{amf.String("bob"), amf.Null{}, amf.String("")}},
			{"one of who has none", amf.Args{amf.String("bob"), amf.Null{}, amf.String(resume)}},
			{"one that is too short", amf.Args{amf.String("carl"), amf.Null{}, amf.String(resume[1:])}},
			{"no string", amf.Args{amf.String("ann"), amf.Null{}, amf.Number(1)}},
			{"a moderator's", amf.Args{amf.String("ann"), amf.String(token), amf.String("fedcba9876543210")}},
		} {
			if _, err := connect(t, h, tt.args...); err == nil {
				t.Errorf("%s: came in", tt.name)
			} else if got, _ := application(err); got != "Nickname is already in use." {
				t.Errorf("%s: %v", tt.name, err)
			}
		}
		// Anyone who was thrown out is not let in by a proof: a ban holds.
		mod := moderate(t, h)
		mod.must("ban", amf.String("ann"), amf.Number(60), amf.String("spam"))
		if _, err := connect(t, h, amf.String("ann"), amf.Null{}, amf.String(resume)); err == nil {
			t.Error("a ban was escaped")
		}
	})
}
