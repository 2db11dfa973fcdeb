package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"foyer/internal/folder"
	"foyer/store"
)

// A fakeStore has parts that are not the engine's.
type fakeStore struct {
	parts map[string]string
	err   error // after the parts
}

func (s *fakeStore) Backup(_ context.Context, _ string, add func(string, int64, io.Reader) error) error {
	for name, part := range s.parts {
		if err := add(name, int64(len(part)), strings.NewReader(part)); err != nil {
			return err
		}
	}
	return s.err
}

// archiveOf is a backup of a folder with a secret and a recording.
func archiveOf(t *testing.T, s Store) []byte {
	t.Helper()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, folder.AdminToken), "a token\n")
	writeFile(t, filepath.Join(dir, "notes.txt"), "nobody's business")
	if err := os.MkdirAll(filepath.Join(dir, "recordings/blue"), 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "recordings/blue/live.flv"), strings.Repeat("film", 10000))
	var out bytes.Buffer
	from := &Source{Data: dir, Node: "one", Store: s, Recordings: true, Secrets: true}
	if err := from.Write(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// filesOf are the files below a folder.
func filesOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	err := filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(name)
		name, _ = filepath.Rel(dir, name)
		files[name] = string(b)
		return err
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return files
}

func TestRestoreFolder(t *testing.T) {
	archive := archiveOf(t, nil)
	dir := filepath.Join(t.TempDir(), "data")
	note, err := Restore(t.Context(), dir, bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	if note.Node != "one" || note.At.IsZero() {
		t.Errorf("note %+v", note)
	}
	files := filesOf(t, dir)
	if len(files) != 2 || files[folder.AdminToken] != "a token\n" || len(files["recordings/blue/live.flv"]) != 40000 {
		t.Errorf("restored %d files", len(files))
	}
	if info, err := os.Stat(filepath.Join(dir, folder.AdminToken)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the token's file: %v, %v", info.Mode(), err)
	}
	if err := Vacant(dir); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("a folder in use: %v", err)
	}
}

// An archive that is not whole or not right leaves the folder as it was.
func TestRestoreFolderRefuses(t *testing.T) {
	good := archiveOf(t, &fakeStore{})
	damage := func(old, new string) []byte { return bytes.Replace(good, []byte(old), []byte(new), 1) }
	tests := []struct {
		name    string
		archive []byte
		want    string
	}{
		{"nothing", nil, "not a backup"},
		{"something else", []byte(strings.Repeat("hello ", 1000)), "not a backup"},
		{"half", good[:len(good)/2], "incomplete"},
		{"without its end", good[:bytes.LastIndex(good, []byte(archiveSums))], "incomplete"},
		{"a changed secret", damage("a token", "b token"), "checksum of admin-token"},
		{"a changed film", damage("filmfilm", "filmfirm"), "checksum of recordings/blue/live.flv"},
		{"another format", damage(archiveFormat, "backup 2"), "use the version that made it"},
		{"a store that is none", archiveOf(t, &fakeStore{parts: map[string]string{"CHAT": "what?\n"}}), "reading a stream's file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			above := t.TempDir()
			for _, dir := range []string{filepath.Join(above, "new"), above} {
				_, err := Restore(t.Context(), dir, bytes.NewReader(tt.archive))
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("error %v, want %q", err, tt.want)
				}
				if left, _ := os.ReadDir(above); len(left) > 0 {
					t.Errorf("it left %v", left)
				}
			}
		})
	}
}

// A name in an archive cannot lead out of the folder.
func TestArchivedNames(t *testing.T) {
	for _, name := range []string{"../admin-token", "/etc/passwd", "store/../../x", "recordings/", "recordings/../x", "other", "lobby-secret/x"} {
		var out bytes.Buffer
		from := &Source{Data: t.TempDir(), Store: &fakeStore{}}
		if err := from.Write(t.Context(), &out); err != nil {
			t.Fatal(err)
		}
		// Give the checksums' entry the bad name.
		b := renameLast(t, out.Bytes(), name)
		if _, err := read(bytes.NewReader(b), nil); err == nil || !strings.Contains(err.Error(), "does not belong there") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// renameLast gives the last file of a tar another name.
func renameLast(t *testing.T, b []byte, name string) []byte {
	t.Helper()
	at := bytes.LastIndex(b, []byte(archiveSums))
	head := b[at : at+512]
	clear(head[:100])
	copy(head, name)
	copy(head[148:156], "        ")
	sum := 0
	for _, c := range head {
		sum += int(c)
	}
	copy(head[148:156], fmt.Sprintf("%06o\x00 ", sum))
	return b
}

// A backup that could not be made whole cannot be taken for one.
func TestBackupFails(t *testing.T) {
	full := errors.New("disk full")
	from := &Source{Data: t.TempDir(), Store: &fakeStore{parts: map[string]string{"CHAT": "x"}, err: full}}
	var out bytes.Buffer
	if err := from.Write(t.Context(), &out); !errors.Is(err, full) {
		t.Fatal(err)
	}
	if _, err := read(bytes.NewReader(out.Bytes()), nil); !errors.Is(err, errIncomplete) {
		t.Errorf("reading it: %v", err)
	}
	file := filepath.Join(t.TempDir(), "backup.tar")
	writeFile(t, file, "the one before")
	if _, err := Save(file, bytes.NewReader(out.Bytes())); !errors.Is(err, errIncomplete) {
		t.Errorf("copying it: %v", err)
	}
	if files := filesOf(t, filepath.Dir(file)); len(files) != 1 || files["backup.tar"] != "the one before" {
		t.Errorf("the folder has %v", files)
	}
}

// The store goes through an archive too, and starts again.
func TestRestoreStore(t *testing.T) {
	c, err := store.Open(t.Context(), store.Config{Dir: filepath.Join(t.TempDir(), "store"), Node: "one"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	archive := archiveOf(t, c)
	dir := filepath.Join(t.TempDir(), "data")
	if _, err := Restore(t.Context(), dir, bytes.NewReader(archive)); err != nil {
		t.Fatal(err)
	}
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
