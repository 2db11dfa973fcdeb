package server

import "foyer/server/relay"

// Running reports whether an instance runs ("room/blue"). It starts nothing.
func (h *Host) Running(instance string) bool {
	_, full, _ := h.Resolve(instance)
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.instances[full] != nil
}

// Stream is the stream that the client plays under that public name, published
// or not; nil when it does not play it. Not for the instance goroutine.
func (c *Client) Stream(name string) *relay.Stream {
	found := make(chan *relay.Stream, 1)
	if !c.in.post(func() {
		for _, p := range c.playing {
			if p.stream.name == name {
				found <- p.stream.relay
				return
			}
		}
		found <- nil
	}) {
		return nil
	}
	return <-found
}
