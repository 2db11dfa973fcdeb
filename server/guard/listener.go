package guard

import (
	"net"
	"net/netip"
	"sync/atomic"
)

// Listen counts the sockets that ln accepts, and closes at once those that are
// too many: for the process, or for an address that has many more than it may
// have connections. The nature and the true origin of a connection are not
// known yet: Enter looks at those.
func (g *Guard) Listen(ln net.Listener) net.Listener { return &listener{ln, g} }

// Connections is how many sockets of Listen and Dialed are open.
func (g *Guard) Connections() int { return int(g.sockets.Load()) }

type listener struct {
	net.Listener
	g *Guard
}

// Accept returns the next connection that is let in.
func (l *listener) Accept() (net.Conn, error) {
	for {
		nc, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		addr := AddrPort(nc.RemoteAddr()).Addr()
		place, r := l.g.accept(addr)
		if r == nil {
			if tcp, ok := nc.(*net.TCPConn); ok {
				return &acceptedTCP{tcpConn{tcp, socket{of: l.g, addr: place.addr}}}, nil
			}
			return &accepted{conn{nc, socket{of: l.g, addr: place.addr}}}, nil
		}
		l.g.Refuse(addr, r)
		nc.Close()
	}
}

// accept counts a socket, for the process and for its address.
func (g *Guard) accept(addr netip.Addr) (Place, *Refusal) {
	n := g.sockets.Add(1)
	l := g.limits.Load()
	if l == nil {
		return Place{}, nil
	}
	var place Place
	var r *Refusal
	switch exempt, proxy := Contains(l.Exempt, addr), Contains(l.Proxies, addr); {
	case l.Connections > 0 && n > l.sockets(exempt || proxy):
		r = noSocket()
	case !exempt && !proxy:
		no := Refusal{Limit: "address-connections", Reason: tooManyConnections, RetryAfter: retryConnection}
		place, r = g.hold(addr, l, ofSocket, socketsPerConnection*l.AddressConnections, no)
	}
	if r != nil {
		g.sockets.Add(-1)
	}
	return place, r
}

// sockets is how many sockets there may be for one more to be let in. Operators
// may use all of them. A connection that comes by a proxy is looked at again by
// Enter.
func (l *Limits) sockets(all bool) int64 {
	if all {
		return int64(l.Connections)
	}
	return int64(l.Connections - min(l.Reserve, l.Connections/2))
}

func noSocket() *Refusal {
	return &Refusal{Limit: "connections", Reason: full, RetryAfter: retryConnection}
}

// A socket is counted until it is released.
type socket struct {
	of     *Guard
	addr   *address // counts it as well; nil: no address does
	closed atomic.Bool
}

// release ends the counting. Only the first call has an effect.
func (s *socket) release() {
	if s.closed.Swap(true) {
		return
	}
	s.of.sockets.Add(-1)
	p := Place{s.addr, ofSocket}
	p.Leave()
}

// Sockets that count until they are closed. A tcpConn can still do everything
// that a *net.TCPConn can. Code that reads and writes best with a *net.TCPConn
// may take that from an accepted socket (see Raw).
type (
	conn struct {
		net.Conn
		socket
	}
	tcpConn struct {
		*net.TCPConn
		socket
	}
	accepted    struct{ conn }
	acceptedTCP struct{ tcpConn }
)

// Close closes the socket.
func (c *conn) Close() error {
	defer c.release()
	return c.Conn.Close()
}

// Close closes the socket.
func (c *tcpConn) Close() error {
	defer c.release()
	return c.TCPConn.Close()
}

// Plain is the connection without the counting.
func (c *accepted) Plain() net.Conn { return c.Conn }

// Plain is the connection without the counting.
func (c *acceptedTCP) Plain() net.Conn { return c.TCPConn }

// Dialed counts a socket that this process has opened until it is closed, since
// it takes a descriptor as well. It is never refused.
func (g *Guard) Dialed(nc net.Conn) net.Conn {
	g.sockets.Add(1)
	if tcp, ok := nc.(*net.TCPConn); ok {
		return &tcpConn{tcp, socket{of: g}}
	}
	return &conn{nc, socket{of: g}}
}

// Raw is the connection below those of Listen and ListenProxied: a
// *net.TCPConn, which alone writes several pieces in one system call. nc has to
// be closed as well. Any other connection is returned as it is.
func Raw(nc net.Conn) net.Conn {
	if w, ok := nc.(interface{ Plain() net.Conn }); ok {
		return w.Plain()
	}
	return nc
}

// Counted is the part of a connection that has to be closed, when its beginning
// has been read and Raw is used for the rest.
func Counted(nc net.Conn) net.Conn {
	if p, ok := nc.(*proxyConn); ok {
		return p.Conn
	}
	return nc
}
