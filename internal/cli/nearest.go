package cli

import (
	"fmt"
	"strings"
)

// shortestPart is how many letters of a name are enough to recognise it.
const shortestPart = 3

// nearest is the name that somebody meant who typed word: the only one that begins
// with it, or the one with the fewest mistakes, of which a third of the letters may
// be some, or the one to which a word was added. "" when there is none.
func nearest(word string, names []string) string {
	word = strings.ToLower(word)
	best, fewest, begun := "", max(1, len(word)/3), []string(nil)
	for _, name := range names {
		if n := mistakes(word, strings.ToLower(name)); n < fewest || n == fewest && best == "" {
			best, fewest = name, n
		}
		if len(word) >= shortestPart && strings.HasPrefix(strings.ToLower(name), word) {
			begun = append(begun, name)
		}
	}
	switch {
	case len(begun) == 1:
		return begun[0]
	case best == "":
		return longer(word, names)
	}
	return best
}

// longer is the name to which somebody added a word, as in data-dir; "" when there
// is none.
func longer(word string, names []string) (name string) {
	for _, n := range names {
		rest, more := strings.CutPrefix(word, strings.ToLower(n))
		if more && (strings.HasPrefix(rest, "-") || strings.HasPrefix(rest, "_")) && len(n) > len(name) {
			name = n
		}
	}
	return name
}

// mistakes is how many letters of a must be put in, left out, replaced or exchanged
// with the next one to make it b.
func mistakes(a, b string) int {
	var above []int // the line before the last one
	last := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		line := make([]int, len(b)+1)
		line[0] = i
		for j := 1; j <= len(b); j++ {
			line[j] = min(last[j]+1, line[j-1]+1, last[j-1])
			if a[i-1] != b[j-1] {
				line[j] = min(last[j], line[j-1], last[j-1]) + 1
			}
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				line[j] = min(line[j], above[j-2]+1)
			}
		}
		above, last = last, line
	}
	return last[len(b)]
}

// didYouMean names the nearest name, as the end of a sentence, or says otherwise.
func didYouMean(word string, names []string, otherwise string) string {
	if name := nearest(word, names); name != "" {
		return fmt.Sprintf("did you mean %s?", name)
	}
	return otherwise
}
