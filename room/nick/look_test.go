package nick_test

import (
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"foyer/room/nick"
)

func TestSame(t *testing.T) {
	for _, c := range []struct {
		name, a, b string
		same       bool
	}{
		{"the same", "ann", "ann", true},
		{"another", "ann", "bob", false},
		{"case", "ann", "ANN", true},
		{"a Cyrillic a", "ann", "\u0430nn", true},
		{"and its capital", "ann", "\u0410NN", true},
		{"a Greek capital", "ANN", "A\u039dN", true},
		{"full width", "ann", "\uff41\uff4e\uff4e", true},
		{"mathematical", "ann", "\U0001d4d0\U0001d4f7\U0001d4f7", true},
		{"a number", "Richard IV", "richard \u2163", true},
		{"rn and m", "modern", "modem", true},
		{"zero and O", "b0b", "BOB", true},
		{"zero and o", "b0b", "bob", true},
		{"one and l", "bi1l", "bill", true},
		{"I and l", "KarI", "karl", true},
		{"I and i", "KarI", "kari", true},
		{"capitals with an l", "MlKE", "mike", true},
		{"capitals with a one", "M1KE", "mike", true},
		{"capitals with a Cyrillic one", "M\u04c0KE", "mike", true},
		{"two people", "kari", "karl", false},
		{"two more, shouted", "KARIN", "KARLN", true},
		{"accents", "Jos\u00e9", "Jose", false},
		{"composed", "Jos\u00e9", "Jose\u0301", true},
		{"a dot too many", "i\u0307an", "ian", true},
		{"no dot", "\u0131an", "ian", true},
		{"Turkish", "\u0130an", "ian", true},
		{"Kelvin", "\u212aarl", "karl", true},
		{"long s", "\u017fam", "sam", true},
		{"a final sigma", "\u03bd\u03bf\u03c2", "\u039d\u039f\u03a3", true},
		{"of a whole script", "\u0441\u043e\u0440", "cop", true},
		{"Cyrillic that looks like itself", "\u0410\u043d\u043d\u0430", "Anna", false},
		{"a joiner of Persian", "\u0645\u06cc\u200c\u062e\u0648", "\u0645\u06cc\u062e\u0648", true},
		{"a heart", "\u2764\ufe0f", "\u2764", true},
		{"small capitals", "\u1d00\u0274\u0274", "Ann", true},
		{"small letters of Cyrillic are no capitals", "\u043d\u0438\u043d\u0430", "hnha", false},
		{"case of other letters", "\u00c9va", "\u00e9VA", true},
		{"all sigmas", "\u03a3\u03c3\u03c2", "\u03c3\u03c3\u03c3", true},
		{"simple folding only", "stra\u00dfe", "strasse", false},
		{"longer", "ann", "anne", false},
		{"another emoji", "\U0001f600", "\U0001f601", false},
		{"nu and v are not n and v", "nick", "vick", false},
		{"quotes", "o'neil", "o\u2019neil", true},
		{"hyphens", "ann-marie", "ann\u2010marie", true},
		{"what looks like something that looks like something", "\ufe81", "\ufe82", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := nick.LookOf(c.a).Same(nick.LookOf(c.b)); got != c.same {
				t.Errorf("%+q and %+q: got %v (%+q, %+q)", c.a, c.b, got, nick.LookOf(c.a), nick.LookOf(c.b))
			}
		})
	}
}

func TestReserved(t *testing.T) {
	var r nick.Reserved
	if r.Has("admin") || (*nick.Reserved)(nil).Has("admin") {
		t.Error("an empty list has somebody")
	}
	r.Set([]string{"admin", "mod", "system", "foyer"})
	for name, want := range map[string]bool{
		"admin": true, "Admin": true, "ADMIN": true, "\u0430dmin": true, "adm\u0456n": true, "ADMlN": true, "Admln": true, "adm1n": true,
		"adrnin": true, "\uff41dmin": true, "\U0001d41admin": true, "\u00e1dmin": true, "adm\u00een": true, "a\u0301dmin": true, "admi\u0307n": true,
		"\u0251dmin": true, "\u0391DMIN": true, "\u0410\u0414min": false, "rnod": true, "m0d": true, "MOD": true, "syst\u0435m": true,
		"f\u014dyer": true, "F0YER": true, "\u24d0dmin": true, "\u1d00\u1d05\u1d0d\u026a\u0274": true, "a\u0332d\u0332m\u0332i\u0332n\u0332": true, "\u1d2c\u1d30\u1d39\u1d35\u1d3a": true,
		"adam": false, "administratrix": false, "modem": false, "\u0410\u0434\u043c\u0438\u043d": false, "\u0441\u0438\u0441\u0442\u0435\u043c\u0430": false,
		"systems": false, "ann": false, "a d m i n": false,
	} {
		if got := r.Has(name); got != want {
			t.Errorf("%+q: got %v", name, got)
		}
	}
	r.Set(nil)
	if r.Has("admin") {
		t.Error("a list that was emptied has somebody")
	}
}

// TestSkeletons: the look of a look is the same look, and no visible character has an
// empty one.
func TestSkeletons(t *testing.T) {
	for c := range unicode.MaxRune + 1 {
		if !utf8.ValidRune(c) || nick.Invisible(c) || c == '\U0001f16d' { // that one has a tab in its line of the table
			continue
		}
		look := nick.LookOf(string(c))
		if look[0] == "" {
			t.Errorf("%U looks like nothing", c)
		}
		if again := nick.Shape(look[0]); again != look[0] {
			t.Errorf("%U looks like %+q, and that like %+q", c, look[0], again)
		}
	}
}

func FuzzNick(f *testing.F) {
	for _, s := range []string{"ann", " a  b ", "\u0430dmin", "e\u0301", "\u0645\u06cc\u200c\u062e\u0648", "1\ufe0f\u20e3", "\U0001f468\u200d\U0001f469", "\u3164", "\ufdfa", "\ufe81", "\xff", "K\u0130\u0307"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		got, wrong := nick.Parse(typed)
		if (got == "") != (wrong != "") {
			t.Fatalf("%+q: %+q, %q", typed, got, wrong)
		}
		if wrong != "" {
			return
		}
		if n := utf8.RuneCountInString(got); n > nick.Max || !utf8.ValidString(got) {
			t.Errorf("%+q: %d characters", got, n)
		}
		again, wrong := nick.Parse(got)
		if again != got || wrong != "" {
			t.Errorf("%+q is %+q, and that %+q, %q", typed, got, again, wrong)
		}
		look := nick.LookOf(got)
		if !slices.Equal(look, nick.LookOf(again)) {
			t.Errorf("%+q looks like %+q, and again like %+q", got, look, nick.LookOf(again))
		}
		for _, reading := range look {
			if reading == "" {
				t.Errorf("%+q looks like nothing", got)
			}
		}
		if !look.Same(nick.LookOf(strings.ToLower(got))) && !strings.ContainsRune(got, '\u0130') {
			t.Errorf("%+q in small letters is somebody else", got)
		}
	})
}

func BenchmarkLookOf(b *testing.B) {
	var r nick.Reserved
	r.Set([]string{"admin", "administrator", "moderator", "mod", "operator", "owner", "system", "server", "foyer"})
	for name, s := range map[string]string{"ascii": "ann-marie", "capital": "Ann-Marie", "cyrillic": "\u0410\u043d\u043d\u0430"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				nick.LookOf(s)
			}
		})
		b.Run(name+"/reserved", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r.Has(s)
			}
		})
	}
}
