package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"foyer/internal/backup"
	"foyer/internal/folder"
	"foyer/media"
	"foyer/room"
	"foyer/store"
	"foyer/web"
)

// openStore opens the store of chat, settings and shared objects.
func (n *Node) openStore(ctx context.Context) (err error) {
	s := n.settings
	n.store, err = store.Open(ctx, store.Config{
		Dir: filepath.Join(s.Data, folder.Store), URL: string(s.NATS), CA: s.NATSCA, Node: s.Node, RTMP: n.nodeRTMP(),
		Sync: s.Sync, History: s.History, HistoryAge: s.HistoryAge, Log: n.log,
		Reserve: s.Store.reserve(), Objects: int64(s.Store.MaxObjects),
	})
	if err != nil {
		return fmt.Errorf("opening the store: %w", err)
	}
	return nil
}

// openRoom opens what is kept of a room.
func (n *Node) openRoom(ctx context.Context, name string, found func(message []byte)) (room.Store, error) {
	kept, err := n.store.OpenRoom(ctx, name, found)
	if err != nil {
		return nil, err
	}
	return kept, nil
}

// record opens the recordings. When nothing is to be recorded unless a moderator
// says so, the node starts also without a folder for them.
func (n *Node) record() (err error) {
	s, dir := n.settings, filepath.Join(n.settings.Data, folder.Recordings)
	if _, err := os.Stat(dir); !s.Hosts("room") && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	n.recorder, err = media.OpenRecorder(media.RecorderConfig{
		Dir: dir, Rooms: s.Record, Limit: int64(s.RecordLimit), Log: n.log,
		Grace: max(s.Grace, time.Nanosecond), // 0 stands for the default there
	})
	if err != nil && len(s.Record) == 0 {
		n.log.Warn("recordings not opened", "err", err)
		return nil
	}
	return err
}

// storeStats are the store's figures in the words of the web side.
func (n *Node) storeStats() web.StoreStats {
	s := n.store.Stats()
	return web.StoreStats{
		Stored: s.Stored, Failed: s.Failed, Flushes: s.Flushes, FlushTime: s.FlushTime,
		Ready: n.store.Ready() == nil, Shared: n.several(), BusAge: s.BusAge,
	}
}

// backup writes a backup of this node to w.
func (n *Node) backup(ctx context.Context, w io.Writer, parts web.BackupParts) error {
	from := &backup.Source{
		Data: n.settings.Data, Node: n.settings.Node, Version: n.cfg.Version, Store: n.store,
		Recordings: parts.Recordings, Secrets: parts.Secrets,
	}
	return from.Write(ctx, w)
}

// StreamKey is the stream key of a room as it is now, and its generation: how
// often it was replaced, more or less.
func (n *Node) StreamKey(ctx context.Context, name string) (key string, generation int64, err error) {
	return StreamKey(ctx, n.store, n.secrets.Stream, name)
}

// StreamKey is [Node.StreamKey] for the store of a node that does not run.
func StreamKey(ctx context.Context, s *store.Store, stream folder.Secret, name string) (key string, generation int64, err error) {
	state, err := s.RoomState(ctx, strings.ToLower(name))
	if err == nil {
		generation, err = room.KeyGeneration(state)
	}
	return folder.StreamKey(stream, name, generation), generation, err
}

// storeAgain stores the objects of the instances here again whenever the store
// came back empty, until ctx ends.
func (n *Node) storeAgain(ctx context.Context) {
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

// sweepObjects forgets the shared objects that nobody used for 30 days, now and
// once a day, and keeps those in use, until ctx ends.
func (n *Node) sweepObjects(ctx context.Context) {
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
