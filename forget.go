package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"foyer/room"
)

// damagedFolder is where what could not be read is put aside, in the data folder.
const damagedFolder = "damaged"

// forgetCommand has a room start as new whose state cannot be read.
type forgetCommand struct {
	Room string `arg:"" help:"The room's name."`

	operator `embed:""`
}

// Help is shown by forget --help.
func (forgetCommand) Help() string {
	return `A room whose state cannot be read does not start, because its bans and its lock would be lost. This drops that state, with a copy in the folder damaged of the server's data folder: the room starts with its chat, and otherwise as new. A state that can be read is left alone. Other rooms run on.`
}

// Run asks the server to drop the state.
func (cmd *forgetCommand) Run(ctx context.Context, p *program) error {
	if !room.ValidName(cmd.Room) {
		return usagef("the name of a room has 1 to 64 of A-Z a-z 0-9 . _ -")
	}
	resp, err := cmd.ask(ctx, http.MethodDelete, "/api/v1/rooms/"+cmd.Room+"/state")
	if err != nil {
		return fmt.Errorf("dropping the state of %s: %w", cmd.Room, err)
	}
	defer resp.Body.Close()
	var answer struct{ Copy string }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return fmt.Errorf("dropping the state of %s: %w", cmd.Room, err)
	}
	_, err = fmt.Fprintf(p.stdout, "%s: starts as new, with its chat; what could not be read is in %s\n", cmd.Room, answer.Copy)
	return err
}

// errReadable says that there is nothing to drop.
var errReadable = errors.New("the state can be read")

// forget drops the state of a room that cannot be read, when a copy of it is on
// disk, and returns where that is; "" when it can be read.
func (n *node) forget(ctx context.Context, name string) (aside string, err error) {
	err = n.store.DropState(ctx, name, func(state []byte) error {
		if room.Readable(state) == nil {
			return errReadable
		}
		dir, file := filepath.Join(n.settings.Data, damagedFolder), "room-"+name+"-"+time.Now().UTC().Format("20060102T150405Z")+".json"
		aside = filepath.Join(dir, file)
		if err := writeNew(dir, file, bytes.NewReader(state)); err != nil {
			return err
		}
		return errors.Join(syncFile(aside), syncFile(dir))
	})
	if errors.Is(err, errReadable) {
		return "", nil
	}
	return aside, err
}
