package guard

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A pipeListener accepts one end of a pipe, which comes from addr.
type pipeListener struct{ conns chan net.Conn }

func (l *pipeListener) Accept() (net.Conn, error) {
	nc, ok := <-l.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return nc, nil
}
func (l *pipeListener) Close() error   { return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

type pipeEnd struct {
	net.Conn
	from net.Addr
}

func (e pipeEnd) RemoteAddr() net.Addr { return e.from }

// proxied is a connection from that address as ListenProxied of a guard that
// trusts 10.0.0.0/8 and fd00::/8 accepts it, and its other end.
func proxied(t testing.TB, log io.Writer, from string) (client, accepted net.Conn) {
	g := &Guard{Log: slog.New(slog.NewTextHandler(log, nil))}
	g.Set(Limits{Proxies: prefixes("10.0.0.0/8", "fd00::/8")})
	a, b := net.Pipe()
	l := &pipeListener{conns: make(chan net.Conn, 1)}
	l.conns <- pipeEnd{b, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(from))}
	nc, err := g.ListenProxied(l).Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, nc
}

func prefixes(texts ...string) (all []netip.Prefix) {
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

const (
	v2Start = "\r\n\r\n\x00\r\nQUIT\n"
	v2TCP4  = v2Start + "\x21\x11\x00\x0c" + "\xcb\x00\x71\x07" + "\xcb\x00\x71\x01" + "\x12\x34\x00\x50"
	v2TCP6  = v2Start + "\x21\x21\x00\x24" + "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" +
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02" + "\x12\x34\x00\x50"
	v2Mapped = v2Start + "\x21\x21\x00\x24" + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xcb\x00\x71\x07" +
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xcb\x00\x71\x01" + "\x12\x34\x00\x50"
	v2Local = v2Start + "\x20\x00\x00\x00"
	v2TLV   = v2Start + "\x21\x11\x00\x12" + "\xcb\x00\x71\x07" + "\xcb\x00\x71\x01" + "\x12\x34\x00\x50" + "\x05\x00\x03abc"
	v2Unix  = v2Start + "\x21\x31\x00\xd8"
)

func v2Long(n int) string {
	return v2Start + "\x21\x11" + string([]byte{byte(n >> 8), byte(n)}) + "\xcb\x00\x71\x07\xcb\x00\x71\x01\x12\x34\x00\x50"
}

var headers = []struct {
	name, peer, bytes string
	from              string // "": the connection ends
	rest              string
}{
	{"version 1", "10.0.0.1:7", "PROXY TCP4 203.0.113.7 203.0.113.1 4660 80\r\nGET", "203.0.113.7:4660", "GET"},
	{"version 1, IPv6", "10.0.0.1:7", "PROXY TCP6 2001:db8::1 2001:db8::2 4660 80\r\nGET", "[2001:db8::1]:4660", "GET"},
	{"version 1, unknown", "10.0.0.1:7", "PROXY UNKNOWN\r\nGET", "10.0.0.1:7", "GET"},
	{"version 1, unknown with more", "10.0.0.1:7", "PROXY UNKNOWN " + strings.Repeat("f", 90) + "\r\nGET", "10.0.0.1:7", "GET"},
	{"version 2", "10.0.0.1:7", v2TCP4 + "GET", "203.0.113.7:4660", "GET"},
	{"version 2, IPv6", "[fd00::1]:7", v2TCP6 + "GET", "[2001:db8::1]:4660", "GET"},
	{"version 2, mapped", "10.0.0.1:7", v2Mapped + "GET", "203.0.113.7:4660", "GET"},
	{"version 2, of the proxy itself", "10.0.0.1:7", v2Local + "GET", "10.0.0.1:7", "GET"},
	{"version 2, more fields", "10.0.0.1:7", v2TLV + "GET", "203.0.113.7:4660", "GET"},
	{"version 2, a path", "10.0.0.1:7", v2Unix + strings.Repeat("x", 216) + "GET", "10.0.0.1:7", "GET"},
	{"version 2, as long as it may be", "10.0.0.1:7", v2Long(MaxProxyHeader) + strings.Repeat("\x04\x00\x01x", (MaxProxyHeader-12)/4) + "GET", "203.0.113.7:4660", "GET"},
	{"a mapped peer", "[::ffff:10.0.0.1]:7", v2TCP4 + "GET", "203.0.113.7:4660", "GET"},
	{"no header", "10.0.0.1:7", "GET / HTTP/1.1\r\n", "10.0.0.1:7", "GET / HTTP/1.1\r\n"},
	{"no header, the same letter", "10.0.0.1:7", "POST / HTTP/1.1\r\n", "10.0.0.1:7", "POST / HTTP/1.1\r\n"},
	{"no header, short", "10.0.0.1:7", "PRO", "10.0.0.1:7", "PRO"},
	{"nothing", "10.0.0.1:7", "", "10.0.0.1:7", ""},
	{"version 1, too long", "10.0.0.1:7", "PROXY UNKNOWN " + strings.Repeat("f", 92) + "\r\nGET", "", ""},
	{"version 1, without end", "10.0.0.1:7", "PROXY " + strings.Repeat("f", 2000), "", ""},
	{"version 1, cut off", "10.0.0.1:7", "PROXY TCP4 203.0.113.7", "", ""},
	{"version 1, no address", "10.0.0.1:7", "PROXY TCP4 one two 1 2\r\nGET", "", ""},
	{"version 1, no family", "10.0.0.1:7", "PROXY \r\nGET / HTTP/1.1\r\n", "", ""},
	{"version 2, cut off", "10.0.0.1:7", v2TCP4[:20], "", ""},
	{"version 2, no version", "10.0.0.1:7", v2Start + "\x11\x11\x00\x0c0123456789ab", "", ""},
	{"version 2, too long", "10.0.0.1:7", v2Long(MaxProxyHeader + 1), "", ""},
	{"version 2, longest", "10.0.0.1:7", v2Long(65535), "", ""},
	{"a stranger, version 1", "203.0.113.9:7", "PROXY TCP4 203.0.113.7 203.0.113.1 4660 80\r\nGET", "", ""},
	{"a stranger, version 2", "203.0.113.9:7", v2TCP4 + "GET", "", ""},
	{"a stranger, no header", "203.0.113.9:7", "GET / HTTP/1.1\r\n", "203.0.113.9:7", "GET / HTTP/1.1\r\n"},
	{"a stranger, the same letter", "203.0.113.9:7", "POST / HTTP/1.1\r\n", "203.0.113.9:7", "POST / HTTP/1.1\r\n"},
	{"a stranger, nothing", "203.0.113.9:7", "", "203.0.113.9:7", ""},
	{"a stranger, short", "203.0.113.9:7", "PRO", "203.0.113.9:7", "PRO"},
}

func TestProxyHeader(t *testing.T) {
	for _, tt := range headers {
		for _, piece := range []int{1, 7, 1 << 20} {
			t.Run(tt.name, func(t *testing.T) { testProxyHeader(t, tt.peer, tt.bytes, piece, tt.from, tt.rest) })
		}
	}
}

// testProxyHeader sends bytes in pieces of that size.
func testProxyHeader(t *testing.T, peer, bytes string, piece int, from, rest string) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		client, nc := proxied(t, &log, peer)
		go func() { // ends with the pipe; the bubble waits for it
			for b := []byte(bytes); len(b) > 0; {
				n, err := client.Write(b[:min(piece, len(b))])
				if err != nil {
					return
				}
				b = b[n:]
			}
			client.Close()
		}()
		addr := AddrPort(nc.RemoteAddr()).String()
		got, err := io.ReadAll(nc)
		nc.Close()
		if from == "" {
			if !errors.Is(err, ErrProxyHeader) || len(got) > 0 || strings.Count(log.String(), "limit=proxy") != 1 {
				t.Errorf("got %q, %v, logged %q", got, err, log.String())
			}
			return
		}
		if err != nil || addr != from || string(got) != rest || log.Len() > 0 {
			t.Errorf("%s: got %q, %v, logged %q", addr, got, err, log.String())
		}
	})
}

