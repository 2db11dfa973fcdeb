package cli

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"time"

	"foyer/lobby"
	"foyer/server"
	"foyer/store"
)

// several reports whether other nodes share the store: then a room runs on one
// of them, and every lobby lists the rooms of all.
func (n *node) several() bool { return n.settings.NATS != "" }

// nodeRTMP is where other nodes reach this one: as set, or as guessed.
func (n *node) nodeRTMP() string {
	if n.settings.NodeRTMP != "" {
		return n.settings.NodeRTMP
	}
	host, port, _ := net.SplitHostPort(n.rtmp.Addr().String())
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		if name, err := os.Hostname(); err == nil {
			host = name
		}
	}
	return "rtmp://" + net.JoinHostPort(host, port)
}

// joinNodes has the host ask the other nodes where a room runs.
func (n *node) joinNodes() {
	if n.several() {
		n.host.Owners, n.host.NodeSecret = places{n.store}, string(n.secrets.Node)
	}
}

// handleRooms has the host run rooms, each on one node only.
func (n *node) handleRooms(room func() server.Application) {
	if n.several() {
		n.host.HandleClaimed("room", room)
		return
	}
	n.host.Handle("room", room)
}

// joinLobbies has a lobby share what it knows with those of the other nodes.
func (n *node) joinLobbies(cfg *lobby.Config) {
	if n.several() {
		cfg.Directory, cfg.Bus = n.store.Directory(), n.store
	}
}

// startLobby starts the lobby although nobody is there yet: it listens to the
// other nodes.
func (n *node) startLobby() error {
	if n.several() && n.settings.hosts("lobby") {
		return n.host.Start("lobby")
	}
	return nil
}

// objects is what keeps shared objects.
func (n *node) objects() server.ObjectStore {
	if n.several() {
		return roomObjects{n.store}
	}
	return n.store
}

// storeAgain has the objects of what runs here stored again whenever the store
// came back empty, until ctx ends.
func (n *node) storeAgain(ctx context.Context) {
	for {
		select {
		case <-n.store.Emptied():
			n.host.StoreAgain()
		case <-ctx.Done():
			return
		}
	}
}

// sweepEvery is between two looks for shared objects that nobody uses.
const sweepEvery = 24 * time.Hour

// sweepObjects has what nobody used for 30 days forgotten, now and once a day,
// and what is in use kept, until ctx ends.
func (n *node) sweepObjects(ctx context.Context) {
	for {
		if n.store.Ready() == nil {
			if gone, err := n.store.SweepObjects(ctx); err != nil {
				n.log.Warn("unused shared objects not forgotten", "err", err)
			} else if gone > 0 {
				n.log.Info("unused shared objects forgotten", "objects", gone)
			}
		}
		select {
		case <-time.After(sweepEvery):
			n.host.KeepUsed()
		case <-ctx.Done():
			return
		}
	}
}

// roomObjects keeps the shared objects of rooms. Every node has a lobby of its
// own of the same name: theirs would overwrite each other, and a lobby starts
// without the store.
type roomObjects struct{ store *store.Store }

// errLobbyObjects is why an object of a lobby is not kept.
var errLobbyObjects = errors.New("lobbies of several nodes keep no shared objects")

// LoadObjects is server.ObjectStore.
func (o roomObjects) LoadObjects(ctx context.Context, instance string) (map[string][]byte, map[string]time.Time, error) {
	if !strings.HasPrefix(instance, "room/") {
		return nil, nil, nil
	}
	return o.store.LoadObjects(ctx, instance)
}

// TakesObjects is server.Quota.
func (o roomObjects) TakesObjects(bytes int) bool { return o.store.TakesObjects(bytes) }

// SaveObject is server.ObjectStore.
func (o roomObjects) SaveObject(instance, object string, data []byte, done func(error)) {
	if !strings.HasPrefix(instance, "room/") {
		done(errLobbyObjects)
		return
	}
	o.store.SaveObject(instance, object, data, done)
}

// places is what the cluster knows of who runs what, in the words of the server.
type places struct{ store *store.Store }

// Claim is server.Owners.
func (p places) Claim(ctx context.Context, instance string, lost func()) (release func(), err error) {
	release, err = p.store.Claim(ctx, instance, lost)
	if owned, ok := errors.AsType[*store.OwnedError](err); ok {
		return nil, &server.ElsewhereError{Node: owned.Node, RTMP: owned.RTMP}
	}
	return release, err
}

// Find is server.Owners, too. What cannot be found out is not known.
func (p places) Find(ctx context.Context, instance string) *server.ElsewhereError {
	owned, err := p.store.Find(ctx, instance)
	if err != nil || owned == nil {
		return nil
	}
	return &server.ElsewhereError{Node: owned.Node, RTMP: owned.RTMP}
}
