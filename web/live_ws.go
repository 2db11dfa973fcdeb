package web

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"foyer/media"
	"foyer/server"
	"foyer/server/amf"
	"foyer/server/rtmp"
)

const (
	// MaxLiveOutbox is how many bytes may wait for a viewer, beside those with which it
	// began. A viewer over it continues at the next key frame. If there is no room for
	// that either, the socket is closed.
	MaxLiveOutbox = 2 << 20
	// maxLiveFrame is the longest frame from a viewer, who has nothing to say.
	maxLiveFrame = 4 << 10

	liveAdmitPoll = time.Second // how often a viewer looks whether the room runs
)

var (
	errTooSlow = errors.New("web: viewer too slow for the stream")
	errRemux   = errors.New("web: remux failed")
)

// A socketViewer is the socket of a viewer, and the [server.Peer] by which the room
// counts it. It gets nothing that the room says: /ws is there for that.
type socketViewer struct {
	*socket
	limit int // bytes in the outbox

	lost bool // until the next key frame; guarded by remux.mu
}

// Push implements [server.Peer].
func (w *socketViewer) Push(*server.Push) error { return nil }

// Request implements [server.Peer].
func (w *socketViewer) Request(string, []amf.Value, func(amf.Value, error)) error {
	return rtmp.ErrClosed
}

// Accept implements [server.Accepter]. Pings have been sent from the beginning.
func (w *socketViewer) Accept() {}

// begin queues the first frames, whatever the limit.
func (w *socketViewer) begin(frames [][]byte) {
	for _, f := range frames {
		w.limit += len(f)
		w.offer(f, w.limit)
	}
}

// show queues the frames of a segment, in order. It returns false when the viewer is too
// slow for the second time. The caller holds remux.mu.
func (w *socketViewer) show(s media.Segment, frames [][]byte) bool {
	switch {
	case s.Kind == media.Init:
		w.lost = true // what follows begins with a key frame
	case s.Kind != media.Fragment:
	case w.lost && !s.Key:
		return true
	}
	limit := w.limit
	if s.Kind != media.Fragment { // nothing can continue without it
		limit += MaxLiveOutbox
	}
	for _, f := range frames {
		if w.offer(f, limit) {
			continue
		}
		if w.lost || s.Kind != media.Fragment {
			return false
		}
		w.lost = true
		return true
	}
	if s.Kind == media.Fragment {
		w.lost = false
	}
	return true
}

// tooSlow ends the socket of a viewer that is too slow.
func (w *socketViewer) tooSlow() {
	w.drain()
	w.Close(errTooSlow)
}

// liveSocket serves /ws/live/ROOM/STREAM. It upgrades at once, and then waits until the
// room runs and somebody publishes.
func (h *Handler) liveSocket(w http.ResponseWriter, r *http.Request) {
	name, stream, ok := strings.Cut(below(r.URL, "/ws/live/"), "/")
	if !ok || !server.ValidName(name) || !server.ValidName(stream) {
		notFound(w, r)
		return
	}
	if _, _, ok := h.cfg.Host.Resolve(roomInstances + name); !ok {
		notFound(w, r)
		return
	}
	key := streamName{strings.Clone(server.Fold(name)), strings.Clone(stream)}
	h.bridge.upgrade(w, r, func(s *socket, req server.Request) {
		req.Path = roomInstances + key.room
		h.watch(&socketViewer{socket: s, limit: MaxLiveOutbox}, key, req)
	})
}

// watch runs a viewer's socket and is its reader. Another goroutine runs until the
// viewer is admitted, and watch waits for it.
func (h *Handler) watch(w *socketViewer, key streamName, req server.Request) {
	w.conn.SetReadLimit(maxLiveFrame)
	w.startPings()
	ctx, cancel := context.WithCancel(h.bridge.ctx)
	var entry sync.WaitGroup
	var leave func()
	entry.Go(func() { leave = h.enter(ctx, w, key, req) })
	for {
		w.extend(silenceTimeout)
		text, err := w.read() // nothing is expected
		if err != nil {
			if errors.Is(err, errBinary) {
				w.Close(&rtmp.ProtocolError{Err: err})
				continue
			}
			break
		}
		h.bridge.received.Add(uint64(len(text)))
	}
	cancel()
	entry.Wait()
	if leave != nil {
		leave()
	}
}

// enter waits for the room, is admitted, and joins the remux. It returns a function that
// undoes all of that, or nil if it did not get so far. It does not start the room for a
// viewer, since there would be nothing to see.
func (h *Handler) enter(ctx context.Context, w *socketViewer, key streamName, req server.Request) (leave func()) {
	if !h.cfg.Host.Running(req.Path) {
		w.send(endFrame)
	}
	for !h.cfg.Host.Running(req.Path) {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(liveAdmitPoll):
		}
	}
	c, err := h.cfg.Host.Connect(ctx, w, req)
	if err != nil {
		w.Close(err)
		return nil
	}
	w.onEnd(c.Leave)
	stop, err := c.Play(key.stream, nil)
	if err != nil {
		w.Close(err)
		return nil
	}
	stream := c.Stream(key.stream)
	if stream == nil {
		stop()
		w.Close(rtmp.ErrClosed)
		return nil
	}
	m := h.remuxes.join(key, stream, w)
	if m == nil {
		stop()
		w.Close(errShutdown)
		return nil
	}
	return func() {
		h.remuxes.leave(m, w)
		stop()
	}
}
