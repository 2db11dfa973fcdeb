package cli

import (
	"path/filepath"
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

// The address of NATS has a password in it, so it can come from a file as
// secrets do.
func TestNATSFromFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "url")
	writeFile(t, file, "tls://node1:hush@a:4222,tls://node1:hush@b:4222\n")
	s, err := serveSettings(t, []string{"serve"}, map[string]string{"FOYER_NATS_FILE": file, "FOYER_NATS_CA": "ca.pem"})
	if err != nil {
		t.Fatal(err)
	}
	if string(s.NATS) != "tls://node1:hush@a:4222,tls://node1:hush@b:4222" || s.NATSCA != "ca.pem" {
		t.Errorf("got %q, %q", string(s.NATS), s.NATSCA)
	}
}
