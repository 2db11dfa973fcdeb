package cluster

import (
	"log/slog"
	"testing"
)

// start opens a cluster of one node with the engine in this process.
func start(t *testing.T, dir string) *Cluster {
	t.Helper()
	c, err := Open(t.Context(), Config{Dir: dir, Node: "test", Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	c := start(t, dir)
	if !c.embedded() || !c.nc.IsConnected() {
		t.Error("not connected to an engine in the process")
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	start(t, dir)
}
