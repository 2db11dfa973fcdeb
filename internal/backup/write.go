package backup

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"foyer/internal/folder"
)

// A Store can be backed up.
type Store interface {
	// Backup calls add for each part, with a file that it makes in spool.
	Backup(ctx context.Context, spool string, add func(name string, size int64, r io.Reader) error) error
}

// A Source is what an archive is made of: a data folder, which may be in use.
type Source struct {
	Data       string
	Node       string // whose it is
	Version    string // of this program
	Store      Store  // nil: none
	Recordings bool   // with the recordings
	Secrets    bool   // with the secrets of the folder
}

// A writer writes an archive.
type writer struct {
	data string
	out  *tar.Writer
	sums bytes.Buffer
}

// Write writes the archive. One that fails has no end.
func (s *Source) Write(ctx context.Context, to io.Writer) error {
	w := &writer{data: s.Data, out: tar.NewWriter(to)}
	note, err := json.Marshal(Note{Foyer: archiveFormat, Version: s.Version, Node: s.Node, At: time.Now().UTC()})
	if err != nil {
		return err
	}
	if err := w.addText(ctx, archiveNote, append(note, '\n')); err != nil {
		return err
	}
	if s.Secrets {
		for _, name := range folder.SecretFiles {
			if err := w.addFile(ctx, name); err != nil {
				return err
			}
		}
	}
	if s.Store != nil {
		err := s.Store.Backup(ctx, s.Data, func(name string, size int64, r io.Reader) error {
			return w.add(ctx, archiveStore+name, size, r)
		})
		if err != nil {
			return err
		}
	}
	if s.Recordings {
		if err := w.addRecordings(ctx); err != nil {
			return fmt.Errorf("backing up the recordings: %w", err)
		}
	}
	if err := w.addText(ctx, archiveSums, w.sums.Bytes()); err != nil {
		return err
	}
	return w.out.Close()
}

// addText writes a file with these bytes.
func (w *writer) addText(ctx context.Context, name string, text []byte) error {
	return w.add(ctx, name, int64(len(text)), bytes.NewReader(text))
}

// add writes one file of that many bytes.
func (w *writer) add(ctx context.Context, name string, size int64, r io.Reader) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	head := &tar.Header{Name: name, Mode: 0o600, Size: size, ModTime: time.Now(), Format: tar.FormatPAX}
	if err := w.out.WriteHeader(head); err != nil {
		return err
	}
	sum := sha256.New()
	if _, err := io.CopyN(io.MultiWriter(w.out, sum), r, size); err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	fmt.Fprintf(&w.sums, "%x  %s\n", sum.Sum(nil), name)
	if w.sums.Len() > maxArchiveText && name != archiveSums {
		return errTooManyFiles
	}
	return nil
}

// addFile adds a file of the data folder, as long as it is now. One that is
// not there, or no longer, is left out.
func (w *writer) addFile(ctx context.Context, name string) error {
	f, err := os.Open(filepath.Join(w.data, filepath.FromSlash(name)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return err
	}
	return w.add(ctx, name, info.Size(), f)
}

// addRecordings adds what is recorded; of one that is being written, what
// there is now.
func (w *writer) addRecordings(ctx context.Context) error {
	return fs.WalkDir(os.DirFS(w.data), path.Clean(archiveRecords), func(name string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // none, or removed for new ones
			return nil
		case err != nil:
			return err
		case !d.Type().IsRegular() || strings.HasPrefix(d.Name(), "."):
			return nil
		}
		return w.addFile(ctx, name)
	})
}
