package nick

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/secure/precis"
	"golang.org/x/text/unicode/norm"
)

// Bounds of a nick.
const (
	Max         = 32 // code points, without blanks around it
	MaxOnLetter = 2  // marks on one letter; with the vowels and the like that a script writes as marks, MaxMarks
)

// maxTyped bounds the texts that are looked at, in code points: of a longer one, more
// than Max are left when marks have become part of their letters.
const maxTyped = 4 * Max

// Reasons why a nick is not valid.
const (
	wrongEmpty  = "Nickname is empty."
	wrongHidden = "Nickname has control or invisible characters."
	wrongMarks  = "Nickname has too many marks on one letter."
	wrongAlone  = "Nickname has a mark without a letter."
	wrongOther  = "Nickname has characters that cannot be part of a name."
)

var wrongLong = fmt.Sprintf("Nickname is longer than %d characters.", Max)

// Parse returns a typed text as the nick that is shown, or the reason why it is not
// valid: without blanks around it, with one space instead of several blanks, and in
// Unicode's form NFC.
func Parse(typed string) (nick, wrong string) {
	if !utf8.ValidString(typed) {
		return "", wrongHidden
	}
	nick = single(strings.TrimSpace(typed))
	if utf8.RuneCountInString(nick) > maxTyped {
		return "", wrongLong
	}
	nick = norm.NFC.String(nick)
	switch {
	case utf8.RuneCountInString(nick) > Max:
		return "", wrongLong
	case !strings.ContainsFunc(nick, func(r rune) bool { return !Invisible(r) || unicode.IsControl(r) }):
		return "", wrongEmpty
	case ascii(nick):
		if strings.ContainsFunc(nick, unicode.IsControl) {
			return "", wrongHidden
		}
		return nick, ""
	}
	plain, wrong := inspect([]rune(nick))
	if wrong != "" {
		return "", wrong
	}
	if _, err := precis.Nickname.CompareKey(plain); err != nil { // RFC 8266 §2.3, with the rules for joiners of RFC 5892 A.1 and A.2
		if strings.ContainsFunc(plain, Joiner) {
			return "", wrongHidden
		}
		return "", wrongOther
	}
	return nick, ""
}

// inspect looks at each character of a nick, and returns the nick without the parts of
// emoji, which PRECIS does not know.
func inspect(nick []rune) (plain, wrong string) {
	kept := make([]rune, 0, len(nick))
	letter, on, vowels := false, 0, 0 // whether there is a letter for marks, and how many marks are on it
	for i, r := range nick {
		switch {
		case r == ' ':
			letter = false
		case emoji(nick, i):
			continue
		case Joiner(r): // PRECIS decides
		case Invisible(r), unicode.Is(unicode.Co, r):
			return "", wrongHidden
		case !mark(r):
			letter, on, vowels = true, 0, 0
		case !letter:
			return "", wrongAlone
		case written(r):
			vowels++
		default:
			on++
		}
		if on > MaxOnLetter || on+vowels > MaxMarks {
			return "", wrongMarks
		}
		kept = append(kept, r)
	}
	return string(kept), ""
}

// Joiner reports whether r is one of the two invisible characters that some scripts and
// emoji cannot be written without.
func Joiner(r rune) bool { return r == nonJoiner || r == joiner }

// single returns text with one space instead of several blanks.
func single(text string) string {
	var before rune
	blank := func(r rune) bool { return r == ' ' || r > unicode.MaxASCII && unicode.Is(unicode.Zs, r) }
	return strings.Map(func(r rune) rune {
		if blank(r) {
			r = ' '
			if before == ' ' {
				return -1
			}
		}
		before = r
		return r
	}, text)
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
