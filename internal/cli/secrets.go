package cli

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
)

// Names of the secrets' files in the data folder.
const (
	lobbySecretFile  = "lobby-secret"
	adminTokenFile   = "admin-token"
	streamSecretFile = "stream-secret"
	nodeSecretFile   = "node-secret"
)

// shortSecret is the length in bytes below which a secret can be guessed.
const shortSecret = 16

// secrets are what this server keeps to itself.
type secrets struct {
	lobby, admin secret
	stream       secret   // the stream keys are made of it
	node         secret   // nodes prove to each other that they know it
	made         []string // files made by this start
	short        []string // settings whose secret is shorter than shortSecret
}

// loadSecrets reads the secrets that the settings do not have from the data
// folder, and makes those that are not there yet.
func loadSecrets(s *settings) (*secrets, error) {
	if err := os.MkdirAll(s.Data, 0o700); err != nil {
		return nil, fmt.Errorf("making the data folder: %w", err)
	}
	if err := whole(s.Data); err != nil {
		return nil, err
	}
	sec := &secrets{lobby: s.LobbySecret, admin: s.AdminToken, stream: s.StreamSecret, node: s.NodeSecret}
	for _, f := range []struct {
		name  string // of the file; the setting is called like it
		value *secret
	}{{lobbySecretFile, &sec.lobby}, {adminTokenFile, &sec.admin}, {streamSecretFile, &sec.stream}, {nodeSecretFile, &sec.node}} {
		if *f.value == "" {
			made, err := loadSecret(filepath.Join(s.Data, f.name), f.value)
			if err != nil {
				return nil, err
			}
			if made {
				sec.made = append(sec.made, f.name)
			}
		}
		if len(*f.value) < shortSecret {
			sec.short = append(sec.short, "--"+f.name)
		}
	}
	return sec, nil
}

// whole refuses a data folder that is only half restored.
func whole(data string) error {
	if _, err := os.Lstat(filepath.Join(data, restoringFolder)); err == nil {
		return fmt.Errorf("%s is of a 'foyer restore' that did not end: empty it, and restore again", data)
	}
	return nil
}

// warn says which secrets can be guessed.
func (sec *secrets) warn(log *slog.Logger) {
	for _, setting := range sec.short {
		log.Warn("secret is short", "setting", setting,
			"err", fmt.Sprintf("a secret of less than %d bytes can be guessed: make a longer one, as with 'openssl rand -hex 24'", shortSecret))
	}
}

// loadSecret reads the secret of that file into value, making it first if
// there is none. Of two processes that start at once both get the same one.
func loadSecret(name string, value *secret) (made bool, err error) {
	*value, err = readSecret(name)
	if !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	// A temporary file and a link, so that nobody ever reads half a secret and
	// an existing one is never replaced.
	f, err := os.CreateTemp(filepath.Dir(name), ".secret-*") // mode 0600
	if err != nil {
		return false, fmt.Errorf("making a secret: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(rand.Text() + "\n")
	if err = errors.Join(err, f.Close()); err != nil {
		return false, fmt.Errorf("making a secret: %w", err)
	}
	err = os.Link(f.Name(), name)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return false, fmt.Errorf("making a secret: %w", err)
	}
	made = err == nil
	*value, err = readSecret(name)
	return made, err
}

// readSecret reads one secret. An empty file is an error, never a secret.
func readSecret(name string) (secret, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return "", fmt.Errorf("reading a secret: %w", err)
	}
	s := secret(strings.TrimSpace(string(b)))
	if s == "" {
		return "", fmt.Errorf("%s is empty: put a secret in, or delete it and start again", name)
	}
	return s, nil
}

// resume is what a room shows to its lobby, and to nobody else, to take the
// place of its own old link. It follows from the nodes' secret, so that it is
// the same after a restart and on every node of a site, with nothing to store.
func resume(node secret, room string) string {
	m := hmac.New(sha256.New, []byte(node))
	m.Write([]byte("foyer resume\x00" + strings.ToLower(room)))
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(m.Sum(nil)))
}

// streamKey is the publishing key of a room: it follows from the stream secret,
// the room's name in whatever case, and how often it was replaced, which is all
// that is stored. The first generation is 0.
func streamKey(stream secret, room string, generation int64) string {
	m := hmac.New(sha256.New, []byte(stream))
	m.Write([]byte("foyer stream key\x00" + strings.ToLower(room)))
	if generation > 0 {
		fmt.Fprintf(m, "\x00%d", generation)
	}
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(m.Sum(nil)[:15]))
}
