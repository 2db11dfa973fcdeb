package server

import (
	"net/netip"

	"foyer/server/amf"
	"foyer/server/backlog"
)

// A Peer is what an instance needs of a connection. Its methods never block
// and may be called by any goroutine. None is called before the application
// has accepted the client.
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
// it: Accept runs before anything is pushed, so a peer that queues its success
// there has it in front of whatever the application says in OnConnect.
type Accepter interface{ Accept() }

// A Voucher is a Peer whose address has it counted as one of its connections,
// until the application finds that it belongs to this site: see Client.Vouch.
type Voucher interface{ Vouch() }

// A Pacer is a Peer that knows how far behind with reading the other side is.
// Without it a peer is taken to read everything at once.
type Pacer interface {
	Level() backlog.Level
	// WhenInStep calls f, on any goroutine, when Level is InStep: at once, or
	// later, or never, when the peer goes before. Only the last f counts.
	WhenInStep(f func())
}

// Request is what a peer said when it came.
type Request struct {
	Path     string // "room/blue", query allowed
	Args     amf.Args
	Addr     netip.AddrPort
	Agent    string
	Referrer string
	PageURL  string
	URI      string
	Protocol string // "rtmp", "rtmps", "ws", "wss"
	Named    bool   // Addr is what a trusted proxy has named
	AMF3     bool
	// Reconnects says that the peer understands ReconnectRequest.
	Reconnects bool

	node nodeKind // what another node wants; set when it has proved to be one
}

// deaf is the peer of an instance's local client: nobody listens there.
type deaf struct{}

func (deaf) Push(*Push) error { return nil }
func (deaf) Close(error)      {}
func (deaf) Request(string, []amf.Value, func(amf.Value, error)) error {
	return ErrNotRunning
}
