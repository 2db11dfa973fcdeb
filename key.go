package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"foyer/lobby"
	"foyer/room"
)

// keyCommand prints what to type into OBS.
type keyCommand struct {
	Room  string `arg:"" help:"The room to broadcast into."`
	Lobby bool   `typed:"" help:"Print the room's own password of the lobby instead: whatever connects to the lobby with this name and password is the room. It is good for no other name."`

	Data       string `default:"foyer-data" placeholder:"DIR" help:"The server's data folder. Default: ${default}."`
	RTMP       string `default:":1935" placeholder:"ADDR" help:"Where the server listens for RTMP. Default: ${default}."`
	PublicRTMP string `placeholder:"URL" help:"Where others reach it by RTMP. Default: a guess."`
	Config     string `placeholder:"FILE" help:"The server's YAML file."`

	StreamSecret secret `placeholder:"SECRET" help:"The server's stream secret. Default: from the data folder."`
	LobbySecret  secret `placeholder:"SECRET" help:"The server's lobby secret, for --lobby. Default: from the data folder."`
}

// Run prints the server and the key of a room, a line each.
func (cmd *keyCommand) Run(p *program) error {
	if !room.ValidName(cmd.Room) {
		return usagef("%q is not the name of a room: 1 to 64 of A-Z a-z 0-9 . _ -, a letter or digit first", cmd.Room)
	}
	if cmd.Lobby {
		return cmd.printPassword(p)
	}
	stream, err := givenSecret(cmd.StreamSecret, cmd.Data, streamSecretFile)
	if err != nil {
		return err
	}
	public := strings.TrimRight(cmd.PublicRTMP, "/")
	if public == "" {
		port, err := portOf(cmd.RTMP)
		if err != nil {
			return usagef("--rtmp: %w", err)
		}
		public = guessPublic("rtmp", cmd.RTMP, port)
	}
	_, err = fmt.Fprintf(p.stdout, "server %s/room/%s\nkey live?key=%s\n", public, cmd.Room, streamKey(stream, cmd.Room))
	return err
}

// printPassword prints the room's own password of the lobby.
func (cmd *keyCommand) printPassword(p *program) error {
	secret, err := givenSecret(cmd.LobbySecret, cmd.Data, lobbySecretFile)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(p.stdout, lobby.Password(string(secret), cmd.Room))
	return err
}

// givenSecret is a secret as given, else that of a server's data folder.
func givenSecret(given secret, data, file string) (secret, error) {
	if given != "" {
		return given, nil
	}
	found, err := readSecret(filepath.Join(data, file))
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("no %s in %s: start 'foyer serve' once, or name its folder with --data", strings.ReplaceAll(file, "-", " "), data)
	}
	return found, err
}
