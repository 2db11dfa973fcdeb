//go:build unix

package rtmp

import "syscall"

// canPoll: reading a socket that has no bytes returns at once.
const canPoll = true

const errWouldBlock = syscall.EAGAIN

// pollRead reads the bytes that are there, or returns errWouldBlock.
func pollRead(fd uintptr, p []byte) (int, error) {
	for {
		n, err := syscall.Read(int(fd), p)
		if err != syscall.EINTR {
			return n, err
		}
	}
}

// pollWrite writes what there is room for, or returns errWouldBlock.
func pollWrite(fd uintptr, p []byte) (int, error) {
	for {
		n, err := syscall.Write(int(fd), p)
		if err != syscall.EINTR {
			return n, err
		}
	}
}
