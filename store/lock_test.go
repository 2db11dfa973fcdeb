package store

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// A folder has one process: the second one hears that it is in use, on each system
// that has locks, and it is free again as soon as the first one closes it. What is
// in the file can be read meanwhile.
func TestLock(t *testing.T) {
	name := filepath.Join(t.TempDir(), "open")
	open := func() *os.File {
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	first, second := open(), open()
	if err := lock(first); err != nil {
		t.Fatal(err)
	}
	if _, err := first.WriteString("boot"); err != nil {
		t.Fatal(err)
	}
	if err := lock(second); !errors.Is(err, ErrInUse) {
		t.Errorf("the second one hears %v", err)
	}
	if text, err := os.ReadFile(name); err != nil || string(text) != "boot" {
		t.Errorf("others read %q, %v", text, err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := lock(second); err != nil {
		t.Errorf("after the first: %v", err)
	}
}
