package node

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"time"

	"foyer/internal/folder"
	"foyer/room"
	"foyer/server"
	"foyer/store"
)

// ErrReadable says that there is nothing to drop.
var ErrReadable = errors.New("the state of this room can be read, or there is none: nothing was done")

// forget is [DropState] for this node's store.
func (n *Node) forget(ctx context.Context, name string) (aside string, err error) {
	return DropState(ctx, n.store, n.settings.Data, name)
}

// DropState drops the state of a room if it cannot be read. It puts a copy on disk
// first, and returns where that is; "" when the state can be read.
func DropState(ctx context.Context, store *store.Store, data, name string) (aside string, err error) {
	name = server.Fold(name)
	err = store.DropState(ctx, name, func(state []byte) error {
		if room.Readable(state) == nil {
			return ErrReadable
		}
		dir, file := filepath.Join(data, folder.Damaged), "room-"+name+"-"+time.Now().UTC().Format("20060102T150405Z")+".json"
		aside = filepath.Join(dir, file)
		if err := folder.WriteNew(dir, file, bytes.NewReader(state)); err != nil {
			return err
		}
		return errors.Join(folder.Sync(aside), folder.Sync(dir))
	})
	if errors.Is(err, ErrReadable) {
		return "", nil
	}
	if err == nil { // nobody knows which keys were void: now all are
		err = store.ChangeRoomState(ctx, name, room.RenewKey)
	}
	return aside, err
}
