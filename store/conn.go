package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// lostAfter is how long the store may fail to open again before it counts as
// lost for good.
const lostAfter = 30 * time.Second

// maxClientName is how much of a node's name NATS is told, since it repeats the name
// in protocol lines whose length is limited.
const maxClientName = 64

// oldestNATS is the first version with everything that is used here: several
// messages of a subject in one request, and markers for expired entries of a
// bucket.
const oldestNATS = "2.11"

// A conn is one connection to NATS. The client library mends one that breaks,
// but after some errors of the server it closes it for good; then another conn
// takes its place.
type conn struct {
	nc *nats.Conn
	js jetstream.JetStream
}

// nc returns the present connection. It may be closed a moment later.
func (s *Store) nc() *nats.Conn { return s.conn.Load().nc }

// js returns JetStream over the present connection.
func (s *Store) js() jetstream.JetStream { return s.conn.Load().js }

// options returns the options of every connection.
func (s *Store) options() []nats.Option {
	options := []nats.Option{
		nats.Name("foyer " + s.clientName()), nats.MaxReconnects(-1), nats.ReconnectWait(100 * time.Millisecond),
		nats.ReconnectJitter(400*time.Millisecond, 400*time.Millisecond),
		nats.PingInterval(pingInterval), nats.MaxPingsOutstanding(2),
		nats.ReconnectBufSize(-1), // a publisher must learn that NATS is away
		nats.ReconnectHandler(func(*nats.Conn) { s.woken.ring() }),
		nats.DisconnectErrHandler(func(*nats.Conn, error) { s.woken.ring() }),
		nats.ClosedHandler(func(*nats.Conn) { s.woken.ring() }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { s.log.Warn("NATS reported an error", "err", err) }),
	}
	if s.embedded() {
		return append(options, nats.InProcessServer(s))
	}
	if s.cfg.CA != "" {
		options = append(options, nats.RootCAs(s.cfg.CA))
	}
	// The password may be corrected on the server while we keep trying.
	return append(options, nats.RetryOnFailedConnect(true), nats.IgnoreAuthErrorAbort())
}

// clientName returns the node's name as NATS is told it.
func (s *Store) clientName() string {
	name := string(key(s.cfg.Node))
	return name[:min(len(name), maxClientName)]
}

// dial opens a connection.
func (s *Store) dial() error {
	nc, err := nats.Connect(s.cfg.URL, s.options()...)
	if err != nil {
		return fmt.Errorf("connecting to NATS at %s: %w", s.where(), err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		nc.Close()
		return err
	}
	s.conn.Store(&conn{nc, js})
	return nil
}

// redial opens another connection after the old one was closed for good, and
// renews the subscriptions on it. Only watch calls it.
func (s *Store) redial() error {
	s.log.Error("connection to NATS was closed for good: opening another", "err", s.nc().LastError())
	s.subscribing.Lock() // Subscribe does not wait for NATS
	defer s.subscribing.Unlock()
	if err := s.dial(); err != nil {
		return err
	}
	if s.cluster != nil {
		s.cluster.watchLink(s)
	}
	for h := range s.subscriptions {
		sub, err := s.nc().Subscribe(h.subject, h.f)
		if err != nil {
			return fmt.Errorf("subscribing again: %w", err)
		}
		h.sub = sub
	}
	return nil
}

// revive restarts the embedded engine, or the connection, when it has ended.
func (s *Store) revive(ctx context.Context) error {
	s.mu.Lock()
	dead := s.broken || s.engine != nil && !s.engine.JetStreamEnabled() || s.engine == nil && s.embedded()
	s.mu.Unlock()
	if dead {
		if err := s.repair(ctx); err != nil {
			return err
		}
	}
	if s.nc().IsClosed() {
		return s.redial()
	}
	return nil
}

// noteDead notes since when the store has failed to open again. A full disk
// does not count, since the store opens as soon as there is room.
func (s *Store) noteDead(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err == nil || errors.Is(err, syscall.ENOSPC):
		s.deadSince, s.lost = time.Time{}, nil
	case s.deadSince.IsZero():
		s.deadSince = time.Now()
	case time.Since(s.deadSince) >= s.cfg.lost:
		s.lost = fmt.Errorf("the store is lost: it could not be opened again for %v: %w", s.cfg.lost, err)
	}
}

// Lost returns why the store will not come back in this process, or nil. The
// store is lost when it could not be opened again for half a minute; restarting
// the process may help. A full disk, or a NATS that is away, does not make it
// lost.
func (s *Store) Lost() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lost
}

// checkVersion checks that the connected NATS is recent enough.
func (s *Store) checkVersion() error {
	if has := s.nc().ConnectedServerVersion(); has != "" && older(has, oldestNATS) {
		return fmt.Errorf("NATS at %s is version %s: foyer needs %s or newer", s.where(), has, oldestNATS)
	}
	return nil
}

// older compares the first two numbers of two versions. A version that cannot
// be read is not older.
func older(has, than string) bool {
	a, b := strings.SplitN(has, ".", 3), strings.SplitN(than, ".", 3)
	for i := range 2 {
		if i >= len(a) {
			return false
		}
		x, err := strconv.Atoi(strings.TrimPrefix(a[i], "v"))
		y, _ := strconv.Atoi(b[i])
		if err != nil || x != y {
			return err == nil && x < y
		}
	}
	return false
}

// noJetStream explains the error of a NATS without JetStream.
func (s *Store) noJetStream(err error) error {
	switch apiCode(err) {
	case jetstream.JSErrCodeJetStreamNotEnabled, jetstream.JSErrCodeJetStreamNotEnabledForAccount:
	default:
		if !errors.Is(err, nats.ErrNoResponders) {
			return err
		}
	}
	return fmt.Errorf("it has no JetStream, which foyer needs: start it with --jetstream, in version %s or newer: %w", oldestNATS, err)
}
