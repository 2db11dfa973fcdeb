package room

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"foyer/room/nick"
	"foyer/server/amf"
)

// MaxText is how long a message may be, in code points.
const MaxText = 500

// parseText reads a message, or says what is wrong with it. Line ends and tabs stay.
// Other control characters are left out, as are marks that would turn the direction of
// the text around the message, and marks that pile up on one letter and cover the
// messages of others. A message in which nothing can be seen is empty.
func parseText(v amf.Value) (text, wrong string) {
	text, ok := amf.AsString(v)
	if !ok {
		return "", "A message must be a string."
	}
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "\ufffd"), "\r\n", "\n")
	text = strings.TrimSpace(nick.Marks(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' || unicode.Is(unicode.Bidi_Control, r) && r != '\u200e' && r != '\u200f' && r != '\u061c' {
			return -1
		}
		return r
	}, text)))
	switch n := utf8.RuneCountInString(text); {
	case nick.Blank(text):
		return "", "The message is empty."
	case n > MaxText:
		return "", fmt.Sprintf("The message is longer than %d characters: it has %d.", MaxText, n)
	}
	return text, ""
}

// line reads one line of at most max code points; "" if v is no string.
func line(v amf.Value, max int) string {
	s, _ := amf.AsString(v)
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case hidden(r), r == utf8.RuneError:
			return -1
		}
		return r
	}, s)
	if s = nick.Marks(strings.Join(strings.Fields(s), " ")); nick.Blank(s) {
		return ""
	}
	if utf8.RuneCountInString(s) > max {
		s = strings.TrimSpace(string([]rune(s)[:max]))
	}
	return s
}

// hidden reports whether r changes the text around it instead of being seen: control
// characters, line ends, marks that turn the direction of writing, and characters
// without width. The two joiners do not count: scripts and emoji need them.
func hidden(r rune) bool {
	return !nick.Joiner(r) && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Cs, unicode.Co)
}
