package web

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"foyer/media"
	"foyer/server/relay"
)

const (
	// MaxLead is how many bytes of fragments, from the last key frame on, are kept for new
	// viewers. Beyond it, new viewers begin at the next key frame.
	MaxLead = 7 << 20
	// remuxLinger is how long a remux continues after its last viewer.
	remuxLinger = 5 * time.Second
)

// remuxes are the streams that are being remuxed to fragmented MP4, each once for all
// its viewers.
type remuxes struct {
	// set by newRemuxes
	ctx    context.Context // ends when all are to end
	cancel context.CancelFunc
	failed func(stream string, err error)

	fragments atomic.Uint64

	// guarded by mu
	mu      sync.Mutex
	open    map[streamName]*remux
	running sync.WaitGroup // one for each remux; Add under mu
}

type streamName struct{ room, stream string }

func newRemuxes(failed func(stream string, err error)) *remuxes {
	r := &remuxes{open: make(map[streamName]*remux), failed: failed}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r
}

// A remux is one stream of them. Its goroutine runs from the first viewer until
// remuxLinger after the last; remuxes.close waits for it.
type remux struct {
	// set by join
	key    streamName
	stream *relay.Stream
	fmp4   *media.FMP4
	cancel context.CancelFunc

	// guarded by remuxes.mu
	users  int
	linger *time.Timer

	// guarded by mu
	mu       sync.Mutex
	viewers  map[*socketViewer]struct{}
	init     [][]byte // frames: the mime type, and the init segment
	lead     [][]byte // frames: fragments since the last key frame
	leadSize int
	notes    [][]byte // frames: notes since the last init segment, such as "end"
}

// join adds a viewer to the remux of a stream, which it starts if need be. It returns
// nil while the handler is being closed.
func (r *remuxes) join(key streamName, stream *relay.Stream, w *socketViewer) *remux {
	r.mu.Lock()
	m := r.open[key]
	if r.ctx.Err() != nil {
		r.mu.Unlock()
		return nil
	}
	if m == nil || m.stream != stream { // the room has begun the stream again
		m = &remux{key: key, stream: stream, fmp4: media.NewFMP4(stream), viewers: make(map[*socketViewer]struct{})}
		var ctx context.Context
		ctx, m.cancel = context.WithCancel(r.ctx)
		r.open[key] = m
		r.running.Go(func() { r.run(ctx, m) })
	}
	m.users++
	if m.linger != nil {
		m.linger.Stop()
	}
	r.mu.Unlock()
	m.add(w)
	return m
}

// leave takes a viewer away. After the last one, the remux ends in a while.
func (r *remuxes) leave(m *remux, w *socketViewer) {
	m.mu.Lock()
	delete(m.viewers, w)
	m.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.users--; m.users == 0 {
		m.linger = time.AfterFunc(remuxLinger, func() { r.expire(m) })
	}
}

func (r *remuxes) expire(m *remux) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.users == 0 {
		r.forgetLocked(m)
		m.cancel()
	}
}

func (r *remuxes) forgetLocked(m *remux) {
	if r.open[m.key] == m {
		delete(r.open, m.key)
	}
}

func (r *remuxes) run(ctx context.Context, m *remux) {
	defer m.cancel()
	err := m.fmp4.Run(ctx, func(s media.Segment) {
		if s.Kind == media.Fragment {
			r.fragments.Add(1)
		}
		m.show(s)
	})
	r.mu.Lock()
	r.forgetLocked(m)
	if m.linger != nil {
		m.linger.Stop()
	}
	r.mu.Unlock()
	if err != nil {
		r.failed(m.key.room+"/"+m.key.stream, err)
		m.abandon()
	}
}

// close ends all remuxes and returns when they have ended.
func (r *remuxes) close() {
	r.mu.Lock()
	r.cancel()
	r.mu.Unlock()
	r.running.Wait()
}

// count returns how many streams are remuxed, and for how many viewers.
func (r *remuxes) count() (streams, viewers int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.open {
		viewers += m.users
	}
	return len(r.open), viewers
}

// still returns the last key frame of a stream if it is being remuxed, or nil.
func (r *remuxes) still(key streamName, stream *relay.Stream) *media.Still {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := r.open[key]; m != nil && m.stream == stream {
		return m.fmp4.Still()
	}
	return nil
}

// add gives a viewer everything since the last key frame, and all that follows.
func (m *remux) add(w *socketViewer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.viewers[w] = struct{}{}
	w.lost = len(m.lead) == 0
	if len(m.init) == 0 && !m.stream.Live() {
		w.begin([][]byte{endFrame})
	}
	w.begin(m.init)
	w.begin(m.notes)
	w.begin(m.lead)
}

// show passes a segment to the viewers as a whole frame, which is made once. It runs on
// the goroutine of the remux and does not block.
func (m *remux) show(s media.Segment) {
	var frames [][]byte
	switch s.Kind {
	case media.Init:
		frames = [][]byte{initFrame(s.Mime), binaryFrame(s.Data)}
	case media.Fragment:
		frames = [][]byte{binaryFrame(s.Data)}
	case media.End:
		frames = [][]byte{endFrame}
	case media.Unsupported:
		frames = [][]byte{unsupportedFrame(s.Codec)}
	}
	var slow []*socketViewer
	m.mu.Lock()
	m.keepLocked(s, frames)
	for w := range m.viewers {
		if !w.show(s, frames) {
			slow = append(slow, w)
		}
	}
	m.mu.Unlock()
	for _, w := range slow {
		w.tooSlow()
	}
}

func (m *remux) keepLocked(s media.Segment, frames [][]byte) {
	switch s.Kind {
	case media.Init:
		m.init, m.lead, m.leadSize, m.notes = frames, nil, 0, nil
		return
	case media.End:
		m.init, m.lead, m.leadSize, m.notes = nil, nil, 0, frames
		return
	case media.Unsupported:
		m.notes = append(m.notes, frames...)
		return
	}
	if s.Key {
		m.lead, m.leadSize = nil, 0
	} else if len(m.lead) == 0 {
		return // it cannot be decoded without a key frame
	}
	m.lead = append(m.lead, frames...)
	if m.leadSize += len(s.Data); m.leadSize > MaxLead {
		m.lead, m.leadSize = nil, 0
	}
}

// abandon ends the viewers of a remux that has failed.
func (m *remux) abandon() {
	m.mu.Lock()
	var all []*socketViewer
	for w := range m.viewers {
		all = append(all, w)
	}
	m.mu.Unlock()
	for _, w := range all {
		w.Close(errRemux)
	}
}

// Frames of /ws/live (PROTOCOL.md).
var endFrame = finishFrame(websocket.TextMessage, startFrame(`{"type":"end"}`))

func initFrame(mime string) []byte {
	b := appendString(startFrame(`{"type":"init","mime":`), mime)
	return finishFrame(websocket.TextMessage, append(b, '}'))
}

func unsupportedFrame(codec string) []byte {
	b := appendString(startFrame(`{"type":"unsupported","codec":`), codec)
	return finishFrame(websocket.TextMessage, append(b, '}'))
}

func binaryFrame(data []byte) []byte {
	b := append(make([]byte, maxHeader, maxHeader+len(data)), data...)
	return finishFrame(websocket.BinaryMessage, b)
}
