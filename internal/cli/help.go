package cli

import "github.com/alecthomas/kong"

// helpGroups are the headings of the settings in the help.
var helpGroups = []kong.Group{
	{Key: "demo", Title: "The demo:"},
	{Key: "listen", Title: "Where it listens:"},
	{Key: "rooms", Title: "Lobby and rooms:"},
	{Key: "limits", Title: "Limits for strangers:"},
	{Key: "secrets", Title: "Secrets and storage:"},
	{Key: "self", Title: "How others see it:"},
	{Key: "log", Title: "Logging and work on the pages:"},
	{Key: "settings", Title: "Settings from elsewhere:", Description: "On SIGHUP a server reads them again without ending any connection. It takes over those that a running server can, and names the others in its log. Every flag can be given in the environment, as FOYER_ and its name (FOYER_STALE_AFTER=20s), the secrets also as a file (FOYER_LOBBY_SECRET_FILE=/run/secrets/lobby)."},
}
