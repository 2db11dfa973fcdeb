package folder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The system's word about a file becomes a part of the sentence around it.
func TestInWords(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	use := func(name string) error {
		_, err := os.ReadFile(name)
		return err
	}
	for _, c := range []struct {
		err  error
		want string
	}{
		{use(filepath.Join(dir, "none")), "there is no file " + dir + "/none"},
		{use(filepath.Join(dir, "no", "none")), "there is no folder " + dir + "/no"},
		{use(dir), dir + " is a folder, and a file is needed there"},
		{use(filepath.Join(file, "x")), file + " is a file, and a folder is needed there"},
		{os.MkdirAll(filepath.Join(file, "x"), 0o700), file + " is a file, and a folder is needed there"},
		{use(""), "the name of a file is empty"},
		{&fs.PathError{Op: "open", Path: file, Err: syscall.EROFS}, file + " is on a disk that can only be read"},
		{&fs.PathError{Op: "write", Path: file, Err: syscall.ENOSPC}, "the disk of " + file + " is full"},
		{&os.LinkError{Op: "rename", Old: "x", New: dir, Err: syscall.ENOTEMPTY}, "rename x " + dir + ": directory not empty"},
		{errors.New("something else"), "something else"},
	} {
		err := InWords(fmt.Errorf("opening: %w (try again)", c.err), dir)
		if !strings.HasPrefix(err.Error(), "opening: "+c.want) || !strings.HasSuffix(err.Error(), " (try again)") || !errors.Is(err, c.err) {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
}

// A user who may not use the data folder hears whose it is and what mends it.
func TestForbidden(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	inside := filepath.Join(data, "store", "open")
	if err := os.MkdirAll(filepath.Dir(inside), 0o750); err != nil {
		t.Fatal(err)
	}
	us, gid := os.Getuid(), os.Getgid()
	owner := userName(us)
	if us < 0 {
		t.Skip("files have no numbers of users here")
	}
	for _, c := range []struct {
		path, data string
		uid        int
		want       string
	}{
		{inside, data, us + 4711, fmt.Sprintf("belongs to the user %s, and this is %d: run 'sudo chown -R %d:%d %s', or start foyer as the owner", owner, us+4711, us+4711, gid, data)},
		{data, data, us + 4711, "run 'sudo chown -R"},
		{inside, data, us, "mode 0750 keeps it away: run 'chmod -R u+rwX " + data + "'"},
		{data + "2", data + "2", us + 4711, fmt.Sprintf("may not make the folder %s2: make it with 'sudo install -d -m 700 -o %d -g %d %s2'", data, us+4711, gid, data)},
		{data + "2", data + "2/data", us + 4711, "may not make the folder " + data + "2/data"},
		{filepath.Dir(data), "elsewhere", us + 4711, "give this user the right to use it"},
	} {
		if got := forbidden(c.path, c.data, c.uid, gid); !strings.Contains(got, c.want) {
			t.Errorf("%s in %s: %s, want %s", c.path, c.data, got, c.want)
		}
	}
	if got := Owner(data); got != owner {
		t.Errorf("the owner is %q", got)
	}
}
