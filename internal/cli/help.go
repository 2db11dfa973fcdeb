package cli

import (
	"errors"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// helpGroups are the headings of the settings in the help.
var helpGroups = []kong.Group{
	{Key: "demo", Title: "The demo:"},
	{Key: "listen", Title: "Where it listens:"},
	{Key: "rooms", Title: "Lobby and rooms:"},
	{Key: "limits", Title: "Limits for strangers:"},
	{Key: "secrets", Title: "Secrets and storage:"},
	{Key: "self", Title: "How others see it:"},
	{Key: "log", Title: "Logging and work on the pages:"},
	{Key: "settings", Title: "Settings from elsewhere:", Description: "On SIGHUP a server reads them again without ending any connection. It takes over those that a running server can, and names the others in its log. Every flag can be given in the environment, as FOYER_ and its name (FOYER_STALE_AFTER=20s; a name that is no setting is an error), the secrets also as a file (FOYER_LOBBY_SECRET_FILE=/run/secrets/lobby)."},
}

// helpText shows a flag's environment variable where it is not the obvious one.
func helpText(v *kong.Value) string {
	if v.Flag != nil && isSecret(v) {
		return strings.TrimSuffix(v.Help, ".") + " (" + envName(v.Name) + ", or a file named by " + envName(v.Name) + "_FILE)."
	}
	return v.Help
}

// errHelp ends parsing after help was printed.
var errHelp = errors.New("help was asked for")

type helpFlag bool

// BeforeReset is kong's hook for a flag that acts at once. Serve is what foyer
// does without a command, but its help is for those who name it.
func (helpFlag) BeforeReset(c *kong.Context) error {
	show := *c
	if cmd := c.Selected(); cmd != nil && !slices.Contains(c.Args, cmd.Name) {
		show.Path = c.Path[:1]
	}
	if err := show.PrintUsage(false); err != nil {
		return err
	}
	return errHelp
}
