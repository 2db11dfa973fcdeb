package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"foyer/internal/backup"
	"foyer/internal/node"
	"foyer/store"
)

// backupCommand has a server back itself up.
type backupCommand struct {
	File string `arg:"" help:"The file to write. One that is there is replaced when the new one is whole. - is the standard output."`

	Recordings bool `help:"With the recordings."`
	operator   `embed:""`
}

// Help is shown by backup --help.
func (backupCommand) Help() string {
	return `The file has everything that is stored: chat, rooms, shared objects. A backup that is made on the server's own machine, without --url and --http, has the secrets of the data folder, too: anyone who has it is a moderator everywhere, so keep it as you keep a password. A backup that comes over the network has no secrets. The file is a tar. Everything that was acknowledged when the backup began is in it, and its checksums are verified while it is written. With an external NATS its streams are in it, so one node's backup is enough.

The server that is asked is the one that has the data folder, if --url names no other; no token is needed then. When none runs, the backup is made of the files.`
}

// Run asks the server for a backup, or makes one of the files when none runs,
// and checks it on its way into the file.
func (cmd *backupCommand) Run(ctx context.Context, p *program) error {
	if cmd.File == "-" && isTerminal(p.stdout) {
		return usagef("a backup is nothing to read on a terminal: name a file, or send it on with > or |")
	}
	archive, err := cmd.archive(ctx, p)
	if err != nil {
		return fmt.Errorf("asking for a backup: %w", err)
	}
	defer archive.Close()
	show := &byteMeter{w: p.stderr, terminal: isTerminal(p.stderr), what: "backed up"}
	in := io.TeeReader(archive, show)
	var note *backup.Note
	if cmd.File == "-" {
		note, err = backup.Copy(p.stdout, in)
		if show.end(); err == nil && cmd.missing(note) != "" {
			_, err = fmt.Fprintf(p.stderr, "Backed up%s.\n", cmd.missing(note))
		}
		return err
	}
	note, err = backup.Save(cmd.File, in)
	show.end()
	if err != nil {
		return fmt.Errorf("backing up into %s: %w", cmd.File, err)
	}
	_, err = fmt.Fprintf(p.stdout, "%s: %s, checked%s\n", cmd.File, backup.SizeText(show.bytes), cmd.missing(note))
	return err
}

// missing says what a backup does not have, or nothing.
func (cmd *backupCommand) missing(note *backup.Note) string {
	switch {
	case note.Secrets > 0:
		return ""
	case cmd.Recordings:
		return "; without the secrets, which only a backup on the server's own machine has"
	}
	return "; without recordings (--recordings), and without the secrets, which only a backup on the server's own machine has"
}

// archive is the content of the file. Closing it ends its making.
func (cmd *backupCommand) archive(ctx context.Context, p *program) (io.ReadCloser, error) {
	resp, err := cmd.ask(ctx, p, http.MethodGet, fmt.Sprintf("/api/v1/backup?recordings=%v", cmd.Recordings))
	if err == nil {
		return resp.Body, nil
	}
	if !errors.Is(err, node.ErrNotRunning) {
		return nil, err
	}
	r, w := io.Pipe()
	made := make(chan struct{})
	go func() { // ends with the archive, or when it is closed, which waits for it
		defer close(made)
		w.CloseWithError(cmd.files(ctx, func(c *store.Store) error {
			from := &backup.Source{Data: cmd.Data, Node: hostName(), Version: versionLine(), Store: c, Recordings: cmd.Recordings, Secrets: true}
			return from.Write(ctx, w)
		}))
	}()
	return &pipedArchive{r, made}, nil
}

// A pipedArchive is being made while it is read.
type pipedArchive struct {
	*io.PipeReader
	made chan struct{} // closed when its maker has ended
}

// Close ends the making and waits for that.
func (a *pipedArchive) Close() error {
	err := a.PipeReader.Close()
	<-a.made
	return err
}
