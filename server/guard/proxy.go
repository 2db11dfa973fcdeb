package guard

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"
)

// ProxyTimeout is how long a PROXY header may take, from the first look at the
// connection to its last byte.
const ProxyTimeout = 5 * time.Second

// ErrProxyHeader ends a connection that begins with a PROXY header it may not
// send, or with a broken one. The guard has logged that.
var ErrProxyHeader = errors.New("guard: PROXY header refused")

var (
	errLateProxy     = errors.New("no end of the PROXY header in time")
	errSilentProxy   = errors.New("guard: nothing came from the proxy in time")
	errProxyStranger = errors.New("a PROXY header from an address that --trusted-proxies does not name")
)

// Trusted reports whether addr is a proxy that is believed about its clients'
// addresses.
func (g *Guard) Trusted(addr netip.Addr) bool {
	l := g.limits.Load()
	return l != nil && Contains(l.Proxies, addr)
}

// ListenProxied gives the connections of ln the addresses that they really come
// from. RemoteAddr of one that a trusted proxy brings is the client in the
// PROXY header, if there is one. From anybody else such a header ends the
// connection: reading fails with ErrProxyHeader.
//
// Accept never waits for a header. The first RemoteAddr or Read of a connection
// does, for ProxyTimeout at most. With TLS it goes below the TLS listener,
// since the header comes before the TLS handshake.
func (g *Guard) ListenProxied(ln net.Listener) net.Listener { return &proxyListener{ln, g} }

type proxyListener struct {
	net.Listener
	g *Guard
}

// Accept returns the next connection. Nothing has been read from it.
func (l *proxyListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &proxyConn{Conn: nc, g: l.g}, nil
}

// A proxyConn is a connection that may begin with a PROXY header.
type proxyConn struct {
	net.Conn
	g *Guard

	once  sync.Once // sets what follows
	from  net.Addr
	named bool  // from is named by a trusted proxy
	err   error // why nothing can be read

	// owned by the goroutine that reads
	rest  []byte // has been read, and is not a header
	begun bool   // the first Read has found no header
}

// meet reads the header of a trusted proxy.
func (c *proxyConn) meet() {
	c.once.Do(func() {
		c.from = c.Conn.RemoteAddr()
		peer := AddrPort(c.from)
		if !c.g.Trusted(peer.Addr()) {
			return // Read looks whether there is one
		}
		// Not a deadline, since the reader may have set one.
		late := time.AfterFunc(ProxyTimeout, func() { c.Conn.Close() })
		from, rest, err := readProxyHeader(c.Conn)
		inTime := late.Stop()
		switch {
		case errors.Is(err, errProxyHeader):
			c.refuse(peer.Addr(), err)
		case !inTime && len(rest) > 0:
			c.refuse(peer.Addr(), errLateProxy)
		case !inTime:
			c.err = errSilentProxy
		case err != nil:
			c.err = err
		case from.IsValid():
			c.from, c.named = net.TCPAddrFromAddrPort(from), true
		}
		c.rest, c.begun = rest, true
	})
}

// refuse ends the connection for its reader. The peer may still be told why.
func (c *proxyConn) refuse(addr netip.Addr, why error) {
	c.err = ErrProxyHeader
	c.g.Refuse(addr, &Refusal{Limit: "proxy", Reason: "This server takes no PROXY header from your address."}, "err", why)
}

// RemoteAddr returns the address of the client, if a trusted proxy has named
// one. The first call may wait for it.
func (c *proxyConn) RemoteAddr() net.Addr {
	c.meet()
	return c.from
}

// Read reads the bytes after the header.
func (c *proxyConn) Read(p []byte) (int, error) {
	c.meet()
	switch {
	case c.err != nil:
		return 0, c.err
	case len(c.rest) > 0:
		n := copy(p, c.rest)
		c.rest = c.rest[n:]
		return n, nil
	case !c.begun && len(p) > 0:
		return c.first(p)
	}
	return c.Conn.Read(p)
}

// first is the first Read of a connection that may not send a header.
func (c *proxyConn) first(p []byte) (n int, err error) {
	c.begun = true
	for {
		var k int
		k, err = c.Conn.Read(p[n:])
		n += k
		yes, maybe := begins(p[:n])
		if yes {
			c.refuse(AddrPort(c.from).Addr(), errProxyStranger)
			return 0, c.err
		}
		if !maybe || err != nil || n == len(p) {
			break
		}
	}
	if n > 0 {
		err = nil // the next Read returns it again
	}
	return n, err
}

// ReadFrom lets the kernel copy files, where it can.
func (c *proxyConn) ReadFrom(r io.Reader) (int64, error) { return io.Copy(c.Conn, r) }

// CloseWrite closes the writing half of the connection.
func (c *proxyConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// Plain returns the connection without the layers of ListenProxied and Listen,
// once its beginning has been read: then they have nothing more to give. c has
// to be closed as well.
func (c *proxyConn) Plain() net.Conn {
	if c.begun && c.err == nil && len(c.rest) == 0 {
		return Raw(c.Conn)
	}
	return c
}

// Named reports whether a trusted proxy has named the RemoteAddr of a
// connection, which may be one of TLS. It may wait as RemoteAddr does.
func Named(nc net.Conn) bool {
	c := proxyOf(nc)
	if c == nil {
		return false
	}
	c.meet()
	return c.named
}

// Awaited reports whether RemoteAddr of a connection, which may be one of TLS,
// may wait for a proxy's header. Of a connection that is not from ListenProxied
// nobody knows, so it may.
func Awaited(nc net.Conn) bool {
	c := proxyOf(nc)
	return c == nil || c.g.Trusted(AddrPort(c.Conn.RemoteAddr()).Addr())
}

// proxyOf is the connection of ListenProxied below nc, or nil.
func proxyOf(nc net.Conn) *proxyConn {
	if over, ok := nc.(interface{ NetConn() net.Conn }); ok {
		nc = over.NetConn()
	}
	c, _ := nc.(*proxyConn)
	return c
}

// AddrPort is the address and port of a network address, in the one form in
// which addresses are compared: IPv4 as IPv4, and without a zone. It is invalid
// when there is none.
func AddrPort(a net.Addr) netip.AddrPort {
	if a == nil {
		return netip.AddrPort{}
	}
	if tcp, ok := a.(*net.TCPAddr); ok {
		return plain(tcp.AddrPort())
	}
	ap, _ := netip.ParseAddrPort(a.String())
	return plain(ap)
}

func plain(ap netip.AddrPort) netip.AddrPort {
	if ap.Addr().Is4() {
		return ap // the usual case, which needs no stack
	}
	return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port())
}
