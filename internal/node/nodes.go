package node

import (
	"context"
	"errors"
	"strings"
	"time"

	"foyer/server"
	"foyer/store"
)

// several reports whether other nodes share the store: then a room runs on one
// of them, and every lobby lists the rooms of all.
func (n *Node) several() bool { return n.settings.NATS != "" }

// startLobby starts the lobby although nobody is there yet: it listens to the
// other nodes.
func (n *Node) startLobby() error {
	if n.several() && n.settings.Hosts("lobby") {
		return n.host.Start("lobby")
	}
	return nil
}

// objects is what keeps shared objects.
func (n *Node) objects() server.ObjectStore {
	if n.several() {
		return roomObjects{n.store}
	}
	return n.store
}

// runsOn reports whether that node runs a room. Only nodes write claims, so this
// can be trusted.
func (n *Node) runsOn(ctx context.Context, room, node string) bool {
	owned, err := n.store.Find(ctx, "room/"+strings.ToLower(room))
	return err == nil && owned != nil && owned.Node == node
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

// owners tells the server which node runs which room, as the store knows it.
type owners struct{ store *store.Store }

// Claim is server.Owners.
func (p owners) Claim(ctx context.Context, instance string, lost func()) (release func(), err error) {
	release, err = p.store.Claim(ctx, instance, lost)
	if owned, ok := errors.AsType[*store.OwnedError](err); ok {
		return nil, &server.ElsewhereError{Node: owned.Node, RTMP: owned.RTMP}
	}
	return release, err
}

// Find is server.Owners, too. An error means that nobody is known to have the room.
func (p owners) Find(ctx context.Context, instance string) *server.ElsewhereError {
	owned, err := p.store.Find(ctx, instance)
	if err != nil || owned == nil {
		return nil
	}
	return &server.ElsewhereError{Node: owned.Node, RTMP: owned.RTMP}
}
