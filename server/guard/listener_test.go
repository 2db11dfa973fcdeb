package guard

import (
	"net"
	"net/netip"
	"testing"
)

// addressed is a connection that says where it comes from.
type addressed struct {
	net.Conn
	addr   net.Addr
	closed chan struct{}
}

func (c addressed) RemoteAddr() net.Addr { return c.addr }
func (c addressed) Close() error         { close(c.closed); return c.Conn.Close() }

// coming is a listener to which connections come by a channel.
type coming chan net.Conn

func (c coming) Accept() (net.Conn, error) { return <-c, nil }
func (c coming) Close() error              { return nil }
func (c coming) Addr() net.Addr            { return &net.TCPAddr{} }

func TestListen(t *testing.T) {
	var g Guard
	g.Set(Limits{
		Connections: 20, Reserve: 4, AddressConnections: 2,
		Exempt: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
	})
	from := make(coming, 1)
	ln := g.Listen(from)
	// dial lets a connection come, and behind it a marker that is always
	// accepted.
	dial := func(addr string) (net.Conn, bool) {
		a, b := net.Pipe()
		defer b.Close()
		closed := make(chan struct{})
		accepted := make(chan net.Conn, 1)
		go func() {
			nc, _ := ln.Accept()
			accepted <- nc
		}()
		from <- addressed{a, net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(addr), 1)), closed}
		select {
		case nc := <-accepted:
			return nc, true
		case <-closed:
			g.sockets.Add(-1000) // let the next one in, whoever it is
			c, d := net.Pipe()
			defer d.Close()
			from <- addressed{c, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, make(chan struct{})}
			(<-accepted).Close()
			g.sockets.Add(1000)
			return nil, false
		}
	}
	open := func(addr string, n int) (conns []net.Conn) {
		t.Helper()
		for i := range n {
			nc, ok := dial(addr)
			if !ok {
				t.Fatalf("socket %d of %s is closed at once", i, addr)
			}
			conns = append(conns, nc)
		}
		return conns
	}
	refused := func(addr string, why string) {
		t.Helper()
		before := g.Refused()[why]
		if _, ok := dial(addr); ok {
			t.Fatalf("one more of %s is let in", addr)
		}
		if g.Refused()[why] != before+1 {
			t.Errorf("counted %v, want one more of %s", g.Refused(), why)
		}
	}
	mine := open("192.0.2.1", 8)
	refused("192.0.2.1", "address-connections")
	open("10.0.0.1", 8) // a proxy
	refused("192.0.2.2", "connections")
	open("127.0.0.1", 4)
	refused("127.0.0.1", "connections")
	if _, r := g.Enter(netip.MustParseAddr("192.0.2.3")); r == nil || r.Limit != "connections" {
		t.Errorf("a stranger behind the proxy: %+v", r)
	}
	for _, nc := range mine {
		nc.Close()
	}
	if n := g.Connections(); n != 12 {
		t.Errorf("%d are open, want 12", n)
	}
	open("192.0.2.1", 4)
	refused("192.0.2.1", "connections") // the rest is for operators
}

// TestListenTCP: everything that only a *net.TCPConn can do still works.
func TestListenTCP(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var g Guard
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	nc, err := g.Listen(ln).Accept()
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := Raw(nc).(*net.TCPConn); !ok {
		t.Errorf("below is a %T", Raw(nc))
	}
	if _, ok := nc.(interface{ CloseWrite() error }); !ok {
		t.Error("it cannot close its half")
	}
	if g.Connections() != 1 {
		t.Errorf("%d are open", g.Connections())
	}
	if d := g.Dialed(c); g.Connections() != 2 {
		t.Errorf("with one that was dialed %d are open", g.Connections())
	} else {
		d.Close()
	}
	nc.Close()
	nc.Close() // does nothing
	if g.Connections() != 0 {
		t.Errorf("%d are open after the end", g.Connections())
	}
}
