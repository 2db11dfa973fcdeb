package terminal

import (
	"strings"
	"testing"
)

func TestLineEdit(t *testing.T) {
	tests := []struct {
		name string
		keys string // of keys, and 'text' between quotes
		want string // with | for the cursor
	}{
		{"typing", "'héllo'", "héllo|"},
		{"in the middle", "'hllo' home right 'é'", "hé|llo"},
		{"backspace", "'abc' left backspace", "a|c"},
		{"delete", "'abc' home delete", "|bc"},
		{"at the ends", "home backspace end delete left right 'x' right delete", "x|"},
		{"word", "'one two  ' ctrl+w", "one |"},
		{"to the start", "'one two' left ctrl+u", "|o"},
		{"to the end", "'one' home right ctrl+k", "o|"},
		{"paste of lines", "'a\nb\tc\x1b'", "a b c|"},
		{"recall", "'one' TAKE 'two' TAKE 'x' up up", "one|"},
		{"recall ends", "'one' TAKE up up up down down down", "|"},
		{"put back", "'new' BACK", "old new|"},
		{"put back into nothing", "BACK", "old|"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var e lineEdit
			for i, part := range strings.Split(tt.keys, "'") {
				if i%2 == 1 {
					e.insert(part)
					continue
				}
				for key := range strings.FieldsSeq(part) {
					switch key {
					case "TAKE":
						e.take()
					case "BACK":
						e.putBack("old")
					default:
						if !e.key(key) {
							t.Errorf("%s is not a key for editing", key)
						}
					}
				}
			}
			if got := string(e.text[:e.at]) + "|" + string(e.text[e.at:]); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestLineEditBounds(t *testing.T) {
	var e lineEdit
	e.insert(strings.Repeat("é", maxEditLine+100))
	if len(e.text) != maxEditLine {
		t.Errorf("%d characters in the box, want at most %d", len(e.text), maxEditLine)
	}
	if line, cursor := e.view(10); line != strings.Repeat("é", 9) || cursor != 9 {
		t.Errorf("shows %q with the cursor at %d, want the end of the line", line, cursor)
	}
	e.key("home")
	if line, cursor := e.view(10); line != strings.Repeat("é", 10) || cursor != 0 {
		t.Errorf("shows %q with the cursor at %d, want the start of the line", line, cursor)
	}
}
