package cli

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"foyer/internal/folder"
)

// Names in an archive. It is a tar: a note of what it is, the secrets, the
// streams of the store, the recordings, and the checksums of all of them.
// The checksums are last, so an archive that ends early has none.
const (
	archiveNote    = "foyer-backup.json"
	archiveStore   = "store/"
	archiveRecords = "recordings/"
	archiveSums    = "SHA256SUMS" // as sha256sum writes and reads it
)

// archiveFormat is what the note of an archive says of itself.
const archiveFormat = "backup 1"

// Bounds of an archive. Its checksums have a line for each file, so they bound
// how many there are.
const (
	maxArchiveText   = 16 << 20 // bytes of a file that is read into memory
	maxArchiveSecret = 64 << 10 // bytes of a secret
	maxArchiveName   = 512      // bytes of a file's name
	maxArchiveDepth  = 3        // elements of it: recordings/ROOM/FILE
)

// An archiveNotes is the first file of an archive.
type archiveNotes struct {
	Foyer   string    `json:"foyer"` // archiveFormat
	Version string    `json:"version"`
	Node    string    `json:"node"`
	At      time.Time `json:"at"`

	secrets int // how many files of secrets there were; set by readArchive
}

// backedUp is what can be backed up besides files.
type backedUp interface {
	// Backup calls add for each part, with a file that it makes in spool.
	Backup(ctx context.Context, spool string, add func(name string, size int64, r io.Reader) error) error
}

// An archiver writes an archive of a data folder that is in use.
type archiver struct {
	// set by the maker
	data       string
	node       string
	store      backedUp // nil: none
	recordings bool     // with the recordings
	secrets    bool     // with the secrets of the folder

	// owned by write
	ctx  context.Context
	out  *tar.Writer
	sums bytes.Buffer
}

// write writes the archive to w. What fails leaves it without its end.
func (a *archiver) write(ctx context.Context, w io.Writer) error {
	a.ctx, a.out = ctx, tar.NewWriter(w)
	note, err := json.Marshal(archiveNotes{Foyer: archiveFormat, Version: versionLine(buildInfo()), Node: a.node, At: time.Now().UTC()})
	if err != nil {
		return err
	}
	if err := a.add(archiveNote, int64(len(note)+1), bytes.NewReader(append(note, '\n'))); err != nil {
		return err
	}
	if a.secrets {
		for _, name := range folder.SecretFiles {
			if err := a.addFile(name); err != nil {
				return err
			}
		}
	}
	if a.store != nil {
		err := a.store.Backup(ctx, a.data, func(name string, size int64, r io.Reader) error {
			return a.add(archiveStore+name, size, r)
		})
		if err != nil {
			return err
		}
	}
	if a.recordings {
		if err := a.addRecordings(); err != nil {
			return fmt.Errorf("backing up the recordings: %w", err)
		}
	}
	if err := a.add(archiveSums, int64(a.sums.Len()), bytes.NewReader(a.sums.Bytes())); err != nil {
		return err
	}
	return a.out.Close()
}

// add writes one file of that many bytes.
func (a *archiver) add(name string, size int64, r io.Reader) error {
	if err := a.ctx.Err(); err != nil {
		return err
	}
	head := &tar.Header{Name: name, Mode: 0o600, Size: size, ModTime: time.Now(), Format: tar.FormatPAX}
	if err := a.out.WriteHeader(head); err != nil {
		return err
	}
	sum := sha256.New()
	if _, err := io.CopyN(io.MultiWriter(a.out, sum), r, size); err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	fmt.Fprintf(&a.sums, "%x  %s\n", sum.Sum(nil), name)
	if a.sums.Len() > maxArchiveText && name != archiveSums {
		return errTooManyFiles
	}
	return nil
}

// addFile adds a file of the data folder, as long as it is now. One that is
// not there, or no longer, is left out.
func (a *archiver) addFile(name string) error {
	f, err := os.Open(filepath.Join(a.data, filepath.FromSlash(name)))
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
	return a.add(name, info.Size(), f)
}

// addRecordings adds what is recorded; of one that is being written, what
// there is now.
func (a *archiver) addRecordings() error {
	return fs.WalkDir(os.DirFS(a.data), path.Clean(archiveRecords), func(name string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // none, or removed for new ones
			return nil
		case err != nil:
			return err
		case !d.Type().IsRegular() || strings.HasPrefix(d.Name(), "."):
			return nil
		}
		return a.addFile(name)
	})
}

// errIncomplete says that an archive has no end, errTooManyFiles that its
// checksums are too long.
var (
	errIncomplete   = errors.New("the backup is incomplete: it ends too early; make another one")
	errTooManyFiles = fmt.Errorf("the backup has too many files: their checksums are more than %d bytes", maxArchiveText)
)

