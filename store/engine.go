package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Limits of the embedded engine.
const (
	maxPayload   = 8 << 20 // bytes of a message
	probeSize    = 4 << 20 // bytes that must fit on the disk before the engine is started again
	syncInterval = time.Second
)

// embed starts the engine in this process, with no port and its files in Dir.
func (s *Store) embed() error {
	if err := os.MkdirAll(s.cfg.Dir, 0o700); err != nil {
		return err
	}
	whole, err := mendBlocks(s.cfg.Dir, s.log)
	if err != nil {
		s.log.Error("store file damaged", "err", err) // the engine uses what it can
	}
	if whole {
		s.missing.Store(missingSince(s.cfg.Dir))
	} else if err := s.noteMissing(); err != nil {
		return err
	}
	s.gaps.Store(damagedBefore(s.cfg.Dir, chatStream))
	most, err := s.maxStore()
	if err != nil {
		return err
	}
	engine, err := server.NewServer(&server.Options{
		ServerName: s.clientName(), DontListen: true, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: filepath.Clean(s.cfg.Dir), MaxPayload: maxPayload, SyncInterval: syncInterval,
		JetStreamMaxStore: most, JetStreamMaxMemory: 1 << 30,
		DisableJetStreamBanner: true,
	})
	if err != nil {
		return fmt.Errorf("making the embedded NATS: %w", err)
	}
	engine.SetLogger(engineLog{s.log, s.noteBroken}, false, false)
	go engine.Start() // until shutdown, which waits
	s.mu.Lock()
	s.engine = engine
	s.mu.Unlock()
	if !engine.ReadyForConnections(startTimeout) {
		return fmt.Errorf("the embedded NATS did not start within %v: see the files in %s", startTimeout, s.cfg.Dir)
	}
	return nil
}

// unlimited lets the engine fill its disk up to Config.Reserve. By default the
// engine would take a share of the space that is free when it starts, and
// refuse everything when less is free later.
const unlimited = 1 << 60

// maxStore returns how much the engine may store. For a restore that is the
// space that is free now, because the engine believes the sizes that a backup
// claims.
func (s *Store) maxStore() (int64, error) {
	if !s.cfg.Bare {
		return unlimited, nil
	}
	free, err := Free(s.cfg.Dir)
	if err != nil {
		return 0, fmt.Errorf("measuring the free disk space: %w", err)
	}
	return max(min(free-s.reserve.Load(), unlimited), 1), nil
}

// InProcessConn connects to the embedded engine.
func (s *Store) InProcessConn() (net.Conn, error) {
	s.mu.Lock()
	engine := s.engine
	s.mu.Unlock()
	if engine == nil || !engine.Running() {
		return nil, errors.New("the embedded NATS does not run")
	}
	return engine.InProcessConn()
}

// shutdown ends the embedded engine, after which its files are complete.
func (s *Store) shutdown() error {
	s.mu.Lock()
	engine := s.engine
	s.engine = nil
	s.mu.Unlock()
	if engine != nil {
		engine.Shutdown()
		engine.WaitForShutdown()
	}
	return nil
}

// noteBroken notes that the embedded engine could not write. The engine does not try
// again by itself, even when there is room again.
func (s *Store) noteBroken(err error) {
	if !s.embedded() {
		return
	}
	s.mu.Lock()
	first := !s.broken
	s.broken, s.unwell = true, err
	s.mu.Unlock()
	if first {
		s.log.Error("store could not write", "dir", s.cfg.Dir, "err", err)
		s.woken.ring()
	}
}

// repair starts the embedded engine again once its disk can be written to.
func (s *Store) repair(context.Context) error {
	if err := s.probe(); err != nil {
		return fmt.Errorf("the disk of %s: %w", s.cfg.Dir, err)
	}
	if err := s.shutdown(); err != nil {
		return err
	}
	if err := s.embed(); err != nil {
		return err
	}
	s.mu.Lock()
	s.broken = false
	s.mu.Unlock()
	s.log.Info("store started again", "dir", s.cfg.Dir)
	if s.nc().IsClosed() {
		return nil // watch opens another
	}
	return s.nc().ForceReconnect()
}

// probe reports whether the disk can be written to.
func (s *Store) probe() (err error) {
	f, err := os.CreateTemp(s.cfg.Dir, "probe")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	if _, err = f.Write(make([]byte, probeSize)); err != nil {
		return err
	}
	return f.Sync()
}

// engineLog receives the log of the embedded engine, which includes what it
// finds out about damaged files. It implements server.Logger.
//
// The engine does not answer a message that it could not write. It reports the
// error here, and is of no use from then on.
type engineLog struct {
	log        *slog.Logger
	noteBroken func(error)
}

func (l engineLog) say(level slog.Level, format string, v []any) {
	if l.log.Enabled(context.Background(), level) {
		l.log.Log(context.Background(), level, "store engine reported", "text", fmt.Sprintf(format, v...))
	}
}

// Errorf implements server.Logger.
func (l engineLog) Errorf(format string, v ...any) {
	l.say(slog.LevelError, format, v)
	if !strings.Contains(strings.ToLower(format), "critical write error") || len(v) == 0 {
		return
	}
	if err, ok := v[len(v)-1].(error); ok {
		l.noteBroken(err)
	}
}

func (l engineLog) Noticef(format string, v ...any) { l.say(slog.LevelDebug, format, v) }
func (l engineLog) Debugf(format string, v ...any)  { l.say(slog.LevelDebug, format, v) }
func (l engineLog) Tracef(format string, v ...any)  { l.say(slog.LevelDebug, format, v) }
func (l engineLog) Warnf(format string, v ...any)   { l.say(slog.LevelWarn, format, v) }
func (l engineLog) Fatalf(format string, v ...any)  { l.say(slog.LevelError, format, v) }
