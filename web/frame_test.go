package web

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"

	"foyer/server"
	"foyer/server/amf"
	"foyer/server/rtmp"
	"foyer/server/sharedobject"
)

// frameTable has the frames that pages send.
var frameTable = []struct {
	name, text string
	want       frame
}{
	{"connect", `{"type":"connect","args":["ann",null]}`,
		frame{Type: "connect", Args: amf.Args{amf.String("ann"), amf.Null{}}}},
	{"connect without arguments", `{"type":"connect"}`, frame{Type: "connect"}},
	{"type last, unknown members", `{"x":{"y":[1]},"args":[],"type":"connect"}`, frame{Type: "connect", Args: amf.Args{}}},
	{"call", `{"type":"call","id":7,"method":"say","args":["hi"]}`,
		frame{Type: "call", ID: "7", Method: "say", Args: amf.Args{amf.String("hi")}}},
	{"id as it came", `{"type":"call","id":-1.50e2,"method":"say"}`, frame{Type: "call", ID: "-1.50e2", Method: "say"}},
	{"call without answer", `{"type":"call","id":null,"method":"say","args":null}`, frame{Type: "call", Method: "say"}},
	{"result", `{"type":"result","id":1,"value":{"a":1}}`,
		frame{Type: "result", ID: "1", Value: amf.Object{{Name: "a", Value: amf.Number(1)}}}},
	{"error", `{"type":"error","id":1,"info":{"code":"x"}}`,
		frame{Type: "error", ID: "1", Info: amf.Object{{Name: "code", Value: amf.String("x")}}}},
	{"use", `{"type":"so","name":"rooms","persistent":true,"version":3,"events":[{"event":"use"}]}`,
		frame{Type: "so", Object: sharedobject.Message{Name: "rooms", Persistent: true, Version: 3,
			Events: []sharedobject.Event{{Type: sharedobject.Use}}}}},
	{"events", `{"type":"so","name":"n","events":[{"event":"requestChange","slot":"s","value":[1]},{"event":"from tomorrow","slot":"s","more":{}},` +
		`{"event":"requestRemove","slot":"s"},{"event":"send","method":"m","args":[2]},{"event":"requestClear"},{"event":"release"}]}`,
		frame{Type: "so", Object: sharedobject.Message{Name: "n", Events: []sharedobject.Event{
			{Type: sharedobject.RequestChange, Slot: "s", Value: amf.StrictArray{amf.Number(1)}},
			{Type: sharedobject.RequestRemove, Slot: "s"},
			{Type: sharedobject.SendMessage, Method: "m", Args: amf.Args{amf.Number(2)}},
			{Type: sharedobject.RequestClear},
			{Type: sharedobject.Release},
		}}}},
}

