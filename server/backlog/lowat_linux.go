package backlog

import (
	"crypto/tls"
	"syscall"
)

// lowWater is how much may wait in the kernel that it has not sent yet.
const lowWater = 64 << 10

// setLowWater makes the kernel say early that it takes more. It matters where
// Writer cannot look for itself: a write of TLS that is given up is the end of
// the connection.
func setLowWater(nc *tls.Conn) {
	const tcpNotSentLowAt = 25 // of linux/tcp.h
	sc, ok := nc.NetConn().(syscall.Conn)
	if !ok {
		return
	}
	if raw, err := sc.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { // where it cannot be set, slow peers have to be a little quicker
			syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpNotSentLowAt, lowWater)
		})
	}
}
