package web

import (
	"net/netip"
	"sync"
	"time"

	"foyer/server/guard"
)

// clippedHandshake is what is wrong when a browser wants a WebSocket and its
// request comes without Upgrade, as nginx forwards it unless told otherwise.
const clippedHandshake = "A proxy in front of this server does not let WebSockets through: its operator has to pass on the headers Upgrade and Connection."

// How long it is remembered to whom that happened, and to how many.
const (
	clippedFor = time.Minute
	maxClipped = 256
)

// clipped remembers the addresses whose handshakes came without Upgrade. The
// zero value is ready.
type clipped struct {
	mu   sync.Mutex
	last map[netip.Prefix]time.Time // guarded by mu
}

// note remembers that of addr. It reports true when nothing was remembered.
func (c *clipped) note(addr netip.Addr) (first bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	for key, at := range c.last {
		if now.Sub(at) >= clippedFor || len(c.last) >= maxClipped {
			delete(c.last, key)
		}
	}
	if c.last == nil {
		c.last = make(map[netip.Prefix]time.Time)
	}
	first = len(c.last) == 0
	c.last[guard.Source(addr)] = now
	return first
}

// lately reports whether that happened to addr.
func (c *clipped) lately(addr netip.Addr) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	at, ok := c.last[guard.Source(addr)]
	return ok && time.Since(at) < clippedFor
}
