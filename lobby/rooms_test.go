package lobby_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"foyer/lobby"
	"foyer/server/amf"
	"foyer/server/rtmp"
)

func TestRooms(t *testing.T) {
	q := func(fields ...amf.Field) amf.Value { return amf.Object(fields) }
	str := func(name, v string) amf.Field { return amf.Field{Name: name, Value: amf.String(v)} }
	num := func(name string, v float64) amf.Field { return amf.Field{Name: name, Value: amf.Number(v)} }
	for _, c := range []struct {
		name  string
		query amf.Value
		want  string // names, or the error
	}{
		{"none: by activity", nil, "red blue Amber"},
		{"null", amf.Null{}, "red blue Amber"},
		{"by activity", q(str("sort", "activity")), "red blue Amber"},
		{"by users", q(str("sort", "users")), "blue red Amber"},
		{"by name", q(str("sort", "name")), "Amber blue red"},
		{"newest", q(str("sort", "newest")), "Amber red blue"},
		{"text in the name", q(str("text", "RE")), "red"},
		{"text in the title", q(str("text", "jazz")), "blue"},
		{"text in the topic", q(str("text", "tea")), "red"},
		{"text in a tag", q(str("text", "mus")), "blue Amber"},
		{"text of nothing", q(str("text", "zzz")), ""},
		{"tag", q(str("tag", "MUSIC")), "blue Amber"},
		{"a part of a tag", q(str("tag", "mus")), ""},
		{"live", q(amf.Field{Name: "live", Value: amf.Bool(true)}), "red"},
		{"open", q(amf.Field{Name: "open", Value: amf.Bool(true)}), "red blue Amber"},
		{"a language", q(str("language", "de-at")), "blue"},
		{"the beginning of a language", q(str("language", "DE")), "red blue"},
		{"no language of a room", q(str("language", "d")), ""},
		{"bad language", q(num("language", 1)), "! The query cannot be read: language: want a string, got a number."},
		{"bad open", q(num("open", 1)), "! The query cannot be read: open: want a boolean, got a number."},
		{"after one that does not match", q(str("after", "blue"), str("sort", "users"), amf.Field{Name: "live", Value: amf.Bool(true)}), "red"},
		{"limit", q(num("limit", 2), str("sort", "name")), "Amber blue"},
		{"limit above", q(num("limit", 99)), "red blue Amber"},
		{"after one by name", q(str("after", "amber"), str("sort", "name")), "blue red"},
		{"after one that is gone, by name", q(str("after", "bright"), str("sort", "name")), "red"},
		{"after the last", q(str("after", "red"), str("sort", "name")), ""},
		{"after one by activity", q(str("after", "red")), "blue Amber"},
		{"after one that is gone, by activity", q(str("after", "bright")), "red blue Amber"},
		{"after, with a limit", q(str("after", "red"), num("limit", 1)), "blue"},
		{"one alone", q(str("name", "BLUE")), "blue"},
		{"bad after", q(num("after", 1)), "! The query cannot be read: after: want a string, got a number."},
		{"both", q(str("tag", "music"), str("text", "jazz")), "blue"},
		{"bad sort", q(str("sort", "size")), `! The query cannot be read: sort: want activity, users, name or newest, got "size".`},
		{"bad limit", q(num("limit", -1)), "! The query cannot be read: limit: want a whole number, got -1."},
		{"bad text", q(num("text", 1)), "! The query cannot be read: text: want a string, got a number."},
		{"no object", amf.String("x"), "! The query cannot be read: want an object, got a string."},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newLobby(t)
				for _, r := range []struct {
					name string
					s    lobby.Status
				}{
					{"blue", lobby.Status{Users: 9, Activity: 0.3, Title: "Jazz", Language: "de-AT", Tags: []string{"music", "late"}}},
					{"red", lobby.Status{Users: 5, Activity: 0.8, Topic: "Tea", Language: "de", Live: true}},
					{"Amber", lobby.Status{Users: 1, Tags: []string{"Music"}}},
				} {
					mustRoom(t, h, r.name, "n1").report(r.s)
					time.Sleep(time.Second)
				}
				var args []amf.Value
				if c.query != nil {
					args = append(args, c.query)
				}
				visitor := must(t, h)
				v, err := visitor.call(lobby.MethodRooms, args...)
				if err != nil {
					if _, got := rejection(err); "! "+got != c.want {
						t.Errorf("got %q, want %q", got, c.want)
					}
					return
				}
				var names []string
				for _, v := range v.(amf.StrictArray) {
					name, _ := amf.AsString(amf.Lookup(v, "name"))
					names = append(names, name)
				}
				if got := strings.Join(names, " "); got != c.want {
					t.Errorf("got %q, want %q", got, c.want)
				}
			})
		})
	}
}

