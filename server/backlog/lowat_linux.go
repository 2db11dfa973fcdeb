package backlog

import (
	"crypto/tls"
	"syscall"
)

// lowWater is how many unsent bytes may wait in the kernel.
const lowWater = 64 << 10

// setLowWater makes the kernel report early that it takes more. That matters
// for TLS, where Writer cannot try for itself: a TLS write that is given up
// ends the connection.
func setLowWater(nc *tls.Conn) {
	const tcpNotSentLowAt = 25 // of linux/tcp.h
	sc, ok := nc.NetConn().(syscall.Conn)
	if !ok {
		return
	}
	if raw, err := sc.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { // if it cannot be set, slow peers must read a little faster
			syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpNotSentLowAt, lowWater)
		})
	}
}
