package cli

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// shortestPart is how many letters of a name are enough to recognise it.
const shortestPart = 3

// nearest is the name that somebody meant who typed word: the only one that begins
// with it, or else the one with the fewest mistakes, of which a third of the letters
// may be some. "" when there is none.
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
	if len(begun) == 1 {
		return begun[0]
	}
	return best
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

// betterWords says in words of ours what kong says about arguments and flags that
// do not exist.
func betterWords(k *kong.Kong, args []string, err error) error {
	var commands []string
	for _, c := range k.Model.Children {
		commands = append(commands, c.Name)
	}
	word, argument := strings.CutPrefix(err.Error(), "unexpected argument ")
	word, _, _ = strings.Cut(word, ",") // kong's own guess follows
	named := slices.ContainsFunc(args, func(arg string) bool { return slices.Contains(commands, arg) })
	switch {
	case argument && named && word == "help":
		return errors.New("help comes first, as in 'foyer help COMMAND', or is a flag, --help")
	case argument && named:
		return fmt.Errorf("there is one argument too many: %q", word)
	case argument:
		return fmt.Errorf("there is no command %q: %s", word, didYouMean(word, commands, "the commands are "+strings.Join(commands, ", ")))
	case strings.HasPrefix(err.Error(), "unknown flag -"):
		return oneDash(flagNames(k.Model), args, err)
	}
	if missing, ok := strings.CutPrefix(err.Error(), "expected "); ok {
		return fmt.Errorf("an argument is missing: %s", missing)
	}
	if m := oneOf.FindStringSubmatch(err.Error()); m != nil {
		choices := strings.Split(strings.Trim(strings.ReplaceAll(m[2], `"`, ""), ","), ",")
		return fmt.Errorf("%s must be %s, not %q%s", m[1], strings.Join(choices, " or "), m[3], guess(m[3], choices))
	}
	if flag, kinds, ok := strings.Cut(err.Error(), ": expected "); ok && strings.HasSuffix(kinds, "<EOL>)") {
		return fmt.Errorf("%s needs a value behind it", flag)
	}
	return err
}

// oneOf is what kong says of a value that is not one of a few.
var oneOf = regexp.MustCompile(`^(--[a-z-]+) must be one of (.*) but got "(.*)"$`)

// guess is the end of a sentence that names the choice that was meant.
func guess(word string, choices []string) string {
	if meant := nearest(word, choices); meant != "" {
		return fmt.Sprintf(": did you mean %s?", meant)
	}
	return ""
}

// oneDash is about a flag whose name has one dash in front, as other programs have
// it; err when there is none in args.
func oneDash(known, args []string, err error) error {
	for _, arg := range args {
		name, _, _ := strings.Cut(strings.TrimPrefix(arg, "-"), "=")
		if !strings.HasPrefix(arg, "--") && strings.HasPrefix(arg, "-") && slices.Contains(known, name) {
			return fmt.Errorf("%s has one dash: a flag has two, as in -%s", arg, arg)
		}
	}
	return err
}

// flagNames are the names of all flags of all commands.
func flagNames(app *kong.Application) []string {
	names := make(map[string]bool)
	for _, node := range append(app.Children, app.Node) {
		for _, flag := range node.Flags {
			names[flag.Name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}
