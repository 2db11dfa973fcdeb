package cluster

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go"
)

// busPrefix keeps what nodes tell each other apart from what is kept.
const busPrefix = "foyer."

// Publish tells every node that subscribes to subject, this one too. It is
// an error while NATS is away.
func (c *Cluster) Publish(subject string, data []byte) error {
	if err := c.nc.Publish(busPrefix+subject, data); err != nil {
		return fmt.Errorf("publishing %s: %w", subject, err)
	}
	return nil
}

// Subscribe calls f with what is published to subject, in order and one after
// the other, until stop. What is published while this node is cut off from NATS
// it never hears.
func (c *Cluster) Subscribe(subject string, f func([]byte)) (stop func(), err error) {
	sub, err := c.nc.Subscribe(busPrefix+subject, func(m *nats.Msg) { f(m.Data) })
	if err != nil {
		return nil, fmt.Errorf("subscribing to %s: %w", subject, err)
	}
	return func() { sub.Unsubscribe() }, nil
}

// Ask asks the node of that name what it answers to subject, until ctx ends.
// One that is not there is known at once.
func (c *Cluster) Ask(ctx context.Context, node, subject string, question []byte) ([]byte, error) {
	m, err := c.nc.RequestWithContext(ctx, busPrefix+subject+"."+nodeToken(node), question)
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", node, err)
	}
	return m.Data, nil
}

// Answer calls f with what other nodes ask this one, one after the other, until
// stop. An answer longer than NATS takes becomes an empty one.
func (c *Cluster) Answer(subject string, f func(question []byte) []byte) (stop func(), err error) {
	sub, err := c.nc.Subscribe(busPrefix+subject+"."+nodeToken(c.cfg.Node), func(m *nats.Msg) {
		answer := f(m.Data)
		if int64(len(answer)) > c.nc.MaxPayload() {
			answer = nil
		}
		if err := m.Respond(answer); err != nil {
			c.log.Debug("question not answered", "subject", m.Subject, "err", err)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("answering %s: %w", subject, err)
	}
	return func() { sub.Unsubscribe() }, nil
}
