package server

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"foyer/server/amf"
	"foyer/server/guard"
	"foyer/server/rtmp"
)

// TestProxied: a client that a trusted proxy brings has its own address. With
// TLS too, the header comes before its handshake.
func TestProxied(t *testing.T) {
	cert := httptest.NewTLSServer(nil)
	defer cert.Close()
	for _, tt := range []struct {
		name, header, want string
		tls, person        bool
	}{
		{"no header", "", "127.0.0.1", false, false},
		{"version 1", "PROXY TCP4 203.0.113.7 203.0.113.1 4660 1935\r\n", "203.0.113.7", false, true},
		{"a private network", "PROXY TCP4 192.168.1.7 203.0.113.1 4660 1935\r\n", "192.168.1.7", false, true},
		{"version 1 before TLS", "PROXY TCP6 fd00::1 2001:db8::2 4660 1935\r\n", "fd00::1", true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var from, person netip.Addr
			h := newHost(t, same(&testApp{connect: func(c *Client, _ amf.Args) error { from, person = c.IP(), c.Person(); return nil }}))
			h.Guard = &guard.Guard{Log: h.Log}
			h.Guard.Set(guard.Limits{Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			addr, proxied := ln.Addr().String(), h.Guard.ListenProxied(ln)
			if tt.tls {
				proxied = tls.NewListener(proxied, &tls.Config{Certificates: cert.TLS.Certificates})
			}
			var serving sync.WaitGroup
			ctx, stop := context.WithCancel(t.Context())
			serving.Go(func() { h.Serve(ctx, proxied) })
			defer serving.Wait()
			defer stop()
			nc, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(nc, tt.header); err != nil {
				t.Fatal(err)
			}
			if tt.tls {
				nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
			}
			conn, err := rtmp.NewClientConn(ctx, nc, &h.Config)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := rtmp.Connect(ctx, conn, &rtmp.ConnectRequest{App: "app/x"}); err != nil {
				t.Fatal(err)
			}
			if from.String() != tt.want || person.IsValid() != tt.person {
				t.Errorf("comes from %v, want %s; a person at %v", from, tt.want, person)
			}
		})
	}
}

// TestProxySilent: a host that stops does not wait for the header of a silent
// proxy.
func TestProxySilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, same(&testApp{}))
		client, server := net.Pipe()
		defer client.Close()
		ctx, cancel := context.WithCancel(t.Context())
		var served sync.WaitGroup
		served.Go(func() { h.serveConn(ctx, unsaid{server}) })
		synctest.Wait()
		begun := time.Now()
		cancel()
		served.Wait()
		if took := time.Since(begun); took != 0 {
			t.Errorf("took %v", took)
		}
	})
}

// unsaid is a connection whose address is known when it is closed.
type unsaid struct{ net.Conn }

func (u unsaid) RemoteAddr() net.Addr {
	u.Conn.Read(make([]byte, 1))
	return u.Conn.RemoteAddr()
}

// TestPerson: an address that many people share stands for nobody, unless a
// trusted proxy has named it, also by way of another node.
func TestPerson(t *testing.T) {
	for addr, want := range map[string]bool{
		"203.0.113.7": true, "2001:db8::1": true, "127.0.0.1": false, "10.1.2.3": false, "192.168.1.1": false, "169.254.1.1": false,
		"100.64.1.1": false, "::1": false, "fd00::1": false, "fe80::1": false,
	} {
		for _, named := range []bool{false, true} {
			r := Request{Addr: netip.AddrPortFrom(netip.MustParseAddr(addr), 7), Named: named}
			if got := (&Client{req: &r}).Person().IsValid(); got != (want || named) {
				t.Errorf("%s, named %t: got %t", addr, named, got)
			}
			a, n, err := parseAddrText(addrText(&r))
			if err != nil || a != r.Addr || n != named {
				t.Errorf("%s, named %t: travels as %v, %t, %v", addr, named, a, n, err)
			}
		}
	}
}
