//go:build linux

package main

import (
	"context"
	"net"
	"slices"
	"time"

	"foyer/server/amf"
	"foyer/server/rtmp"
)

// conn is a client without a session, so that the load costs little beside the
// server. One goroutine reads, which also answers pings; another may write whole
// messages to nc meanwhile.
type conn struct {
	*rtmp.Conn
	nc net.Conn
}

// dial connects a client to an application at addr.
func dial(addr, app string, args ...amf.Value) (*conn, error) {
	nc, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return nil, err
	}
	return connect(nc, app, args...)
}

// connect does the handshake and connect. When it fails, nc is closed.
func connect(nc net.Conn, app string, args ...amf.Value) (*conn, error) {
	c, err := rtmp.NewClientConn(context.Background(), nc, nil)
	if err != nil {
		return nil, err
	}
	_, err = rtmp.Connect(context.Background(), c, &rtmp.ConnectRequest{
		App: app, FlashVer: "LNX 10,0,32,18", TCURL: "rtmp://" + nc.RemoteAddr().String() + "/" + app, Args: args,
	})
	return &conn{c, nc}, err
}

// command packs a command for a message stream.
func command(stream uint32, name string, transaction float64, args ...amf.Value) []byte {
	var b []byte
	for _, v := range append([]amf.Value{amf.String(name), amf.Number(transaction), amf.Null{}}, args...) {
		b = amf.Append(b, v)
	}
	return rtmp.Pack(rtmp.Message{Type: rtmp.TypeCommandAMF0, StreamID: stream, Payload: b})
}

// await reads up to the next command of one of these names.
func (c *conn) await(names ...amf.Value) error {
	for {
		m, err := c.ReadMessage()
		if err != nil {
			return err
		}
		if m.Type != rtmp.TypeCommandAMF0 {
			continue
		}
		if name, err := amf.NewDecoder(m.Payload).Next(); err == nil && slices.Contains(names, name) {
			return nil
		}
	}
}

// drain reads until the connection is closed. counted is told how many bytes
// each message took.
func (c *conn) drain(counted func(bytes int)) {
	for m, err := c.ReadMessage(); err == nil; m, err = c.ReadMessage() {
		counted(rtmp.PackedLen(&m))
	}
}
