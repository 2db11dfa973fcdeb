package rtmp

import (
	"syscall"
	"unsafe"
)

// pollBurst is pollWrite for who writes to hundreds of sockets in a row. It
// does not tell the scheduler about the call: that would take the processor
// away from a loop of calls of some 20 µs each and give it back, again and
// again, which costs more than the loop.
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
