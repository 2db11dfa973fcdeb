//go:build unix

package node

import "syscall"

// descriptors is how many this process may have open, 0 when that is not known.
// The soft limit is raised to the hard one first, which Go does at the start as
// well.
func descriptors() uint64 {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 0
	}
	if raised := limit; limit.Cur < limit.Max {
		raised.Cur = limit.Max
		if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised) == nil {
			limit = raised
		}
	}
	return uint64(limit.Cur)
}
