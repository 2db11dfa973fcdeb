package cli

import (
	"context"
	"log/slog"

	"foyer/internal/node"
)

// serveCommand runs a server until ctx ends.
type serveCommand struct {
	Settings node.Settings `embed:""`
}

// Run serves until ctx ends.
func (cmd *serveCommand) Run(ctx context.Context, p *program) error {
	n, err := p.newNode(ctx, &cmd.Settings, p.logger(&cmd.Settings, slog.LevelInfo))
	if err != nil {
		return err
	}
	return n.Run(ctx, func(context.Context) error { return nil })
}

// newNode makes a server with these settings.
func (p *program) newNode(ctx context.Context, s *node.Settings, log *slog.Logger) (*node.Node, error) {
	if err := checked(s); err != nil {
		return nil, p.whence(err)
	}
	cfg := node.Config{Settings: s, Log: log, Version: versionLine(), Getenv: p.env.get, Hangups: p.hangups, Reread: p.reread}
	if isTerminal(p.stdout) {
		cfg.Terminal = p.stdout
	}
	return node.New(ctx, cfg)
}

// checked refuses settings that cannot work.
func checked(s *node.Settings) error {
	if err := s.Check(); err != nil {
		return &usageError{err}
	}
	return nil
}
