package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// snapshotChunk is how much of a stream travels in one message, and
	// snapshotWindow how much may be on its way. They bound the memory that a
	// backup takes.
	snapshotChunk, snapshotWindow = 128 << 10, 1 << 20
	// chunkTimeout is how long the engine may take for one chunk.
	chunkTimeout = 30 * time.Second
	// maxSnapshotHead bounds the first line of a stream's file.
	maxSnapshotHead = 64 << 10
)

// A snapshotHead is the first line of a stream's file. The engine's snapshot of
// the stream follows it: messages with their sequences and times, and the gaps
// between them.
type snapshotHead struct {
	Foyer  string             `json:"foyer"` // snapshotFormat
	Config json.RawMessage    `json:"config"`
	State  server.StreamState `json:"state"`
}

// snapshotFormat tells our files from those of others.
const snapshotFormat = "stream 1"

// Backup calls add with a file for each stream that is on disk, which includes
// the key-value buckets. It leaves out streams in memory, such as the leases,
// which mean nothing after a restore. Each stream is as it was at one moment,
// with everything that was acknowledged before Backup was called. Nothing waits
// for a backup. A file is written to the folder spool before add reads it, so
// that a slow reader does not hold up the engine.
func (s *Store) Backup(ctx context.Context, spool string, add func(name string, size int64, r io.Reader) error) error {
	names, err := s.onDisk(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := s.backUp(ctx, name, spool, add); err != nil {
			return fmt.Errorf("backing up stream %s: %w", name, err)
		}
	}
	return nil
}

// onDisk returns the names of the streams that are on disk.
func (s *Store) onDisk(ctx context.Context) (names []string, err error) {
	list := s.js().ListStreams(ctx)
	for info := range list.Info() {
		if info.Config.Storage == jetstream.FileStorage {
			names = append(names, info.Config.Name)
		}
	}
	if err := list.Err(); err != nil {
		return nil, fmt.Errorf("listing streams: %w", err)
	}
	slices.Sort(names)
	return names, nil
}

// backUp calls add with the file of one stream.
func (s *Store) backUp(ctx context.Context, name, spool string, add func(string, int64, io.Reader) error) error {
	f, err := os.CreateTemp(spool, ".backup-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if err := s.snapshot(ctx, name, f); err != nil {
		return err
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return add(name, size, f)
}

// snapshot writes the file of one stream to w.
func (s *Store) snapshot(ctx context.Context, name string, w io.Writer) error {
	sub, err := s.nc().SubscribeSync(s.nc().NewInbox())
	if err != nil {
		return err
	}
	defer sub.Unsubscribe()
	var head server.JSApiStreamSnapshotResponse
	err = s.ask(ctx, fmt.Sprintf(server.JSApiStreamSnapshotT, name), server.JSApiStreamSnapshotRequest{
		DeliverSubject: sub.Subject, NoConsumers: true, ChunkSize: snapshotChunk, WindowSize: snapshotWindow,
	}, &head)
	if err != nil {
		return err
	}
	config, err := json.Marshal(head.Config)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(w).Encode(snapshotHead{snapshotFormat, config, *head.State}); err != nil {
		return err
	}
	for {
		m, err := nextChunk(ctx, sub)
		switch {
		case err != nil:
			return err
		case len(m.Data) > 0:
			if _, err := w.Write(m.Data); err != nil {
				return err
			}
			if m.Reply != "" {
				err = m.Respond(nil)
			}
		case m.Header.Get("Status") >= "400":
			return errors.New(m.Header.Get("Description"))
		default:
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// nextChunk waits for the next chunk of a snapshot.
func nextChunk(ctx context.Context, sub *nats.Subscription) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, chunkTimeout)
	defer cancel()
	return sub.NextMsgWithContext(ctx)
}

// ask makes a request of JetStream that may take as long as a chunk.
func (s *Store) ask(ctx context.Context, subject string, request, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, chunkTimeout)
	defer cancel()
	return s.request(ctx, subject, request, answer)
}
