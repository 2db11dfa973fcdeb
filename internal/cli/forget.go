package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"foyer/internal/node"
	"foyer/store"
)

// forgetCommand makes a room start as new whose state cannot be read.
type forgetCommand struct {
	Room string `arg:"" help:"The room's name."`

	operator `embed:""`
}

// Help is shown by forget --help.
func (forgetCommand) Help() string {
	return `A room whose state cannot be read does not start, because its bans and its lock would be lost. This drops that state, with a copy in the folder damaged of the server's data folder: the room starts with its chat and another stream key, and otherwise as new. A state that can be read is left alone. Other rooms run on.

The server that is asked is the one that has the data folder, if --url names no other; no token is needed then. When none runs, it is done in the files.`
}

// Run asks the server to drop the state.
func (cmd *forgetCommand) Run(ctx context.Context, p *program) error {
	if err := checkName(&cmd.Room); err != nil {
		return err
	}
	aside, err := cmd.drop(ctx, p)
	if err != nil {
		return fmt.Errorf("dropping the state of %s: %w", cmd.Room, err)
	}
	_, err = fmt.Fprintf(p.stdout, "%s: starts as new, with its chat and another stream key; what could not be read is in %s\n", cmd.Room, aside)
	return err
}

// drop drops the state and returns where a copy is.
func (cmd *forgetCommand) drop(ctx context.Context, p *program) (aside string, err error) {
	resp, err := cmd.ask(ctx, p, http.MethodDelete, "/api/v1/rooms/"+cmd.Room+"/state")
	if errors.Is(err, node.ErrNotRunning) {
		err = cmd.files(ctx, func(c *store.Store) (err error) {
			aside, err = node.DropState(ctx, c, cmd.Data, cmd.Room)
			if err == nil && aside == "" {
				return node.ErrReadable
			}
			return err
		})
		return aside, err
	}
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var answer struct{ Copy string }
	err = json.NewDecoder(resp.Body).Decode(&answer)
	return answer.Copy, err
}
