package store

import (
	"context"
	"crypto/rand"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A fence lets one node write under the keys of one instance: the node that
// raised it last. Every write names the last write under any of these keys, and
// becomes the last one itself. So a former owner is refused, however late it
// comes.
type fence struct {
	// set by newFence
	store  *Store
	bucket string
	filter string // all subjects of the keys
	writer string // a random ID of this writer

	turn chan struct{} // 1: whoever has put something in may write, one at a time

	// owned by whoever has the turn
	expect    uint64 // sequence of the last write
	elsewhere error  // another node has raised its fence
}

// newFence makes sure that no other node can write under the subjects of filter
// any more. mark is one of these subjects, under which nothing is stored. It
// blocks.
func (s *Store) newFence(ctx context.Context, bucket, filter, mark string) (*fence, error) {
	f := &fence{store: s, bucket: bucket, filter: filter, writer: rand.Text()[:12], turn: make(chan struct{}, 1)}
	for {
		last, err := s.lastOf(ctx, "KV_"+bucket, filter)
		if err != nil {
			return nil, err
		}
		if f.expect = 0; last != nil {
			f.expect = last.seq
		}
		err = f.write(ctx, nats.NewMsg(mark))
		if !wrongSequence(err) {
			return f, err
		}
		if err := pause(ctx, refusedPause); err != nil {
			return nil, err
		}
	}
}

// refusedPause is the wait after a refusal, for a write that is being done at
// the same moment.
const refusedPause = 5 * time.Millisecond

// put stores m unless another node has raised its fence.
func (f *fence) put(ctx context.Context, m *nats.Msg) error {
	select {
	case f.turn <- struct{}{}:
		defer func() { <-f.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	for f.elsewhere == nil {
		err := f.write(ctx, m)
		if !wrongSequence(err) {
			return err
		}
		if err := f.findEnd(ctx); err != nil {
			return err
		}
	}
	return f.elsewhere
}

// write stores m if nothing was written since the last write that is known.
func (f *fence) write(ctx context.Context, m *nats.Msg) error {
	m.Header.Set(headerBy, f.writer)
	m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(f.expect, 10))
	m.Header.Set(jetstream.ExpectedLastSubjSeqSubjHeader, f.filter)
	seq, err := f.store.publish(ctx, m)
	if err == nil {
		f.expect = seq
	}
	return err
}

// findEnd finds out what was written last when that is not what was expected: a
// write whose answer was lost, nothing any more, or a write of another node.
func (f *fence) findEnd(ctx context.Context) error {
	last, err := f.store.lastOf(ctx, "KV_"+f.bucket, f.filter)
	switch {
	case err != nil:
		return err
	case last == nil: // the store came back empty
		f.expect = 0
	case last.seq == f.expect: // our earlier write is still being stored
		return pause(ctx, refusedPause)
	case last.header.Get(headerBy) == f.writer:
		f.expect = last.seq
	default:
		f.elsewhere = ErrElsewhere
		f.store.log.Warn("instance was taken over by another node: nothing is saved any more", "subjects", f.filter)
	}
	return nil
}
