package nick_test

import (
	"strings"
	"testing"

	"foyer/room/nick"
)

func TestParse(t *testing.T) {
	const (
		empty  = "! Nickname is empty."
		hidden = "! Nickname has control or invisible characters."
		marks  = "! Nickname has too many marks on one letter."
		alone  = "! Nickname has a mark without a letter."
		long   = "! Nickname is longer than 32 characters."
		other  = "! Nickname has characters that cannot be part of a name."
	)
	for _, c := range []struct{ name, typed, want string }{
		{"plain", "ann", "ann"},
		{"blanks around it", " \t\u3000ann\u00a0\n", "ann"},
		{"several blanks are one", "ann \u2003\u00a0 bee", "ann bee"},
		{"another blank is a space", "ann\u2009bee", "ann bee"},
		{"composed", "Rene\u0301", "Ren\u00e9"},
		{"32 characters", strings.Repeat("\u00e9", nick.Max), strings.Repeat("\u00e9", nick.Max)},
		{"32 characters, typed as 64", strings.Repeat("e\u0301", nick.Max), strings.Repeat("\u00e9", nick.Max)},
		{"33 characters", strings.Repeat("\u00e9", nick.Max+1), long},
		{"100,000", strings.Repeat("e\u0301", 50000), long},
		{"32 letters and blanks", strings.Repeat("ab    ", 10) + "ab", strings.Repeat("ab ", 10) + "ab"},
		{"nothing", "", empty},
		{"blanks", " \u00a0\u2003", empty},
		{"joiners", "\u200d\u200c", empty},
		{"a filler", "\u3164", empty},
		{"a blank of Braille", "\u2800\u2800", empty},
		{"a control character", "b\x07b", hidden},
		{"only one", "\x07", hidden},
		{"a line end", "b\nb", hidden},
		{"delete", "b\x7f", hidden},
		{"a line separator", "b\u2028b", hidden},
		{"writing turned", "\u202ebob", hidden},
		{"a space without width", "an\u200bn", hidden},
		{"a soft hyphen", "an\u00adn", hidden},
		{"a word joiner", "an\u2060n", hidden},
		{"a grapheme joiner", "an\u034fn", hidden},
		{"a tag", "ann\U000e0061", hidden},
		{"a filler among letters", "an\u3164n", hidden},
		{"fillers of Hangul", "\u115f\u1160a", hidden},
		{"a half filler", "a\uffa0", hidden},
		{"Braille among letters", "an\u2800n", hidden},
		{"an object", "a\ufffcb", hidden},
		{"private use", "a\ue000", hidden},
		{"no UTF-8", "b\xff", hidden},
		{"half of a pair", "b\xed\xa0\x80", hidden},
		{"not assigned", "a\u0378", other},
		{"no character", "a\ufdd0", other},
		{"old Hangul", "\u1113", other},
		{"a dot of Catalan", "Ga\u00b7la", other}, // RFC 5892 A.3: between two l
		{"the right one", "Gal\u00b7l", "Gal\u00b7l"},
		{"a joiner in Latin", "an\u200dn", hidden},
		{"a non-joiner in Latin", "an\u200cn", hidden},
		{"a joiner after a virama", "\u0915\u094d\u200d\u0937", "\u0915\u094d\u200d\u0937"},
		{"a non-joiner in Persian", "\u0645\u06cc\u200c\u062e\u0648", "\u0645\u06cc\u200c\u062e\u0648"},
		{"a joiner at the end", "\u0645\u200d", hidden},
		{"a heart", "\u2764\ufe0f ann", "\u2764\ufe0f ann"},
		{"a family", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f468\u200d\U0001f469\u200d\U0001f467"},
		{"a rainbow flag", "\U0001f3f3\ufe0f\u200d\U0001f308", "\U0001f3f3\ufe0f\u200d\U0001f308"},
		{"a farmer with a tone", "\U0001f469\U0001f3fd\u200d\U0001f33e", "\U0001f469\U0001f3fd\u200d\U0001f33e"},
		{"a keycap", "1\ufe0f\u20e3", "1\ufe0f\u20e3"},
		{"a flag", "\U0001f1e9\U0001f1ea", "\U0001f1e9\U0001f1ea"},
		{"a selector on a letter", "a\ufe0f", hidden},
		{"a selector on a digit", "1\ufe0f", hidden},
		{"selectors only", "\ufe0f\ufe0f", empty},
		{"two selectors", "\u2764\ufe0f\ufe0f", hidden},
		{"another selector", "\u2764\ufe0e", hidden},
		{"a joiner behind an emoji", "\U0001f468\u200d", hidden},
		{"a joiner between an emoji and a letter", "\U0001f468\u200da", hidden},
		{"one mark", "q\u0301", "q\u0301"},
		{"two", "q\u0301\u0302", "q\u0301\u0302"},
		{"three", "q\u0301\u0302\u0303", marks},
		{"three, of which one becomes part of its letter", "e\u0301\u0317\u0330", "\u00e9\u0317\u0330"},
		{"Thai tone marks", "\u0e01\u0e47\u0e47\u0e47", marks},
		{"many on many letters", strings.Repeat("q\u0301\u0302", 8), strings.Repeat("q\u0301\u0302", 8)},
		{"around it", "q\u20dd", "q\u20dd"},
		{"a mark alone", "\u0301", alone},
		{"a mark first", "\u0301ann", alone},
		{"a mark on a blank", "ann \u0301", alone},
		{"Burmese", "\u1019\u103c\u102d\u102f\u1037", "\u1019\u103c\u102d\u102f\u1037"},
		{"Thai", "\u0e1b\u0e35\u0e48", "\u0e1b\u0e35\u0e48"},
		{"Vietnamese", "Nguy\u1ec5n", "Nguy\u1ec5n"},
		{"Devanagari", "\u0930\u094b\u0939\u093f\u0924", "\u0930\u094b\u0939\u093f\u0924"},
		{"five vowels", "\u05d0" + strings.Repeat("\u05b0", 5), marks},
		{"Cyrillic", "\u0410\u0434\u043c\u0438\u043d", "\u0410\u0434\u043c\u0438\u043d"},
		{"mathematical", "\U0001d4d0\U0001d4f7\U0001d4f7", "\U0001d4d0\U0001d4f7\U0001d4f7"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, wrong := nick.Parse(c.typed)
			if want, bad := strings.CutPrefix(c.want, "! "); bad {
				if wrong != want || got != "" {
					t.Errorf("got %+q, %q, want %q", got, wrong, want)
				}
			} else if got != c.want || wrong != "" {
				t.Errorf("got %+q, %q, want %+q", got, wrong, c.want)
			}
		})
	}
}

func TestMarks(t *testing.T) {
	for text, want := range map[string]string{
		"plain":      "plain",
		"Rene\u0301": "Rene\u0301",
		"z" + strings.Repeat("\u0301", 300) + "o":    "z" + strings.Repeat("\u0301", nick.MaxMarks) + "o",
		"z" + strings.Repeat("\u0301\u200d", 6):      "z" + strings.Repeat("\u0301\u200d", nick.MaxMarks) + "\u200d\u200d",
		"\u1019\u103c\u103e\u102d\u102f\u1037\u101b": "\u1019\u103c\u103e\u102d\u102f\u1037\u101b",
	} {
		if got := nick.Marks(text); got != want {
			t.Errorf("got %+q, want %+q", got, want)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	for name, typed := range map[string]string{"ascii": "ann-marie", "cyrillic": "\u0410\u043d\u043d\u0430", "emoji": "ann \u2764\ufe0f"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				nick.Parse(typed)
			}
		})
	}
}
