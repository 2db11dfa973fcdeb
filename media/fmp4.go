package media

import (
	"context"
	"sync"

	"foyer/server/relay"
	"foyer/server/rtmp"
)

// MaxBacklog is how many bytes of messages may wait for a remux. Over it,
// frames are left out up to a key frame. The messages that the stream has at
// hand when the remux begins are all taken: the stream keeps them anyway.
const MaxBacklog = 3 << 20

// FMP4 is the remux of a stream that is being published or will be. It is a
// player of the stream; its own goroutine does the work, so the publisher does
// not wait for it.
type FMP4 struct {
	stream *relay.Stream // set by NewFMP4
	wake   chan struct{} // cap 1: something is in queue

	// owned by Run
	remux *Remuxer

	// guarded by mu
	mu      sync.Mutex
	queue   []event
	queued  int  // bytes in queue
	joining bool // see join
	waiting bool
	still   *Still
}

// An event is a message, or the end of the publisher.
type event struct {
	message rtmp.Message
	end     bool
}

// eventSize is about what an event takes besides the payload.
const eventSize = 64

// NewFMP4 returns the remux of a stream. Run makes it go.
func NewFMP4(stream *relay.Stream) *FMP4 {
	return &FMP4{stream: stream, wake: make(chan struct{}, 1)}
}

// Run plays the stream and gives emit what comes out, until ctx ends. Whoever
// starts it waits for it. An error is our own mistake.
func (f *FMP4) Run(ctx context.Context, emit func(Segment)) error {
	f.remux = NewRemuxer(emit)
	f.join()
	defer f.stream.Leave(f)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-f.wake:
		}
		f.mu.Lock()
		queue := f.queue
		f.queue, f.queued = nil, 0
		f.mu.Unlock()
		for _, e := range queue {
			if err := f.take(e); err != nil {
				return err
			}
		}
	}
}

// join takes what the stream has at hand, and then all that comes.
func (f *FMP4) join() {
	f.mu.Lock()
	f.joining = true
	f.mu.Unlock()
	f.stream.Join(f)
	f.mu.Lock()
	f.joining = false
	f.mu.Unlock()
}

func (f *FMP4) take(e event) error {
	var err error
	if e.end {
		err = f.remux.End()
	} else {
		err = f.remux.Write(e.message)
	}
	f.mu.Lock()
	f.still = f.remux.still
	f.mu.Unlock()
	return err
}

// Still is the last key frame, or nil.
func (f *FMP4) Still() *Still {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.still
}

// WriteMessage implements [relay.Player].
func (f *FMP4) WriteMessage(m rtmp.Message) error {
	f.mu.Lock()
	if f.admitLocked(m) {
		f.queue = append(f.queue, event{message: m})
		f.queued += len(m.Payload) + eventSize
	}
	f.mu.Unlock()
	f.ring()
	return nil
}

// admitLocked leaves out frames when too much waits, and then pictures up to a
// key frame. What a decoder needs to know may use the reserve, too.
func (f *FMP4) admitLocked(m rtmp.Message) bool {
	if !f.waiting && (f.joining || f.queued+len(m.Payload) <= MaxBacklog) {
		return true
	}
	switch t := parseTag(m); {
	case t.kind == header:
		return f.queued+len(m.Payload) <= MaxBacklog+queueReserve
	case f.queued > MaxBacklog/2:
		f.waiting = true
		return false
	case t.lane == videoLane && t.kind == coded:
		f.waiting = !t.key
		return t.key
	}
	return true
}

// Status implements [relay.Player].
func (f *FMP4) Status(code, _ string) {
	if code != rtmp.CodeUnpublishNotify {
		return
	}
	f.mu.Lock()
	f.queue = append(f.queue, event{end: true})
	f.queued += eventSize
	f.mu.Unlock()
	f.ring()
}

func (f *FMP4) ring() {
	select {
	case f.wake <- struct{}{}:
	default: // it is awake
	}
}
