package folder

import (
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestLoadSecrets(t *testing.T) {
	data := filepath.Join(t.TempDir(), "made", "here")
	first, err := Load(data, Secrets{})
	if err != nil {
		t.Fatal(err)
	}
	lengths := []int{len(first.Lobby), len(first.Admin), len(first.Stream), len(first.Node)}
	if len(first.Made) != 4 || slices.Min(lengths) < 20 || first.Lobby == first.Admin || first.Lobby == first.Node {
		t.Errorf("made %v, of lengths %d", first.Made, lengths)
	}
	files, err := os.ReadDir(data)
	if err != nil || len(files) != 4 {
		t.Errorf("the folder has %v, %v; want the four secrets and nothing temporary", files, err)
	}
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Mode() != fs.FileMode(0o600) {
			t.Errorf("%s has mode %v, %v; want 0600", f.Name(), info.Mode(), err)
		}
	}

	again, err := Load(data, Secrets{Admin: "given"})
	if err != nil {
		t.Fatal(err)
	}
	if again.Lobby != first.Lobby || again.Stream != first.Stream || again.Admin != "given" || len(again.Made) != 0 {
		t.Error("a second start has other secrets")
	}

	if err := os.WriteFile(filepath.Join(data, LobbySecret), []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(data, Secrets{}); err == nil || !strings.Contains(err.Error(), "is empty") {
		t.Errorf("got %v for an empty secret, want an error that says so", err)
	}
}

// A secret that can be guessed is named at the start; one that was made is not.
func TestShortSecrets(t *testing.T) {
	sec, err := Load(t.TempDir(), Secrets{Admin: "0123456789abcde", Stream: "0123456789abcdef", Node: "n"})
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	sec.Warn(slog.New(slog.NewTextHandler(&log, nil)))
	if got := strings.Join(sec.short, " "); got != "--admin-token --node-secret" || strings.Count(log.String(), "\n") != 2 {
		t.Errorf("short are %q, and the log says\n%s", got, log.String())
	}
	for _, want := range []string{"level=WARN", "--admin-token", "fewer than 16 bytes", "openssl rand -hex 24"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not say %s:\n%s", want, log.String())
		}
	}
	if strings.Contains(log.String(), "0123456789abcde") {
		t.Error("the log shows a secret")
	}
}

// Servers that start at once with one folder have one secret.
func TestLoadSecretRace(t *testing.T) {
	name := filepath.Join(t.TempDir(), LobbySecret)
	var got [8]Secret
	var made [8]bool
	var all sync.WaitGroup
	for i := range got {
		all.Go(func() {
			var err error
			if made[i], err = loadSecret(name, &got[i]); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	makers := 0
	for i := range got {
		if got[i] != got[0] {
			t.Errorf("two secrets: %s and %s", string(got[0]), string(got[i]))
		}
		if made[i] {
			makers++
		}
	}
	if makers != 1 {
		t.Errorf("%d of them say that they made it", makers)
	}
}
