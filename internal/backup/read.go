package backup

import (
	"archive/tar"
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"foyer/internal/folder"
)

// errIncomplete says that an archive has no end, errTooManyFiles that its
// checksums are too long.
var (
	errIncomplete   = errors.New("the backup is incomplete: it ends too early; make another one")
	errTooManyFiles = fmt.Errorf("the backup has too many files: their checksums are more than %d bytes", maxArchiveText)
)

// read reads an archive to its end and checks it. Each file but for the note and
// the checksums is given to file, which may read it; nil only checks. The files
// are good only when read returns nil.
func read(from io.Reader, file func(head *tar.Header, r io.Reader) error) (*Note, error) {
	r := &reader{in: tar.NewReader(from), file: file}
	for {
		head, err := r.next()
		if err != nil {
			return nil, err
		}
		if head.Name == archiveSums {
			if err := checkSums(r.in, r.sums.Bytes()); err != nil {
				return nil, err
			}
			_, err := io.Copy(io.Discard, from) // the padding of a tar
			return r.note, err
		}
		if err := r.take(head); errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, errIncomplete
		} else if err != nil {
			return nil, err
		}
	}
}

// A reader reads an archive.
type reader struct {
	in   *tar.Reader
	file func(head *tar.Header, r io.Reader) error
	note *Note        // nil before it was read
	sums bytes.Buffer // as the archive should have them at its end
}

// next is the next file, which may stand where it does.
func (r *reader) next() (*tar.Header, error) {
	head, err := r.in.Next()
	switch {
	case r.note == nil && (err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, tar.ErrHeader)):
		return nil, fmt.Errorf("this is not a backup of foyer: %w", err)
	case err == io.EOF, errors.Is(err, io.ErrUnexpectedEOF):
		return nil, errIncomplete
	case err != nil:
		return nil, fmt.Errorf("reading the backup: %w", err)
	case r.note == nil && head.Name != archiveNote:
		return nil, fmt.Errorf("this is not a backup of foyer: it begins with %.100q", head.Name)
	}
	if why := foreign(head, r.note == nil); why != "" {
		return nil, fmt.Errorf("the backup has a file that does not belong there: %.100q %s", head.Name, why)
	}
	return head, nil
}

// take reads a file and notes its checksum.
func (r *reader) take(head *tar.Header) (err error) {
	sum := sha256.New()
	body := io.TeeReader(r.in, sum)
	if r.note == nil {
		r.note, err = readNote(body)
	} else if r.file != nil {
		err = r.file(head, body)
	}
	if err != nil {
		return err
	}
	if slices.Contains(folder.SecretFiles, head.Name) {
		r.note.Secrets++
	}
	if _, err := io.Copy(sum, r.in); err != nil { // what nobody has read
		return err
	}
	fmt.Fprintf(&r.sums, "%x  %s\n", sum.Sum(nil), head.Name)
	if r.sums.Len() > maxArchiveText {
		return errTooManyFiles
	}
	return nil
}

// Copy copies an archive, and fails when it is not whole and right.
func Copy(w io.Writer, r io.Reader) (*Note, error) {
	out := bufio.NewWriterSize(w, 1<<20)
	note, err := read(io.TeeReader(r, out), nil)
	if err != nil {
		return nil, err
	}
	return note, out.Flush()
}

// Save copies an archive into a file that only its owner can read. The file is
// there when it is whole, right and on disk, or as it was before.
func Save(name string, r io.Reader) (note *Note, err error) {
	if info, err := os.Stat(name); err == nil && info.IsDir() || name == "" {
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.EISDIR}
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*") // mode 0600
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	note, err = Copy(f, r)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return nil, err
	}
	return note, folder.Sync(filepath.Dir(name))
}

// foreign says why no writer has written that file, or "". The files of a writer
// land in the folder and have the bytes that follow the header. They are no links,
// and none of those files that a few bytes of a tar can make as long as they like.
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
func readNote(r io.Reader) (*Note, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxArchiveText))
	if err != nil {
		return nil, err
	}
	var note Note
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
