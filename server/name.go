package server

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxName is how long the name of an instance may be.
const MaxName = 64

// defaultInstance is the instance of a path that names none, as in Flash
// Communication Server.
const defaultInstance = "_definst_"

// ValidName reports whether an instance, a room above all, may have this name:
// 1 to 64 of A-Z a-z 0-9 . _ -, beginning with a letter or digit; or _definst_.
// It is the one rule for everything that becomes a key in the store, a folder
// or a label.
func ValidName(name string) bool {
	if len(name) == 0 || len(name) > MaxName {
		return false
	}
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case i > 0 && (c == '.' || c == '_' || c == '-'):
		default:
			return name == defaultInstance
		}
	}
	return true
}

// Fold is the name under which a valid name is known: names that differ only by
// case are one.
func Fold(name string) string { return strings.ToLower(name) }

// invalidName refuses a peer that asks for an instance of an invalid name:
// "Room name is not valid."
func invalidName(app string) error {
	app = app[strings.LastIndexByte(app, '/')+1:]
	r, n := utf8.DecodeRuneInString(app)
	return Reject(string(unicode.ToUpper(r)) + app[n:] + " name is not valid.")
}

// How much of a peer's texts is kept and shown in the log, in bytes.
const (
	maxHint   = 512  // of each text about itself
	maxQuery  = 2048 // of the query of its address
	maxShown  = 256  // of a name that does not exist, in the refusal
	maxMethod = 64   // of a method's name
)

// brief is the part of a peer's text that is kept: at most so many bytes of
// UTF-8, and nothing that a terminal would obey. Most texts need no change.
func brief(s string, most int) string {
	if len(s) > most {
		s = s[:most]
		for i := 0; i < utf8.UTFMax && !utf8.ValidString(s); i++ {
			s = s[:len(s)-1]
		}
		s = strings.Clone(s) // the rest is not kept
	}
	if !utf8.ValidString(s) || strings.ContainsFunc(s, hidden) {
		s = strings.Map(func(r rune) rune {
			if hidden(r) {
				return utf8.RuneError
			}
			return r
		}, s)
	}
	return s
}

// hidden reports whether a rune shows nothing but may do something.
func hidden(r rune) bool {
	if r < utf8.RuneSelf { // nearly everything that peers say needs no table
		return r < ' ' || r == 0x7f
	}
	return unicode.Is(unicode.C, r) || r == '\u2028' || r == '\u2029'
}

// tidy bounds everything that a peer says about itself.
func (r *Request) tidy() {
	r.Agent, r.Referrer = brief(r.Agent, maxHint), brief(r.Referrer, maxHint)
	r.PageURL, r.URI = brief(r.PageURL, maxHint), brief(r.URI, maxHint)
	r.Protocol = brief(r.Protocol, maxMethod)
	if name, query, ok := strings.Cut(r.Path, "?"); ok && len(query) > maxQuery {
		r.Path = name + "?" + query[:maxQuery]
	}
}

// clean splits the query off a path and removes leading, trailing and doubled
// slashes: "/room//blue/?a=b" becomes "room/blue" and "a=b".
func clean(path string) (name, query string) {
	name, query, _ = strings.Cut(path, "?")
	parts := strings.FieldsFunc(name, func(r rune) bool { return r == '/' })
	return strings.Join(parts, "/"), query
}

// under reports whether the clean path is prefix or lies below it, and returns
// the rest. Everything lies below "".
func under(path, prefix string) (rest string, ok bool) {
	if prefix == "" {
		return path, true
	}
	rest, ok = strings.CutPrefix(path, prefix)
	if !ok || rest != "" && rest[0] != '/' {
		return "", false
	}
	return strings.TrimPrefix(rest, "/"), true
}
