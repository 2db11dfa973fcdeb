package store

import (
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// The quota counts the measured bytes of objects, and the bytes taken since the
// measurement.
func TestObjectsQuota(t *testing.T) {
	q := quota{most: 100}
	for i, step := range []struct {
		look  int64 // 0: no measurement
		take  int64
		takes bool
	}{
		{0, 60, true}, {0, 41, false}, {0, 40, true}, {0, 1, false},
		{100, 1, false}, // the bytes taken may not be in it yet
		{100, 1, false}, // now it is
		{40, 60, true},  // something was removed
		{40, 1, false}, {50, 51, false}, {50, 50, true},
	} {
		if step.look != 0 {
			q.measured(step.look)
		}
		if got := q.take(step.take); got != step.takes {
			t.Errorf("step %d: takes %d: %v", i, step.take, got)
		}
	}
}

// The store itself says how much its objects take.
func TestObjectsAreMeasured(t *testing.T) {
	t.Parallel()
	c, err := Open(t.Context(), Config{Dir: t.TempDir(), Node: "test", Sync: Second, Objects: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if !c.TakesObjects(1 << 20) {
		t.Error("nothing fits into an empty store")
	}
	keep := func(data []byte) {
		saved := make(chan error, 1)
		c.SaveObject("room/blue", "score", data, func(err error) { saved <- err })
		if err := <-saved; err != nil {
			t.Fatal(err)
		}
	}
	keep(make([]byte, 900<<10))
	eventually(t, "it has seen what is stored", func() bool { return !c.TakesObjects(200<<10) && c.TakesObjects(1) })
	keep(nil)
	eventually(t, "it has seen that it is gone", func() bool { return c.TakesObjects(1 << 19) })
}

// An object that was stored 30 days ago goes, one that was stored later stays,
// and so does everything for 30 days after a store was first swept.
func TestSweepObjects(t *testing.T) {
	c := start(t, t.TempDir())
	keep := func(names ...string) {
		t.Helper()
		saved := make(chan error, len(names))
		for _, name := range names {
			c.SaveObject("room/blue", name, []byte("x"), func(err error) { saved <- err })
		}
		for range names {
			if err := <-saved; err != nil {
				t.Fatal(err)
			}
		}
	}
	has := func(want ...string) {
		t.Helper()
		objects, _, err := c.LoadObjects(t.Context(), "room/blue")
		var names []string
		for name := range objects {
			names = append(names, name)
		}
		if slices.Sort(names); err != nil || !slices.Equal(names, want) {
			t.Errorf("there are %v, want %v; %v", names, want, err)
		}
	}
	keep("old", "older", "used", "~version")
	for range 2 {
		if gone, err := c.SweepObjects(t.Context()); gone != 0 || err != nil {
			t.Errorf("the first sweep: %d gone, %v", gone, err)
		}
	}
	has("old", "older", "used", "~version")
	later := time.Now()
	keep("used", "young")
	if gone, err := c.forgetBefore(t.Context(), later); gone != 3 || err != nil {
		t.Errorf("the next: %d gone, %v", gone, err)
	}
	has("used", "young")
	if gone, err := c.forgetBefore(t.Context(), later); gone != 0 || err != nil {
		t.Errorf("once more: %d gone, %v", gone, err)
	}
}

// When too little of its disk is free, the store refuses messages and says why,
// and its engine comes to no harm; with more free it continues.
func TestReserve(t *testing.T) {
	t.Parallel()
	free, err := Free(t.TempDir())
	if err != nil || free == 1<<62 {
		if os.Getenv("CI") == "true" {
			t.Fatalf("CI=true, but nobody knows what is free: %v", err)
		}
		t.Skipf("nobody knows what is free: %v", err)
	}
	c, err := Open(t.Context(), Config{Dir: t.TempDir(), Node: "test", Sync: Second, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r := open(t, c, "blue")
	mustSay(t, r, 1, 3)
	c.mu.Lock()
	engine := c.engine
	c.mu.Unlock()
	c.reserve.Store(1 << 61)
	eventually(t, "it is not ready", func() bool { return c.Ready() != nil && strings.Contains(c.Ready().Error(), "must stay free") })
	if id, err := say(r, "hi"); err == nil || !strings.Contains(err.Error(), "make room there") {
		t.Errorf("said %d, %v", id, err)
	}
	if err := c.Lost(); err != nil {
		t.Error(err)
	}
	c.reserve.Store(1)
	eventually(t, "it is ready again", func() bool { return c.Ready() == nil })
	mustSay(t, r, 4, 5)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.engine != engine {
		t.Error("the engine was started again")
	}
}
