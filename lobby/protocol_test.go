package lobby_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"foyer/lobby"
	"foyer/server/amf"
)

// full is a status with every field set, and its form on the wire.
var full = lobby.Status{
	Epoch: 1700000000000, Seq: 12, Title: "Blue room", Topic: "tea", Tags: []string{"music"},
	Users: 3, Spectators: 2, Viewers: 4, Publishers: 1, MessagesPerMinute: 7, Activity: 0.5,
	LastActive: 1700000001000, Live: true, Streams: []string{"live"}, Capacity: 1000,
	Locked: true, Unlisted: true, Node: "n1", RTMP: "rtmp://h/room/blue", HTTP: "https://h/room/blue",
	Language: "de-CH-1901", Description: "Where it is always evening.", Access: "talk", Pinned: true, Opens: 1700000002000, Closes: 1700000003000,
}

const fullNames = "epoch seq title topic tags users spectators viewers publishers messagesPerMinute activity lastActive " +
	"live streams capacity locked unlisted node rtmp http" + " language description access pinned opens closes"

func names(o amf.Object) string {
	var list []string
	for _, f := range o {
		list = append(list, f.Name)
	}
	return strings.Join(list, " ")
}

func TestFieldNames(t *testing.T) {
	if got := names(full.Value()); got != fullNames {
		t.Errorf("status: got %s", got)
	}
	entry := lobby.Entry{Name: "blue", State: lobby.StateLive, Since: 5, Status: full}
	if got := names(entry.Value()); got != "name state since "+fullNames {
		t.Errorf("entry: got %s", got)
	}
	text, err := json.Marshal(entry)
	if err != nil {
		t.Fatal(err)
	}
	fields := make(map[string]any)
	if err := json.Unmarshal(text, &fields); err != nil {
		t.Fatal(err)
	}
	for _, name := range strings.Fields("name state since " + fullNames) {
		if _, ok := fields[name]; !ok {
			t.Errorf("JSON lacks %s: %s", name, text)
		}
		delete(fields, name)
	}
	if len(fields) > 0 {
		t.Errorf("JSON has %v besides", fields)
	}
}

