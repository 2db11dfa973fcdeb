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

// restoringStream is in an external NATS while that is being restored, and
// stays when the restore is killed. Nodes do not use such a NATS.
const restoringStream = "RESTORING"

// settleTimeout is how long it may take until all servers of a NATS know which
// of them restores a stream.
const settleTimeout = 5 * time.Second

// undoTimeout is how long it may take to take away what a restore has made.
const undoTimeout = 30 * time.Second

// RestoreAll makes all the streams of those files of Backup again. Into an
// external NATS, all of them or none: it refuses one in which there is anything,
// and when something fails it takes away again what it has made.
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
	mark := jetstream.StreamConfig{Name: restoringStream, Storage: jetstream.FileStorage, Description: rand.Text()} // nobody else's
	if _, err := s.js().CreateStream(ctx, mark); err != nil {
		return fmt.Errorf("beginning the restore: %w", err)
	}
	made, err := s.restoreFiles(ctx, files)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	if err != nil {
		if undo := s.remove(ctx, made); undo != nil {
			return errors.Join(err, undo) // what is half stays marked
		}
	}
	return errors.Join(err, s.remove(ctx, []string{restoringStream}))
}

// restoreFiles makes streams, and returns which it may have made.
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

// remove takes streams away.
func (s *Store) remove(ctx context.Context, names []string) (err error) {
	for _, name := range names {
		if failed := s.js().DeleteStream(ctx, name); failed != nil && !errors.Is(failed, jetstream.ErrStreamNotFound) {
			err = errors.Join(err, fmt.Errorf("removing the stream %s: %w", name, failed))
		}
	}
	return err
}

// awaitAccount waits a little for an external NATS, and says what is wrong with it.
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

// vacant returns an error when there are streams already, but for those in
// memory: they are of nodes that run, or ran a moment ago, and end by themselves.
func (s *Store) vacant(ctx context.Context) error {
	there, err := s.onDisk(ctx)
	switch {
	case err != nil:
		return err
	case slices.Contains(there, restoringStream):
		return fmt.Errorf("NATS at %s is of a restore that did not end, or goes on: when it does not, empty its store", s.where())
	case len(there) > 0:
		return fmt.Errorf("NATS at %s is not empty, it has %s: stop the nodes and empty its store, or name another NATS", s.where(), strings.Join(there, ", "))
	}
	return nil
}

// restoreFile makes the stream of a file. It returns its name once there may be
// one that it has made.
func (s *Store) restoreFile(ctx context.Context, file string) (name string, err error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	return s.restoreFrom(ctx, f)
}

// nameTaken is the error code of JetStream for a restore into a stream that is there.
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

// beingRestored is an error while an external NATS is being restored.
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
	return errors.New("it is being restored: when that is over, remove its stream " + restoringStream)
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
func (s *Store) restore(ctx context.Context, name string, req server.JSApiStreamRestoreRequest, in io.Reader) error {
	var begun server.JSApiStreamRestoreResponse
	err := s.withCopies(name, func(copies int) error { // what made the backup may have had others
		req.Config.Replicas, begun = copies, server.JSApiStreamRestoreResponse{}
		err := s.ask(ctx, fmt.Sprintf(server.JSApiStreamRestoreT, name), req, &begun)
		if err == nil && begun.Error != nil {
			err = &jetstream.APIError{Code: begun.Error.Code, ErrorCode: jetstream.ErrorCode(begun.Error.ErrCode), Description: begun.Error.Description}
		}
		return err
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
		// The end is a chunk without bytes; its answer comes when all is in place.
		var done server.JSApiStreamCreateResponse
		if err := s.sendChunk(ctx, begun.DeliverSubject, chunk[:n], &done); err != nil {
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
func (s *Store) sendChunk(ctx context.Context, subject string, chunk []byte, done *server.JSApiStreamCreateResponse) error {
	ctx, cancel := context.WithTimeout(ctx, chunkTimeout)
	defer cancel()
	m, err := s.nc().RequestWithContext(ctx, subject, chunk)
	for begun := time.Now(); errors.Is(err, nats.ErrNoResponders) && time.Since(begun) < settleTimeout && pause(ctx, retryAfter) == nil; {
		m, err = s.nc().RequestWithContext(ctx, subject, chunk) // nobody got it: the servers have not told each other yet who wants it
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
