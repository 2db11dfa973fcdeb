//go:build unix

package store

import (
	"os"
	"syscall"
)

// lock makes the file this process's own until it is closed, or the process has
// ended in whatever way.
func lock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }
