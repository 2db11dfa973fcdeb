package cli

import (
	"net"
	"slices"
	"testing"
)

func TestLoopback(t *testing.T) {
	tests := []struct{ listen, want string }{
		{":1935", "127.0.0.1:1935"}, {"0.0.0.0:1935", "127.0.0.1:1935"}, {"[::]:1935", "127.0.0.1:1935"},
		{"192.0.2.1:1935", "192.0.2.1:1935"}, {"[::1]:1935", "[::1]:1935"}, {"localhost:1935", "localhost:1935"},
	}
	for _, tt := range tests {
		if got := loopback(tt.listen, "1935"); got != tt.want {
			t.Errorf("loopback(%q) = %q, want %q", tt.listen, got, tt.want)
		}
	}
}

// The listeners of a node are told in the same order each time.
func TestListeners(t *testing.T) {
	n := &node{rtmp: &net.TCPListener{}, http: &net.TCPListener{}}
	var protos []string
	for _, ln := range n.listeners() {
		protos = append(protos, ln.proto)
	}
	if want := []string{"rtmp", "http"}; !slices.Equal(protos, want) {
		t.Errorf("got %v, want %v", protos, want)
	}
}
