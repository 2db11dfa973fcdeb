package backup

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

	"golang.org/x/sync/errgroup"

	"foyer/internal/folder"
	"foyer/store"
)

// Vacant refuses a folder that has something in it.
func Vacant(data string) error {
	entries, err := os.ReadDir(data)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if len(entries) == 1 && entries[0].Name() == folder.Restoring {
		return fmt.Errorf("%s was left by a restore that did not finish: empty it first", data)
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s is not empty: stop the server, move the folder away, or name another one with --data", data)
	}
	return nil
}

// Restore makes a data folder out of an archive. On an error nothing of it stays.
func Restore(ctx context.Context, data string, r io.Reader) (note *Note, err error) {
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
	if note, err = read(r, func(head *tar.Header, r io.Reader) error {
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

// RestoreNATS puts the store of an archive into an external NATS. Meanwhile its
// parts are in the data folder, if there is one, or where temporary files are.
func RestoreNATS(ctx context.Context, into store.Config, data string, r io.Reader) (note *Note, err error) {
	if info, err := os.Stat(data); err != nil || !info.IsDir() {
		data = ""
	}
	temp, err := os.MkdirTemp(data, ".restore-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(temp)
	disk := &space{dir: temp}
	note, err = read(r, func(head *tar.Header, r io.Reader) error {
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

// A space is how much a restore may still write to a disk. Bytes that were taken
// count before they are written.
type space struct {
	dir  string
	left int64
	read bool // left was asked for
}

// take takes that many bytes, or says that there are not so many. It looks at what
// was free at first and at what is free now, because others write, too.
func (s *space) take(bytes int64) error {
	now, err := free(s.dir)
	if err != nil {
		return fmt.Errorf("looking how much of the disk is free: %w", err)
	}
	if !s.read {
		s.left, s.read = now-leaveFree, true
	}
	if have := min(s.left, now-leaveFree); bytes < 0 || bytes > have {
		return fmt.Errorf("the disk of %s is too small: the backup needs %s more there, and %s may be filled", s.dir, SizeText(bytes), SizeText(max(have, 0)))
	}
	s.left -= bytes
	return nil
}

// syncTree makes sure that everything below dir is on disk.
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

// SizeText is a number of bytes for a person.
func SizeText(n int64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1e9, "GB"}, {1e6, "MB"}, {1e3, "KB"}} {
		if float64(n) >= unit.size {
			return fmt.Sprintf("%.1f %s", float64(n)/unit.size, unit.name)
		}
	}
	return fmt.Sprintf("%d B", n)
}
