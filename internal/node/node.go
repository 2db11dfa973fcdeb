package node

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync/atomic"

	"foyer/certs"
	"foyer/internal/folder"
	"foyer/media"
	"foyer/room/nick"
	"foyer/server"
	"foyer/server/guard"
	"foyer/store"
	"foyer/web"
)

// errStopping is what /readyz says once the stop has begun.
var errStopping = errors.New("stopping")

// errStarting is what /readyz says before everything runs.
var errStarting = errors.New("starting")

// A Config is what a node is built from.
type Config struct {
	Settings *Settings // Check has passed them
	Log      *slog.Logger
	Version  string              // of this program, for backups
	Getenv   func(string) string // the environment, for variables that are no settings
	Terminal io.Writer           // where a person is told where to look; nil when nobody is there

	// On each hangup the node reads its certificate again and calls Reread, which
	// reads the settings again and gives the node those that it can take over.
	Hangups <-chan os.Signal
	Reread  func(*Node) error
}

// A Node is one process of ours: listeners, the host with its applications,
// and the web side.
type Node struct {
	// set by New
	cfg      Config
	settings *Settings
	secrets  *folder.Secrets
	log      *slog.Logger
	guard    *guard.Guard
	host     *server.Host
	pages    *web.Handler
	web      map[string]*http.Server // of the pages, by what is spoken at its listener
	store    *store.Store
	recorder *media.Recorder // nil when nothing can be recorded
	cert     *certs.File     // nil without files of one
	auto     *certs.Auto     // nil without names to get some for
	reserved nick.Reserved   // nicks that nobody may have
	rtmp     net.Listener
	rtmps    net.Listener // nil when off
	http     net.Listener
	admin    net.Listener // nil when off
	control  net.Listener // nil where there can be none
	lobby    string       // where the rooms here report to; "" for nobody

	openRooms atomic.Pointer[string] // which peers may open rooms, as --open-rooms

	unready atomic.Pointer[error] // why /readyz says no; nil when it says yes
}

// New opens the listeners and builds everything. Run closes them.
func New(ctx context.Context, cfg Config) (*Node, error) {
	s := cfg.Settings
	sec, err := folder.Load(s.Data, folder.Secrets{Lobby: s.LobbySecret, Admin: s.AdminToken, Stream: s.StreamSecret, Node: s.NodeSecret})
	if err != nil {
		return nil, err
	}
	limitMemory(cfg.Getenv, cfg.Log)
	n := &Node{cfg: cfg, settings: s, secrets: sec, log: cfg.Log, guard: &guard.Guard{Log: cfg.Log}}
	n.trustProxies(s)
	n.unready.Store(&errStarting)
	if err := n.open(ctx); err != nil {
		return nil, errors.Join(err, n.close())
	}
	n.build()
	return n, nil
}

// open opens everything that may fail to open.
func (n *Node) open(ctx context.Context) error {
	if err := n.alone(ctx); err != nil { // before the ports, which a second start would ask for, too
		return err
	}
	if err := n.listen(ctx); err != nil {
		return err
	}
	if err := n.record(); err != nil {
		return err
	}
	if err := n.openStore(ctx); err != nil {
		return err
	}
	n.listenControl()
	return nil
}

// AdminToken is what makes moderators and operators here.
func (n *Node) AdminToken() string { return string(n.secrets.Admin) }

// ready says why the node is not able to serve, or nil.
func (n *Node) ready() error {
	err := n.unready.Load()
	if err == nil || *err == errStarting {
		if why := n.store.Ready(); why != nil {
			return why
		}
	}
	if err != nil {
		return *err
	}
	return nil
}
