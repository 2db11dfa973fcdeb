package node

import "testing"

// TestConnectionsOfDescriptors: some descriptors are left for the store.
func TestConnectionsOfDescriptors(t *testing.T) {
	for _, tt := range []struct {
		descriptors uint64
		asked, want int
		enough      bool
	}{
		{0, 0, 0, true}, {0, 500, 500, true}, {1024, 0, 896, true}, {4096, 0, 3584, true}, {1 << 20, 0, 1<<20 - 1024, true},
		{1024, 500, 500, true}, {1024, 5000, 896, false}, {100, 0, 1, true}, {1 << 63, 0, 1 << 30, true},
	} {
		n, enough := (&LimitSettings{MaxConnections: tt.asked}).connections(tt.descriptors)
		if n != tt.want || enough != tt.enough {
			t.Errorf("%d descriptors, %d asked for: %d %v, want %d %v", tt.descriptors, tt.asked, n, enough, tt.want, tt.enough)
		}
	}
}
