package hostile

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// The limits that people and process must stay within, whatever the stranger
// does.
const (
	maxWait   = 100 * time.Millisecond // until a message is stored, 99th percentile; checked with FOYER_SLOW=1
	maxMemory = 300 << 20              // resident bytes of the server
	maxLog    = 1 << 20                // bytes of log that one attack causes
)

// TestOneAddress runs each attack beside people who talk.
func TestOneAddress(t *testing.T) {
	if testing.Short() || os.Getenv("CI") != "true" && os.Getenv("FOYER_TEST_HOSTILE") != "1" {
		t.Skip("set FOYER_TEST_HOSTILE=1 to attack a server for some 80 s")
	}
	if runtime.GOOS != "linux" {
		t.Skip("needs the many addresses of Linux's loopback")
	}
	lasts, slow := 3*time.Second, os.Getenv("FOYER_SLOW") == "1"
	if slow {
		lasts = 10 * time.Second
	}
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			s := start(t)
			p := invite(t, s)
			time.Sleep(200 * time.Millisecond)
			before, cpu := s.logged(), s.processor()
			ctx, cancel := context.WithTimeout(t.Context(), lasts)
			defer cancel()
			figure := a.run(ctx, t, s)
			memory, log, used := s.memory(), s.logged()-before, s.processor()-cpu
			p99 := p.sendHome()
			s.ready()
			t.Logf("%s; people: p99 %v; server: %d MB, %.1f s of CPU, %d KB of log", figure, p99.Round(time.Millisecond), memory>>20, used, log>>10)
			if slow && p99 > maxWait {
				t.Errorf("people waited for %v, want at most %v", p99, maxWait)
			}
			if memory > maxMemory {
				t.Errorf("the server takes %d MB, want at most %d", memory>>20, maxMemory>>20)
			}
			s.stop()
			s.leftovers()
			if log > maxLog {
				t.Errorf("the attack wrote %d KB of log", log>>10)
			}
		})
	}
}

// disk returns the size of a folder in the data folder.
func (s *site) disk(folder string) (size int64) {
	filepath.WalkDir(filepath.Join(s.data, folder), func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				size += info.Size()
			}
		}
		return nil
	})
	return size
}
