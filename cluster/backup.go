package cluster

import (
	"bufio"
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
	// snapshotWindow how much is on its way. Memory use follows from them.
	snapshotChunk, snapshotWindow = 128 << 10, 1 << 20
	// chunkTimeout is how long the engine may take for one chunk.
	chunkTimeout = 30 * time.Second
	// maxSnapshotHead bounds the line a stream's file begins with.
	maxSnapshotHead = 64 << 10
)

// A snapshotHead is the first line of a stream's file. What the engine calls a
// snapshot of the stream follows it: messages with their sequences and times,
// and the gaps between them.
type snapshotHead struct {
	Foyer  string             `json:"foyer"` // snapshotFormat
	Config json.RawMessage    `json:"config"`
	State  server.StreamState `json:"state"`
}

// snapshotFormat tells our files from others'.
const snapshotFormat = "stream 1"

// Backup gives add a file for each stream that is on disk; key-value buckets
// are streams too. What is only in memory, as leases are, is left out: it is
// nobody's after a restore. Each stream is as it was at one moment, with all
// that was acknowledged before Backup was called. Nothing waits for it. A file
// is made in the folder spool before add reads it, so that a slow reader does
// not hold the engine up.
func (c *Cluster) Backup(ctx context.Context, spool string, add func(name string, size int64, r io.Reader) error) error {
	var names []string
	list := c.js.ListStreams(ctx)
	for info := range list.Info() {
		if info.Config.Storage == jetstream.FileStorage {
			names = append(names, info.Config.Name)
		}
	}
	if err := list.Err(); err != nil {
		return fmt.Errorf("listing what is kept: %w", err)
	}
	slices.Sort(names)
	for _, name := range names {
		if err := c.backUp(ctx, name, spool, add); err != nil {
			return fmt.Errorf("backing up stream %s: %w", name, err)
		}
	}
	return nil
}

// backUp gives add the file of one stream.
func (c *Cluster) backUp(ctx context.Context, name, spool string, add func(string, int64, io.Reader) error) error {
	f, err := os.CreateTemp(spool, ".backup-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if err := c.snapshot(ctx, name, f); err != nil {
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
func (c *Cluster) snapshot(ctx context.Context, name string, w io.Writer) error {
	sub, err := c.nc.SubscribeSync(c.nc.NewInbox())
	if err != nil {
		return err
	}
	defer sub.Unsubscribe()
	var head server.JSApiStreamSnapshotResponse
	err = c.ask(ctx, fmt.Sprintf(server.JSApiStreamSnapshotT, name), server.JSApiStreamSnapshotRequest{
		DeliverSubject: sub.Subject, NoConsumers: true, ChunkSize: snapshotChunk, WindowSize: snapshotWindow,
	}, &head)
	if err == nil && head.Error != nil {
		err = head.Error
	}
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

// Restore makes a stream again out of a file of Backup: with the same messages,
// sequences and times. It fails when there is a stream of this name, as there
// is unless the cluster is Bare.
func (c *Cluster) Restore(ctx context.Context, r io.Reader) error {
	in := bufio.NewReaderSize(r, maxSnapshotHead)
	name, req, err := readSnapshotHead(in)
	if err != nil {
		return err
	}
	if err := c.restore(ctx, name, req, in); err != nil {
		return fmt.Errorf("restoring stream %s: %w", name, err)
	}
	return nil
}

// readSnapshotHead reads the first line of a stream's file.
func readSnapshotHead(in *bufio.Reader) (name string, req server.JSApiStreamRestoreRequest, err error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return "", req, fmt.Errorf("reading a stream's file: no first line: %w", err)
	}
	var head snapshotHead
	if err := json.Unmarshal(line, &head); err != nil {
		return "", req, fmt.Errorf("reading a stream's file: %w", err)
	}
	if head.Foyer != snapshotFormat {
		return "", req, fmt.Errorf("reading a stream's file: format %q, not %q", head.Foyer, snapshotFormat)
	}
	if err := json.Unmarshal(head.Config, &req.Config); err != nil {
		return "", req, fmt.Errorf("reading a stream's configuration: %w", err)
	}
	req.State = head.State
	return req.Config.Name, req, nil
}

// restore sends what follows the first line to the engine.
func (c *Cluster) restore(ctx context.Context, name string, req server.JSApiStreamRestoreRequest, in io.Reader) error {
	if c.embedded() {
		req.Config.Replicas = 1 // it may come from a cluster
	}
	var begun server.JSApiStreamRestoreResponse
	err := c.ask(ctx, fmt.Sprintf(server.JSApiStreamRestoreT, name), req, &begun)
	if err == nil && begun.Error != nil {
		err = begun.Error
	}
	if err != nil {
		return err
	}
	chunk := make([]byte, snapshotChunk)
	for {
		n, readErr := io.ReadFull(in, chunk)
		if readErr != nil && readErr != io.EOF && readErr != io.ErrUnexpectedEOF {
			return readErr
		}
		// The end is a chunk without bytes; its answer comes when all is in place.
		var done server.JSApiStreamCreateResponse
		if err := c.sendChunk(ctx, begun.DeliverSubject, chunk[:n], &done); err != nil {
			return err
		}
		if n > 0 {
			continue
		}
		if done.StreamInfo == nil || done.StreamInfo.State.LastSeq < req.State.LastSeq {
			return errors.New("the engine says that it is in place, but its end is missing")
		}
		return nil
	}
}

// sendChunk sends one chunk and waits for its answer, which is empty but for
// an error and for the last.
func (c *Cluster) sendChunk(ctx context.Context, subject string, chunk []byte, done *server.JSApiStreamCreateResponse) error {
	ctx, cancel := context.WithTimeout(ctx, chunkTimeout)
	defer cancel()
	m, err := c.nc.RequestWithContext(ctx, subject, chunk)
	if err != nil || len(m.Data) == 0 {
		return err
	}
	if err := json.Unmarshal(m.Data, done); err != nil {
		return err
	}
	if done.Error != nil {
		return done.Error
	}
	return nil
}

// ask makes a request of JetStream's API that the client library does not have.
func (c *Cluster) ask(ctx context.Context, subject string, request, response any) error {
	b, err := json.Marshal(request)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, chunkTimeout)
	defer cancel()
	m, err := c.nc.RequestWithContext(ctx, subject, b)
	if err != nil {
		return err
	}
	return json.Unmarshal(m.Data, response)
}
