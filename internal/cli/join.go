package cli

import (
	"cmp"
	"context"
	"os/user"

	"foyer/internal/folder"
	"foyer/internal/terminal"
	"foyer/room/nick"
)

// screenHistory is how many messages a screen begins with.
const screenHistory = 50

// joinCommand is being in a room: on a terminal with a screen, else piped.
type joinCommand struct {
	URL string `arg:"" help:"The room: rtmp://host/room/NAME, or just NAME for one on this machine."`

	Nick    string        `placeholder:"NAME" help:"The nick to have. Default: your user name."`
	Token   folder.Secret `placeholder:"SECRET" help:"The admin token, to be a moderator; - asks for it at the terminal. Other users of this machine can see it on the command line."`
	File    string        `name:"token-file" placeholder:"FILE" typed:"" help:"File with the token."`
	JSON    bool          `name:"json" help:"Print every event as a JSON object; no screen."`
	History *int          `placeholder:"N" help:"Begin with that many of the newest messages. Default: 50 on a screen, else none."`
}

// Help is shown by join --help.
func (joinCommand) Help() string {
	return `On a terminal this is a screen: type to chat, /help for more.

Piped, every line of the input is said and every event is printed as a line. A line that comes too fast for the room waits and is said again, so that none is lost; one that the room refuses for good is printed with the reason. At the end of the input, when everything was answered, join leaves: with status 1 if something was refused.`
}

// Run stays in the room until the input ends, the user leaves or ctx ends.
func (cmd *joinCommand) Run(ctx context.Context, p *program) error {
	token, err := p.givenToken(ctx, cmd.Token, cmd.File)
	if err != nil {
		return err
	}
	o := terminal.Options{Token: string(token), Nick: cmp.Or(cmd.Nick, userName(p.env.get))}
	if shown, wrong := nick.Parse(o.Nick); wrong == "" {
		o.Nick = shown // as the room will
	}
	if o.URI, err = roomAddress(cmd.URL); err != nil {
		return err
	}
	screen := !cmd.JSON && isTerminal(p.stdin) && isTerminal(p.stdout)
	switch {
	case cmd.History != nil:
		o.History = *cmd.History
	case screen:
		o.History = screenHistory
	}
	if screen {
		return advice(terminal.Screen(ctx, p.stdin, p.stdout, o))
	}
	return advice(terminal.Pipe(ctx, p.stdin, p.stdout, o, cmd.JSON))
}

// userName is the nick of a person who did not choose one.
func userName(getenv func(string) string) string {
	if name := cmp.Or(getenv("USER"), getenv("USERNAME")); name != "" {
		return name
	}
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return "guest"
}
