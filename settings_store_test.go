package main

import (
	"strings"
	"testing"
)

func TestStoreSettings(t *testing.T) {
	for _, c := range []struct {
		arg              string
		reserve, objects int64
		err              string
	}{
		{"--disk-reserve=64MiB", 64 << 20, 1 << 30, ""},
		{"--disk-reserve=0", -1, 1 << 30, ""},
		{"--max-objects=20MB", 64 << 20, 20e6, ""},
		{"--max-objects=0", 0, 0, "--max-objects must be at least 1B"},
	} {
		s, err := serveSettings(t, []string{"serve", c.arg}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.check(); c.err != "" || err != nil {
			if err == nil || c.err == "" || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v, want %q", c.arg, err, c.err)
			}
			continue
		}
		if got := s.Store.reserve(); got != c.reserve || int64(s.Store.MaxObjects) != c.objects {
			t.Errorf("%s: %d, %d", c.arg, got, s.Store.MaxObjects)
		}
	}
}