func TestParseStatus(t *testing.T) {
	ecma := amf.ECMAArray(full.Value())
	raw := amf.Raw(amf.Append(nil, full.Value()))
	empty := lobby.Status{Tags: []string{}, Streams: []string{}}
	field := func(name string, v amf.Value) amf.Value { return amf.Object{{Name: name, Value: v}} }
	with := func(set func(*lobby.Status)) lobby.Status { s := empty; set(&s); return s }
	for _, c := range []struct {
		name string
		v    amf.Value
		want lobby.Status
	}{
		{"full", full.Value(), full},
		{"an ECMA array", ecma, full},
		{"a typed object", &amf.TypedObject{Class: "Status", Fields: full.Value()}, full},
		{"undecoded", raw, full},
		{"empty", amf.Object{}, empty},
		{"unknown members", field("weather", amf.String("fine")), empty},
		{"null members", field("users", amf.Null{}), empty},
		{"a fraction of a user", field("users", amf.Number(2.9)), with(func(s *lobby.Status) { s.Users = 2 })},
		{"fewer than none", field("users", amf.Number(-4)), empty},
		{"not a number", field("viewers", amf.Number(math.NaN())), empty},
		{"infinitely many", field("capacity", amf.Number(math.Inf(1))), with(func(s *lobby.Status) { s.Capacity = lobby.MaxCount })},
		{"an infinite epoch", field("epoch", amf.Number(math.Inf(1))), with(func(s *lobby.Status) { s.Epoch = lobby.MaxWhole })},
		{"activity above one", field("activity", amf.Number(7)), with(func(s *lobby.Status) { s.Activity = 1 })},
		{"activity below zero", field("activity", amf.Number(-1)), empty},
		{"activity not a number", field("activity", amf.Number(math.NaN())), empty},
		{"a long title", field("title", amf.String(strings.Repeat("é", 900))), with(func(s *lobby.Status) { s.Title = strings.Repeat("é", lobby.MaxTitle) })},
		{"a title of two lines", field("title", amf.String(" a\r\nb\x00\xff ")), with(func(s *lobby.Status) { s.Title = "ab" })},
		{"too many tags", field("tags", strs(lobby.MaxTags+5)), with(func(s *lobby.Status) { s.Tags = list(lobby.MaxTags) })},
		{"a long tag", field("tags", amf.StrictArray{amf.String(strings.Repeat("x", 99))}), with(func(s *lobby.Status) { s.Tags = []string{strings.Repeat("x", lobby.MaxTag)} })},
		{"a long topic", field("topic", amf.String(strings.Repeat("x", 999))), with(func(s *lobby.Status) { s.Topic = strings.Repeat("x", lobby.MaxTopic) })},
		{"a long node", field("node", amf.String(strings.Repeat("x", 999))), with(func(s *lobby.Status) { s.Node = strings.Repeat("x", lobby.MaxNode) })},
		{"too many streams", field("streams", strs(lobby.MaxStreams+5)), with(func(s *lobby.Status) { s.Streams = list(lobby.MaxStreams) })},
		{"tags of an ECMA array", field("tags", amf.ECMAArray{{Name: "0", Value: amf.String("x")}, {Name: "length", Value: amf.Number(1)}}), with(func(s *lobby.Status) { s.Tags = []string{"x"} })},
		{"a script for an address", field("http", amf.String("javascript:alert(1)")), empty},
		{"a word for an address", field("rtmp", amf.String("rtmp:blue")), empty},
		{"an address without a host", field("http", amf.String("https:///room/blue")), empty},
		{"an address with a user", field("http", amf.String("https://bank.example@evil.example/")), empty},
		{"an address of two lines", field("http", amf.String("https://h/\nx")), empty},
		{"an address with a space", field("http", amf.String("https://h/a b")), empty},
		{"an address with a letter that is not seen", field("http", amf.String("https://h/a\u202eb")), empty},
		{"an address that is too long is none, not another one", field("http", amf.String("https://h/"+strings.Repeat("x", lobby.MaxAddress))), empty},
		{"a language", field("language", amf.String("en")), with(func(s *lobby.Status) { s.Language = "en" })},
		{"no language", field("language", amf.String("English, please")), empty},
		{"a long language", field("language", amf.String("en"+strings.Repeat("-abcdefgh", 4))), empty},
		{"a long description", field("description", amf.String(strings.Repeat("é", 900))), with(func(s *lobby.Status) { s.Description = strings.Repeat("é", lobby.MaxAbout) })},
		{"an unknown access", field("access", amf.String("nobody")), empty},
		{"opens in the past of all", field("opens", amf.Number(-1)), empty},
		{"closes never", field("closes", amf.Null{}), empty},
		{"rtmps", field("rtmp", amf.String("rtmps://h/room/blue")), with(func(s *lobby.Status) { s.RTMP = "rtmps://h/room/blue" })},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := lobby.ParseStatus(c.v)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func strs(n int) (a amf.StrictArray) {
	for _, s := range list(n) {
		a = append(a, amf.String(s))
	}
	return a
}

func list(n int) (l []string) {
	for i := range n {
		l = append(l, string(rune('a'+i)))
	}
	return l
}

func TestEntryRoundTrip(t *testing.T) {
	want := lobby.Entry{Name: "blue", State: lobby.StateStale, Since: 1700000000000, Status: full}
	got, err := lobby.ParseEntry(want.Value())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// The largest entry fits a slot of a shared object.
func TestLargestEntry(t *testing.T) {
	big := strings.Repeat("\U0001f600", 2000)
	s := lobby.Status{Title: big, Topic: big, Node: big, RTMP: "rtmp://" + big, HTTP: "http://" + big}
	for range 100 {
		s.Tags, s.Streams = append(s.Tags, big), append(s.Streams, big)
	}
	s, err := lobby.ParseStatus(s.Value())
	if err != nil {
		t.Fatal(err)
	}
	if n := len(amf.Append(nil, lobby.Entry{Name: strings.Repeat("x", lobby.MaxName), Status: s}.Value())); n > 16<<10 {
		t.Errorf("got %d bytes", n)
	}
}

// A parsed status is within its bounds: parsed again it is the same.
func FuzzStatus(f *testing.F) {
	f.Add(amf.Append(nil, full.Value()))
	f.Add(amf.Append(nil, lobby.Entry{Name: "blue", Status: full}.Value()))
	f.Add(amf.Append(nil, amf.Object{{Name: "tags", Value: amf.ECMAArray{{Name: "0", Value: amf.String("x")}}}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := amf.Parse(b)
		if err != nil {
			return
		}
		s, err := lobby.ParseStatus(v)
		if err != nil {
			return
		}
		again, err := lobby.ParseStatus(s.Value())
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(s, again); d != "" {
			t.Error(d)
		}
	})
}
