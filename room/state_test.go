package room_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"foyer/room"
	"foyer/server"
	"foyer/server/amf"
)

// TestRecordIsKept: the decision of a moderator holds when servers start again with other
// settings.
func TestRecordIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := new(vault)
		for _, on := range []bool{true, false} {
			cfg := keptIn(v)
			cfg.Recorder = tape{"blue": !on}
			h := newHost(t, cfg)
			mod := moderate(t, h)
			mod.must("record", amf.Bool(on))
			restart(t, mod)

			kept := tape{"blue": !on, "red": !on}
			cfg.Recorder = kept
			mod = moderate(t, newHost(t, cfg))
			mod.use(room.ObjectRoom, false)
			if kept["blue"] != on || kept["red"] == on || mod.slot(room.ObjectRoom, "recording") != fmt.Sprint(on) {
				t.Errorf("record(%v): %v after a restart, and people are told %s", on, kept, mod.slot(room.ObjectRoom, "recording"))
			}
			restart(t, mod)
		}
	})
}

// TestUnreadable: a room does not start with a state that it cannot read, tells people
// so, and leaves the state as it is. It reads that of an earlier program, which has no
// format.
func TestUnreadable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, state := range []string{"", "{", `{"locked":"yes"}`, `{"format":1,"locked":true}`, `{"locked":true} and more`} {
			v := new(vault)
			kept, _ := v.Memory.Open(t.Context(), "blue", nil)
			kept.Save([]byte(state), func(error) {})
			h := newHost(t, keptIn(v))
			if err := h.Start("room/blue"); !errors.Is(err, room.ErrUnreadable) || room.Readable([]byte(state)) == nil {
				t.Errorf("%q: %v", state, err)
			}
			_, err := h.Connect(t.Context(), &peer{}, server.Request{Path: "room/blue", Args: amf.Args{amf.String("ann")}})
			if reason, _ := application(err); !strings.Contains(reason, "cannot be read") || strings.Contains(err.Error(), "format") {
				t.Errorf("%q: people are told %v", state, err)
			}
			if string(kept.State()) != state || v.closed != 2 || v.saves != 0 {
				t.Errorf("%q is %q now, %d saves, %d closed", state, kept.State(), v.saves, v.closed)
			}
			if err := h.Start("room/red"); err != nil {
				t.Errorf("another room: %v", err)
			}
		}
		if err := errors.Join(room.Readable(nil), room.Readable([]byte(`{"chatEpoch":1,"locked":true}`))); err != nil {
			t.Error(err)
		}
	})
}

// TestEpochIsCertain kills a room right after its first message.
func TestEpochIsCertain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := new(vault)
		h := newHost(t, keptIn(v))
		ann, bob := join(t, h, "ann"), join(t, h, "bob")
		v.hold()
		one, two, three := ann.ask("say", amf.String("one")), bob.ask("say", amf.String("two")), ann.ask("say", amf.String("three"))
		if got := one.String() + two.String() + three.String(); got != "pendingpendingpending" {
			t.Errorf("got %s", got)
		}
		if len(v.held) != 1 { // the state; no message before it
			t.Errorf("%d things are being stored, want 1", len(v.held))
		}
		v.let()
		if got := one.String() + two.String() + three.String(); got != "{id:1}{id:2}{id:3}" {
			t.Errorf("got %s", got)
		}
		if v.saves != 1 {
			t.Errorf("saved %d times", v.saves)
		}
		before := epochOf(ann.must("history"))
		time.Sleep(time.Second)
		if got := epochOf(join(t, newHost(t, keptIn(v)), "ann").must("history")); got != before {
			t.Errorf("the history of %v is that of %v after a kill", before, got)
		}
	})
}

// TestEpochThatIsNotStored: nothing is stored unless the epoch is.
func TestEpochThatIsNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := new(vault)
		h := newHost(t, keptIn(v))
		ann := join(t, h, "ann")
		v.set(func() { v.away = true })
		for _, want := range []bool{false, true} { // only the message itself may have been stored
			e := ann.refused("say", amf.String("one"))
			if got, _ := amf.AsBool(amf.Lookup(e.Application, "perhaps")); got != want {
				t.Errorf("perhaps: %v, want %v", got, want)
			}
			v.set(func() { v.away = false })
			ann.say("two")
			v.set(func() { v.away = true })
		}
		v.set(func() { v.away = false })
		if got := told(ann.must("history")); got != "1,2 complete" {
			t.Errorf("got %s", got)
		}
	})
}

// TestStopBeforeTheFirst: messages that wait are answered when the room stops.
func TestStopBeforeTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := new(vault)
		h := newHost(t, keptIn(v))
		ann := join(t, h, "ann")
		v.hold()
		a := ann.ask("say", amf.String("one"))
		synctest.Wait()
		h.Stop(t.Context())
		if got := a.String(); got != "Messages cannot be stored at the moment. (2000)" {
			t.Errorf("got %s", got)
		}
	})
}
