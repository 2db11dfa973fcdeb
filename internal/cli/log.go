package cli

import (
	"io"
	"log/slog"
	"os"

	"golang.org/x/term"

	"foyer/internal/node"
)

// levelOf is the level that the settings ask for; unset is used when they do not.
func levelOf(s *node.Settings, unset slog.Level) slog.Level {
	if s.LogLevel != "" {
		unset.UnmarshalText([]byte(s.LogLevel)) // one of the enum
	}
	return unset
}

// logger makes the log that the settings ask for; its level may change.
func (p *program) logger(s *node.Settings, unset slog.Level) *slog.Logger {
	p.unset = unset
	p.level.Set(levelOf(s, unset))
	p.log = newLogger(s, p.stderr, &p.level)
	return p.log
}

// newLogger makes a log that is written to w.
func newLogger(s *node.Settings, w io.Writer, level slog.Leveler) *slog.Logger {
	o := &slog.HandlerOptions{Level: level}
	if s.LogFormat == "text" || s.LogFormat == "" && isTerminal(w) {
		return slog.New(slog.NewTextHandler(w, o))
	}
	return slog.New(slog.NewJSONHandler(w, o))
}

// isTerminal reports whether w, a reader or a writer, is a terminal.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
