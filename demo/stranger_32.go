//go:build 386 || arm || mips || mipsle

package demo

import (
	"context"
	"net"
)

// CanBroadcast reports whether this build can broadcast. go-rtmp does not build
// where an int has 32 bits.
const CanBroadcast = false

// A publisher is never made here: [Broadcast.Run] returns [ErrCannot] before.
type publisher struct{ ended chan struct{} }

func publish(context.Context, net.Conn, string, string, string) (*publisher, error) {
	return nil, ErrCannot
}

func (p *publisher) send(tag, int64) error { return ErrCannot }
func (p *publisher) reason() error         { return ErrCannot }
func (p *publisher) close()                {}
