package sharedobject

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"foyer/server/amf"

	"github.com/google/go-cmp/cmp"
)

// unhex reads hex digits. A # begins a comment.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	var digits strings.Builder
	for line := range strings.Lines(s) {
		line, _, _ = strings.Cut(line, "#")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	b, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const rooms = `0005 726f6f6d73 # "rooms"`

// messages is the one table: want is what bytes decode to and, unless habit is
// set, the other way round. A habit is what peers do and we do not.
var messages = []struct {
	name  string
	bytes string
	amf3  bool
	habit bool
	want  Message
}{
	{
		name: "use", bytes: rooms + `
			00000000 00000000 00000000 # version, flags, reserved
			01 00000000`,
		want: Message{Name: "rooms", Events: []Event{{Type: Use}}},
	},
	{
		name: "use of a persistent object, type 16", amf3: true, bytes: `00 ` + rooms + `
			00000007 00000002 00000000
			01 00000000`,
		want: Message{Name: "rooms", Version: 7, Persistent: true, Events: []Event{{Type: Use}}},
	},
	{
		name: "flags of Flash, temporary", habit: true, bytes: rooms + `
			00000000 00000010 00000000
			01 00000000`,
		want: Message{Name: "rooms", Events: []Event{{Type: Use}}},
	},
	{
		name: "flags of Flash, persistent", habit: true, bytes: rooms + `
			00000001 00000012 00000000
			01 00000000`,
		want: Message{Name: "rooms", Version: 1, Persistent: true, Events: []Event{{Type: Use}}},
	},
	{
		name: "flags of an Adobe server", habit: true, bytes: rooms + `
			00000001 00000030 00000000
			0b 00000000
			08 00000000`,
		want: Message{Name: "rooms", Version: 1, Events: []Event{{Type: UseSuccess}, {Type: Clear}}},
	},
	{
		name: "release", bytes: rooms + `
			00000002 00000000 00000000
			02 00000000`,
		want: Message{Name: "rooms", Version: 2, Events: []Event{{Type: Release}}},
	},
	{
		name: "request change", bytes: rooms + `
			00000002 00000000 00000000
			03 0000000c 0001 78 00 3ff0000000000000`,
		want: Message{Name: "rooms", Version: 2, Events: []Event{
			{Type: RequestChange, Slot: "x", Value: amf.Raw("\x00\x3f\xf0\x00\x00\x00\x00\x00\x00")},
		}},
	},
	{
		name: "request change of several slots in one event", habit: true, bytes: rooms + `
			00000002 00000000 00000000
			03 00000010 0001 78 02 0002 6869 0001 79 0101 0000 05`,
		want: Message{Name: "rooms", Version: 2, Events: []Event{
			{Type: RequestChange, Slot: "x", Value: amf.Raw("\x02\x00\x02hi")},
			{Type: RequestChange, Slot: "y", Value: amf.Raw("\x01\x01")},
			{Type: RequestChange, Value: amf.Raw("\x05")},
		}},
	},
	{
		name: "snapshot in one message", bytes: rooms + `
			00000003 00000000 00000000
			0b 00000000
			08 00000000
			04 00000008 0001 78 02 0002 6869
			04 0000000e 0001 6f 03 0001 61 02 0001 62 000009`,
		want: Message{Name: "rooms", Version: 3, Events: []Event{
			{Type: UseSuccess}, {Type: Clear},
			{Type: Change, Slot: "x", Value: amf.Raw("\x02\x00\x02hi")},
			{Type: Change, Slot: "o", Value: amf.Raw("\x03\x00\x01a\x02\x00\x01b\x00\x00\x09")},
		}},
	},
	{
		name: "success and remove", bytes: rooms + `
			00000004 00000000 00000000
			05 00000003 0001 78
			09 00000003 0001 79
			0a 00000003 0001 7a`,
		want: Message{Name: "rooms", Version: 4, Events: []Event{
			{Type: Success, Slot: "x"}, {Type: Remove, Slot: "y"}, {Type: RequestRemove, Slot: "z"},
		}},
	},
	{
		name: "send: the handler name is an AMF string", bytes: rooms + `
			00000004 00000000 00000000
			06 00000010 02 0003 736179 02 0002 6869 05 01 00 06 06`,
		want: Message{Name: "rooms", Version: 4, Events: []Event{{
			Type: SendMessage, Method: "say",
			Args: amf.Args{amf.Raw("\x02\x00\x02hi"), amf.Raw("\x05"), amf.Raw("\x01\x00"), amf.Raw("\x06"), amf.Raw("\x06")},
		}}},
	},
	{
		name: "status", bytes: rooms + `
			00000000 00000000 00000000
			07 00000025 0019 5368617265644f626a6563742e4e6f52656164416363657373
			  0005 6572726f72
			  000000 # more than a status needs is ignored`, habit: true,
		want: Message{Name: "rooms", Events: []Event{refusal(CodeNoReadAccess)}},
	},
	{
		name: "events nobody knows are skipped", habit: true, bytes: rooms + `
			00000005 00000010 00000000
			0c 00000007 0001 78 00000005   # 12: a version of its own for each slot
			63 00000003 ffffff
			00 00000000
			04 00000004 0001 78 05
			0f 00000000`,
		want: Message{Name: "rooms", Version: 5, Events: []Event{{Type: Change, Slot: "x", Value: amf.Raw("\x05")}}},
	},
	{
		name: "echo of a newer Adobe server", habit: true, bytes: rooms + `
			00000005 00000010 00000000
			0d 00000008 0001 78 02 0002 6869`,
		want: Message{Name: "rooms", Version: 5, Events: []Event{{Type: Success, Slot: "x"}}},
	},
	{
		name: "clear, both ways to ask for it", bytes: rooms + `
			00000005 00000000 00000000
			0e 00000000
			08 00000000`,
		want: Message{Name: "rooms", Version: 5, Events: []Event{{Type: RequestClear}, {Type: Clear}}},
	},
	{
		name: "useSuccess with values", habit: true, bytes: rooms + `
			00000005 00000000 00000000
			0b 00000004 0001 78 05`,
		want: Message{Name: "rooms", Version: 5, Events: []Event{{Type: UseSuccess}}},
	},
	{
		name: "no events, name with slashes", bytes: `
			0008 7075626c69632f78
			00000005 00000002 00000000`,
		want: Message{Name: "public/x", Version: 5, Persistent: true},
	},
	{
		name: "AMF3 value in type 16", amf3: true, bytes: `00 ` + rooms + `
			00000005 00000000 00000000
			04 00000008 0001 78 11 0c 05 0102 # a byte array`,
		want: Message{Name: "rooms", Version: 5, Events: []Event{{Type: Change, Slot: "x", Value: amf.Raw("\x11\x0c\x05\x01\x02")}}},
	},
}

func TestParse(t *testing.T) {
	for _, tt := range messages {
		t.Run(tt.name, func(t *testing.T) {
			m, err := Parse(unhex(t, tt.bytes), tt.amf3)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&tt.want, m); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestAppend(t *testing.T) {
	for _, tt := range messages {
		t.Run(tt.name, func(t *testing.T) {
			if tt.habit {
				m, err := Parse(tt.want.Append(nil, tt.amf3), tt.amf3)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(&tt.want, m); diff != "" {
					t.Errorf("-want +got\n%s", diff)
				}
				return
			}
			prefix := []byte("before")
			got, ok := bytes.CutPrefix(tt.want.Append(prefix, tt.amf3), prefix)
			if !ok {
				t.Error("Append does not append")
			}
			if want := unhex(t, tt.bytes); !bytes.Equal(got, want) {
				t.Errorf("got  %x\nwant %x", got, want)
			}
		})
	}
}

// A peer that speaks only AMF0 is sent nothing else.
func TestAppendPlain(t *testing.T) {
	m := &Message{Name: "x", Events: []Event{
		{Type: Change, Slot: "list", Value: amf.Raw(amf.Append(nil, amf.IntVector{1, 2}))},
		{Type: SendMessage, Method: "f", Args: amf.Args{amf.Bytes("data")}},
	}}
	got, err := Parse(m.Append(nil, false), false)
	if err != nil {
		t.Fatal(err)
	}
	if v := decoded(got.Events[0].Value); !cmp.Equal(v, amf.Value(amf.StrictArray{amf.Number(1), amf.Number(2)})) {
		t.Errorf("vector became %v", v)
	}
	if v := decoded(got.Events[1].Args[0]); v != (amf.Null{}) {
		t.Errorf("bytes became %v", v)
	}
	both, err := Parse(m.Append(nil, true), true)
	if err != nil {
		t.Fatal(err)
	}
	if v := decoded(both.Events[1].Args[0]); !cmp.Equal(v, amf.Value(amf.Bytes("data"))) {
		t.Errorf("bytes became %v in type 16", v)
	}
}

// Strings that are too long for a length of two bytes are cut, between runes.
func TestAppendLongString(t *testing.T) {
	m := &Message{Name: strings.Repeat("é", 40000)}
	got, err := Parse(m.Append(nil, false), false)
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Repeat("é", 32767); got.Name != want {
		t.Errorf("got %d bytes, want %d", len(got.Name), len(want))
	}
}

const head = rooms + `
	00000000 00000000 00000000
`

func TestParseError(t *testing.T) {
	for _, tt := range []struct {
		name, bytes string
		amf3        bool
	}{
		{"nothing", "", false},
		{"nothing, type 16", "", true},
		{"format byte 3", "03" + head, true},
		{"half a name length", "00", false},
		{"name cut short", "0005 7265", false},
		{"no reserved word", rooms + "00000000 00000000", false},
		{"half an event header", head + "01 000000", false},
		{"event length lies by one", head + "05 00000004 0001 78", false},
		{"event length of four gigabytes", head + "03 ffffffff 0001 78 05", false},
		{"unknown event length of four gigabytes", head + "63 ffffffff", false},
		{"slot name longer than its event", head + "03 00000003 ffff 78 05000000 00000000", false},
		{"value longer than its event", head + "03 00000005 0001 78 02 0009 686968696869686968", false},
		{"slot without value", head + "03 00000003 0001 78", false},
		{"value of no type", head + "04 00000004 0001 78 55", false},
		{"reference to a missing object", head + "04 00000006 0001 78 07 0000", false},
		{"array that claims four billion", head + "03 00000008 0001 78 0a ffffffff", false},
		{"status without level", head + "07 00000003 0001 78", false},
		{"send without a name", head + "06 00000000", false},
		{"send to a bare string", head + "06 00000005 0003 736179", false},
		{"send to a number", head + "06 00000009 00 3ff0000000000000", false},
		{"send with half an argument", head + "06 00000007 02 0003 736179 02", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, err := Parse(unhex(t, tt.bytes), tt.amf3)
			if err == nil {
				t.Fatalf("decoded as %+v", m)
			}
			if m != nil || !strings.HasPrefix(err.Error(), "sharedobject: ") {
				t.Errorf("got %v, %v", m, err)
			}
			t.Log(err)
		})
	}
}

// The values of a send may refer to each other; each gets a copy of its own.
func TestParseSendReference(t *testing.T) {
	m, err := Parse(unhex(t, head+`06 00000011 02 0001 66
		03 0001 61 05 000009 # an object
		07 0000              # the same again
		0101`), false)
	if err != nil {
		t.Fatal(err)
	}
	o := amf.Object{{Name: "a", Value: amf.Null{}}}
	for i, want := range []amf.Value{o, o, amf.Bool(true)} {
		if got := decoded(m.Events[0].Args.At(i)); !cmp.Equal(got, want) {
			t.Errorf("argument %d: got %v, want %v", i, got, want)
		}
	}
}

func TestMaxEvents(t *testing.T) {
	for _, n := range []int{MaxEvents, MaxEvents + 1} {
		b := append(unhex(t, head), bytes.Repeat([]byte{byte(Release), 0, 0, 0, 0}, n)...)
		if _, err := Parse(b, false); (err == nil) != (n == MaxEvents) {
			t.Errorf("%d events: %v", n, err)
		}
		pairs := bytes.Repeat([]byte{0, 1, 'x', 0x05}, n)
		b = append(unhex(t, head), byte(RequestChange), 0, byte(len(pairs)>>16), byte(len(pairs)>>8), byte(len(pairs)))
		if _, err := Parse(append(b, pairs...), false); (err == nil) != (n == MaxEvents) {
			t.Errorf("%d slots in an event: %v", n, err)
		}
	}
}

// A bomb of nested arrays is refused by its depth, not by the stack.
func TestNestingBomb(t *testing.T) {
	value := bytes.Repeat([]byte{0x0a, 0, 0, 0, 1}, 50_000)
	b := append(unhex(t, head), byte(RequestChange), 0, byte((len(value)+3)>>16), byte((len(value)+3)>>8), byte(len(value)+3), 0, 1, 'x')
	if _, err := Parse(append(b, value...), false); err == nil {
		t.Error("50,000 levels decoded")
	}
}

// A few bytes of references stand for much: what they stand for is counted over
// the whole message, not only for each event.
func TestReferenceBomb(t *testing.T) {
	value := append([]byte{0x0a, 0, 0, 1, 0x01, 0x03, 0, 1, 'a', 0x02, 0x03, 0xe8}, make([]byte, 1000)...)
	value = append(value, 0, 0, 0x09)
	value = append(value, bytes.Repeat([]byte{0x07, 0, 1}, 0x100)...)
	event := []byte{byte(RequestChange), 0, 0, byte((len(value) + 3) >> 8), byte(len(value) + 3), 0, 1, 'x'}
	event = append(event, value...)
	for _, n := range []int{3, 8} {
		m, err := Parse(append(unhex(t, head), bytes.Repeat(event, n)...), false)
		if (err == nil) != (n == 3) {
			t.Errorf("%d events of %d bytes: %v", n, len(event), err)
		}
		if n == 3 && err == nil && len(m.Events[2].Value.(amf.Raw)) < 250_000 {
			t.Error("the references are not resolved")
		}
	}
}

func TestEventType(t *testing.T) {
	for i := range 256 {
		typ := EventType(i)
		back, ok := ParseEventType(typ.String())
		if known := !strings.HasPrefix(typ.String(), "event "); ok != known || ok && back != typ {
			t.Errorf("%d is %q is %d, %v", i, typ, back, ok)
		}
	}
	if _, ok := ParseEventType(""); ok {
		t.Error("the empty name has a type")
	}
	got := fmt.Sprint(Use, Release, RequestChange, RequestRemove, SendMessage, UseSuccess, Clear, Change, Success, Remove, Status, RequestClear)
	if want := "use release requestChange requestRemove send useSuccess clear change success remove status requestClear"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func FuzzSharedObject(f *testing.F) {
	for _, tt := range messages {
		f.Add(unhex(f, tt.bytes), tt.amf3)
	}
	f.Fuzz(func(t *testing.T, b []byte, amf3 bool) {
		m, err := Parse(b, amf3)
		if err != nil {
			return
		}
		again, err := Parse(m.Append(nil, true), true)
		if err != nil {
			t.Fatalf("%+v does not decode: %v", m, err)
		}
		if diff := cmp.Diff(m, again); diff != "" {
			t.Errorf("-first +again\n%s", diff)
		}
		if _, err := Parse(m.Append(nil, false), false); err != nil {
			t.Errorf("%+v does not decode as type 19: %v", m, err)
		}
		checkApply(t, m)
	})
}

// checkApply applies any message to a replica and an object.
func checkApply(t *testing.T, m *Message) {
	var r Replica
	o := New[int](m.Name, m.Persistent, m.Version)
	o.Use(1, 0)
	for _, e := range m.Events {
		r.Request(e)
		if err := o.Request(1, e, true); err == nil && !isRequest(e.Type) {
			t.Errorf("%v is no request", e.Type)
		}
	}
	r.Apply(m)
	var told Replica
	o.Flush(func(_ int, m *Message) { told.Apply(m) })
	if o.Dirty() {
		t.Error("dirty after Flush")
	}
}
