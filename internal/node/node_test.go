package node

import (
	"net"
	"slices"
	"testing"
)

// The listeners of a node are told in the same order each time.
func TestListeners(t *testing.T) {
	n := &Node{rtmp: &net.TCPListener{}, http: &net.TCPListener{}}
	var protos []string
	for _, ln := range n.listeners() {
		protos = append(protos, ln.proto)
	}
	if want := []string{"rtmp", "http"}; !slices.Equal(protos, want) {
		t.Errorf("got %v, want %v", protos, want)
	}
}

// The store takes 0 for its default.
func TestNoReserve(t *testing.T) {
	for set, want := range map[Size]int64{0: -1, 1 << 20: 1 << 20} {
		if got := (&StoreSettings{DiskReserve: set}).reserve(); got != want {
			t.Errorf("a reserve of %d is %d for the store", set, got)
		}
	}
}
