package rtmp

import (
	"net/url"
	"strings"
	"unicode"
)

// nameTypes are put in front of the names of streams, for a server with files of
// several types (flashcom: "mp4:dir/x.mp4"). A live stream has none.
var nameTypes = []string{"flv:", "mp4:", "f4v:", "mp3:", "raw:", "id3:"}

// SplitName splits the name of a stream, as people type it or paste it, into the
// public name and the query, which has keys and passes. Around them it takes
// away blanks, line ends and slashes, and a type in front, as in mp4:live; it
// undoes percent-encoding of the name once. Another question mark in the query,
// of a key that was added twice, becomes an ampersand. The public name may still
// be empty, or no valid one.
func SplitName(typed string) (public, query string) {
	public, query, _ = strings.Cut(TrimPasted(typed), "?")
	public = trimPath(public)
	for _, t := range nameTypes {
		if rest, ok := strings.CutPrefix(public, t); ok {
			public = trimPath(rest)
			break
		}
	}
	if strings.Contains(public, "%") {
		if plain, err := url.PathUnescape(public); err == nil {
			name, more, _ := strings.Cut(plain, "?")
			public, query = TrimPasted(name), strings.Trim(more+"&"+query, "&")
		}
	}
	return public, strings.ReplaceAll(query, "?", "&")
}

// TrimPasted takes away what comes along when a text is copied: blanks and line
// ends around it, and characters that show nothing.
func TrimPasted(s string) string { return strings.TrimFunc(s, isBlank) }

func trimPath(s string) string {
	return strings.TrimFunc(s, func(r rune) bool { return r == '/' || isBlank(r) })
}

func isBlank(r rune) bool {
	const zeroWidthSpace, wordJoiner, byteOrderMark = '\u200b', '\u2060', '\ufeff'
	return unicode.IsSpace(r) || r == zeroWidthSpace || r == wordJoiner || r == byteOrderMark
}
