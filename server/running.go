package server

import (
	"context"

	"foyer/server/relay"
)

// Running reports whether an instance runs ("room/blue"), here or on another
// node. It starts nothing.
func (h *Host) Running(instance string) bool {
	in, away := h.find(context.Background(), instance)
	return in != nil || away != nil
}

// find looks for an instance: in when there is one of that name here, away when
// another node is known to run it.
func (h *Host) find(ctx context.Context, instance string) (in *Instance, away *ElsewhereError) {
	name, _ := clean(instance)
	h.mu.Lock()
	a, short := h.resolveLocked(name)
	if a == nil || !ValidName(short) {
		h.mu.Unlock()
		return nil, nil
	}
	in = h.instances[a.full(short)]
	h.mu.Unlock()
	if in != nil {
		return in, nil
	}
	return nil, h.elsewhere(ctx, a, a.full(short))
}

// elsewhere says which other node runs an instance that does not run here.
func (h *Host) elsewhere(ctx context.Context, a *application, name string) *ElsewhereError {
	if !a.claimed || h.Owners == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, findTimeout)
	defer cancel()
	return h.Owners.Find(ctx, name)
}

// reach returns the instance of that name, which may be a tunnel to the node
// that runs it; nil when nobody does. It blocks until it has started.
func (h *Host) reach(ctx context.Context, instance string) *Instance {
	in, away := h.find(ctx, instance)
	if away != nil {
		in, _ = h.instance(ctx, instance, nil)
	}
	if in == nil {
		return nil
	}
	select {
	case <-in.life.started:
	case <-ctx.Done():
		return nil
	}
	if in.life.startErr != nil {
		return nil
	}
	return in
}

// StreamHere is the stream of that public name that somebody publishes now in
// an instance ("room/blue"), if its pictures come to this node anyway. If not,
// node is who runs the instance, "" when that is this one or nobody. Unlike
// Stream it starts nothing, brings nothing here, and waits for no start.
func (h *Host) StreamHere(ctx context.Context, instance, name string) (s *relay.Stream, node string) {
	in, away := h.find(ctx, instance)
	if away != nil {
		return nil, away.Node
	}
	if in == nil {
		return nil, ""
	}
	select {
	case <-in.life.started:
	default:
		return nil, ""
	}
	if in.life.startErr != nil {
		return nil, ""
	}
	if s = in.streams.published(name); s == nil && in.tunnel != nil {
		node = in.tunnel.owner.Node
	}
	return s, node
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
