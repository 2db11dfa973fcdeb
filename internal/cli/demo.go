package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"path/filepath"

	"foyer/demo"
	"foyer/internal/folder"
	"foyer/internal/node"
)

// demoCommand serves, with bots in six rooms and pictures in some; or sends
// bots and pictures elsewhere.
type demoCommand struct {
	At        []string `group:"demo" placeholder:"URL" help:"Serve nothing, only send the bots to these room servers: rtmp://host. They need the servers' admin token, and to broadcast, their stream secret."`
	TokenFile string   `group:"demo" placeholder:"FILE" typed:"" help:"For --at: file with that token. Default: --admin-token (- asks for it at the terminal), or the one in the data folder."`
	Seed      uint64   `group:"demo" placeholder:"N" help:"The same number gives the same evening. Default: another each time."`

	Settings node.Settings `embed:""`
}

// Run plays until ctx ends.
func (cmd *demoCommand) Run(ctx context.Context, p *program) (err error) {
	level := slog.LevelInfo
	if isTerminal(p.stderr) {
		level = slog.LevelWarn // so that the first lines are not lost
	}
	log := p.logger(&cmd.Settings, level)
	if cmd.Seed == 0 {
		cmd.Seed = rand.Uint64()
	}
	cfg := demo.Config{Servers: cmd.At, Seed: cmd.Seed, Log: log}
	for i, at := range cmd.At {
		if cfg.Servers[i], err = rtmpAddress(at, "rtmp://HOST"); err != nil {
			return err
		}
	}
	if len(cmd.At) > 0 {
		return cmd.visit(ctx, p, cfg)
	}
	if !cmd.Settings.Hosts("room") {
		return usagef("the demo needs the application room: add it to --apps, or name room servers with --at")
	}
	n, err := p.newNode(ctx, &cmd.Settings, log)
	if err != nil {
		return err
	}
	cfg.Servers = []string{n.RTMP()}
	cfg.Token = n.AdminToken()
	cfg.StreamKey = func(ctx context.Context, room string) (string, error) {
		key, _, err := n.StreamKey(ctx, room)
		return key, err
	}
	return n.Run(ctx, func(ctx context.Context) error { return demo.Run(ctx, cfg) })
}

// visit sends the bots to other servers.
func (cmd *demoCommand) visit(ctx context.Context, p *program, cfg demo.Config) error {
	token, err := p.givenToken(ctx, cmd.Settings.AdminToken, cmd.TokenFile)
	if err == nil && token == "" {
		token, err = folder.ReadSecret(filepath.Join(cmd.Settings.Data, folder.AdminToken))
	}
	if errors.Is(err, fs.ErrNotExist) && cmd.TokenFile == "" {
		return fmt.Errorf("the bots need the servers' admin token: give --token-file, FOYER_ADMIN_TOKEN or FOYER_ADMIN_TOKEN_FILE")
	}
	if err != nil {
		return err
	}
	cfg.Token = string(token)
	stream, err := givenSecret(cmd.Settings.StreamSecret, cmd.Settings.Data, folder.StreamSecret)
	if err == nil {
		cfg.StreamKey = func(_ context.Context, room string) (string, error) { return folder.StreamKey(stream, room, 0), nil }
	} else {
		cfg.Log.Warn("no broadcasts: give --stream-secret, FOYER_STREAM_SECRET or FOYER_STREAM_SECRET_FILE", "err", err)
	}
	cfg.Log.Info("demo started", "at", cfg.Servers, "seed", cfg.Seed)
	return demo.Run(ctx, cfg)
}
