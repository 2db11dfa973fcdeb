package cli

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// A commandLine is one that kong refuses.
type commandLine struct {
	model *kong.Application
	args  []string
}

// refusals are what kong says, which has no other way to tell mistakes apart, and
// what we say of them instead; "" for the same.
var refusals = []struct {
	kong *regexp.Regexp
	say  func(l *commandLine, m []string) string
}{
	{regexp.MustCompile(`(?s)^unexpected argument (.*?)(, did you mean .*)?$`), (*commandLine).unexpected},
	{regexp.MustCompile(`^unknown flag (--?[^ ,]*)(, did you mean .*)?$`), (*commandLine).unknownFlag},
	{regexp.MustCompile(`^flag (--[^ ]*) applies to the default command "serve", not "(.*)"$`), func(_ *commandLine, m []string) string {
		return fmt.Sprintf("%s comes behind the command: foyer %s %s", m[1], m[2], m[1])
	}},
	{regexp.MustCompile(`^expected (.*)$`), func(_ *commandLine, m []string) string {
		return "an argument is missing: " + m[1]
	}},
	{regexp.MustCompile(`^(--[^ :]*): (missing value|expected .* but got ("EOL"|"--))`), func(_ *commandLine, m []string) string {
		return m[1] + " needs a value behind it"
	}},
	{regexp.MustCompile(`^(--[^ :]*): expected .* but got "(-.*)" \(short flag\)`), func(_ *commandLine, m []string) string {
		return fmt.Sprintf("%s needs a value behind it: say %s=%s if that is %s", m[1], m[1], m[2], m[2])
	}},
	{regexp.MustCompile(`^(--[^ :]*): bool value must be .* but got "(.*)"$`), func(_ *commandLine, m []string) string {
		return fmt.Sprintf("%s must be true or false, not %q", m[1], m[2])
	}},
	{regexp.MustCompile(`^(--[^ ]*) must be one of (.*) but got "(.*)"$`), func(_ *commandLine, m []string) string {
		choices := strings.Split(strings.Trim(strings.ReplaceAll(m[2], `"`, ""), ","), ",")
		text := fmt.Sprintf("%s must be %s, not %q", m[1], strings.Join(choices, " or "), m[3])
		if meant := nearest(m[3], choices); meant != "" {
			text += ": did you mean " + meant + "?"
		}
		return text
	}},
}

// inOurWords says in words of ours why kong refuses a command line.
func (l *commandLine) inOurWords(err error) error {
	for _, r := range refusals {
		if m := r.kong.FindStringSubmatch(err.Error()); m != nil {
			if text := r.say(l, m); text != "" {
				return errors.New(text)
			}
			return err
		}
	}
	return err
}

// unexpected is about an argument that no command takes.
func (l *commandLine) unexpected(m []string) string {
	var commands []string
	for _, c := range l.model.Children {
		commands = append(commands, c.Name)
	}
	switch word := m[1]; {
	case !slices.ContainsFunc(l.args, func(arg string) bool { return slices.Contains(commands, arg) }):
		return fmt.Sprintf("there is no command %q: %s", word, didYouMean(word, commands, "the commands are "+strings.Join(commands, ", ")))
	case word == "help":
		return "help comes first, as in 'foyer help COMMAND', or is a flag, --help"
	default:
		return fmt.Sprintf("there is one argument too many: %q", word)
	}
}

// unknownFlag is about a flag that the command does not have: that of another one,
// one with a single dash, as other programs have it, or one that is misspelt.
func (l *commandLine) unknownFlag(m []string) string {
	owners := make(map[string][]string) // the commands that have a flag, by its name
	var names []string
	for _, c := range append([]*kong.Node{l.model.Node}, l.model.Children...) {
		for _, flag := range c.Flags {
			owners[flag.Name] = append(owners[flag.Name], c.Name)
			names = append(names, flag.Name)
		}
	}
	for _, arg := range l.args {
		name, _, _ := strings.Cut(strings.TrimPrefix(arg, "-"), "=")
		if !strings.HasPrefix(arg, "--") && strings.HasPrefix(arg, "-") && len(owners[name]) > 0 {
			return fmt.Sprintf("%s has one dash: a flag has two, as in -%s", arg, arg)
		}
	}
	name := strings.TrimLeft(m[1], "-")
	switch has := owners[name]; {
	case len(has) > 0:
		return fmt.Sprintf("%s is a flag of %s, and comes behind that command", m[1], strings.Join(has, ", "))
	case m[2] == "" && nearest(settingName(name), names) != "":
		return fmt.Sprintf("unknown flag %s, did you mean --%s?", m[1], nearest(settingName(name), names))
	}
	return ""
}