// TestPinned: pinned rooms come first in every order, and pages of a list lose none.
func TestPinned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newLobby(t)
		for i, name := range []string{"a", "b", "c", "d"} {
			mustRoom(t, h, name, "n1").report(lobby.Status{Users: i, Activity: float64(i) / 4, Pinned: name == "b" || name == "c"})
			time.Sleep(time.Second)
		}
		visitor := must(t, h)
		for sort, want := range map[string]string{"activity": "cbda", "users": "cbda", "newest": "cbda", "name": "bcad"} {
			for _, page := range []float64{1, 3, 0} {
				got, after := "", ""
				for range 5 {
					v, err := visitor.call(lobby.MethodRooms, amf.Object{
						{Name: "sort", Value: amf.String(sort)}, {Name: "limit", Value: amf.Number(page)}, {Name: "after", Value: amf.String(after)},
					})
					if err != nil {
						t.Fatal(err)
					}
					for _, e := range v.(amf.StrictArray) {
						after, _ = amf.AsString(amf.Lookup(e, "name"))
						got += after
					}
				}
				if got != want {
					t.Errorf("by %s, %v at once: got %s, want %s", sort, page, got, want)
				}
			}
		}
	})
}

// TestOpenRooms: a room is open when anybody may enter it now.
func TestOpenRooms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newLobby(t)
		now := float64(time.Now().UnixMilli())
		for name, s := range map[string]lobby.Status{
			"plain": {}, "open": {Access: "open"}, "talk": {Access: "talk"}, "place": {Users: 4, Capacity: 5},
			"opened": {Opens: now - 1}, "closes": {Closes: now + 5000}, "opens": {Opens: now + 5000},
			"closed": {Closes: now - 1}, "locked": {Locked: true}, "pass": {Access: "pass"}, "full": {Users: 5, Capacity: 5},
		} {
			mustRoom(t, h, name, "n1").report(s)
		}
		visitor := must(t, h)
		for _, want := range []string{"closes open opened place plain talk", "open opened opens place plain talk"} {
			v, err := visitor.call(lobby.MethodRooms, amf.Object{{Name: "open", Value: amf.Bool(true)}, {Name: "sort", Value: amf.String("name")}})
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, e := range v.(amf.StrictArray) {
				name, _ := amf.AsString(amf.Lookup(e, "name"))
				names = append(names, name)
			}
			if got := strings.Join(names, " "); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			time.Sleep(5 * time.Second)
		}
	})
}

// TestManyRooms: lists are bounded, and their pages miss nothing. The shared object holds
// pinned rooms and the liveliest.
func TestManyRooms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const many = lobby.MaxShown + 200
		h := newLobby(t)
		rooms := make([]*peer, many)
		for i := range rooms {
			rooms[i] = mustRoom(t, h, fmt.Sprintf("r%05d", i), "n1")
			rooms[i].report(lobby.Status{Users: 1, Activity: float64(i) / many, Pinned: i == 1})
		}
		visitor := must(t, h).watch()
		held := func(name string) bool { _, ok := visitor.slot(name); return ok }
		seen, after, first := 0, "", ""
		for {
			v, err := visitor.call(lobby.MethodRooms, amf.Object{{Name: "sort", Value: amf.String("name")}, {Name: "after", Value: amf.String(after)}})
			if err != nil {
				t.Fatal(err)
			}
			list := v.(amf.StrictArray)
			if len(list) > lobby.MaxAnswer {
				t.Fatalf("%d rooms in one answer", len(list))
			}
			if len(list) == 0 {
				break
			}
			if seen += len(list); first == "" {
				first, _ = amf.AsString(amf.Lookup(list[0], "name"))
			}
			after, _ = amf.AsString(amf.Lookup(list[len(list)-1], "name"))
		}
		if first != "r00001" {
			t.Errorf("%s comes first, want the pinned room", first)
		}
		if seen != many {
			t.Errorf("the pages have %d rooms, want %d", seen, many)
		}
		time.Sleep(2 * lobby.ChooseInterval)
		synctest.Wait()
		if n := len(visitor.rooms.Slots); n != lobby.MaxShown {
			t.Errorf("the object holds %d rooms, want %d", n, lobby.MaxShown)
		}
		if held("r00000") || !held("r00001") || !held(fmt.Sprintf("r%05d", many-1)) {
			t.Error("the object does not hold the liveliest and the pinned one")
		}
		for i := range 300 { // a room that was left out becomes the liveliest, and rooms go
			rooms[i].report(lobby.Status{Users: 1, Activity: 1, Seq: 2})
		}
		time.Sleep(2 * lobby.ChooseInterval)
		synctest.Wait()
		if !held("r00000") || len(visitor.rooms.Slots) != lobby.MaxShown {
			t.Errorf("after the change: %d rooms, r00000 is there: %v", len(visitor.rooms.Slots), held("r00000"))
		}
		for _, r := range rooms[:300] {
			r.client.Leave(rtmp.ErrGoodbye)
		}
		time.Sleep(2 * lobby.ChooseInterval)
		synctest.Wait()
		if n := len(visitor.rooms.Slots); n != many-300 {
			t.Errorf("with few again, the object holds %d rooms, want %d", n, many-300)
		}
	})
}
