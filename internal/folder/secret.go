package folder

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
)

// Names of the secrets' files. The settings are called like them.
const (
	LobbySecret  = "lobby-secret"
	AdminToken   = "admin-token"
	StreamSecret = "stream-secret"
	NodeSecret   = "node-secret"
)

// SecretFiles are all of them.
var SecretFiles = []string{LobbySecret, AdminToken, StreamSecret, NodeSecret}

// shortSecret is the length in bytes below which a secret can be guessed.
const shortSecret = 16

// A Secret never shows itself in a log.
type Secret string

// LogValue implements [slog.LogValuer].
func (Secret) LogValue() slog.Value { return slog.StringValue("redacted") }

// MarshalText keeps it out of JSON, inside a struct too.
func (Secret) MarshalText() ([]byte, error) { return []byte("redacted"), nil }

// String keeps the secret out of %v; convert to string for its value.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "redacted"
}

// Secrets are those of a server.
type Secrets struct {
	Lobby  Secret // between rooms and lobby
	Admin  Secret // makes moderators and operators
	Stream Secret // the stream keys are made of it
	Node   Secret // nodes prove to each other that they know it

	Made  []string // names of the files that were made by this start
	short []string // settings whose secret is shorter than shortSecret
}

// Load reads the secrets that are not given from the data folder, and makes the
// folder and those that are not there yet.
func Load(data string, given Secrets) (*Secrets, error) {
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, fmt.Errorf("making the data folder: %w", err)
	}
	if err := Whole(data); err != nil {
		return nil, err
	}
	s := &given
	for _, f := range []struct {
		name  string
		value *Secret
	}{{LobbySecret, &s.Lobby}, {AdminToken, &s.Admin}, {StreamSecret, &s.Stream}, {NodeSecret, &s.Node}} {
		if *f.value == "" {
			made, err := loadSecret(filepath.Join(data, f.name), f.value)
			if err != nil {
				return nil, err
			}
			if made {
				s.Made = append(s.Made, f.name)
			}
		}
		if len(*f.value) < shortSecret {
			s.short = append(s.short, "--"+f.name)
		}
	}
	return s, nil
}

// Warn says which secrets can be guessed.
func (s *Secrets) Warn(log *slog.Logger) {
	for _, setting := range s.short {
		log.Warn("secret is short", "setting", setting,
			"err", fmt.Sprintf("a secret of fewer than %d bytes can be guessed: make a longer one, as with 'openssl rand -hex 24'", shortSecret))
	}
}

// loadSecret reads the secret of that file into value, and makes it first if there
// is none. Two processes that start at once get the same one.
func loadSecret(name string, value *Secret) (made bool, err error) {
	*value, err = ReadSecret(name)
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
	text := rand.Text() + "\n"
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return false, fmt.Errorf("making a secret: %w", err)
	}
	err = os.Link(f.Name(), name)
	if err != nil && !errors.Is(err, fs.ErrExist) { // a disk without links, as FAT is: it has one server
		err = WriteNew(filepath.Dir(name), filepath.Base(name), strings.NewReader(text))
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return false, fmt.Errorf("making a secret: %w", err)
	}
	made = err == nil
	*value, err = ReadSecret(name)
	return made, err
}

// ReadSecret reads one secret. An empty file is an error, never a secret.
func ReadSecret(name string) (Secret, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return "", fmt.Errorf("reading a secret: %w", err)
	}
	s := Secret(strings.TrimSpace(string(b)))
	if s == "" {
		return "", fmt.Errorf("%s is empty: put a secret into it", name)
	}
	return s, nil
}
