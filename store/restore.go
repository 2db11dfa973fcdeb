package store

import (
	"bufio"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// restoringStream exists in an external NATS while that is being restored, and
// is left behind when the restore is killed. Nodes do not use such a NATS.
const restoringStream = "RESTORING"

// settleTimeout is how long the servers of a NATS may take to learn which of
// them restores a stream.
const settleTimeout = 5 * time.Second

// undoTimeout is how long the removal of a failed restore may take.
const undoTimeout = 30 * time.Second

// RestoreAll makes all the streams in files that Backup made. Into an external
// NATS it restores all of them or none: it refuses a NATS that is not empty,
// and when something fails it removes the streams it has made.
func (s *Store) RestoreAll(ctx context.Context, files []string) (err error) {
	if s.embedded() {
		_, err := s.restoreFiles(ctx, files)
		return err
	}
	if err := s.awaitAccount(ctx); err != nil {
		return err
	}
	if err := s.vacant(ctx); err != nil {
		return err
	}
	mark := jetstream.StreamConfig{Name: restoringStream, Storage: jetstream.FileStorage, Description: rand.Text()} // a description of its own, so that no other restore makes the same stream
	if _, err := s.js().CreateStream(ctx, mark); err != nil {
		return fmt.Errorf("beginning the restore: %w", err)
	}
	made, err := s.restoreFiles(ctx, files)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	if err != nil {
		if undo := s.remove(ctx, made); undo != nil {
			return errors.Join(err, undo) // a half restored NATS stays marked
		}
	}
	return errors.Join(err, s.remove(ctx, []string{restoringStream}))
}

// restoreFiles makes streams, and returns the names of those that it may have
// made.
func (s *Store) restoreFiles(ctx context.Context, files []string) (made []string, err error) {
	for _, file := range files {
		name, err := s.restoreFile(ctx, file)
		if name != "" {
			made = append(made, name)
		}
		if err != nil {
			return made, err
		}
	}
	return made, nil
}

// remove deletes streams.
func (s *Store) remove(ctx context.Context, names []string) (err error) {
	for _, name := range names {
		if failed := s.js().DeleteStream(ctx, name); failed != nil && !errors.Is(failed, jetstream.ErrStreamNotFound) {
			err = errors.Join(err, fmt.Errorf("removing the stream %s: %w", name, failed))
		}
	}
	return err
}

// awaitAccount waits a little for an external NATS, and returns what is wrong
// with it.
func (s *Store) awaitAccount(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.reach)
	defer cancel()
	for {
		_, err := timed(ctx, s.js().AccountInfo)
		if err == nil {
			return s.checkVersion()
		}
		if pause(ctx, retryAfter) == nil {
			continue
		}
		if !s.nc().IsConnected() {
			return s.away()
		}
		return fmt.Errorf("NATS at %s: %w", s.where(), cmp.Or(s.checkVersion(), s.noJetStream(err)))
	}
}

// vacant returns an error when there are streams already. Streams in memory do
// not count: they belong to nodes that run or ran a moment ago, and expire.
func (s *Store) vacant(ctx context.Context) error {
	there, err := s.onDisk(ctx)
	switch {
	case err != nil:
		return err
	case slices.Contains(there, restoringStream):
		return fmt.Errorf("NATS at %s is being restored, or has had a restore that did not end: if none is running, empty its store", s.where())
	case len(there) > 0:
		return fmt.Errorf("NATS at %s is not empty, it has %s: stop the nodes and empty its store, or name another NATS", s.where(), strings.Join(there, ", "))
	}
	return nil
}

// restoreFile makes the stream of a file. It returns its name as soon as it may
// have made one.
func (s *Store) restoreFile(ctx context.Context, file string) (name string, err error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	return s.restoreFrom(ctx, f)
}

// nameTaken is JetStream's error code for restoring a stream that exists.
const nameTaken = 10130

func (s *Store) restoreFrom(ctx context.Context, r io.Reader) (name string, err error) {
	in := bufio.NewReaderSize(r, maxSnapshotHead)
	name, req, err := readSnapshotHead(in)
	if err != nil {
		return "", err
	}
	if err := s.restore(ctx, name, req, in); err != nil {
		err = fmt.Errorf("restoring stream %s: %w", name, err)
		if code := apiCode(err); code == nameTaken || code == jetstream.JSErrCodeStreamNameInUse {
			return "", err
		}
		return name, err
	}
	return name, nil
}

// beingRestored returns an error while an external NATS is being restored.
func (s *Store) beingRestored(ctx context.Context) error {
	if s.embedded() {
		return nil
	}
	_, err := timed(ctx, func(ctx context.Context) (jetstream.Stream, error) { return s.js().Stream(ctx, restoringStream) })
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.New("it is being restored: if no restore is running, remove its stream " + restoringStream)
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

// restore sends everything after the first line to the engine.
func (s *Store) restore(ctx context.Context, name string, req server.JSApiStreamRestoreRequest, in io.Reader) error {
	var begun server.JSApiStreamRestoreResponse
	err := s.withCopies(name, func(copies int) error { // the NATS that was backed up may have had another number of copies
		req.Config.Replicas, begun = copies, server.JSApiStreamRestoreResponse{}
		return s.ask(ctx, fmt.Sprintf(server.JSApiStreamRestoreT, name), req, &begun)
	})
	if err != nil {
		return err
	}
	chunk := make([]byte, snapshotChunk)
	for {
		n, readErr := io.ReadFull(in, chunk)
		if readErr != nil && readErr != io.EOF && readErr != io.ErrUnexpectedEOF {
			return readErr
		}
		// An empty chunk is the end; its answer comes when everything is in
		// place.
		var done server.JSApiStreamCreateResponse
		if err := s.sendChunk(ctx, begun.DeliverSubject, chunk[:n], &done); err != nil {
			return err
		}
		if n > 0 {
			continue
		}
		if done.StreamInfo == nil || done.StreamInfo.State.LastSeq < req.State.LastSeq {
			return errors.New("the engine reports success, but the end of the stream is missing")
		}
		return nil
	}
}

// sendChunk sends one chunk and waits for the answer. The answer is empty
// except for an error, and after the last chunk.
func (s *Store) sendChunk(ctx context.Context, subject string, chunk []byte, done *server.JSApiStreamCreateResponse) error {
	ctx, cancel := context.WithTimeout(ctx, chunkTimeout)
	defer cancel()
	m, err := s.nc().RequestWithContext(ctx, subject, chunk)
	for begun := time.Now(); errors.Is(err, nats.ErrNoResponders) && time.Since(begun) < settleTimeout && pause(ctx, retryAfter) == nil; {
		m, err = s.nc().RequestWithContext(ctx, subject, chunk) // no server took it: they do not know yet which of them restores the stream
	}
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
