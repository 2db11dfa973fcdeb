package rtmptest

import (
	"net"
	"testing"

	"foyer/server/amf"
	"foyer/server/rtmp"
)

// Peer is a client that follows a test, which says what it sends and what it
// must get, message by message. Anything that goes wrong fails the test.
type Peer struct {
	*rtmp.Conn
	t  testing.TB
	nc net.Conn
}

// A Command is a command that a Peer received.
type Command struct {
	Stream uint32
	Name   string
	Tx     float64
	Args   amf.Args // the command object first
}

// Code returns the code of the first information object among the arguments.
func (c *Command) Code() string {
	for _, v := range c.Args {
		if code, ok := amf.AsString(amf.Lookup(v, "code")); ok {
			return code
		}
	}
	return ""
}

// NewPeer does the client's handshake on nc.
func NewPeer(t testing.TB, nc net.Conn) *Peer {
	t.Helper()
	c, err := rtmp.NewClientConn(t.Context(), nc, nil)
	if err != nil {
		t.Fatalf("handshake: %v", err)
	}
	return &Peer{c, t, nc}
}

// Connect connects to app and must be accepted. After that nothing is read or
// written unless the test asks for it.
func (p *Peer) Connect(app string, args ...amf.Value) {
	p.t.Helper()
	if _, err := rtmp.Connect(p.t.Context(), p.Conn, &rtmp.ConnectRequest{App: app, Args: args}); err != nil {
		p.t.Fatalf("connect: %v", err)
	}
}

// Raw returns the connection below, for a test that reads bytes as slowly as it
// likes.
func (p *Peer) Raw() net.Conn { return p.nc }

// Send sends a message.
func (p *Peer) Send(m rtmp.Message) {
	p.t.Helper()
	if err := p.WriteMessage(m); err != nil {
		p.t.Fatalf("sending %v: %v", m.Type, err)
	}
}

// Command sends a command on a message stream; values begin with the command
// object.
func (p *Peer) Command(stream uint32, name string, tx float64, values ...amf.Value) {
	p.t.Helper()
	b := amf.Append(amf.Append(nil, amf.String(name)), amf.Number(tx))
	for _, v := range values {
		b = amf.Append(b, v)
	}
	p.Send(rtmp.Message{Type: rtmp.TypeCommandAMF0, StreamID: stream, Payload: b})
}

// Next returns the next message other than a control message.
func (p *Peer) Next() rtmp.Message {
	p.t.Helper()
	m, err := p.ReadMessage()
	if err != nil {
		p.t.Fatalf("reading: %v", err)
	}
	return m
}

// NextCommand returns the next command; audio, video and data are skipped.
func (p *Peer) NextCommand() *Command {
	p.t.Helper()
	for {
		m := p.Next()
		switch b := m.Payload; m.Type {
		case rtmp.TypeCommandAMF3:
			return p.parse(m.StreamID, b[1:])
		case rtmp.TypeCommandAMF0:
			return p.parse(m.StreamID, b)
		}
	}
}

func (p *Peer) parse(stream uint32, b []byte) *Command {
	p.t.Helper()
	args, err := amf.NewDecoder(b).Rest()
	if err != nil || len(args) < 2 {
		p.t.Fatalf("command %x: %v", b, err)
	}
	c := &Command{Stream: stream, Args: args[2:]}
	c.Name, _ = amf.AsString(args[0])
	c.Tx, _ = amf.AsNumber(args[1])
	return c
}

// Expect returns the next command, which must have that name and the
// transaction tx.
func (p *Peer) Expect(name string, tx float64) *Command {
	p.t.Helper()
	c := p.NextCommand()
	if c.Name != name || c.Tx != tx {
		p.t.Fatalf("got %s(%v) %v, want %s(%v)", c.Name, c.Tx, c.Args, name, tx)
	}
	return c
}

// ExpectStatus returns the next command, which must be an onStatus with that
// code, on that message stream.
func (p *Peer) ExpectStatus(stream uint32, code string) *Command {
	p.t.Helper()
	c := p.Expect("onStatus", 0)
	if c.Code() != code || c.Stream != stream {
		p.t.Fatalf("got status %s on stream %d, want %s on %d", c.Code(), c.Stream, code, stream)
	}
	return c
}
