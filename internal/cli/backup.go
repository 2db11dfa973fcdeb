package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"foyer/internal/folder"
	"foyer/store"
	"foyer/web"
)

// backup writes a backup of this node to w.
func (n *node) backup(ctx context.Context, w io.Writer, parts web.BackupParts) error {
	a := &archiver{data: n.settings.Data, node: n.settings.Node, store: n.store, recordings: parts.Recordings, secrets: parts.Secrets}
	return a.write(ctx, w)
}

// backupCommand has a server back itself up.
type backupCommand struct {
	File string `arg:"" help:"What to write; one that is there is replaced when the new one is whole. - is the standard output."`

	Recordings bool `help:"With the recordings."`
	operator   `embed:""`
}

// Help is shown by backup --help.
func (backupCommand) Help() string {
	return `The file has everything that is stored: chat, rooms, shared objects. One that is made on the server's own machine, without --url and --http, has the secrets of the data folder, too: whoever has it is a moderator everywhere, so keep it as you keep a password. One that comes over the network has no secrets. It is a tar; what was acknowledged when the backup began is in it. Its checksums are verified while it is written. With an external NATS its streams are in it, so one node's backup is enough.

The server that is asked is the one that has the data folder, if --url names no other; no token is needed then. When none runs, the backup is made of the files.`
}

// Run asks the server for a backup, or makes one of the files when none runs,
// and checks it on its way into the file.
func (cmd *backupCommand) Run(ctx context.Context, p *program) error {
	archive, err := cmd.archive(ctx, p)
	if err != nil {
		return fmt.Errorf("asking for a backup: %w", err)
	}
	defer archive.Close()
	show := &byteMeter{w: p.stderr, terminal: isTerminal(p.stderr), what: "backed up"}
	in := io.TeeReader(archive, show)
	var note *archiveNotes
	if cmd.File == "-" {
		note, err = copyChecked(p.stdout, in)
		if show.end(); err == nil && cmd.missing(note) != "" {
			_, err = fmt.Fprintf(p.stderr, "Backed up%s.\n", cmd.missing(note))
		}
		return err
	}
	err = replaceFile(cmd.File, func(w io.Writer) (err error) {
		note, err = copyChecked(w, in)
		return err
	})
	show.end()
	if err != nil {
		return fmt.Errorf("backing up into %s: %w", cmd.File, err)
	}
	_, err = fmt.Fprintf(p.stdout, "%s: %s, checked%s\n", cmd.File, bytesText(show.bytes), cmd.missing(note))
	return err
}

// missing says what a backup does not have, or nothing.
func (cmd *backupCommand) missing(note *archiveNotes) string {
	switch {
	case note.secrets > 0:
		return ""
	case cmd.Recordings:
		return "; without the secrets, which only a backup on the server's own machine has"
	}
	return "; without recordings (--recordings), and without the secrets, which only a backup on the server's own machine has"
}

// archive is what is to be in the file. Closing it ends its making.
func (cmd *backupCommand) archive(ctx context.Context, p *program) (io.ReadCloser, error) {
	resp, err := cmd.ask(ctx, p, http.MethodGet, fmt.Sprintf("/api/v1/backup?recordings=%v", cmd.Recordings))
	if err == nil {
		return resp.Body, nil
	}
	if !errors.Is(err, errNotRunning) {
		return nil, err
	}
	r, w := io.Pipe()
	made := make(chan struct{})
	go func() { // ends with the archive, or when it is closed, which waits for it
		defer close(made)
		w.CloseWithError(cmd.files(ctx, func(c *store.Store) error {
			a := &archiver{data: cmd.Data, node: hostName(), store: c, recordings: cmd.Recordings, secrets: true}
			return a.write(ctx, w)
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

// copyChecked copies an archive, and fails when it is not whole and right.
func copyChecked(w io.Writer, r io.Reader) (*archiveNotes, error) {
	out := bufio.NewWriterSize(w, 1<<20)
	note, err := readArchive(io.TeeReader(r, out), nil)
	if err != nil {
		return nil, err
	}
	return note, out.Flush()
}

// replaceFile makes a file that only its owner can read. It is there when it
// is whole and on disk, or as it was before.
func replaceFile(name string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return err
	}
	return folder.Sync(filepath.Dir(name))
}
