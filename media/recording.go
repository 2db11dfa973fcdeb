package media

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"sync/atomic"
	"time"

	"foyer/server/relay"
	"foyer/server/rtmp"
)

// errOver ends a recording: the publisher has said so, or did not come back.
var errOver = errors.New("media: broadcast over")

// errLimit ends a recording that alone reaches the limit.
var errLimit = errors.New("media: recordings reach the limit")

// A recording writes one broadcast to its file.
type recording struct {
	// set by OnStream
	recorder        *Recorder
	room, name, key string
	queue           *Queue
	log             *slog.Logger

	// guarded by Recorder.mu
	from     *relay.Stream
	returned bool // somebody publishes again, but run does not know it yet
	over     bool // it takes no more messages

	// written by run
	file           atomic.Value // string: the file's name, once there is one
	size, duration atomic.Int64 // what has been written

	// owned by run
	flv    FLV
	out    *os.File
	buf    []byte
	dirty  bool
	heard  time.Time // when the last message came
	pruned time.Time // when the limit was last enforced
}

// follow continues the recording with the stream that is published now, and
// reports whether that was possible: an end that was said is an end. The caller
// holds Recorder.mu.
func (k *recording) follow(s *relay.Stream) bool {
	if k.over || k.queue.left() {
		return false
	}
	k.returned = true
	if k.from != s {
		k.from.Leave(k.queue)
	}
	k.queue.Status(rtmp.CodePublishNotify, "") // players are not told of a publisher that takes over
	if k.from != s {
		k.from = s
		s.Join(k.queue)
	}
	return true
}

// run writes until the broadcast is over.
func (k *recording) run() {
	err := k.write()
	r := k.recorder
	r.mu.Lock()
	k.over = true
	from := k.from
	r.mu.Unlock()
	from.Leave(k.queue)
	err = errors.Join(ignoreEnd(err), k.finish())
	r.mu.Lock()
	delete(r.live, k)
	r.mu.Unlock()
	if k.out == nil && err == nil {
		return
	}
	name, _ := k.file.Load().(string)
	log := k.log.With("file", k.room+"/"+name, "bytes", k.size.Load(), "dur", time.Duration(k.duration.Load()))
	switch {
	case errors.Is(err, errLimit):
		log.Warn("recording ended", "err", err)
	case err != nil:
		log.Error("recording ended", "err", err)
	default:
		log.Info("recording ended")
	}
}

// isOver reports whether a stream that was lost has been gone for too long. If so,
// nobody can follow any more.
func (k *recording) isOver(now time.Time) bool {
	if now.Sub(k.heard) < k.recorder.cfg.Grace {
		return false
	}
	k.recorder.mu.Lock()
	defer k.recorder.mu.Unlock()
	k.over = !k.returned && !k.from.Live()
	return k.over
}

func ignoreEnd(err error) error {
	if errors.Is(err, errOver) || errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// write is the loop: it writes messages at once, and forces them to the disk every
// second. It returns why it ended.
func (k *recording) write() error {
	next := time.Now().Add(recordSync)
	for {
		items, err := k.next(next)
		for _, it := range items {
			if it.Code == rtmp.CodeUnpublishNotify {
				err = errOver
				break
			}
			k.take(it)
		}
		switch over := err != nil && !errors.Is(err, context.DeadlineExceeded); {
		case over:
			k.buf = k.flv.End(k.buf)
		case err != nil && time.Since(k.heard) >= Settle:
			k.buf = k.flv.Settle(k.buf)
		}
		if werr := k.flush(); werr != nil {
			return werr
		}
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		if now := time.Now(); !now.Before(next) {
			next = now.Add(recordSync)
			if err := k.sync(); err != nil {
				return err
			}
			if k.isOver(now) {
				return errOver
			}
		}
	}
}

// next waits for messages until the time of the next sync.
func (k *recording) next(until time.Time) ([]Item, error) {
	ctx, cancel := context.WithDeadline(k.recorder.ctx, until)
	defer cancel()
	return k.queue.Next(ctx, recordBatch)
}

// take turns an item into bytes to be written.
func (k *recording) take(it Item) {
	if it.Dropped > 0 {
		k.flv.Gap()
		k.log.Warn("recording has a gap", "messages", it.Dropped, "at", k.flv.Duration())
	}
	k.heard = time.Now()
	if it.Code == "" {
		k.buf = k.flv.Append(k.buf, it.Message)
		return
	}
	k.buf = k.flv.End(k.buf)
	k.flv.Restart()
	k.recorder.mu.Lock()
	k.returned = false
	k.recorder.mu.Unlock()
}

// flush writes the tags in buf. A write that fails leaves whole tags behind.
func (k *recording) flush() error {
	if len(k.buf) == 0 {
		return nil
	}
	if k.out == nil {
		if err := k.create(); err != nil {
			return err
		}
	}
	if _, err := k.out.WriteAt(k.buf, k.size.Load()); err != nil {
		return errors.Join(err, k.out.Truncate(k.size.Load()))
	}
	k.size.Add(int64(len(k.buf)))
	k.duration.Store(int64(k.flv.Duration()))
	k.buf, k.dirty = k.buf[:0], true
	if cap(k.buf) > recordBatch {
		k.buf = nil
	}
	return nil
}

// create makes the file. Another broadcast in the same second gets a number.
func (k *recording) create() error {
	root := k.recorder.root
	if err := root.Mkdir(k.room, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	base := k.name + "-" + time.Now().UTC().Format(recordTime)
	for i := 1; ; i++ {
		name := base + ".flv"
		if i > 1 {
			name = fmt.Sprintf("%s-%d.flv", base, i)
		}
		k.file.Store(name) // first, so that the file is never taken for an old one
		f, err := root.OpenFile(path.Join(k.room, name), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
		if errors.Is(err, fs.ErrExist) && i < 100 {
			continue
		}
		if err != nil {
			return err
		}
		k.out = f
		k.log.Info("recording began", "file", k.room+"/"+name)
		return nil
	}
}

// sync forces written bytes to the disk, and enforces the limit on all recordings.
func (k *recording) sync() error {
	if !k.dirty {
		return nil
	}
	k.dirty = false
	if err := k.out.Sync(); err != nil {
		return err
	}
	if k.recorder.cfg.Limit <= 0 || time.Since(k.pruned) < recordPrune {
		return nil
	}
	k.pruned = time.Now()
	if !k.recorder.prune() {
		return errLimit
	}
	return nil
}

// finish writes duration and size into the file and closes it.
func (k *recording) finish() error {
	if k.out == nil {
		return nil
	}
	return errors.Join(
		FinishFLV(k.out, k.flv.Duration(), k.size.Load()),
		k.out.Sync(),
		k.out.Close(),
	)
}
