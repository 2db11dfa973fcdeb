package rtmp

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"

	"foyer/server/backlog"
)

// The reasons for which a session ends. Test with errors.Is.
var (
	// ErrClosed: the connection is gone without a reason given, or this end
	// closed it without one.
	ErrClosed = errors.New("rtmp: connection closed")
	// ErrGoodbye: the peer sent the command close.
	ErrGoodbye = errors.New("rtmp: peer said goodbye")
	// ErrSlow: the peer took nothing for backlog.Patience, or the outboxes of
	// the process were too full and this peer's was the worst.
	ErrSlow = errors.New("rtmp: peer does not read fast enough")
	// ErrSilent: nothing came for Config.PingTimeout, not even answers to pings.
	ErrSilent = errors.New("rtmp: peer gave no sign of life")
	// ErrTimeout: handshake and connect took longer than Config.HandshakeTimeout.
	ErrTimeout = errors.New("rtmp: peer took too long to connect")
	// ErrBusy: MaxRequests calls of this end wait for answers already.
	ErrBusy = errors.New("rtmp: too many calls without an answer")
)

// Breaches of the protocol that end a session, wrapped by a *ProtocolError.
var (
	ErrMessageSize = errors.New("message too long")
	ErrStalled     = errors.New("unfinished message made no progress for 10 s")
	// ErrHTTP: a server answers the handshake as a web server does.
	ErrHTTP = errors.New("an HTTP answer")
	// guard.ErrBudget: Config.Partial is used up, and this peer is the worst.
)

// ProtocolError means that the peer broke the protocol; the connection is gone.
type ProtocolError struct {
	Offset uint64 // bytes of the peer before it, counted from the end of the handshake
	Err    error
}

func (e *ProtocolError) Error() string {
	return fmt.Sprintf("rtmp: byte %d: %v", e.Offset, e.Err)
}

func (e *ProtocolError) Unwrap() error { return e.Err }

// normalize turns the many errors of a connection that has ended into
// ErrClosed.
func normalize(err error) error {
	for _, gone := range []error{
		io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, net.ErrClosed,
		syscall.ECONNRESET, syscall.EPIPE, syscall.ECONNABORTED,
	} {
		if errors.Is(err, gone) {
			return ErrClosed
		}
	}
	if errors.Is(err, backlog.ErrStuck) {
		return ErrSlow
	}
	return err
}
