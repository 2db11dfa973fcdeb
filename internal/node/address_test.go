package node

import (
	"net"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLoopback(t *testing.T) {
	tests := []struct{ listen, want string }{
		{":1935", "127.0.0.1:1935"}, {"0.0.0.0:1935", "127.0.0.1:1935"}, {"[::]:1935", "127.0.0.1:1935"},
		{"192.0.2.1:1935", "192.0.2.1:1935"}, {"[::1]:1935", "[::1]:1935"}, {"localhost:1935", "localhost:1935"},
	}
	for _, tt := range tests {
		if got := Loopback(tt.listen, "1935"); got != tt.want {
			t.Errorf("Loopback(%q) = %q, want %q", tt.listen, got, tt.want)
		}
	}
}

func TestGuessPublic(t *testing.T) {
	tests := []struct{ scheme, listen, port, want string }{
		{"rtmp", ":1935", "1935", "rtmp://localhost"},
		{"rtmp", "127.0.0.1:0", "40000", "rtmp://localhost:40000"},
		{"rtmp", "[::]:1936", "1936", "rtmp://localhost:1936"},
		{"rtmp", "[::1]:1936", "1936", "rtmp://localhost:1936"},
		{"rtmp", "127.0.0.2:1936", "1936", "rtmp://127.0.0.2:1936"}, // localhost does not lead there
		{"rtmp", "192.0.2.1:1935", "1935", "rtmp://192.0.2.1"},
		{"rtmp", "[2001:db8::1]:1935", "1935", "rtmp://[2001:db8::1]"},
		{"http", ":8080", "8080", "http://localhost:8080"},
		{"http", "0.0.0.0:80", "80", "http://localhost"},
		{"https", "example.org:443", "443", "https://example.org"},
	}
	for _, tt := range tests {
		if got := GuessPublic(tt.scheme, tt.listen, tt.port); got != tt.want {
			t.Errorf("GuessPublic(%q, %q, %q) = %q, want %q", tt.scheme, tt.listen, tt.port, got, tt.want)
		}
	}
}

// With names to get certificates for, the address has the first of them.
func TestPublicHTTP(t *testing.T) {
	n := &Node{settings: &Settings{TLSSettings: TLSSettings{TLSAuto: []string{"a.example", "b.example"}}}, http: fixedAddr(443)}
	if got := n.publicHTTP(); got != "https://a.example" {
		t.Errorf("the address is guessed as %s", got)
	}
}

// fixedAddr is a listener of which only the port is asked.
type fixedAddr int

func (fixedAddr) Accept() (net.Conn, error) { return nil, net.ErrClosed }
func (fixedAddr) Close() error              { return nil }
func (p fixedAddr) Addr() net.Addr          { return &net.TCPAddr{Port: int(p)} }

// TestAccess: pages of the public address always may connect.
func TestAccess(t *testing.T) {
	s := &Settings{PublicHTTP: "https://live.example.org", AddrSettings: AddrSettings{Origins: []string{"https://example.org"}}}
	if d := cmp.Diff([]string{"https://live.example.org", "https://example.org"}, s.access().Origins); d != "" {
		t.Error(d)
	}
	s.PublicHTTP = "https://example.net:8443/foyer"
	if got := s.access().Origins[0]; got != "https://example.net:8443" {
		t.Errorf("below a path: %s", got)
	}
	if got := (&Settings{}).access().Origins; len(got) != 0 {
		t.Errorf("with nothing set: %q", got)
	}
}

// A lobby that is named by its server only is the one of that server.
func TestLobbyOf(t *testing.T) {
	for uri, want := range map[string]string{
		"rtmp://h": "rtmp://h/lobby", "rtmp://h:1/": "rtmp://h:1/lobby", "rtmps://[::1]": "rtmps://[::1]/lobby", "rtmp://h//": "rtmp://h/lobby",
		"rtmp://h/lobby": "rtmp://h/lobby", "rtmp://h/chapter4/lobby/": "rtmp://h/chapter4/lobby/", "": "", "rtmp:/h": "rtmp:/h",
	} {
		if got := LobbyOf(uri); got != want {
			t.Errorf("%s: %s, want %s", uri, got, want)
		}
	}
}
