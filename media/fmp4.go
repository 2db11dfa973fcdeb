package media

import (
	"context"
	"sync/atomic"

	"foyer/server/relay"
)

// MaxBacklog is how many bytes of messages may wait for a remux. Beyond it,
// frames are left out up to a key frame. The messages that the stream has at
// hand when the remux begins are all taken: the stream keeps them anyway.
const MaxBacklog = 3 << 20

// FMP4 is the remux of a stream that is being published or will be. Its own
// goroutine does the work, so the publisher does not wait for it.
type FMP4 struct {
	stream *relay.Stream         // set by NewFMP4
	queue  *Queue                // set by NewFMP4
	remux  *Remuxer              // owned by Run
	still  atomic.Pointer[Still] // written by Run
}

// NewFMP4 returns the remux of a stream; Run runs it.
func NewFMP4(stream *relay.Stream) *FMP4 {
	return &FMP4{stream: stream, queue: NewQueue(MaxBacklog, 0)}
}

// Run plays the stream and gives emit the segments, until ctx ends. Its error is
// our own mistake, or ErrBehind.
func (f *FMP4) Run(ctx context.Context, emit func(Segment)) error {
	f.remux = NewRemuxer(emit)
	f.queue.join(f.stream)
	defer f.stream.Leave(f.queue)
	for {
		items, err := f.queue.Next(ctx, 1<<20)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		for _, it := range items {
			if err := f.take(it); err != nil {
				return err
			}
		}
	}
}

// take remuxes a message. When the publisher is another, or none, the segments
// end.
func (f *FMP4) take(it Item) error {
	defer func() { f.still.Store(f.remux.still) }()
	if it.Code != "" {
		return f.remux.End()
	}
	if it.Dropped > 0 {
		f.remux.mender.gap()
	}
	return f.remux.Write(it.Message)
}

// Still is the last key frame, or nil.
func (f *FMP4) Still() *Still { return f.still.Load() }