// TestProxyHeaderIsBoundedInTime: Accept does not wait at all, and a Read does
// not wait long.
func TestProxyHeaderIsBoundedInTime(t *testing.T) {
	for _, tt := range []struct {
		name, beginning string
		want            error
	}{
		{"silence", "", errSilentProxy}, {"a piece", "PRO", ErrProxyHeader}, {"most of it", v2TCP4[:20], ErrProxyHeader},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, nc := proxied(t, io.Discard, "10.0.0.1:7")
				go client.Write([]byte(tt.beginning)) // ends with the pipe
				begun := time.Now()
				if got := AddrPort(nc.RemoteAddr()); got.String() != "10.0.0.1:7" {
					t.Errorf("from %v", got)
				}
				if took := time.Since(begun); took != ProxyTimeout {
					t.Errorf("took %v", took)
				}
				if _, err := nc.Read(make([]byte, 1)); !errors.Is(err, tt.want) {
					t.Errorf("got %v, want %v", err, tt.want)
				}
			})
		})
	}
	t.Run("a byte a second", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			client, nc := proxied(t, io.Discard, "10.0.0.1:7")
			var sender sync.WaitGroup
			sender.Go(func() { // ends with the pipe
				for _, b := range []byte(v2TCP4) {
					if _, err := client.Write([]byte{b}); err != nil {
						return
					}
					time.Sleep(time.Second)
				}
			})
			defer sender.Wait()
			begun := time.Now()
			_, err := nc.Read(make([]byte, 100))
			if took := time.Since(begun); !errors.Is(err, ErrProxyHeader) || took != ProxyTimeout {
				t.Errorf("%v after %v", err, took)
			}
		})
	})
}

