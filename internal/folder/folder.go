// Package folder is the data folder of a server: the names of what is in it, the
// secrets that it keeps, and what follows from them.
//
// The server and the commands of its operators meet here: each finds what the
// other has written.
package folder

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
)

// Names in a data folder.
const (
	Store      = "store"        // the files of the embedded engine
	Recordings = "recordings"   // a folder for each room
	ACME       = "acme"         // certificates of --tls-auto
	Damaged    = "damaged"      // copies of what could not be read
	Control    = "control.sock" // where a server listens for its operators: anyone who can open it is one
	Restoring  = ".restoring"   // there while the folder is being restored: no server starts from it
)

// Whole refuses a data folder that is only half restored.
func Whole(data string) error {
	if _, err := os.Lstat(filepath.Join(data, Restoring)); err == nil {
		return fmt.Errorf("%s was left by a 'foyer restore' that did not finish: empty it, and restore again", data)
	}
	return nil
}

// WriteNew writes a file that is not there yet, in a folder that may not be. Its
// name has slashes.
func WriteNew(dir, name string, r io.Reader) error {
	name = filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Close())
}

// Sync makes sure that a file, or the list of a folder, is on disk. Windows writes
// such lists by itself, and a file only when it is open for writing.
func Sync(name string) error {
	mode := os.O_RDONLY
	if runtime.GOOS == "windows" {
		if info, err := os.Stat(name); err == nil && info.IsDir() {
			return nil
		}
		mode = os.O_RDWR
	}
	f, err := os.OpenFile(name, mode, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
