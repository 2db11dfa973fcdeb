package server

import (
	"net/netip"
	"sync"

	"foyer/server/amf"
	"foyer/server/backlog"
	"foyer/server/rtmp"
	"foyer/server/sharedobject"
)

// A Peer is a connection as an instance needs it. Its methods never block and
// may be called by any goroutine. None is called before the application has
// accepted the client.
type Peer interface {
	// Push queues something for the peer. An error means that the peer is gone
	// or going: nobody needs to act on it.
	Push(*Push) error
	// Request calls a method of the peer; done runs once, on any goroutine,
	// unless Request returns an error: then it never runs.
	Request(method string, args []amf.Value, done func(amf.Value, error)) error
	// Close ends the connection. A *rtmp.StatusError is told to the peer first.
	Close(reason error)
}

// An Accepter is a Peer that wants to know when the application has accepted
// it. Accept runs before anything is pushed: a peer that queues its success
// there has it in front of everything that the application says in OnConnect.
type Accepter interface{ Accept() }

// A Voucher is a Peer that counts as a connection of its address, until the
// application finds that it belongs to this site: see Client.Vouch.
type Voucher interface{ Vouch() }

// A Pacer is a Peer that knows how far behind the other side is with reading.
// Any other peer is taken to read everything at once.
type Pacer interface {
	Level() backlog.Level
	// WhenInStep calls f, on any goroutine, when Level is InStep: at once,
	// later, or never if the peer goes before that. Only the last f counts.
	WhenInStep(f func())
}

// Request is what a peer said when it connected.
type Request struct {
	Path     string // "room/blue", query allowed
	Args     amf.Args
	Addr     netip.AddrPort
	Agent    string
	Referrer string
	PageURL  string
	URI      string
	Protocol string // "rtmp", "rtmps", "ws", "wss"
	Named    bool   // a trusted proxy has named Addr
	AMF3     bool
	// Reconnects says that the peer understands ReconnectRequest.
	Reconnects bool

	node   nodeKind // the purpose of another node; set when it has proved to be one
	stream string   // the name of a stream that was typed behind the instance; see typed.go
}

// deaf is the peer of an instance's local client. It listens to nothing.
type deaf struct{}

func (deaf) Push(*Push) error { return nil }
func (deaf) Close(error)      {}
func (deaf) Request(string, []amf.Value, func(amf.Value, error)) error {
	return ErrNotRunning
}

// A Push is one thing that any number of clients are told, encoded at most once
// for each wire form. Exactly one of Method, SharedObject and Status is set. It
// must not be changed or copied once it has been pushed.
type Push struct {
	Method       string // a call without an answer
	Args         []amf.Value
	SharedObject *sharedobject.Message
	Status       *rtmp.StatusError // onStatus on the NetConnection

	forms [formCount]form
}

type form struct {
	once  sync.Once
	bytes *backlog.Bytes
}

// Form is a way to write a Push.
type Form uint8

const (
	AMF0 Form = iota // RTMP chunks of a type 20 or 19 message
	AMF3             // RTMP chunks of a type 17 or 16 message
	JSON             // a frame of the WebSocket bridge
	formCount
)

func (f Form) String() string {
	return [...]string{"AMF0", "AMF3", "JSON"}[f]
}

// Bytes returns the form of p, made by encode the first time it is asked for.
// The bytes are shared and must not be changed.
func (p *Push) Bytes(f Form, encode func(*Push) []byte) *backlog.Bytes {
	p.forms[f].once.Do(func() { p.forms[f].bytes = backlog.Share(encode(p)) })
	return p.forms[f].bytes
}

// pack0 and pack3 encode p for RTMP peers of object encoding 0 and 3.
func pack0(p *Push) []byte { return p.pack(0) }
func pack3(p *Push) []byte { return p.pack(3) }

func (p *Push) pack(encoding int) []byte {
	switch {
	case p.SharedObject != nil && encoding == 3:
		return rtmp.Pack(rtmp.Message{Type: rtmp.TypeSharedObjectAMF3, Payload: p.SharedObject.Append(nil, true)})
	case p.SharedObject != nil:
		return rtmp.Pack(rtmp.Message{Type: rtmp.TypeSharedObjectAMF0, Payload: p.SharedObject.Append(nil, false)})
	case p.Status != nil:
		return rtmp.Pack(rtmp.StatusMessage(encoding, p.Status))
	}
	return rtmp.Pack(rtmp.CallMessage(encoding, p.Method, p.Args...))
}
