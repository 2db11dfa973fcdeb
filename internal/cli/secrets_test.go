package cli

import (
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestLoadSecrets(t *testing.T) {
	data := filepath.Join(t.TempDir(), "made", "here")
	first, err := loadSecrets(&settings{Data: data})
	if err != nil {
		t.Fatal(err)
	}
	lengths := []int{len(first.lobby), len(first.admin), len(first.stream), len(first.node)}
	if len(first.made) != 4 || slices.Min(lengths) < 20 || first.lobby == first.admin || first.lobby == first.node {
		t.Errorf("made %v, of lengths %d", first.made, lengths)
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

	again, err := loadSecrets(&settings{Data: data, AdminToken: "given"})
	if err != nil {
		t.Fatal(err)
	}
	if again.lobby != first.lobby || again.stream != first.stream || again.admin != "given" || len(again.made) != 0 {
		t.Error("a second start has other secrets")
	}

	writeFile(t, filepath.Join(data, lobbySecretFile), "\n")
	if _, err := loadSecrets(&settings{Data: data}); err == nil || !strings.Contains(err.Error(), "is empty") {
		t.Errorf("got %v for an empty secret, want an error that says so", err)
	}
}

// A secret that can be guessed is named at the start; one that was made is not.
func TestShortSecrets(t *testing.T) {
	s := &settings{Data: t.TempDir(), AdminToken: "0123456789abcde", StreamSecret: "0123456789abcdef"}
	s.NodeSecret = "n"
	sec, err := loadSecrets(s)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	sec.warn(slog.New(slog.NewTextHandler(&log, nil)))
	if got := strings.Join(sec.short, " "); got != "--admin-token --node-secret" || strings.Count(log.String(), "\n") != 2 {
		t.Errorf("short are %q, and the log says\n%s", got, log.String())
	}
	for _, want := range []string{"level=WARN", "--admin-token", "less than 16 bytes", "openssl rand -hex 24"} {
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
	name := filepath.Join(t.TempDir(), lobbySecretFile)
	var got [8]secret
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

func TestStreamKey(t *testing.T) {
	blue := streamKey("secret", "blue", 0)
	if !regexp.MustCompile(`^[a-z2-7]{24}$`).MatchString(blue) {
		t.Errorf("key %q is not easy to paste", blue)
	}
	if blue != streamKey("secret", "blue", 0) || blue == streamKey("secret", "jazz", 0) || blue == streamKey("other", "blue", 0) {
		t.Error("a key must follow from the secret and the room, and from nothing else")
	}
	if want := "howazf5edmjcwvo4a4qnqwsx"; blue != want {
		t.Errorf("key of blue is %s, want %s: keys that people have typed in must stay valid", blue, want)
	}
}