func TestParseFrame(t *testing.T) {
	for _, tt := range frameTable {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseFrame([]byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			if tt.want.Value == nil {
				tt.want.Value = amf.Undefined{}
			}
			if tt.want.Info == nil {
				tt.want.Info = amf.Undefined{}
			}
			if diff := cmp.Diff(&tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseFrameMalformed(t *testing.T) {
	for _, text := range []string{
		``, ` `, `{`, `}`, `null`, `1`, `"connect"`, `[]`, `{}`, `{"type":1}`, `{"type":"connect"`, `{"type":"connect"}x`,
		`{"type":"connect"}{"type":"connect"}`, `{"type":"connect",}`, `{"type":"connect" "args":[]}`, `{type:"connect"}`,
		`{"type":"connect","args":{}}`, `{"type":"connect","args":"x"}`, `{"type":"connect","args":[1,]}`, `{"type":"connect","args":[01]}`,
		`{"type":"hello"}`, `{"type":"status","info":{}}`,
		`{"type":"call"}`, `{"type":"call","method":""}`, `{"type":"call","method":7}`, `{"type":"call","method":"x","id":"7"}`,
		`{"type":"call","method":"x","id":true}`, `{"type":"call","method":"x","id":[]}`,
		`{"type":"result","value":1}`, `{"type":"error"}`,
		`{"type":"so"}`, `{"type":"so","name":1}`, `{"type":"so","name":"x","version":-1}`, `{"type":"so","name":"x","version":1.5}`,
		`{"type":"so","name":"x","version":4294967296}`, `{"type":"so","name":"x","version":"1"}`, `{"type":"so","name":"x","persistent":1}`,
		`{"type":"so","name":"x","events":{}}`, `{"type":"so","name":"x","events":[1]}`, `{"type":"so","name":"x","events":[{"event":1}]}`, `{"type":"so","name":"x","events":[{"slot":{}}]}`,
		"{\"type\":\"call\",\"method\":\"\xff\"}",
		`{"type":"call","method":"x","args":[` + strings.Repeat(`[`, 40) + strings.Repeat(`]`, 40) + `]}`,
		`{"type":"so","name":"x","events":[` + strings.Repeat(`{"event":"use"},`, amf.MaxElements) + `{}]}`,
	} {
		if f, err := parseFrame([]byte(text)); !errors.Is(err, errMalformed) {
			t.Errorf("%.60q: got %+v, %v, want %v", text, f, err, errMalformed)
		}
	}
}

// payload checks the header of a server's frame and returns what follows it.
func payload(t testing.TB, b []byte) string {
	t.Helper()
	if len(b) < 2 || b[0] != 0x80|websocket.TextMessage {
		t.Fatalf("no text frame: % x", b[:min(len(b), 10)])
	}
	head := 2
	switch b[1] {
	case 126:
		head = 4
	case 127:
		head = 10
	}
	return string(b[head:])
}

func TestEncodeFrames(t *testing.T) {
	info := &rtmp.StatusError{Code: "C", Description: "D", Application: amf.Object{{Name: "retryAfter", Value: amf.Number(5)}}}
	events := []sharedobject.Event{
		{Type: sharedobject.UseSuccess}, {Type: sharedobject.Clear},
		{Type: sharedobject.Change, Slot: "s", Value: amf.Raw(amf.Append(nil, amf.Number(1)))},
		{Type: sharedobject.Success, Slot: "s"}, {Type: sharedobject.Remove, Slot: "s"},
		{Type: sharedobject.SendMessage, Method: "m", Args: amf.Args{amf.Undefined{}}},
		{Type: sharedobject.Status, Code: "SharedObject.NoWriteAccess", Level: "error"},
	}
	for _, tt := range []struct {
		name  string
		frame []byte
		want  string
	}{
		{"status", encodePush(&server.Push{Status: info}),
			`{"type":"status","info":{"level":"error","code":"C","description":"D","application":{"retryAfter":5}}}`},
		{"call", encodePush(&server.Push{Method: "message", Args: []amf.Value{amf.String("a"), amf.Number(1)}}),
			`{"type":"call","method":"message","args":["a",1]}`},
		{"call that wants an answer", callFrame("3", "m", nil), `{"type":"call","id":3,"method":"m","args":[]}`},
		{"so", encodePush(&server.Push{SharedObject: &sharedobject.Message{Name: "rooms", Version: 9, Events: events}}),
			`{"type":"so","name":"rooms","persistent":false,"version":9,"events":[{"event":"useSuccess"},{"event":"clear"},` +
				`{"event":"change","slot":"s","value":1},{"event":"success","slot":"s"},{"event":"remove","slot":"s"},` +
				`{"event":"send","method":"m","args":[null]},{"event":"status","code":"SharedObject.NoWriteAccess","level":"error"}]}`},
		{"result", answerFrame("1e2", amf.Undefined{}, nil), `{"type":"result","id":1e2,"value":null}`},
		{"error in words", answerFrame("1", nil, info),
			`{"type":"error","id":1,"info":{"level":"error","code":"C","description":"D","application":{"retryAfter":5}}}`},
		{"error without", answerFrame("1", nil, errors.New("secret")),
			`{"type":"error","id":1,"info":{"level":"error","code":"NetConnection.Call.Failed","description":"Call failed."}}`},
	} {
		if got := payload(t, tt.frame); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

// FuzzBridgeFrame: no frame makes the parser panic. A push made of it is a frame that
// reads the same.
func FuzzBridgeFrame(f *testing.F) {
	for _, tt := range frameTable {
		f.Add([]byte(tt.text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		in, err := parseFrame(text)
		if err != nil {
			return
		}
		var out []byte
		switch in.Type {
		case typeSO:
			out = encodePush(&server.Push{SharedObject: &in.Object})
		case typeResult:
			out = answerFrame(in.ID, in.Value, nil)
		case typeCall:
			out = callFrame(string(in.ID), in.Method, in.Args)
		default:
			return
		}
		first := payload(t, out)
		again, err := parseFrame([]byte(first))
		if err != nil {
			t.Fatalf("%q was written as %q: %v", text, first, err)
		}
		if again.ID != in.ID || again.Method != in.Method || len(again.Args) != len(in.Args) || again.Object.Version != in.Object.Version {
			t.Errorf("got %+v, want %+v", again, in)
		}
		if second := finishFrame(websocket.TextMessage, append(startFrame(""), first...)); !bytes.Equal(second, out) {
			t.Errorf("header of %d bytes differs", len(first))
		}
	})
}
