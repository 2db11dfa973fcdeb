package room_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"foyer/room"
	"foyer/server/amf"
)

func TestSay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, config())
		ann, bob, watcher := join(t, h, "ann"), join(t, h, "bob"), spectate(t, h)
		if got := brief(ann.must("say", amf.String(" hello "))); got != "{id:1}" {
			t.Errorf("answer: got %s", got)
		}
		for _, p := range []*peer{ann, bob, watcher} {
			if got := p.heard(); got != "message({id:1 user:{id:u1 nick:ann role:user} text:hello})" {
				t.Errorf("got %s", got)
			}
		}
		if ann.pushes[0] != bob.pushes[0] || ann.pushes[0] != watcher.pushes[0] {
			t.Error("encoded for each")
		}
		at, _ := amf.AsNumber(amf.Lookup(ann.pushes[0].Args[0], "at"))
		if at != float64(time.Now().UnixMilli()) {
			t.Errorf("at: got %v", at)
		}
		bob.must("say", amf.String("hi"))
		if got := ann.heard(); got != "message({id:2 user:{id:u2 nick:bob role:user} text:hi})" {
			t.Errorf("got %s", got)
		}
		if got := watcher.refused("say", amf.String("psst")).Description; !strings.HasPrefix(got, "Not allowed. Join with a nick") {
			t.Errorf("a spectator talks: got %q", got)
		}
	})
}

func TestTexts(t *testing.T) {
	for _, c := range []struct {
		name string
		v    amf.Value
		want string // "! " and what is wrong
	}{
		{"plain", amf.String("hello"), "hello"},
		{"500 code points", amf.String(strings.Repeat("\u00e9", room.MaxText)), strings.Repeat("\u00e9", room.MaxText)},
		{"501", amf.String(strings.Repeat("x", room.MaxText+1)), "! The message is longer than 500 characters: it has 501."},
		{"501 with a space at the end", amf.String(strings.Repeat("x", room.MaxText) + " "), strings.Repeat("x", room.MaxText)},
		{"empty", amf.String(""), "! The message is empty."},
		{"spaces", amf.String(" \r\n\t\u2003"), "! The message is empty."},
		{"lines and tabs", amf.String("a\r\nb\tc\nd"), "a\nb\tc\nd"},
		{"control characters", amf.String("a\x00\x07\x1b[31mb\u0085"), "a[31mb"},
		{"only control characters", amf.String("\x00\x01"), "! The message is empty."},
		{"turned writing", amf.String("a\u202eb\u2066c"), "abc"},
		{"marks that scripts need", amf.String("\u05d0\u200f!"), "\u05d0\u200f!"},
		{"fillers", amf.String("\u3164\u115f\uffa0"), "! The message is empty."},
		{"blanks that are symbols", amf.String("\u2800 \u2800"), "! The message is empty."},
		{"without width", amf.String("\u200b\u2060\u00ad\ufeff\u180e\u034f"), "! The message is empty."},
		{"joiners and selectors", amf.String("\u200d\u200c\ufe0f\U000e0101"), "! The message is empty."},
		{"tags", amf.String("\U000e0001\U000e0041"), "! The message is empty."},
		{"marks of direction", amf.String("\u200e\u200f\u061c\u202e"), "! The message is empty."},
		{"marks alone", amf.String(" \u0301\u20dd\u093e"), "! The message is empty."},
		{"a mark on a letter", amf.String("\u0301a"), "\u0301a"},
		{"an emoji", amf.String("\u2764\ufe0f"), "\u2764\ufe0f"},
		{"a family", amf.String("\U0001f468\u200d\U0001f469"), "\U0001f468\u200d\U0001f469"},
		{"accents piled up", amf.String("z" + strings.Repeat("\u0301\u0330", 100) + "o"), "z\u0301\u0330\u0301\u0330o"},
		{"and too long without them", amf.String(strings.Repeat("z"+strings.Repeat("\u0301", 20), 101)), "! The message is longer than 500 characters: it has 505."},
		{"Burmese", amf.String("\u1019\u103c\u103e\u102d\u102f\u1037"), "\u1019\u103c\u103e\u102d\u102f\u1037"},
		{"no UTF-8", amf.String("a\xffb"), "a\ufffdb"},
		{"a number", amf.Number(5), "! A message must be a string."},
		{"nothing", nil, "! A message must be a string."},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHost(t, config())
				ann := join(t, h, "ann")
				var args []amf.Value
				if c.v != nil {
					args = append(args, c.v)
				}
				if want, bad := strings.CutPrefix(c.want, "! "); bad {
					err := ann.refused("say", args...)
					reason, retryAfter := application(err)
					if err.Description != want || reason != want || retryAfter != 0 {
						t.Errorf("got %q, {%q, %v}, want %q", err.Description, reason, retryAfter, want)
					}
					return
				}
				ann.must("say", args...)
				ann.heard()
				if got, _ := amf.AsString(amf.Lookup(ann.pushes[0].Args[0], "text")); got != c.want {
					t.Errorf("got %q, want %q", got, c.want)
				}
			})
		})
	}
}

func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, config())
		ann, bob := join(t, h, "ann"), join(t, h, "bob")
		for range room.Burst {
			ann.say("x")
		}
		reason, wait := application(ann.refused("say", amf.String("x")))
		if wait != 1000 || reason != "You talk too fast." {
			t.Errorf("got %q, %v ms", reason, wait)
		}
		bob.say("others may")
		time.Sleep(400 * time.Millisecond)
		if _, wait := application(ann.refused("say", amf.String("x"))); wait != 600 {
			t.Errorf("after 0.4 s: got %v ms", wait)
		}
		time.Sleep(600 * time.Millisecond)
		ann.say("after the wait it works")
		ann.refused("say", amf.String("x"))
		ann.refused("say", amf.String("")) // costs nothing
		for range 10 {
			time.Sleep(time.Second)
			ann.say("one a second")
		}
		time.Sleep(time.Hour)
		for range room.Burst {
			ann.say("rested")
		}
		ann.refused("say", amf.String("x"))
	})
}

