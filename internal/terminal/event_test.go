package terminal

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestEventLines(t *testing.T) {
	ann := &person{ID: "u1", Nick: "ann", Role: "user", Via: "rtmp"}
	tests := []struct {
		e          event
		text, json string
	}{
		{event{Type: "message", ID: 3, At: 0, User: ann, Text: "hi"}, "<ann> hi", `{"type":"message","id":3,"user":{"id":"u1","nick":"ann","role":"user","via":"rtmp"},"text":"hi"}`},
		{event{Type: "removed", ID: 3}, "* message 3 was removed", `{"type":"removed","id":3}`},
		{event{Type: "notice", Text: "soon"}, "! soon", `{"type":"notice","text":"soon"}`},
		{event{Type: "join", User: ann}, "* ann came", ""},
		{event{Type: "leave", User: ann}, "* ann left", ""},
		{event{Type: "rename", User: ann, Old: "anna"}, "* anna is now ann", ""},
		{event{Type: "people", Users: []person{*ann, {Nick: "bob"}}}, "* here: ann, bob", ""},
		{event{Type: "topic", Text: "tea"}, "* topic: tea", `{"type":"topic","text":"tea"}`},
		{event{Type: "refused", Text: "x", Reason: "Too fast.", RetryAfter: 940}, "* not said: Too fast. (again in 900ms): x", ""},
		{event{Type: "status", Code: "NetConnection.Connect.Closed", Level: "error"}, "* NetConnection.Connect.Closed", ""},
		{event{Type: "notice", Text: "a\x1b[2J\u202eb\nc"}, "! a\ufffd[2J\ufffdb c", ""},
	}
	for _, tt := range tests {
		if got := tt.e.String(); !strings.HasSuffix(got, tt.text) {
			t.Errorf("got %q, want %q", got, tt.text)
		}
		b, err := json.Marshal(tt.e)
		if err != nil || tt.json != "" && string(b) != tt.json {
			t.Errorf("got %s, %v; want %s", b, err, tt.json)
		}
	}
}