// readArchive reads an archive to its end and checks it. Each file but for the
// note and the checksums is given to file, which may read it; nil only checks.
// What file has read is good only when readArchive returns nil.
func readArchive(r io.Reader, file func(head *tar.Header, r io.Reader) error) (*archiveNotes, error) {
	in := tar.NewReader(r)
	var note *archiveNotes
	var want bytes.Buffer
	for {
		head, err := in.Next()
		switch {
		case note == nil && (err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, tar.ErrHeader)):
			return nil, fmt.Errorf("this is not a backup of foyer: %w", err)
		case err == io.EOF, errors.Is(err, io.ErrUnexpectedEOF):
			return nil, errIncomplete
		case err != nil:
			return nil, fmt.Errorf("reading the backup: %w", err)
		case note == nil && head.Name != archiveNote:
			return nil, fmt.Errorf("this is not a backup of foyer: it begins with %.100q", head.Name)
		}
		if why := foreign(head, note == nil); why != "" {
			return nil, fmt.Errorf("the backup has a file that does not belong there: %.100q %s", head.Name, why)
		}
		if head.Name == archiveSums {
			if err := checkSums(in, want.Bytes()); err != nil {
				return nil, err
			}
			// What follows is only the padding of a tar.
			_, err := io.Copy(io.Discard, r)
			return note, err
		}
		sum := sha256.New()
		if note == nil {
			note, err = readNote(io.TeeReader(in, sum))
		} else if file != nil {
			err = file(head, io.TeeReader(in, sum))
		}
		if slices.Contains(folder.SecretFiles, head.Name) {
			note.secrets++
		}
		if err == nil {
			err = rest(sum, in)
		}
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, errIncomplete
		}
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&want, "%x  %s\n", sum.Sum(nil), head.Name)
		if want.Len() > maxArchiveText {
			return nil, errTooManyFiles
		}
	}
}

// rest adds what nobody has read to the sum.
func rest(sum hash.Hash, in io.Reader) error {
	_, err := io.Copy(sum, in)
	return err
}

// foreign says why archiver has not written that file, or "". What it writes
// lands in the folder and has the bytes that follow the header: no links, and
// none of the files that a few bytes of a tar can make as long as they like.
func foreign(head *tar.Header, first bool) string {
	name := head.Name
	sparse := slices.ContainsFunc(slices.Collect(maps.Keys(head.PAXRecords)), func(key string) bool { return strings.HasPrefix(key, "GNU.sparse.") })
	switch {
	case sparse || head.Typeflag == tar.TypeGNUSparse:
		return "is sparse"
	case head.Typeflag != tar.TypeReg:
		return "is a link, a folder or a device"
	case len(name) > maxArchiveName || strings.Count(name, "/") >= maxArchiveDepth:
		return "has too long a name"
	case !fs.ValidPath(name) || !filepath.IsLocal(filepath.FromSlash(name)):
		return "leads out of the folder"
	case first || name == archiveSums:
		return tooLong(head, maxArchiveText)
	case slices.Contains(folder.SecretFiles, name):
		return tooLong(head, maxArchiveSecret)
	case strings.HasPrefix(name, archiveStore) && strings.Count(name, "/") == 1, strings.HasPrefix(name, archiveRecords):
		return ""
	}
	return "is of nothing that foyer keeps"
}

func tooLong(head *tar.Header, most int64) string {
	if head.Size <= most {
		return ""
	}
	return fmt.Sprintf("has %d bytes", head.Size)
}

// readNote reads the first file of an archive.
func readNote(r io.Reader) (*archiveNotes, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxArchiveText))
	if err != nil {
		return nil, err
	}
	var note archiveNotes
	if err := json.Unmarshal(b, &note); err != nil {
		return nil, fmt.Errorf("this is not a backup of foyer: %w", err)
	}
	if note.Foyer != archiveFormat {
		return nil, fmt.Errorf("the backup is of the format %q, and this program reads %q: use the version that made it (%s)", note.Foyer, archiveFormat, note.Version)
	}
	return &note, nil
}

// checkSums compares the checksums of an archive with those of what was read.
func checkSums(r io.Reader, want []byte) error {
	got, err := io.ReadAll(io.LimitReader(r, maxArchiveText))
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errIncomplete
	}
	if err != nil {
		return err
	}
	if bytes.Equal(got, want) {
		return nil
	}
	is := strings.Split(string(got), "\n")
	for i, line := range strings.Split(string(want), "\n") {
		if i >= len(is) || is[i] != line {
			_, name, _ := strings.Cut(line, "  ")
			return fmt.Errorf("the backup is damaged: the checksum of %s is wrong", name)
		}
	}
	return errors.New("the backup is damaged: its list of checksums is longer than it")
}
