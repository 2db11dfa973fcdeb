//go:build !unix

package rtmp

import "errors"

// canPoll: on this system sockets are read like any other connection.
const canPoll = false

var errWouldBlock = errors.New("rtmp: nothing to read")

func pollRead(uintptr, []byte) (int, error) { return 0, errWouldBlock }

func pollWrite(uintptr, []byte) (int, error) { return 0, errWouldBlock }
