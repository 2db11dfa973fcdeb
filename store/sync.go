package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Sync says when stored data in the embedded engine's files is safe from a
// power loss. With any setting, a process that is killed loses nothing.
type Sync int

const (
	Auto   Sync = iota // Always if the disk is fast enough, else Second
	Always             // before it is acknowledged
	Second             // at most a second later
)

// String returns the name of the setting.
func (s Sync) String() string {
	switch s {
	case Auto:
		return "auto"
	case Always:
		return "always"
	case Second:
		return "second"
	}
	return fmt.Sprintf("Sync(%d)", int(s))
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Sync) UnmarshalText(text []byte) error {
	for _, sync := range []Sync{Auto, Always, Second} {
		if sync.String() == string(text) {
			*s = sync
			return nil
		}
	}
	return fmt.Errorf("%q is not auto, always or second", text)
}

// How Auto decides.
const (
	measureFor   = 100 * time.Millisecond
	measureBlock = 4096
	measureMost  = 256 // blocks: a fast disk may be a small one
	quickEnough  = 300 // flushes a second
)

// measure returns how many small flushes the disk of a folder does in a second.
func measure(dir string) (float64, error) {
	f, err := os.CreateTemp(dir, "measure")
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	block := make([]byte, measureBlock)
	start, n := time.Now(), 0
	for ; n < measureMost && time.Since(start) < measureFor; n++ {
		if _, err := f.Write(block); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
	}
	return float64(n) / time.Since(start).Seconds(), nil
}

// auto returns the setting for a disk that does so many flushes a second.
func auto(rate float64) Sync {
	if rate >= quickEnough {
		return Always
	}
	return Second
}

// startFlush starts the flusher if the settings, or the disk, ask for it.
func (s *Store) startFlush(ctx context.Context) error {
	if !s.embedded() {
		return nil // NATS flushes
	}
	sync := s.cfg.Sync
	attrs := []any{"dir", s.cfg.Dir}
	if sync == Auto {
		rate, err := measure(s.cfg.Dir)
		if err != nil {
			return fmt.Errorf("measuring the disk of %s: %w", s.cfg.Dir, err)
		}
		sync = auto(rate)
		attrs = append(attrs, "flushes_per_second", int(rate))
	}
	if err := s.noteOpen(sync); err != nil {
		return err
	}
	s.log.Info("store opened", append(attrs, "sync", sync.String())...)
	if sync == Always {
		f := newFlusher(s)
		if err := f.sync(); err != nil { // the files and folders that the engine made when it started
			return err
		}
		s.flush = f
		s.wg.Go(func() { f.run(ctx) })
	}
	return nil
}

// flushed calls done when everything stored so far is as safe as the settings
// ask for.
func (s *Store) flushed(done func(error)) {
	if s.flush == nil {
		done(nil)
		return
	}
	s.flush.add(done)
}

// A flusher makes what the engine has written safe from a power loss, for many
// messages at once: during one flush, messages gather for the next.
//
// The engine writes to its files before it answers, but seldom flushes them; if
// it flushed for each message, there would be as many flushes as messages. Any
// process may flush a file, whoever wrote it. So the flusher looks for files
// that have changed since their last flush, and flushes those.
type flusher struct {
	store *Store
	fsync func(*os.File) error // (*os.File).Sync, but in tests

	// owned by run
	clean map[string]os.FileInfo // files and folders as they were at their last flush

	wake bell

	mu      sync.Mutex
	waiting []func(error)
	ended   bool
}

func newFlusher(s *Store) *flusher {
	f := &flusher{store: s, fsync: s.cfg.fsync, clean: make(map[string]os.FileInfo), wake: newBell()}
	if f.fsync == nil {
		f.fsync = (*os.File).Sync
	}
	return f
}

// add calls done when everything stored so far is flushed.
func (f *flusher) add(done func(error)) {
	f.mu.Lock()
	ended := f.ended
	if !ended {
		f.waiting = append(f.waiting, done)
	}
	f.mu.Unlock()
	if ended {
		done(ErrClosed)
		return
	}
	f.wake.ring()
}

// run flushes until ctx ends, and then once more. startFlush starts it, Close
// waits for it.
func (f *flusher) run(ctx context.Context) {
	for ended := false; !ended; {
		select {
		case <-f.wake:
		case <-ctx.Done():
			ended = true
		}
		f.mu.Lock()
		waiting := f.waiting
		f.waiting, f.ended = nil, ended
		f.mu.Unlock()
		if len(waiting) == 0 {
			continue
		}
		start := time.Now()
		err := f.sync()
		took := int64(time.Since(start))
		f.store.stats.flushes.Add(1)
		f.store.stats.flushTime.Add(took)
		f.store.stats.lastFlush.Store(took)
		if err != nil {
			f.store.noteBroken(fmt.Errorf("flushing: %w", err))
		}
		for _, done := range waiting {
			done(err)
		}
	}
}

// sync flushes everything that has changed since its last flush.
func (f *flusher) sync() error {
	root := filepath.Join(f.store.cfg.Dir, "jetstream")
	now := make(map[string]os.FileInfo, len(f.clean))
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return ignoreGone(err)
		}
		if !d.IsDir() && !isBlock(path) && f.clean[path] != nil {
			now[path] = f.clean[path]
			return nil // the engine can make it again from the blocks
		}
		info, err := d.Info()
		if err != nil {
			return ignoreGone(err)
		}
		now[path] = info
		if was := f.clean[path]; was != nil && os.SameFile(was, info) && was.Size() == info.Size() && was.ModTime().Equal(info.ModTime()) {
			return nil
		}
		return f.one(path)
	})
	if err != nil {
		f.clean = make(map[string]os.FileInfo) // nothing is certain any more
		return err
	}
	f.clean = now
	return nil
}

// isBlock reports whether a file has messages in it.
func isBlock(path string) bool { return strings.HasSuffix(path, ".blk") }

// one flushes a file or a folder.
func (f *flusher) one(path string) error {
	file, err := openToFlush(path)
	if err != nil || file == nil {
		return ignoreGone(err)
	}
	return errors.Join(f.fsync(file), file.Close())
}

// ignoreGone returns err, or nil if a file is missing because the engine has
// removed it.
func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
