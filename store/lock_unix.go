//go:build unix

package store

import (
	"errors"
	"os"
	"syscall"
)

// lock makes the file this process's own until it is closed, or the process has
// ended in whatever way. The error is [ErrInUse] when another process has it.
func lock(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrInUse
	}
	return err
}
