package media

import (
	"context"
	"errors"
	"sync"
	"time"

	"foyer/server/flv"
	"foyer/server/relay"
	"foyer/server/rtmp"
)

// ErrBehind ends a queue whose consumer has been too slow for too long.
var ErrBehind = errors.New("media: the consumer does not keep up")

// queueReserve is what sequence headers and data may use over the limit.
const queueReserve = 256 << 10

// itemSize is roughly what an item takes besides the payload. A few items always
// fit.
const (
	itemSize = 96
	fewItems = 64
)

// A Queue is a relay.Player for a consumer that has its own pace. The publisher
// never waits: messages that do not fit are dropped, up to a key frame that does.
type Queue struct {
	// set by NewQueue
	limit    int
	patience time.Duration
	wake     chan struct{} // of size 1: something is there

	// guarded by mu
	mu      sync.Mutex
	items   []Item
	bytes   int
	whole   bool      // everything is taken: see join
	video   bool      // there is video, so a key frame has to follow a gap
	gone    bool      // the publisher has ended its broadcast
	behind  time.Time // since when messages are dropped; zero when they are not
	dropped int       // of the gap before the next item
	ended   error
}

// An Item is a message, or a change of publisher.
type Item struct {
	Message rtmp.Message
	Code    string // rtmp.CodePublishNotify, rtmp.CodeUnpublishNotify, "" for a message
	Dropped int    // messages that are missing in front of it

	kept bool // the stream keeps it anyway: it does not count
}

// NewQueue makes a queue that holds up to limit bytes. One that has dropped for
// longer than patience ends with ErrBehind; 0 means never.
func NewQueue(limit int, patience time.Duration) *Queue {
	return &Queue{limit: limit, patience: patience, wake: make(chan struct{}, 1)}
}

// join joins a stream. The messages that the stream has at hand are all taken,
// and do not count, since it keeps them anyway.
func (q *Queue) join(s *relay.Stream) {
	q.setWhole(true)
	defer q.setWhole(false)
	s.Join(q)
}

func (q *Queue) setWhole(whole bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.whole = whole
}

// WriteMessage implements relay.Player.
func (q *Queue) WriteMessage(m rtmp.Message) error {
	t, ok := parse(m)
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ended != nil {
		return q.ended
	}
	frame := ok && t.Kind == flv.CodedFrames || !ok && m.Type != rtmp.TypeDataAMF0
	q.video = q.video || ok && frame && t.picture()
	n := len(m.Payload)
	switch {
	case q.whole:
	case frame:
		if !q.admitLocked(t, n) {
			q.dropped++
			return q.ended
		}
	case q.fitsLocked(n, q.limit+queueReserve):
	case m.Type == rtmp.TypeDataAMF0:
		q.dropped++
		return nil
	default:
		q.endLocked(ErrBehind) // nothing could be decoded without it
		return q.ended
	}
	q.putLocked(Item{Message: m, Dropped: q.dropped})
	q.dropped = 0
	return nil
}

// admitLocked reports whether a picture or sound is to be queued.
func (q *Queue) admitLocked(t tag, n int) bool {
	if q.behind.IsZero() {
		// A single frame always fits, however long.
		if q.fitsLocked(n, q.limit) || len(q.items) == 0 {
			return true
		}
		q.behind = time.Now()
		return false
	}
	if q.patience > 0 && time.Since(q.behind) > q.patience {
		q.endLocked(ErrBehind)
		return false
	}
	if q.video && !beginning(t) || !q.fitsLocked(n, q.limit/2) && len(q.items) > 0 {
		return false
	}
	q.behind = time.Time{}
	return true
}

// beginning reports whether pictures can begin with a frame.
func beginning(t tag) bool {
	part, key := t.Part()
	return t.picture() && key && part == flv.Begin
}

// fitsLocked reports whether n bytes more are within a limit, and one item.
func (q *Queue) fitsLocked(n, limit int) bool {
	return q.bytes+n <= limit && len(q.items) < limit/itemSize+fewItems
}

func (q *Queue) putLocked(it Item) {
	if it.kept = q.whole; !it.kept {
		q.bytes += len(it.Message.Payload)
	}
	q.items = append(q.items, it)
	q.wakeLocked()
}

func (q *Queue) wakeLocked() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Status implements relay.Player.
func (q *Queue) Status(code, _ string) {
	if code != rtmp.CodePublishNotify && code != rtmp.CodeUnpublishNotify {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ended != nil {
		return
	}
	q.video = false // the next one may have none
	q.gone = code == rtmp.CodeUnpublishNotify
	if n := len(q.items); n > 0 && q.items[n-1].Code == rtmp.CodePublishNotify {
		q.items = q.items[:n-1] // it has sent nothing
	}
	if n := len(q.items); n == 0 || q.items[n-1].Code != code {
		q.putLocked(Item{Code: code})
	}
}

// left reports whether the last publisher has ended its broadcast.
func (q *Queue) left() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.gone
}

// Close ends the queue. Next still returns the items in it, and then err.
func (q *Queue) Close(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.endLocked(err)
}

func (q *Queue) endLocked(err error) {
	if q.ended == nil {
		q.ended = err
		q.wakeLocked()
	}
}

// Next waits for messages and takes about max bytes of them, at least one.
// Its error is the cause of ctx, or why the queue has ended.
func (q *Queue) Next(ctx context.Context, max int) ([]Item, error) {
	for {
		items, err := q.take(max)
		if len(items) > 0 || err != nil {
			return items, err
		}
		select {
		case <-q.wake:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (q *Queue) take(max int) ([]Item, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.items) == 0 {
		return nil, q.ended
	}
	n, bytes := 0, 0
	for n < len(q.items) && (n == 0 || bytes < max) {
		size := len(q.items[n].Message.Payload)
		if bytes += size; !q.items[n].kept {
			q.bytes -= size
		}
		n++
	}
	taken := q.items[:n:n]
	q.items = q.items[n:]
	if len(q.items) == 0 {
		q.items = nil
	} else {
		q.wakeLocked()
	}
	return taken, nil
}
