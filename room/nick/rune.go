package nick

import (
	"strings"
	"unicode"
)

// Characters that join others, or choose how the one before is drawn.
const (
	nonJoiner = '\u200c'
	joiner    = '\u200d'
	asEmoji   = '\ufe0f' // VARIATION SELECTOR-16
	keycap    = '\u20e3'
)

// blanks are letters, marks and symbols of which nothing is drawn.
var blanks = &unicode.RangeTable{
	R16: []unicode.Range16{{0x2800, 0x2800, 1}, {0xfffc, 0xfffc, 1}}, // BRAILLE PATTERN BLANK, OBJECT REPLACEMENT CHARACTER
	R32: []unicode.Range32{{0x1d159, 0x1d159, 1}},                    // MUSICAL SYMBOL NULL NOTEHEAD
}

// Invisible reports whether nothing is drawn for r, whatever its category: blanks of
// every kind, control and format characters, and those that Unicode calls default
// ignorable (UAX #44), such as variation selectors, joiners, the fillers of Hangul and
// marks of direction.
func Invisible(r rune) bool {
	if r < unicode.MaxASCII {
		return r <= ' '
	}
	return unicode.IsSpace(r) || unicode.In(r, unicode.Z, unicode.Cc, unicode.Cf,
		unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector, blanks)
}

// Blank reports whether nothing can be seen of a text: it has only invisible characters,
// and marks without a letter.
func Blank(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return !Invisible(r) && !unicode.Is(unicode.M, r) })
}

// mark reports whether r is drawn onto the letter before it.
func mark(r rune) bool { return r >= 0x300 && unicode.In(r, unicode.Mn, unicode.Me) }

// written reports whether a mark belongs to the spelling of words, as vowels do in many
// scripts: those are letters that happen to be drawn as marks.
func written(r rune) bool { return unicode.Is(unicode.Other_Alphabetic, r) }

// MaxMarks is how many marks Marks leaves on a letter. Burmese and pointed Hebrew, which
// pile up most, need that many.
const MaxMarks = 4

// Marks leaves out marks beyond MaxMarks on one letter, which would be drawn over the
// lines above and below. It is for texts; a nick with too many marks is not valid.
func Marks(text string) string {
	on := 0
	return strings.Map(func(r rune) rune {
		switch {
		case r < 0x300:
			on = 0
		case mark(r):
			if on++; on > MaxMarks {
				return -1
			}
		case !Invisible(r):
			on = 0
		}
		return r
	}, text)
}

// pictures are the blocks of emoji, and single emoji elsewhere.
var pictures = &unicode.RangeTable{
	R16: []unicode.Range16{
		{0xa9, 0xae, 5}, {0x203c, 0x2049, 13}, {0x2122, 0x2139, 23}, {0x2194, 0x21aa, 1}, {0x231a, 0x23ff, 1}, {0x24c2, 0x24c2, 1},
		{0x25aa, 0x25fe, 1}, {0x2600, 0x27bf, 1}, {0x2934, 0x2935, 1}, {0x2b05, 0x2b55, 1}, {0x3030, 0x303d, 13}, {0x3297, 0x3299, 2},
	},
	R32: []unicode.Range32{{0x1f000, 0x1faff, 1}},
}

// emoji reports whether the joiner or selector at i of a text belongs to an emoji: U+FE0F
// behind one or in a keycap, U+200D between two.
func emoji(text []rune, i int) bool {
	at := func(i int) rune {
		if i < 0 || i >= len(text) {
			return 0
		}
		return text[i]
	}
	before := at(i - 1)
	switch text[i] {
	case asEmoji:
		return unicode.Is(pictures, before) || strings.ContainsRune("0123456789#*", before) && at(i+1) == keycap
	case joiner:
		if before == asEmoji {
			before = at(i - 2)
		}
		return unicode.Is(pictures, before) && unicode.Is(pictures, at(i+1))
	}
	return false
}