// TestPlain: nothing stays between a connection and its bytes once its
// beginning has been read.
func TestPlain(t *testing.T) {
	for _, tt := range []struct{ peer, bytes string }{{"10.0.0.1:7", v2TCP4 + "\x03abc"}, {"10.0.0.1:7", "\x03abc"}, {"203.0.113.9:7", "\x03abc"}} {
		synctest.Test(t, func(t *testing.T) {
			client, nc := proxied(t, io.Discard, tt.peer)
			go client.Write([]byte(tt.bytes)) // ends with the pipe
			c := nc.(*proxyConn)
			c.RemoteAddr()
			if len(tt.bytes) < 10 && c.Plain() != nc {
				t.Error("plain before its first bytes were read")
			}
			if _, err := io.ReadFull(nc, make([]byte, 4)); err != nil {
				t.Fatal(err)
			}
			if c.Plain() != c.Conn {
				t.Error("not plain")
			}
		})
	}
}

// FuzzProxyHeader: whatever a proxy's connection begins with, every byte that
// is not the header is there to be read, and no more than the header has been
// read.
func FuzzProxyHeader(f *testing.F) {
	for _, tt := range headers {
		f.Add([]byte(tt.bytes))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		from, other, err := readProxyHeader(r)
		left, _ := io.ReadAll(r)
		read := len(b) - len(left)
		switch {
		case read > proxyFixed+MaxProxyHeader:
			t.Errorf("read %d bytes", read)
		case err == nil && other != nil && (!bytes.Equal(other, b[:read]) || from.IsValid()):
			t.Errorf("lost %q of %q, from %v", b[:read], other, from)
		case err == nil && other == nil:
			if yes, _ := begins(b); !yes {
				t.Errorf("took %q for a header", b[:read])
			}
		}
		if from.IsValid() && (from.Addr().Is4In6() || from.Addr().Zone() != "") {
			t.Errorf("from %v", from)
		}
	})
}
