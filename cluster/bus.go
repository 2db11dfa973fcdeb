package cluster

import (
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
