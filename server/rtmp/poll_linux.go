package rtmp

import (
	"syscall"
	"unsafe"
)

// pollBurst is pollWrite for a loop over hundreds of sockets. It does not tell
// the scheduler about the call. If it did, the loop of calls of some 20 µs each
// would lose the processor and get it back each time, which costs more than the
// loop.
func pollBurst(fd uintptr, p []byte) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
		switch errno {
		case 0:
			return int(n), nil
		case syscall.EINTR:
		default:
			return -1, errno
		}
	}
}