func TestHistory(t *testing.T) {
	field := func(name string, n float64) amf.Field { return amf.Field{Name: name, Value: amf.Number(n)} }
	q := func(fields ...amf.Field) amf.Value { return amf.Object(fields) }
	for _, c := range []struct {
		name           string
		said           int // ids 1 to said; 3 was removed
		query          amf.Value
		first, last, n int
		complete, more bool
	}{
		{"nothing said", 0, nil, 0, 0, 0, true, false},
		{"the newest", 100, nil, 51, 100, 50, true, true},
		{"null", 100, amf.Null{}, 51, 100, 50, true, true},
		{"all of a few", 10, q(), 1, 10, 9, true, false},
		{"limit", 100, q(field("limit", 2)), 99, 100, 2, true, true},
		{"limit above the bound", 400, q(field("limit", 1e6)), 201, 400, 200, true, true},
		{"after", 100, q(field("after", 90)), 91, 100, 10, true, false},
		{"after, cut", 100, q(field("after", 10), field("limit", 5)), 11, 15, 5, true, true},
		{"after the last", 100, q(field("after", 100)), 0, 0, 0, true, false},
		{"after more than there is", 100, q(field("after", 1e9)), 51, 100, 50, false, true},
		{"after the next", 2, q(field("after", 3)), 1, 2, 2, false, false},
		{"after the next, before", 2, q(field("after", 3), field("before", 9)), 1, 2, 2, false, false},
		{"after the first, when there is none", 0, q(field("after", 1)), 0, 0, 0, false, false},
		{"after nothing, when there is none", 0, q(field("after", 0)), 0, 0, 0, true, false},
		{"after nothing", 10, q(field("after", 0)), 1, 10, 9, true, false},
		{"after a removed one", 10, q(field("after", 3)), 4, 10, 7, true, false},
		{"before", 100, q(field("before", 91), field("limit", 10)), 81, 90, 10, true, true},
		{"before the first ones", 100, q(field("before", 6)), 1, 5, 4, true, false},
		{"before the first", 100, q(field("before", 1)), 0, 0, 0, true, false},
		{"between", 100, q(field("after", 10), field("before", 14)), 11, 13, 3, true, false},
		{"between neighbours", 600, q(field("after", 10), field("before", 11)), 0, 0, 0, true, false},
		{"after forgotten ones", 600, q(field("after", 50)), 101, 150, 50, false, true},
		{"after the last forgotten one", 600, q(field("after", 100)), 101, 150, 50, true, true},
		{"before the oldest kept", 600, q(field("before", 111)), 101, 110, 10, false, false},
		{"before what is kept", 600, q(field("before", 50)), 0, 0, 0, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHost(t, config())
				ann := join(t, h, "ann")
				epoch := float64(time.Now().UnixMilli())
				for range c.said {
					time.Sleep(time.Second)
					ann.say("x")
				}
				if c.said >= 3 && c.said <= 500 {
					moderate(t, h).must("remove", amf.Number(3))
				}
				var args []amf.Value
				if c.query != nil {
					args = append(args, c.query)
				}
				v := spectate(t, h).must("history", args...)
				messages := amf.Lookup(v, "messages").(amf.StrictArray)
				id := func(i int) int {
					n, _ := amf.AsNumber(amf.Lookup(messages[i], "id"))
					return int(n)
				}
				if len(messages) != c.n || c.n > 0 && (id(0) != c.first || id(c.n-1) != c.last) {
					t.Errorf("got %d messages: %s", len(messages), brief(messages))
				}
				complete, _ := amf.AsBool(amf.Lookup(v, "complete"))
				more, _ := amf.AsBool(amf.Lookup(v, "more"))
				if complete != c.complete || more != c.more {
					t.Errorf("got complete %v, more %v, want %v, %v", complete, more, c.complete, c.more)
				}
				if got, _ := amf.AsNumber(amf.Lookup(v, "epoch")); got != epoch {
					t.Errorf("epoch: got %v, want %v", got, epoch)
				}
			})
		})
	}
}

func TestBadHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, config())
		ann := join(t, h, "ann")
		field := func(name string, v amf.Value) amf.Value { return amf.Object{{Name: name, Value: v}} }
		for want, v := range map[string]amf.Value{
			"The query cannot be read: want an object.":                     amf.Number(1),
			"The query cannot be read: after: want a whole number from 0.":  field("after", amf.String("x")),
			"The query cannot be read: before: want a whole number from 0.": field("before", amf.Number(-1)),
			"The query cannot be read: limit: want a whole number from 1.":  field("limit", amf.Number(0.5)),
		} {
			if got := ann.refused("history", v).Description; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
		v, err := h.Call(t.Context(), "room/blue", "history")
		if err != nil || brief(amf.Lookup(v, "messages")) != "[]" {
			t.Errorf("the process itself: got %v, %v", v, err)
		}
	})
}

func TestEpochGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, config())
		epoch := func() float64 {
			p := spectate(t, h)
			defer p.client.Leave(nil)
			n, _ := amf.AsNumber(amf.Lookup(p.must("history"), "epoch"))
			return n
		}
		first := epoch()
		time.Sleep(time.Minute) // the room has stopped
		if second := epoch(); second <= first {
			t.Errorf("epoch %v after %v", second, first)
		}
	})
}
