//go:build linux || darwin || freebsd

package store

import "syscall"

// Free returns how much of the disk of a folder this process may still fill.
func Free(dir string) (bytes int64, err error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, err
	}
	return int64(min(uint64(s.Bavail)*uint64(s.Bsize), 1<<62)), nil
}
