package room_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"foyer/room"
	"foyer/server"
	"foyer/server/amf"
)

// under is the second argument of say.
func under(key string) amf.Value { return amf.Object{{Name: "key", Value: amf.String(key)}} }

// known joins with the text by which a room knows somebody again.
func known(t *testing.T, h *server.Host, nick, resume string) *peer {
	t.Helper()
	return join(t, h, nick, amf.Null{}, amf.String(resume))
}

// A message that is said again under its key is the first one, however it comes.
func TestSayOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := new(vault)
		h := newHost(t, keptIn(v))
		ann, bob := known(t, h, "ann", resume), known(t, h, "bob", "somebody else's text")
		again := func(p *peer, want string) {
			t.Helper()
			if got := brief(p.must("say", amf.String("hello"), under("k1"))); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
		again(ann, "{id:1}")
		for range 3 * room.Burst { // it costs nothing
			again(ann, "{id:1}")
		}
		if got := ann.heard(); got != "message({id:1 user:{id:u1 nick:ann role:user} text:hello})" {
			t.Errorf("heard %s", got)
		}
		again(bob, "{id:2}")
		ann.say("hello") // without a key
		if got := brief(ann.must("say", amf.String("hello"), under("k2"))); got != "{id:4}" {
			t.Errorf("another key: %s", got)
		}

		ann.client.Leave(fmt.Errorf("broken"))
		ann = known(t, h, "Anna", resume)
		again(ann, "{id:1}")
		restart(t, ann, bob)
		h = newHost(t, keptIn(v)) // as another node that takes the room over
		ann, bob = known(t, h, "ann", resume), known(t, h, "bob", "a text from another browser")
		again(ann, "{id:1}")
		again(bob, "{id:5}")
		if got := told(ann.must("history")); got != "1,2,3,4,5 complete" {
			t.Errorf("history %s", got)
		}

		time.Sleep(room.SayKeyTime)
		again(ann, "{id:6}")
	})
}

// Without resume a key holds as long as its person stays.
func TestSayOnceWithoutResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, config())
		ann, bob := join(t, h, "ann"), join(t, h, "bob")
		var got []string
		for _, p := range []*peer{ann, bob, ann, bob} {
			got = append(got, brief(p.must("say", amf.String("hello"), under("k1"))))
		}
		if want := []string{"{id:1}", "{id:2}", "{id:1}", "{id:2}"}; !slices.Equal(got, want) {
			t.Errorf("got %s", got)
		}
	})
}

func TestSayKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, config())
		ann := join(t, h, "ann")
		for _, c := range []struct {
			options amf.Value
			want    string
		}{
			{under(strings.Repeat("é", room.MaxSayKey+1)), "The key is longer than 64 characters: it has 65."},
			{amf.Object{{Name: "key", Value: amf.Number(7)}}, "The key must be a string."},
		} {
			if got := ann.refused("say", amf.String("x"), c.options).Description; got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		}
		for i, options := range []amf.Value{
			under(strings.Repeat("é", room.MaxSayKey)), under(""), under(""), amf.Object{}, amf.Null{}, amf.Undefined{}, amf.Object{{Name: "key", Value: amf.Null{}}},
		} {
			time.Sleep(room.Refill)
			if got, want := brief(ann.must("say", amf.String("x"), options)), fmt.Sprintf("{id:%d}", i+1); got != want {
				t.Errorf("%v: got %s, want %s", options, got, want)
			}
		}
	})
}

// A message that comes again before the store has answered waits for the same answer.
func TestSayOnceAtTheSameTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := new(vault)
		h := newHost(t, keptIn(v))
		ann := known(t, h, "ann", resume)
		v.hold()
		first, second := ann.ask("say", amf.String("hello"), under("k1")), ann.ask("say", amf.String("hello"), under("k1"))
		ann = known(t, h, "ann", resume) // the connection broke, and nobody has missed it yet
		third := ann.ask("say", amf.String("hello"), under("k1"))
		if got := second.String() + third.String(); got != "pendingpending" {
			t.Errorf("before it is stored: %s", got)
		}
		v.let()
		if got := second.String() + third.String() + first.String(); got != "{id:1}{id:1}{id:1}" {
			t.Errorf("got %s", got)
		}

		v.set(func() { v.away = true })
		v.hold()
		first, second = ann.ask("say", amf.String("bye"), under("k2")), ann.ask("say", amf.String("bye"), under("k2"))
		v.let()
		if got := first.String() + second.String(); strings.Count(got, "Messages cannot be stored at the moment. (2000)") != 2 {
			t.Errorf("got %s", got)
		}
		v.set(func() { v.away = false })
		if got := brief(ann.must("say", amf.String("bye"), under("k2"))); got != "{id:2}" {
			t.Errorf("after a failure: %s", got)
		}
		if got := told(ann.must("history")); got != "1,2 complete" {
			t.Errorf("history %s", got)
		}
	})
}

// A message that the store was not sure of is not stored again when it has it: neither
// when it says so before the message comes again, nor while that waits for its turn.
func TestSayOnceInDoubt(t *testing.T) {
	for _, late := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			v := new(vault)
			h := newHost(t, keptIn(v))
			ann := known(t, h, "ann", resume)
			v.set(func() { v.silent = true })
			ann.refused("say", amf.String("hello"), under("k1"))
			v.set(func() { v.silent = false })
			if late {
				v.hold()
			} else {
				go v.found(v.lost[0])
				synctest.Wait()
			}
			again := ann.ask("say", amf.String("hello"), under("k1"))
			if late {
				synctest.Wait()
				v.found(v.lost[0])
				v.let()
			}
			if got := again.String(); got != "{id:1}" {
				t.Errorf("late %v: got %s", late, got)
			}
			if got := ann.heard(); got != "message({id:1 user:{id:u1 nick:ann role:user} text:hello})" {
				t.Errorf("late %v: heard %s", late, got)
			}
			if got := brief(ann.must("say", amf.String("more"), under("k2"))); got != "{id:2}" {
				t.Errorf("late %v: the next is %s", late, got)
			}
		})
	}
}

// Nobody sees keys, and messages of before there were any are read.
func TestSayKeysAreNotShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := new(vault)
		kept, _ := v.Memory.Open(context.Background(), "blue", nil)
		kept.Append(func(uint64) []byte {
			return []byte(`{"id":1,"at":1,"user":{"id":"u1","nick":"eve","role":"user"},"text":"old"}`)
		}, func(uint64, error) {})
		h := newHost(t, keptIn(v))
		ann := known(t, h, "ann", resume)
		ann.must("say", amf.String("hello"), under("the key"))
		data, _ := json.Marshal(fmt.Sprint(ann.must("history"), ann.must("users"), ann.pushes[0].Args))
		if s := string(data); strings.Contains(s, "mark") || strings.Contains(s, "key") || !strings.Contains(s, "old") {
			t.Errorf("shown: %s", s)
		}
		for _, m := range kept.(interface{ Newest() [][]byte }).Newest() {
			if strings.Contains(string(m), resume) || strings.Contains(string(m), "the key") {
				t.Errorf("stored: %s", m)
			}
		}
	})
}

// A room that starts again knows the keys of the last ten minutes, also those of
// messages that it does not read into its memory.
func TestSayOnceAfterMuchElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &vault{Memory: room.Memory{History: 5000}}
		h := newHost(t, keptIn(v))
		ann := known(t, h, "ann", resume)
		ann.must("say", amf.String("hello"), under("k1"))
		kept, _ := v.Memory.Open(context.Background(), "blue", nil)
		for range 3*room.MaxNewest + 1000 {
			kept.Append(func(id uint64) []byte {
				return fmt.Appendf(nil, `{"id":%d,"at":%d,"user":{"id":"u2","nick":"bob","role":"user"},"text":"x"}`, id, time.Now().UnixMilli())
			}, func(uint64, error) {})
		}
		restart(t, ann)
		ann = known(t, newHost(t, keptIn(v)), "ann", resume)
		if got := brief(ann.must("say", amf.String("hello"), under("k1"))); got != "{id:1}" {
			t.Errorf("got %s", got)
		}
	})
}

// A room remembers only so many keys, and those only so long.
func TestSayKeysAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if n := room.KeysAfter(room.MaxSayKeys+100, 0); n != room.MaxSayKeys {
			t.Errorf("%d keys are remembered, want %d", n, room.MaxSayKeys)
		}
		if n := room.KeysAfter(1000, room.SayKeyTime); n != 1 {
			t.Errorf("%d keys are remembered after their time, want the newest one", n)
		}
	})
}
