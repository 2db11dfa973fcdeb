package cli

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"

	"foyer/internal/folder"
	"foyer/internal/node"

	"github.com/alecthomas/kong"
)

// A resolver finds the values of flags that are not on the command line: in
// the environment, then in the configuration file. It implements
// [kong.Resolver]. Kong's own env tag is not used, because kong would ask the
// file first, and the process's environment instead of the one that Main was given.
type resolver struct {
	env  environment
	from map[string]string // where the value of a flag was found, by name; its owner reads it

	// set by the first question
	loaded bool
	name   string            // of the configuration file
	file   map[string]string // the configuration file, by flag name
}

// Validate implements [kong.Resolver]; the file is checked when it is read.
func (r *resolver) Validate(*kong.Application) error { return nil }

// Resolve implements [kong.Resolver].
func (r *resolver) Resolve(c *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if flag.Name == "help" || flag.Tag.Has("typed") { // the file and the environment mean the server's own
		return nil, nil
	}
	if !r.loaded {
		if err := r.load(c); err != nil {
			return nil, err
		}
		r.loaded = true
	}
	name := envName(flag.Name)
	r.from[flag.Name] = name
	if v := strings.TrimSpace(r.env.get(name)); v != "" {
		if quoted(v) && !isSecret(flag.Value) {
			return nil, errors.New("its value has quotation marks around it: leave them out, because a file of variables keeps them")
		}
		return v, nil
	}
	if file := r.env.get(name + "_FILE"); file != "" && isSecret(flag.Value) {
		r.from[flag.Name] = name + "_FILE"
		secret, err := folder.ReadSecret(file)
		if err != nil {
			return nil, err
		}
		return string(secret), nil
	}
	r.from[flag.Name] = r.name
	if v, ok := r.file[flag.Name]; ok && (v != "" || flag.Value.Target.Kind() == reflect.Slice) { // no list is one with nothing in it
		return v, nil
	}
	delete(r.from, flag.Name)
	return nil, nil
}

// quoted reports whether a text has quotation marks around it.
func quoted(text string) bool {
	return len(text) > 1 && (text[0] == '"' || text[0] == '\'') && text[len(text)-1] == text[0]
}

// load reads the file named by --config or FOYER_CONFIG, if one is, for a
// command that has the flag.
func (r *resolver) load(c *kong.Context) error {
	has, name := false, r.env.get(envName("config"))
	for _, path := range c.Path {
		for _, flag := range path.Flags {
			has = has || flag.Name == "config"
		}
		if path.Flag != nil && path.Flag.Name == "config" {
			name = c.FlagValue(path.Flag).(string)
		}
	}
	if !has || name == "" {
		return nil
	}
	r.name = name
	b, err := os.ReadFile(name)
	if err != nil {
		return &configError{err}
	}
	r.file, err = parseSettings(b, settingNames(c.Model))
	if err != nil {
		return &configError{fmt.Errorf("%s: %w", name, err)}
	}
	return nil
}

// envName is the environment variable behind a flag: FOYER_STALE_AFTER.
func envName(flag string) string {
	return "FOYER_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// isSecret reports whether a flag can have a secret in it: an address of NATS
// has a password.
func isSecret(v *kong.Value) bool {
	switch v.Target.Interface().(type) {
	case folder.Secret, node.NATSURL:
		return true
	}
	return false
}
