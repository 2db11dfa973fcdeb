package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// How long things may take, and how much chat is kept unless Config says
// otherwise.
const (
	startTimeout = 10 * time.Second // for an engine to start, and for a room to be read
	reachTimeout = 3 * time.Second  // for an external NATS to be ready, before Open returns without it
	patience     = 8 * time.Second  // for storing a message, with all retries
	tryTimeout   = 2 * time.Second  // for one try
	watchEvery   = time.Second      // between two checks whether the store works
	closeTimeout = 5 * time.Second  // for the requests of a room that closes

	DefaultHistory    = 2000 // messages a room
	DefaultHistoryAge = 30 * 24 * time.Hour
	DefaultReserve    = 64 << 20
	DefaultObjects    = 1 << 30
)

// Why something is not stored. A full disk, or a store that does not answer,
// has an error of its own.
var (
	ErrClosed    = errors.New("store: closed")
	ErrBusy      = errors.New("store: too many requests are waiting")
	ErrElsewhere = errors.New("store: another node has taken this room over")
)

// Config says where things are kept. Its zero value does not work: Dir or URL
// must be set.
type Config struct {
	Dir        string        // folder of the embedded engine's files; unused with URL
	URL        string        // an external NATS, "nats://a:4222,nats://b:4222"; "" means embedded
	CA         string        // with URL: a file (PEM) of the authority of its certificates; "": the system's
	Node       string        // this process's name
	RTMP       string        // with URL: "rtmp://host:port", where other nodes reach this one
	Sync       Sync          // when the embedded engine's files are safe from a power loss
	History    int           // how many messages are kept of a room; 0: DefaultHistory
	HistoryAge time.Duration // and how long; 0: DefaultHistoryAge
	Log        *slog.Logger  // nil: nothing is logged
	Reserve    int64         // bytes of its disk that the embedded engine leaves free; 0: DefaultReserve, negative: none
	Objects    int64         // bytes of all objects in the store, beyond which clients may store no more; 0: DefaultObjects
	Bare       bool          // only Backup and RestoreAll work: nothing is made or watched

	// for tests
	fsync    func(*os.File) error // nil: (*os.File).Sync
	patience time.Duration        // 0: patience
	pace     *pace                // nil: defaultPace
	reach    time.Duration        // 0: reachTimeout
	copying  time.Duration        // 0: copyEvery
	lost     time.Duration        // 0: lostAfter
}

// A Store is this process's connection to its storage: an engine in the
// process, or an external NATS.
type Store struct {
	// set by Open
	cfg     Config
	log     *slog.Logger
	locked  *os.File // the openFile; nil: external
	cluster *cluster // nil: embedded, there are no other nodes
	flush   *flusher // nil: nothing waits for a flush

	conn          atomic.Pointer[conn]   // the connection; nil: none yet
	subscribing   sync.Mutex             // held while watch opens another connection
	subscriptions map[*subscription]bool // guarded by subscribing

	spellings atomic.Pointer[spellings] // nil: not read yet

	missing atomic.Int64 // when messages were last found to be missing (Unix ns); 0: never
	gaps    atomic.Bool  // messages may be missing between others, too

	objects quota
	reserve atomic.Int64 // Config.Reserve
	saves   saver
	stop    context.CancelFunc
	wg      sync.WaitGroup // watch, flush, and the goroutines of rooms and saves

	stats   counters
	woken   bell // wakes watch
	emptied bell // see Emptied

	// owned by Open, then by watch
	chatMade time.Time // when the chat's stream was made, as far as is known

	mu          sync.Mutex
	engine      *server.Server       // nil: external
	unwell      error                // why nothing can be stored; nil: it can
	broken      bool                 // the embedded engine must be started again
	diskLow     error                // why too little of its disk is free; nil: enough is
	reached     bool                 // the store has worked at least once
	deadSince   time.Time            // since when it has failed to open again; zero: it is open
	lost        error                // why it will not come back; nil: it may
	copiesAsked map[string]time.Time // when more copies were asked for last, by name
	rooms       map[*Room]bool
	closed      bool
}

