package store

import (
	"errors"
	"math"
	"os"

	"golang.org/x/sys/windows"
)

// lock makes the file this process's own until it is closed, or the process has
// ended in whatever way. The error is [ErrInUse] when another process has it.
// Others cannot read bytes that are locked, so it locks one far behind the end.
func lock(f *os.File) error {
	const flags = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	behind := &windows.Overlapped{OffsetHigh: math.MaxInt32}
	err := windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, behind)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) || errors.Is(err, windows.ERROR_IO_PENDING) {
		return ErrInUse
	}
	return err
}
