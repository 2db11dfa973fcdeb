package cli

import (
	"archive/tar"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"foyer/internal/folder"
	"foyer/store"
)

// restoreCommand makes a data folder out of a backup.
type restoreCommand struct {
	File string  `arg:"" help:"A file of 'foyer backup'. - is the standard input."`
	NATS natsURL `name:"nats" placeholder:"URL" help:"Put the store of the backup into this NATS, which must be empty, and make no data folder."`
	CA   string  `name:"nats-ca" placeholder:"FILE" help:"Certificates (PEM) of who signs those of --nats."`
	Data string  `default:"foyer-data" placeholder:"DIR" help:"The data folder to make; it must be empty or not be there. Default: ${default}."`
}

// Help is shown by restore --help.
func (restoreCommand) Help() string {
	return `The folder is there as it was, or not at all: the file is read and checked first, then everything is put in place. Messages keep their numbers and times, so whoever comes back finds what he missed. With --nats all of the store goes there, or nothing; the nodes are stopped meanwhile. The secrets and recordings of the backup are not for NATS: a restore without --nats makes a folder of them.`
}

// Run reads and checks the archive, then puts everything in place.
func (cmd *restoreCommand) Run(ctx context.Context, p *program) error {
	to := cmd.Data
	if cmd.NATS != "" {
		to = cmd.NATS.String()
	} else if err := emptyFolder(to); err != nil {
		return err
	}
	in := p.stdin
	if cmd.File != "-" {
		f, err := os.Open(cmd.File)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	show := &byteMeter{w: p.stderr, terminal: isTerminal(p.stderr), what: "read"}
	var note *archiveNotes
	var err error
	if cmd.NATS != "" {
		note, err = restoreNATS(ctx, store.Config{URL: string(cmd.NATS), CA: cmd.CA}, cmd.Data, io.TeeReader(in, show))
	} else {
		note, err = restoreFolder(ctx, cmd.Data, io.TeeReader(in, show))
	}
	show.end()
	if err != nil {
		return fmt.Errorf("restoring %s: %w", to, err)
	}
	_, err = fmt.Fprintf(p.stdout, "%s: as it was on node %s at %s\n", to, note.Node, note.At.Format(time.RFC3339))
	if err == nil && note.secrets == 0 && cmd.NATS == "" {
		_, err = fmt.Fprintln(p.stdout, "There are no secrets in this backup. The next start makes new ones, unless they are set: the admin token, the lobby's password and all stream keys change.")
	}
	return err
}

// emptyFolder refuses a folder that has something in it.
func emptyFolder(data string) error {
	entries, err := os.ReadDir(data)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if len(entries) == 1 && entries[0].Name() == folder.Restoring {
		return fmt.Errorf("%s is of a restore that did not end: empty it first", data)
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s is not empty: stop the server, move the folder away, or name another one with --data", data)
	}
	return nil
}

// restoreFolder makes the data folder. On an error nothing of it stays.
func restoreFolder(ctx context.Context, data string, r io.Reader) (note *archiveNotes, err error) {
	_, statErr := os.Lstat(data)
	temp := filepath.Join(data, folder.Restoring)
	if err := os.MkdirAll(temp, 0o700); err != nil {
		return nil, err
	}
	defer func() {
		if err == nil {
			return
		}
		os.RemoveAll(temp)
		if errors.Is(statErr, fs.ErrNotExist) {
			os.Remove(data) // made above
		}
	}()
	whole, parts := filepath.Join(temp, "whole"), filepath.Join(temp, "parts")
	disk := &space{dir: temp}
	if note, err = readArchive(r, func(head *tar.Header, r io.Reader) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if part, ok := strings.CutPrefix(head.Name, archiveStore); ok {
			if err := disk.take(2 * min(head.Size, 1<<61)); err != nil { // here and in the store that is made of it
				return err
			}
			return folder.WriteNew(parts, part, r)
		}
		if err := disk.take(head.Size); err != nil {
			return err
		}
		return folder.WriteNew(whole, head.Name, r)
	}); err != nil {
		return nil, err
	}
	if err := restoreStore(ctx, parts, filepath.Join(whole, folder.Store)); err != nil {
		return nil, err
	}
	if err := os.RemoveAll(parts); err != nil {
		return nil, err
	}
	if err := syncTree(whole); err != nil {
		return nil, err
	}
	return note, putInPlace(whole, data, temp)
}

// putInPlace moves everything up. While temp is there, no server starts.
func putInPlace(whole, data, temp string) error {
	entries, err := os.ReadDir(whole)
	if err != nil {
		return err
	}
	for i, e := range entries {
		if err := os.Rename(filepath.Join(whole, e.Name()), filepath.Join(data, e.Name())); err != nil {
			for _, moved := range entries[:i] {
				err = errors.Join(err, os.RemoveAll(filepath.Join(data, moved.Name())))
			}
			return err
		}
	}
	if err := folder.Sync(data); err != nil {
		return err
	}
	if err := os.RemoveAll(temp); err != nil {
		return err
	}
	return folder.Sync(data)
}

// restoreStore makes the engine's files out of the parts in a folder.
func restoreStore(ctx context.Context, parts, dir string) error {
	if _, err := os.Stat(parts); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return restoreParts(ctx, parts, store.Config{Dir: dir})
}

// restoreParts puts the parts in a folder into a store.
func restoreParts(ctx context.Context, parts string, cfg store.Config) error {
	entries, err := os.ReadDir(parts)
	if err != nil {
		return err
	}
	var files []string
	for _, e := range entries {
		files = append(files, filepath.Join(parts, e.Name()))
	}
	if len(files) == 0 {
		return errors.New("the backup has nothing of a store")
	}
	cfg.Node, cfg.Bare = "restore", true
	c, err := store.Open(ctx, cfg)
	if err != nil {
		return err
	}
	return errors.Join(c.RestoreAll(ctx, files), c.Close())
}

// restoreNATS puts the store of a backup into an external NATS. Until that is
// done it is in the data folder, if there is one, or where temporary files are.
func restoreNATS(ctx context.Context, into store.Config, data string, r io.Reader) (note *archiveNotes, err error) {
	if info, err := os.Stat(data); err != nil || !info.IsDir() {
		data = ""
	}
	temp, err := os.MkdirTemp(data, ".restore-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(temp)
	disk := &space{dir: temp}
	note, err = readArchive(r, func(head *tar.Header, r io.Reader) error {
		part, ok := strings.CutPrefix(head.Name, archiveStore)
		if !ok || ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := disk.take(head.Size); err != nil {
			return err
		}
		return folder.WriteNew(temp, part, r)
	})
	if err != nil {
		return nil, err
	}
	return note, restoreParts(ctx, temp, into)
}

// leaveFree is what a restore leaves of a disk, at least.
const leaveFree = 64 << 20

// free is how much of the disk of a folder may be filled; changed by tests.
var free = store.Free

// A space is what a restore may still write to a disk. What it has taken counts
// before it is written.
type space struct {
	dir  string
	left int64
	read bool // left was asked for
}

// take takes so many bytes, or says that there are not so many. It counts with
// what there was at first and with what there is now: others write, too.
func (s *space) take(bytes int64) error {
	now, err := free(s.dir)
	if err != nil {
		return fmt.Errorf("looking how much of the disk is free: %w", err)
	}
	if !s.read {
		s.left, s.read = now-leaveFree, true
	}
	if have := min(s.left, now-leaveFree); bytes < 0 || bytes > have {
		return fmt.Errorf("the disk of %s is too small: the backup needs %s more there, and %s may be filled", s.dir, bytesText(bytes), bytesText(max(have, 0)))
	}
	s.left -= bytes
	return nil
}

// syncTree sees to it that everything below dir is on disk.
func syncTree(dir string) error {
	g := new(errgroup.Group)
	g.SetLimit(8) // the disk can have several at once
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err == nil {
			g.Go(func() error { return folder.Sync(name) })
		}
		return err
	})
	return cmp.Or(err, g.Wait())
}
