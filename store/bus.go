package store

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go"
)

// busSpace separates the subjects on which nodes talk from those of stored
// data.
const busSpace = "foyer"

// A subscription is a subject that this node listens to, over one connection
// after another.
type subscription struct {
	// set by subscribe
	subject string
	f       nats.MsgHandler

	sub *nats.Subscription // guarded by Store.subscribing: over the present connection
}

// Publish sends data to every node that subscribes to topic, including this
// one. It fails while NATS is away.
func (s *Store) Publish(topic string, data []byte) error {
	if err := s.nc().Publish(subject(busSpace, key(topic)), data); err != nil {
		return fmt.Errorf("publishing %s: %w", topic, err)
	}
	return nil
}

// Subscribe calls f with what is published to topic, in order and one at a
// time, until stop is called. It misses what is published while this node is
// cut off from NATS.
func (s *Store) Subscribe(topic string, f func([]byte)) (stop func(), err error) {
	if stop, err = s.subscribe(subject(busSpace, key(topic)), func(m *nats.Msg) { f(m.Data) }); err != nil {
		return nil, fmt.Errorf("subscribing to %s: %w", topic, err)
	}
	return stop, nil
}

// Ask sends a question to a node and returns its answer to topic, waiting until
// ctx ends. It fails at once when no such node is connected.
func (s *Store) Ask(ctx context.Context, node, topic string, question []byte) ([]byte, error) {
	m, err := s.nc().RequestWithContext(ctx, subject(busSpace, key(topic), key(node)), question)
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", node, err)
	}
	return m.Data, nil
}

// Answer calls f with the questions of other nodes, one at a time, until stop
// is called. An answer that is too long for NATS is sent empty.
func (s *Store) Answer(topic string, f func(question []byte) []byte) (stop func(), err error) {
	stop, err = s.subscribe(subject(busSpace, key(topic), key(s.cfg.Node)), func(m *nats.Msg) {
		answer := f(m.Data)
		if int64(len(answer)) > s.nc().MaxPayload() {
			answer = nil
		}
		if err := m.Respond(answer); err != nil {
			s.log.Debug("question not answered", "subject", m.Subject, "err", err)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("answering %s: %w", topic, err)
	}
	return stop, nil
}

// subscribe calls f with the messages of a subject until stop is called, over
// whichever connection there is.
func (s *Store) subscribe(subject string, f nats.MsgHandler) (stop func(), err error) {
	h := &subscription{subject: subject, f: f}
	s.subscribing.Lock()
	defer s.subscribing.Unlock()
	if h.sub, err = s.nc().Subscribe(subject, f); err != nil {
		return nil, err
	}
	if s.subscriptions == nil {
		s.subscriptions = make(map[*subscription]bool)
	}
	s.subscriptions[h] = true
	return func() {
		s.subscribing.Lock()
		delete(s.subscriptions, h)
		sub := h.sub
		s.subscribing.Unlock()
		sub.Unsubscribe()
	}, nil
}
