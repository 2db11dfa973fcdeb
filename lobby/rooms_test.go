package lobby_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"foyer/lobby"
	"foyer/server/amf"
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
		{"limit", q(num("limit", 2), str("sort", "name")), "Amber blue"},
		{"limit above", q(num("limit", 99)), "red blue Amber"},
		{"both", q(str("tag", "music"), str("text", "jazz")), "blue"},
		{"bad sort", q(str("sort", "size")), `! rooms: query: sort: want activity, users, name or newest, got "size"`},
		{"bad limit", q(num("limit", -1)), "! rooms: query: limit: want a whole number, got -1"},
		{"bad text", q(num("text", 1)), "! rooms: query: text: want a string, got a number"},
		{"no object", amf.String("x"), "! rooms: query: want an object, got a string"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newLobby(t)
				for _, r := range []struct {
					name string
					s    lobby.Status
				}{
					{"blue", lobby.Status{Users: 9, Activity: 0.3, Title: "Jazz", Tags: []string{"music", "late"}}},
					{"red", lobby.Status{Users: 5, Activity: 0.8, Topic: "Tea", Live: true}},
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
