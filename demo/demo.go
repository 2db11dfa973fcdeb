package demo

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"

	"foyer/client"
)

// Config says where the demo runs.
type Config struct {
	Servers []string // addresses of room servers ("rtmp://localhost"), which share the rooms
	Token   string   // the admin token, for the hosts of the rooms
	Seed    uint64   // bots do the same with the same seed
	Log     *slog.Logger

	// StreamKey returns the present stream key of a room; nil: nobody
	// broadcasts.
	StreamKey func(ctx context.Context, room string) (string, error)

	dial func(ctx context.Context, network, addr string) (net.Conn, error) // for tests, which have a network of their own
}

// Run lets bots talk in all six rooms, and broadcasts into some, until ctx
// ends. It returns when every bot has left. When a server is away it tries
// again; that is no error.
func Run(ctx context.Context, cfg Config) error {
	if len(cfg.Servers) == 0 {
		return errors.New("demo: no server to play on")
	}
	if cfg.StreamKey != nil && !CanBroadcast {
		cfg.Log.Warn("no broadcasts", "err", ErrCannot)
		cfg.StreamKey = nil
	}
	var stages []*stage
	var stations []*station
	for i, name := range names {
		s, err := newStage(cfg, i, name)
		if err != nil {
			return err
		}
		stages = append(stages, s)
		if cfg.StreamKey != nil && slices.Contains(onAir, name) {
			stations = append(stations, &station{url: s.url, room: name, key: cfg.StreamKey, log: cfg.Log, dial: cfg.dial})
		}
	}
	var all sync.WaitGroup
	for _, s := range stations {
		all.Go(func() { s.run(ctx) })
	}
	for _, s := range stages {
		all.Go(func() { s.run(ctx) })
	}
	all.Wait()
	return nil
}

// newStage sets up room number i. With two servers the first three rooms are on
// the first, the others on the second.
func newStage(cfg Config, i int, name string) (*stage, error) {
	scene, err := loadScene(name)
	if err != nil {
		return nil, err
	}
	server := cfg.Servers[i*len(cfg.Servers)/len(names)]
	return &stage{
		url: strings.TrimRight(server, "/") + "/room/" + name, token: cfg.Token, log: cfg.Log, dial: cfg.dial,
		scene: scene, director: newDirector(scene, cfg.Seed, i),
		people: make(map[string]*client.NetConnection),
	}, nil
}
