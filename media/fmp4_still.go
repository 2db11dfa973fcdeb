package media

import (
	"context"
	"errors"
	"sync"

	"foyer/server/relay"
	"foyer/server/rtmp"
)

// A Still is a key frame. As an MP4 of one frame it is a picture that a <video>
// element shows, without anything being decoded here.
type Still struct {
	// set at the beginning
	codec *codec
	body  []byte

	once sync.Once
	data []byte
	err  error
}

// stillTime is how long the one frame lasts, in milliseconds.
const stillTime = 1000

// MP4 is the picture as a file. It is made when it is first asked for.
func (s *Still) MP4() ([]byte, error) {
	s.once.Do(func() {
		if s.data, s.err = initSegment([lanes]*codec{videoLane: s.codec}); s.err != nil {
			return
		}
		var frame []byte
		frame, s.err = fragment(1, &[lanes][]sample{videoLane: {{dur: stillTime, key: true, data: s.body}}})
		s.data = append(s.data, frame...)
	})
	return s.data, s.err
}

// Mime is the type of the file, with the codec.
func (s *Still) Mime() string { return mimeType(s.codec, nil) }

// Same reports whether t is the same key frame of the same stream.
func (s *Still) Same(t *Still) bool {
	return s != nil && t != nil && &s.body[0] == &t.body[0]
}

// ErrNoPicture says that a stream has no key frame that can be shown.
var ErrNoPicture = errors.New("media: no key frame to show")

// LastKeyFrame returns the key frame that players of the stream begin with. If
// there is none yet, it waits for one. Its error is ErrNoPicture when the stream
// or ctx ends before.
func LastKeyFrame(ctx context.Context, stream *relay.Stream) (*Still, error) {
	w := &stillWatch{found: make(chan *Still, 1)}
	w.remux = NewRemuxer(func(Segment) {})
	w.remux.absent[audioLane] = true // nobody waits for it
	stream.Join(w)
	defer stream.Leave(w)
	s := w.wait(ctx)
	if s == nil {
		return nil, ErrNoPicture
	}
	return s, nil
}

// stillWatch is a [relay.Player] that looks for one key frame.
type stillWatch struct {
	found chan *Still // of size 1

	// guarded by mu
	mu    sync.Mutex
	remux *Remuxer
	over  bool
}

// wait waits for a key frame until ctx ends. It may be there already.
func (w *stillWatch) wait(ctx context.Context) *Still {
	for {
		timeout, cancel := context.WithTimeout(ctx, Settle)
		select {
		case s := <-w.found:
			cancel()
			return s
		case <-timeout.Done():
			cancel()
		}
		if w.settle(); ctx.Err() == nil {
			continue
		}
		select {
		case s := <-w.found:
			return s
		default:
			return nil
		}
	}
}

// settle takes a key frame that nothing follows for whole.
func (w *stillWatch) settle() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.remux.take(w.remux.mender.settle())
	w.tellLocked(w.remux.still)
}

// WriteMessage implements [relay.Player].
func (w *stillWatch) WriteMessage(m rtmp.Message) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return rtmp.ErrClosed
	}
	if m.Type == rtmp.TypeVideo {
		w.remux.Write(m) // after an error nothing is found
		w.tellLocked(w.remux.still)
	}
	return nil
}

// Status implements [relay.Player].
func (w *stillWatch) Status(code, _ string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if code == rtmp.CodeUnpublishNotify && !w.over {
		w.over = true
		w.found <- nil
	}
}

func (w *stillWatch) tellLocked(s *Still) {
	if s != nil && !w.over {
		w.over = true
		w.found <- s
	}
}
