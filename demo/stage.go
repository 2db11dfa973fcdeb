package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	"foyer/client"
	"foyer/server/amf"
)

const (
	// callTimeout bounds the connecting of a bot, and each of its calls.
	callTimeout = 10 * time.Second
	// The pause after a failure grows from the first to the second, with jitter.
	minRetry = 500 * time.Millisecond
	maxRetry = 5 * time.Second
)

// errLost means that a bot is not connected.
var errLost = errors.New("demo: not connected")

// A stage carries out the decisions of its director in one room. It belongs to
// the goroutine of run.
type stage struct {
	url      string
	token    string
	scene    *scene
	director *director
	log      *slog.Logger
	dial     func(ctx context.Context, network, addr string) (net.Conn, error)

	host   *client.NetConnection // nil while it is not connected
	people map[string]*client.NetConnection
	failed int // attempts in a row
}

// run carries out actions until ctx ends. It returns when everybody has left.
func (s *stage) run(ctx context.Context) {
	defer s.close()
	began := time.Now()
	for {
		a := s.director.decide(time.Since(began))
		if !s.pause(ctx, a.pause) {
			return
		}
		err := s.open(ctx)
		if err == nil {
			err = s.perform(ctx, a)
		}
		if ctx.Err() != nil {
			return
		}
		s.settle(a, err)
		if s.failed > 0 && !sleep(ctx, retryPause(s.failed)) {
			return
		}
	}
}

// pause waits for d, or less when the room has ended. It reports false when ctx
// ended first.
func (s *stage) pause(ctx context.Context, d time.Duration) bool {
	var gone <-chan struct{} // nil, which never comes, while there is no host
	if s.host != nil {
		gone = s.host.Done()
	}
	select {
	case <-time.After(d):
		return true
	case <-gone:
		return true
	case <-ctx.Done():
		return false
	}
}

// settle takes the result of an action, and tells the director who is not in
// the room.
func (s *stage) settle(a action, err error) {
	for who, nc := range s.people {
		select {
		case <-nc.Done():
			delete(s.people, who)
			s.director.gone(who)
		default:
		}
	}
	if err == nil {
		if s.failed > 0 {
			s.log.Info("room reached", "instance", s.url)
		}
		s.failed = 0
		return
	}
	if a.kind == arrive || errors.Is(err, errLost) {
		s.director.gone(a.who)
	}
	if s.host != nil && s.host.Err() == nil {
		return // the room is there: somebody real has that name, or the bot was muted
	}
	if s.failed++; s.failed == 1 {
		s.log.Warn("room not reached", "instance", s.url, "err", err)
	}
}

// open connects the host, if it is not connected, and has it set up the room.
func (s *stage) open(ctx context.Context) error {
	if s.host != nil {
		select {
		case <-s.host.Done():
			s.host = nil
		default:
			return nil
		}
	}
	host, err := s.enter(ctx, s.scene.host, amf.String(s.token))
	if err != nil {
		return err
	}
	tags := make(amf.StrictArray, len(s.scene.tags))
	for i, tag := range s.scene.tags {
		tags[i] = amf.String(tag)
	}
	err = errors.Join(
		call(ctx, host, "title", amf.String(s.scene.title)),
		call(ctx, host, "topic", amf.String(s.scene.topics[s.director.topic])),
		call(ctx, host, "tags", tags),
	)
	if err != nil {
		host.Close()
		return fmt.Errorf("opening the room: %w", err)
	}
	s.host = host
	return nil
}

// enter connects a person to the room.
func (s *stage) enter(ctx context.Context, nick string, credential ...amf.Value) (*client.NetConnection, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	args := append([]amf.Value{amf.String(nick)}, credential...)
	return client.Dial(ctx, s.url, client.Options{Dial: s.dial}, args...)
}

// perform carries out an action.
func (s *stage) perform(ctx context.Context, a action) error {
	if a.kind == topic {
		return call(ctx, s.host, "topic", amf.String(a.text))
	}
	nc := s.people[a.who]
	if nc == nil && a.kind != arrive {
		return errLost
	}
	switch a.kind {
	case arrive:
		nc, err := s.enter(ctx, a.who)
		if err == nil {
			s.people[a.who] = nc
		}
		return err
	case leave:
		delete(s.people, a.who)
		nc.Close()
		return nil
	case rename:
		return call(ctx, nc, "nick", amf.String(a.text))
	default:
		return call(ctx, nc, "say", amf.String(a.text))
	}
}

// close lets everybody leave, all at once, and waits until they have.
func (s *stage) close() {
	var all sync.WaitGroup
	for _, nc := range append(slices.Collect(maps.Values(s.people)), s.host) {
		if nc != nil {
			all.Go(func() { nc.Close() })
		}
	}
	all.Wait()
}

// call calls a method of the room for a person, and waits for the answer.
func call(ctx context.Context, nc *client.NetConnection, method string, args ...amf.Value) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if _, err := nc.Call(ctx, method, args...); err != nil {
		return fmt.Errorf("calling %s: %w", method, err)
	}
	return nil
}

// retryPause is the pause after that many failures in a row.
func retryPause(failed int) time.Duration {
	d := min(maxRetry, minRetry<<min(failed, 10))
	return d/2 + rand.N(d/2)
}

// sleep waits for d; it reports false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
