//go:build !linux

package rtmp

func pollBurst(fd uintptr, p []byte) (int, error) { return pollWrite(fd, p) }
