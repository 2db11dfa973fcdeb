package room_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"foyer/room"
	"foyer/server/amf"
)

func TestLine(t *testing.T) {
	for text, want := range map[string]string{
		" tea \n at\tsix ":                 "tea at six",
		"tea\u202e\u200b\x07":              "tea",
		"\u3164 \u2800":                    "",
		"\u0301":                           "",
		"te" + strings.Repeat("\u0301", 9): "te" + strings.Repeat("\u0301", 4),
		strings.Repeat("x", 11):            strings.Repeat("x", 10),
		"12345678 \u00e9 is cut":           "12345678 \u00e9",
	} {
		if got := room.Line(amf.String(text), 10); got != want {
			t.Errorf("%+q: got %+q, want %+q", text, got, want)
		}
	}
}

func FuzzText(f *testing.F) {
	for _, s := range []string{"hello", " a\r\nb\t", "\u3164\u2800", "z\u0301\u0301\u0301\u0301\u0301", "\u2764\ufe0f", "\xff\x00", "\u202eabc", "\u0301a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		text, wrong := room.ParseText(amf.String(s))
		if (text == "") != (wrong != "") {
			t.Fatalf("%+q: %+q, %q", s, text, wrong)
		}
		if again, wrong := room.ParseText(amf.String(text)); text != "" && (again != text || wrong != "") {
			t.Errorf("%+q is %+q, and that %+q, %q", s, text, again, wrong)
		}
		if n := utf8.RuneCountInString(text); n > room.MaxText || !utf8.ValidString(text) {
			t.Errorf("%+q: %d characters", s, n)
		}
		line := room.Line(amf.String(s), 20)
		if n := utf8.RuneCountInString(line); n > 20 || !utf8.ValidString(line) || strings.ContainsFunc(line, unicode.IsControl) {
			t.Errorf("%+q is the line %+q", s, line)
		}
		if again := room.Line(amf.String(line), 20); again != line {
			t.Errorf("%+q is the line %+q, and that %+q", s, line, again)
		}
	})
}
