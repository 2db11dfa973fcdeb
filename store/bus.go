package store

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go"
)

// busSpace keeps what nodes tell each other apart from what is kept.
const busSpace = "foyer"

// A subscription is what this node listens to; it outlives its connection.
type subscription struct {
	// set by subscribe
	subject string
	f       nats.MsgHandler

	sub *nats.Subscription // guarded by Store.subscribing: over the present connection
}

// Publish tells every node that subscribes to topic, this one too. It is
// an error while NATS is away.
func (s *Store) Publish(topic string, data []byte) error {
	if err := s.nc().Publish(subject(busSpace, key(topic)), data); err != nil {
		return fmt.Errorf("publishing %s: %w", topic, err)
	}
	return nil
}

// Subscribe calls f with what is published to topic, in order and one after
// the other, until stop. What is published while this node is cut off from NATS
// it never hears.
func (s *Store) Subscribe(topic string, f func([]byte)) (stop func(), err error) {
	if stop, err = s.subscribe(subject(busSpace, key(topic)), func(m *nats.Msg) { f(m.Data) }); err != nil {
		return nil, fmt.Errorf("subscribing to %s: %w", topic, err)
	}
	return stop, nil
}

// Ask asks the node of that name what it answers to topic, until ctx ends.
// One that is not there is known at once.
func (s *Store) Ask(ctx context.Context, node, topic string, question []byte) ([]byte, error) {
	m, err := s.nc().RequestWithContext(ctx, subject(busSpace, key(topic), key(node)), question)
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", node, err)
	}
	return m.Data, nil
}

// Answer calls f with what other nodes ask this one, one after the other, until
// stop. An answer longer than NATS takes becomes an empty one.
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

// subscribe calls f with what comes at a subject until stop, over whichever
// connection there is.
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
