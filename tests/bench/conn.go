package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"

	"foyer/server/amf"
	"foyer/server/rtmp"
)

// conn is a minimal RTMP client, so that the load costs little beside the
// server: the bytes it sends are made beforehand, and it only splits what it
// reads into messages.
type conn struct {
	net.Conn
	buf     []byte // unread bytes
	n       int
	chunk   int // what the server announced
	partial []byte
	head    header
}

type header struct {
	length int
	kind   rtmp.MessageType
}

var hello = append([]byte{3}, make([]byte, 1536)...)

// dial connects to addr and does the plain handshake.
func dial(addr string) (*conn, error) {
	nc, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return nil, err
	}
	if _, err := nc.Write(hello); err != nil {
		return nil, err
	}
	var s [1 + 1536 + 1536]byte
	if _, err := io.ReadFull(nc, s[:]); err != nil {
		return nil, fmt.Errorf("reading the handshake: %w", err)
	}
	if _, err := nc.Write(s[1:1537]); err != nil {
		return nil, err
	}
	return &conn{Conn: nc, chunk: 128}, nil
}

// command packs a command for the stream 0.
func command(name string, transaction float64, object amf.Value, args ...amf.Value) []byte {
	b := amf.Append(nil, amf.String(name))
	b = amf.Append(b, amf.Number(transaction))
	b = amf.Append(b, object)
	for _, a := range args {
		b = amf.Append(b, a)
	}
	return chunks(b)
}

// chunks packs the payload of a command in chunks of 128 bytes, the size that
// need not be announced.
func chunks(payload []byte) []byte {
	b := []byte{3, 0, 0, 0, byte(len(payload) >> 16), byte(len(payload) >> 8), byte(len(payload)), byte(rtmp.TypeCommandAMF0), 0, 0, 0, 0}
	for len(payload) > 128 {
		b = append(append(b, payload[:128]...), 0xC3)
		payload = payload[128:]
	}
	return append(b, payload...)
}

func connectCommand(app, addr string, args ...amf.Value) []byte {
	return command("connect", 1, amf.Object{
		{Name: "app", Value: amf.String(app)},
		{Name: "flashVer", Value: amf.String("LNX 10,0,32,18")},
		{Name: "tcUrl", Value: amf.String("rtmp://" + addr + "/" + app)},
	}, args...)
}

// connect sends connect and waits for the answer, which must be a _result.
func (c *conn) connect(app string, args ...amf.Value) error {
	if _, err := c.Write(connectCommand(app, c.RemoteAddr().String(), args...)); err != nil {
		return err
	}
	answer, err := c.command("_result", "_error")
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	if name := commandName(answer); name != "_result" {
		return fmt.Errorf("connect was refused: %q", answer)
	}
	return nil
}

// command reads up to the next command of one of these names.
func (c *conn) command(names ...string) ([]byte, error) {
	for {
		kind, payload, err := c.message()
		if err != nil {
			return nil, err
		}
		if kind != rtmp.TypeCommandAMF0 {
			continue
		}
		for _, name := range names {
			if commandName(payload) == name {
				return payload, nil
			}
		}
	}
}

func commandName(payload []byte) string {
	if len(payload) < 3 || int(binary.BigEndian.Uint16(payload[1:]))+3 > len(payload) {
		return ""
	}
	return string(payload[3 : 3+binary.BigEndian.Uint16(payload[1:])])
}

// message reads one message. It expects what servers send to an idle client:
// one chunk stream at a time, and no extended timestamps. It answers pings.
func (c *conn) message() (rtmp.MessageType, []byte, error) {
	c.partial = c.partial[:0]
	for first := true; ; first = false {
		if err := c.header(first); err != nil {
			return 0, nil, err
		}
		n := min(c.chunk, c.head.length-len(c.partial))
		b, err := c.next(n)
		if err != nil {
			return 0, nil, err
		}
		c.partial = append(c.partial, b...)
		if len(c.partial) == c.head.length {
			break
		}
	}
	switch c.head.kind {
	case rtmp.TypeSetChunkSize:
		c.chunk = int(binary.BigEndian.Uint32(c.partial))
	case rtmp.TypeUserControl:
		if len(c.partial) == 6 && c.partial[1] == 6 {
			pong := []byte{2, 0, 0, 0, 0, 0, 6, byte(rtmp.TypeUserControl), 0, 0, 0, 0, 0, 7}
			if _, err := c.Write(append(pong, c.partial[2:]...)); err != nil {
				return 0, nil, err
			}
		}
	}
	return c.head.kind, c.partial, nil
}

func (c *conn) header(first bool) error {
	b, err := c.next(1)
	if err != nil {
		return err
	}
	format := b[0] >> 6
	size := [4]int{11, 7, 3, 0}[format]
	if b, err = c.next(size); err != nil {
		return err
	}
	if size >= 7 {
		c.head = header{int(b[3])<<16 | int(b[4])<<8 | int(b[5]), rtmp.MessageType(b[6])}
	}
	return nil
}

// next returns the next n bytes, which are valid until its next call.
func (c *conn) next(n int) ([]byte, error) {
	for len(c.buf)-c.n < n {
		if c.n > 0 {
			c.buf = c.buf[:copy(c.buf, c.buf[c.n:])]
			c.n = 0
		}
		if len(c.buf)+n > cap(c.buf) || cap(c.buf) < 1024 {
			c.buf = append(make([]byte, 0, max(1024, 2*cap(c.buf), len(c.buf)+n)), c.buf...)
		}
		m, err := c.Conn.Read(c.buf[len(c.buf):cap(c.buf)])
		c.buf = c.buf[:len(c.buf)+m]
		if err != nil {
			return nil, err
		}
	}
	b := c.buf[c.n : c.n+n]
	c.n += n
	return b, nil
}
