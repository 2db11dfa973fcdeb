package store

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

// atOnce is how many tests may run at the same time. They wait for leases to end
// and for servers that are away, and compute little: one for each processor, as
// is usual, would take minutes.
const atOnce = "8"

func TestMain(m *testing.M) {
	flag.Parse()
	if p := flag.Lookup("test.parallel"); p.Value.String() == p.DefValue {
		p.Value.Set(atOnce)
	}
	os.Exit(m.Run())
}

// start opens a store of one node with the engine in this process.
func start(t *testing.T, dir string) *Store {
	t.Helper()
	c, err := Open(t.Context(), Config{Dir: dir, Node: "test", Sync: Second, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	c := start(t, dir)
	if !c.embedded() || !c.nc().IsConnected() {
		t.Error("not connected to an engine in the process")
	}
	if late := fmt.Errorf("asking NATS: %w", context.DeadlineExceeded); !c.worthRetrying(late) || c.worthRetrying(&jetstream.APIError{Code: 503}) {
		t.Error("what a slow disk has held up is not tried again, or what is wrong is")
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	start(t, dir)
	if c, err := Open(t.Context(), Config{Dir: dir, Node: "other"}); err == nil {
		t.Error("two processes have one folder open")
		c.Close()
	} else {
		t.Log(err)
	}
}

// Auto measures the disk, and decides.
func TestAuto(t *testing.T) {
	c, err := Open(t.Context(), Config{Dir: t.TempDir(), Node: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	rate, err := measure(c.cfg.Dir)
	if err != nil || rate <= 0 {
		t.Errorf("measured %v, %v", rate, err)
	}
	if auto(quickEnough-1) != Second || auto(quickEnough) != Always {
		t.Error("decided: wrong")
	}
	note, err := os.ReadFile(filepath.Join(c.cfg.Dir, openFile))
	if always := c.flush != nil; err != nil || strings.HasSuffix(string(note), " "+Always.String()) != always {
		t.Errorf("noted as %q, %v: always %v", note, err, always)
	}
	mustSay(t, open(t, c, "blue"), 1, 3)
	if s := c.Stats(); s.Stored != 3 || s.Failed != 0 || c.flush != nil && (s.Flushes == 0 || s.LastFlush <= 0 || s.FlushTime < s.LastFlush) || s.BusAge != 0 {
		t.Errorf("stats: %+v", s)
	}
}

func TestRedacted(t *testing.T) {
	for address, want := range map[string]string{
		"nats://a:4222": "nats://a:4222",
		"nats://me:hush@a:4222, nats://hush@b:4222": "nats://redacted@a:4222,nats://redacted@b:4222",
		"nats://me:hu%zzsh@a":                       "(no address)",
	} {
		if got := Redacted(address); got != want {
			t.Errorf("Redacted(%s) = %s, want %s", address, got, want)
		}
	}
}
