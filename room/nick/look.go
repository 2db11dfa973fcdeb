package nick

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mtibben/confusables"
	"golang.org/x/text/unicode/norm"
)

// A Look lists what a nick can be taken for, first the nick itself without regard to case.
// Two nicks look the same if their looks have something in common.
type Look []string

// LookOf returns the look of a nick, or of any other short text.
//
// One key would not do. Case does not matter, and look-alikes count as one: I looks
// like l, and i is the same name as I, but kari and karl are two people. So a nick is
// compared in each way of reading it: without regard to case, as it is written, and, if
// all letters are capitals, with an l among them read as I.
func LookOf(nick string) Look {
	written := strings.Map(func(r rune) rune {
		switch {
		case r < unicode.MaxASCII:
			return r
		case Invisible(r):
			return -1
		}
		return cmp.Or(smallCapitals[r], r)
	}, norm.NFKC.String(nick))
	small := fold(written)
	look := Look{shape(small)}
	if written == small {
		return look
	}
	look = look.with(shape(written))
	if shouted(written) {
		look = look.with(shape(fold(strings.ReplaceAll(skeleton(written), "l", "I"))))
	}
	return look
}

// smallCapitals are phonetic letters that are drawn as capitals. The table of look-alikes
// has only a few of them.
var smallCapitals = map[rune]rune{
	'ᴀ': 'a', 'ʙ': 'b', 'ᴄ': 'c', 'ᴅ': 'd', 'ᴇ': 'e', 'ꜰ': 'f', 'ɢ': 'g', 'ʜ': 'h', 'ɪ': 'i', 'ᴊ': 'j', 'ᴋ': 'k', 'ʟ': 'l', 'ᴍ': 'm',
	'ɴ': 'n', 'ᴏ': 'o', 'ᴘ': 'p', 'ꞯ': 'q', 'ʀ': 'r', 'ꜱ': 's', 'ᴛ': 't', 'ᴜ': 'u', 'ᴠ': 'v', 'ᴡ': 'w', 'ʏ': 'y', 'ᴢ': 'z',
}

// with returns l with one more way of reading the nick.
func (l Look) with(reading string) Look {
	if slices.Contains(l, reading) {
		return l
	}
	return append(l, reading)
}

// Same reports whether the two nicks look the same.
func (l Look) Same(m Look) bool {
	return slices.ContainsFunc(l, func(reading string) bool { return slices.Contains(m, reading) })
}

// shape returns a skeleton without upper and lower case, and without Unicode's small,
// raised and other variants of the same characters.
func shape(s string) string {
	if !ascii(s) {
		return draw(s)
	}
	var b strings.Builder
	b.Grow(len(s) + 4)
	for i := range len(s) {
		b.WriteString(simple[s[i]])
	}
	return b.String()
}

// simple are the shapes of ASCII characters, each for itself.
var simple = func() (table [utf8.RuneSelf]string) {
	for i := range table {
		table[i] = draw(string(rune(i)))
	}
	return table
}()

// draw makes a shape. One round is not always enough; no text has been found that needs
// more than four.
func draw(s string) string {
	for range 4 {
		was := s
		if s = fold(skeleton(norm.NFKC.String(s))); s == was {
			break
		}
	}
	return s
}

// skeleton is that of UTS #39 §4: texts with the same skeleton look alike. Only this
// function uses the table, which is that of Unicode 13: newer characters look only like
// themselves. A further dot on i or j is dropped.
func skeleton(s string) string {
	s = confusables.Skeleton(s)
	if strings.Contains(s, "\u0307") {
		s = dots.Replace(s)
	}
	return s
}

var dots = strings.NewReplacer("i\u0307", "i", "j\u0307", "j")

// fold makes characters that differ only by case the same: by Unicode's simple folding,
// as strings.EqualFold does, and with the dotted I of Turkish.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'A' <= r && r <= 'Z':
			return r + 'a' - 'A'
		case r < unicode.MaxASCII:
			return r
		case r == '\u0130':
			return 'i'
		}
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return unicode.ToLower(least)
	}, s)
}

// shouted reports whether there are capitals and no small letters except l.
func shouted(s string) bool {
	return strings.ContainsFunc(s, unicode.IsUpper) &&
		!strings.ContainsFunc(s, func(r rune) bool { return r != 'l' && unicode.IsLower(r) })
}
