package nick

import (
	"strings"
	"sync/atomic"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Reserved is a list of nicks that nobody may take. The zero value is empty. It
// is safe for concurrent use.
type Reserved struct {
	looks atomic.Pointer[map[string]bool]
}

// Set replaces the list. Anyone who has one of its names already keeps it.
func (r *Reserved) Set(names []string) {
	looks := make(map[string]bool)
	for _, name := range names {
		for _, reading := range strictly(name) {
			looks[reading] = true
		}
	}
	r.looks.Store(&looks)
}

// Has reports whether a nick could be taken for one on the list. That is stricter than
// between people, whose names may differ by an accent, or by i and l.
func (r *Reserved) Has(nick string) bool {
	if r == nil {
		return false
	}
	looks := r.looks.Load()
	if looks == nil || len(*looks) == 0 {
		return false
	}
	for _, reading := range strictly(nick) {
		if (*looks)[reading] {
			return true
		}
	}
	return false
}

// strictly returns the look of a name without its marks, and with its capitals read as
// they are taken for.
func strictly(name string) Look {
	bare := name
	if !ascii(name) {
		bare = strings.Map(func(r rune) rune {
			if mark(r) {
				return -1
			}
			return r
		}, norm.NFKD.String(name))
	}
	return LookOf(bare).with(shape(strings.Map(unicode.ToUpper, bare)))
}
