//go:build linux

package store

import (
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// small mounts a small disk. Without the right to do so the test is skipped, or
// fails in CI.
func small(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", "size="+size, "tmpfs", dir).CombinedOutput(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("CI, but no small disk can be mounted: %v: %s", err, out)
		}
		t.Skipf("cannot mount a small disk (it takes root): %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	return dir
}

// fill writes a file until the disk is full.
func fill(t *testing.T, file string) {
	t.Helper()
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 4096); ; {
		if _, err := f.Write(block); errors.Is(err, syscall.ENOSPC) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// When the disk is full, storing fails. When there is room again everything
// works, and no acknowledged message is missing.
func TestFullDisk(t *testing.T) {
	for _, sync := range []Sync{Second, Always} {
		t.Run(sync.String(), func(t *testing.T) {
			t.Parallel()
			disk := small(t, "24m")
			dir, filler := filepath.Join(disk, "store"), filepath.Join(disk, "filler")
			c, err := Open(t.Context(), Config{Dir: dir, Node: "test", Sync: sync, Reserve: -1, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			r, err := c.OpenRoom(t.Context(), "blue", func([]byte) {})
			if err != nil {
				t.Fatal(err)
			}
			mustSay(t, r, 1, 5)
			fill(t, filler)
			text := strings.Repeat("x", 8000)
			last := uint64(5)
			for range 10 { // messages that fit into the file's last page are stored
				said := time.Now()
				id, err := say(r, text)
				if err != nil {
					if !strings.Contains(err.Error(), "no space left") || time.Since(said) > hang {
						t.Errorf("after %v: %v", time.Since(said), err)
					}
					break
				}
				last = id
			}
			eventually(t, "the readiness to end", func() bool { return c.Ready() != nil })
			if _, err := say(r, text); err == nil {
				t.Error("stored on a full disk")
			} else {
				t.Log(err)
			}
			saved := make(chan error, 1)
			c.SaveObject("room/blue", "score", []byte(text), func(err error) { saved <- err })
			if err := <-saved; err == nil {
				t.Error("an object was saved on a full disk")
			}
			if err := os.Remove(filler); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the readiness", func() bool { return c.Ready() == nil })
			mustSay(t, r, last+1, last+3)
			want := make([]uint64, last+3)
			for i := range want {
				want[i] = uint64(i) + 1
			}
			checkPage(t, r, 0, -1, 50, want, true, false)
			r.Close()
			r = open(t, c, "blue")
			checkPage(t, r, 0, -1, 50, want, true, false)
		})
	}
}