// Open starts the embedded engine, or connects to the external one. Close ends
// it.
//
// An external NATS that is away or not ready is no error: Open waits a little
// for it, and calls that need it fail until it is there; see [Store.Ready].
func Open(ctx context.Context, cfg Config) (*Store, error) {
	cfg.History = cmp.Or(cfg.History, DefaultHistory)
	cfg.patience = cmp.Or(cfg.patience, patience)
	cfg.reach, cfg.copying = cmp.Or(cfg.reach, reachTimeout), cmp.Or(cfg.copying, copyEvery)
	cfg.lost = cmp.Or(cfg.lost, lostAfter)
	cfg.HistoryAge = cmp.Or(cfg.HistoryAge, DefaultHistoryAge)
	s := &Store{
		cfg: cfg, log: cmp.Or(cfg.Log, slog.New(slog.DiscardHandler)),
		woken: newBell(), emptied: newBell(), rooms: make(map[*Room]bool), copiesAsked: make(map[string]time.Time), reached: cfg.URL == "",
	}
	s.SetLimits(cfg.Reserve, cfg.Objects)
	s.saves.store = s
	s.saves.ctx, s.saves.cancel = context.WithCancel(context.WithoutCancel(ctx))
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Store) open(ctx context.Context) (err error) {
	if s.cfg.URL == "" {
		lost, err := s.lockDir()
		if err != nil {
			return err
		}
		if lost {
			s.log.Warn("store was open when the machine stopped: its last second may be missing", "dir", s.cfg.Dir)
			if err := s.noteMissing(); err != nil {
				return err
			}
		}
		if err := s.embed(); err != nil {
			return err
		}
	}
	if err := s.dial(); err != nil || s.cfg.Bare {
		return err
	}
	if err := s.awaitReady(ctx); err != nil {
		return fmt.Errorf("NATS at %s: %w", s.where(), err)
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	if err := s.startFlush(running); err != nil {
		stop()
		return err
	}
	s.stop = stop
	if !s.embedded() {
		if err = s.join(); err != nil {
			return err
		}
	}
	s.wg.Go(func() { s.watch(running) })
	return nil
}

// awaitReady waits until all streams and buckets exist. It does not wait long for an
// external NATS: watch continues.
func (s *Store) awaitReady(ctx context.Context) (err error) {
	if s.embedded() {
		s.chatMade, err = s.ensure(ctx)
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.reach)
	defer cancel()
	for {
		err := s.checkHealth(ctx)
		if err == nil {
			s.noteHealth(nil)
			return nil
		}
		if pause(ctx, jitter(retryAfter)) != nil {
			s.mu.Lock()
			s.unwell = err
			s.mu.Unlock()
			s.log.Error("store not there yet: trying again", "err", err)
			return nil
		}
	}
}

// Close closes the rooms, then the connection, and the embedded engine once its
// files are complete.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	for _, r := range s.opened() {
		r.Close()
	}
	s.saves.close()
	s.saves.cancel()
	if s.cluster != nil {
		s.cluster.leave()
	}
	if s.stop != nil {
		s.stop()
	}
	s.hangUp() // requests that wait for NATS end
	s.wg.Wait()
	s.hangUp() // a connection that watch has opened in the meantime
	err := s.shutdown()
	return errors.Join(err, s.unlockDir(err == nil && s.stop != nil))
}

// hangUp closes the connection.
func (s *Store) hangUp() {
	if l := s.conn.Load(); l != nil {
		l.nc.Close()
	}
}

// opened returns the rooms that are open.
func (s *Store) opened() []*Room {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.rooms))
}

// Ready returns why nothing can be stored, or nil.
func (s *Store) Ready() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unwell
}

// embedded reports whether the engine is in this process, so that there are no
// other nodes.
func (s *Store) embedded() bool { return s.cfg.URL == "" }

// where returns the address of the store, without the secrets in it.
func (s *Store) where() string {
	if s.embedded() {
		return "this process"
	}
	return Redacted(s.cfg.URL)
}

// Redacted returns the address of a NATS, or several, without the secrets in
// it.
func Redacted(addresses string) string {
	all := strings.Split(addresses, ",")
	for i, address := range all {
		u, err := url.Parse(strings.TrimSpace(address))
		switch {
		case err != nil:
			all[i] = "(no address)"
		case u.User != nil: // without a password it is a token
			u.User = url.User("redacted")
			fallthrough
		default:
			all[i] = u.String()
		}
	}
	return strings.Join(all, ",")
}

// Stats are figures of a store since it was opened.
type Stats struct {
	Stored, Failed uint64        // messages
	Flushes        uint64        // to disk, each for many messages
	FlushTime      time.Duration // how long they took together
	LastFlush      time.Duration // how long the last one took
	// BusAge is how old this node's knowledge of the others may be; 0: there
	// are none. It grows while NATS is away.
	BusAge time.Duration
}

// counters are the Stats as they grow.
type counters struct {
	stored, failed, flushes atomic.Uint64
	flushTime, lastFlush    atomic.Int64
}

// Stats returns the figures so far.
func (s *Store) Stats() Stats {
	stats := Stats{
		Stored: s.stats.stored.Load(), Failed: s.stats.failed.Load(), Flushes: s.stats.flushes.Load(),
		FlushTime: time.Duration(s.stats.flushTime.Load()), LastFlush: time.Duration(s.stats.lastFlush.Load()),
	}
	if s.cluster != nil {
		stats.BusAge = s.cluster.directory.age()
	}
	return stats
}
