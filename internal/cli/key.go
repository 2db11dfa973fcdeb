package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"foyer/internal/folder"
	"foyer/internal/node"
	"foyer/lobby"
	"foyer/room"
	"foyer/store"
)

// keyCommand prints what to type into OBS.
type keyCommand struct {
	Room  string `arg:"" help:"The room to broadcast into."`
	Lobby bool   `typed:"" help:"Print the room's own password of the lobby instead: anything that connects to the lobby with this name and password is the room. It is good for no other name."`

	New bool `help:"Make another key. The old one is no longer valid, and a broadcast with it ends."`

	RTMP         string        `default:":1935" placeholder:"ADDR" help:"Where the server listens for RTMP. Default: ${default}."`
	PublicRTMP   string        `placeholder:"URL" help:"Where others reach it by RTMP. Default: a guess."`
	StreamSecret folder.Secret `placeholder:"SECRET" help:"The server's stream secret. Default: from the data folder."`
	LobbySecret  folder.Secret `placeholder:"SECRET" help:"The server's lobby secret, for --lobby. Default: from the data folder."`

	operator `embed:""`
}

// Help is shown by key --help.
func (keyCommand) Help() string {
	return `A room has one key at a time. Anyone who knows it may broadcast there; when the wrong people do, --new makes another one.

The server that is asked is the one that has the data folder, if --url names no other. When none runs, it is done in the files.`
}

// Run prints the server and the key of a room, a line each.
func (cmd *keyCommand) Run(ctx context.Context, p *program) error {
	if err := checkName(&cmd.Room); err != nil {
		return err
	}
	if cmd.Lobby {
		return cmd.printPassword(p)
	}
	public := strings.TrimRight(cmd.PublicRTMP, "/")
	if public != "" && !strings.HasPrefix(public, "rtmp://") && !strings.HasPrefix(public, "rtmps://") {
		return usagef("--public-rtmp: %q is not an address such as rtmp://live.example.org", cmd.PublicRTMP)
	}
	if public == "" {
		port, err := portOf("--rtmp", cmd.RTMP, "1935")
		if err != nil {
			return err
		}
		public = node.GuessPublic("rtmp", cmd.RTMP, port)
	}
	find := cmd.operator.keyOf
	if cmd.New {
		find = cmd.operator.renewKey
	}
	key, err := find(ctx, p, cmd.StreamSecret, cmd.Room)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.stdout, "server %s/room/%s\nkey live?key=%s\n", public, cmd.Room, key)
	return err
}

// printPassword prints the room's own password of the lobby.
func (cmd *keyCommand) printPassword(p *program) error {
	password, err := givenSecret(cmd.LobbySecret, cmd.Data, folder.LobbySecret)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(p.stdout, lobby.Password(string(password), cmd.Room))
	return err
}

// keyOf is the stream key of a room as it is now. When a stream secret is given,
// the key is made from that, whatever the secret of the server is.
func (o *operator) keyOf(ctx context.Context, p *program, given folder.Secret, name string) (string, error) {
	resp, err := o.ask(ctx, p, http.MethodGet, "/api/v1/rooms/"+name+"/key")
	if err == nil {
		return readKey(resp, given, name)
	}
	if !errors.Is(err, node.ErrNotRunning) {
		return "", fmt.Errorf("asking for the key of %s: %w", name, err)
	}
	stream, err := givenSecret(given, o.Data, folder.StreamSecret)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(filepath.Join(o.Data, folder.Store)); o.NATS == "" && errors.Is(err, fs.ErrNotExist) {
		return folder.StreamKey(stream, name, 0), nil // no server has been here yet
	}
	var key string
	err = o.files(ctx, func(c *store.Store) (err error) {
		key, _, err = node.StreamKey(ctx, c, stream, name)
		return err
	})
	return key, err
}

// renewKey makes another stream key of a room.
func (o *operator) renewKey(ctx context.Context, p *program, given folder.Secret, name string) (string, error) {
	resp, err := o.ask(ctx, p, http.MethodPost, "/api/v1/rooms/"+name+"/key")
	switch {
	case err == nil:
		return readKey(resp, given, name)
	case !errors.Is(err, node.ErrNotRunning):
		return "", fmt.Errorf("replacing the key of %s: %w", name, err)
	case o.NATS != "":
		return "", errors.New("no server runs with this data folder: name one of the site with --url, for the room may run on another one")
	}
	if _, err := givenSecret(given, o.Data, folder.StreamSecret); err != nil {
		return "", err
	}
	err = o.files(ctx, func(c *store.Store) error {
		return c.ChangeRoomState(ctx, strings.ToLower(name), room.RenewKey)
	})
	if err != nil {
		return "", fmt.Errorf("replacing the key of %s: %w", name, err)
	}
	return o.keyOf(ctx, p, given, name)
}

// readKey is the key in a server's answer or, when a secret is given, the key of
// the answer's generation that this secret makes.
func readKey(resp *http.Response, given folder.Secret, name string) (string, error) {
	defer resp.Body.Close()
	var answer struct {
		Key        string
		Generation int64
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return "", fmt.Errorf("reading the key of %s: %w", name, err)
	}
	if given != "" {
		return folder.StreamKey(given, name, answer.Generation), nil
	}
	_, key, _ := strings.Cut(answer.Key, "key=")
	return cmp.Or(key, answer.Key), nil
}

// givenSecret is a secret as given, else that of a server's data folder.
func givenSecret(given folder.Secret, data, file string) (folder.Secret, error) {
	if given != "" {
		return given, nil
	}
	found, err := folder.ReadSecret(filepath.Join(data, file))
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("no %s in %s: start 'foyer serve' once, or name its folder with --data", strings.ReplaceAll(file, "-", " "), data)
	}
	return found, err
}
