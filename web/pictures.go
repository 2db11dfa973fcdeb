package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"foyer/media"
	"foyer/room"
	"foyer/server/relay"
)

const (
	// MaxPictures is how many pictures are kept, MaxPictureBytes how long all of
	// them may be together.
	MaxPictures     = 4096
	MaxPictureBytes = 64 << 20
	// MaxFarPicture is the longest picture that is taken from another node.
	MaxFarPicture = 1 << 20
	// MaxAsking is how many questions to other nodes are on their way at once.
	MaxAsking = 16

	pictureFresh = time.Second / 2 // a picture is not looked for more often
	pictureFar   = 3 * time.Second // nor asked for more often at another node
	pictureNone  = time.Second     // nor when that had none
	pictureWait  = 3 * time.Second // for a key frame, when there is none yet
	pictureAsk   = 2 * time.Second // for another node, and for the turn to ask it
)

// askPicture is what nodes ask each other pictures by.
const askPicture = "picture"

// Nodes is how this node asks others, by their names, and is asked by them.
type Nodes interface {
	Ask(ctx context.Context, node, subject string, question []byte) (answer []byte, err error)
	// Answer has f, which does not block, answer what others ask this node.
	Answer(subject string, f func(question []byte) []byte) (stop func(), err error)
}

// A pictureQuestion is what one node asks another one, as JSON. The answer is
// the file, or nothing.
type pictureQuestion struct {
	Room   string `json:"room"`
	Stream string `json:"stream"`
}

// pictures is the key frames that cards have asked for, of rooms here and at
// other nodes. Each is looked for once for all who ask, and kept for a moment.
type pictures struct {
	asking chan struct{} // cap MaxAsking: has a value for each question on its way

	// guarded by mu
	mu    sync.Mutex
	kept  map[streamName]*picture
	bytes int
}

// A picture is a key frame as it was found.
type picture struct {
	found chan struct{} // closed when the following are set

	still *media.Still // nil: it came from another node, or there is none
	data  []byte       // the file; nil: there is none
	tag   string
	until time.Time // it is not looked for before; guarded by pictures.mu, zero while it is looked for
}

func newPictures() *pictures {
	return &pictures{asking: make(chan struct{}, MaxAsking), kept: make(map[streamName]*picture)}
}

// livePicture serves /live/ROOM/STREAM.mp4: the last key frame as a file of one
// frame, made once for all who ask.
func (h *Handler) livePicture(w http.ResponseWriter, r *http.Request, name, stream string) {
	s := h.findPicture(r.Context(), streamName{name, stream})
	if s == nil || s.data == nil {
		w.Header().Set("Retry-After", "5")
		problem(w, http.StatusNotFound, "There is no picture of this stream now.")
		return
	}
	w.Header().Set("Content-Type", "video/mp4")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("ETag", s.tag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(s.data))
}

// picture finds the last key frame of a stream, wherever its room runs. Who asks
// first looks for it, the others wait for him; nil when ctx ends before.
func (h *Handler) findPicture(ctx context.Context, key streamName) *picture {
	s, last := h.pictures.take(key)
	if last != nil {
		h.fetchPicture(context.WithoutCancel(ctx), key, s, last)
	}
	select {
	case <-s.found:
		return s
	case <-ctx.Done():
		return nil
	}
}

// take returns the picture of a stream. With a last one, empty if there was none,
// the caller has to look for a newer one.
func (p *pictures) take(key streamName) (s, last *picture) {
	p.mu.Lock()
	defer p.mu.Unlock()
	last = p.kept[key]
	if last != nil && (last.until.IsZero() || time.Now().Before(last.until)) {
		return last, nil
	}
	if last == nil {
		last = new(picture)
	}
	p.bytes -= len(last.data)
	s = &picture{found: make(chan struct{})}
	p.kept[key] = s
	return s, last
}

// keep notes that a picture was found, for some time. Others make room for it.
func (p *pictures) keep(s *picture, d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.until = time.Now().Add(d)
	close(s.found)
	p.bytes += len(s.data)
	for key, other := range p.kept {
		if len(p.kept) <= MaxPictures && p.bytes <= MaxPictureBytes {
			return
		}
		if other != s && !other.until.IsZero() {
			delete(p.kept, key)
			p.bytes -= len(other.data)
		}
	}
}

// look finds the picture of s: where its room runs here, or somebody here
// watches it anyway, among those; otherwise at the node where it runs.
func (h *Handler) fetchPicture(ctx context.Context, key streamName, s, last *picture) {
	fresh := pictureNone
	defer func() { h.pictures.keep(s, fresh) }()
	finding, cancel := context.WithTimeout(ctx, pictureAsk)
	defer cancel()
	stream, node := h.cfg.Host.StreamHere(finding, roomInstances+key.room, key.stream)
	switch {
	case stream != nil:
		fresh = pictureFresh
		h.fetchHere(ctx, key, stream, s, last)
	case h.cfg.Nodes == nil:
		fresh = 0
	case node != "":
		if s.data = h.fetchFrom(finding, node, key); s.data != nil {
			fresh, s.tag = pictureFar, pictureTag(s.data)
		}
	}
}

// fetchHere takes the picture of a stream whose messages come to this node. The
// same one is kept as long as there is no newer one.
func (h *Handler) fetchHere(ctx context.Context, key streamName, stream *relay.Stream, s, last *picture) {
	ctx, cancel := context.WithTimeout(ctx, pictureWait)
	defer cancel()
	still := h.keyFrame(ctx, key, stream)
	if last.still.Same(still) {
		s.still, s.data, s.tag = last.still, last.data, last.tag
		return
	}
	if data := h.pictureFile(key, still); data != nil {
		s.still, s.data, s.tag = still, data, pictureTag(data)
	}
}

// keyFrame is the last one of a stream, or nil.
func (h *Handler) keyFrame(ctx context.Context, key streamName, stream *relay.Stream) *media.Still {
	if still := h.remuxes.still(key, stream); still != nil {
		return still
	}
	still, _ := media.LastKeyFrame(ctx, stream) // its error is that there is none
	return still
}

// file is a key frame as a file, or nil.
func (h *Handler) pictureFile(key streamName, still *media.Still) []byte {
	if still == nil {
		return nil
	}
	data, err := still.MP4()
	if err != nil {
		h.log.Error("picture failed", "stream", key.stream, "err", err)
		return nil
	}
	return data
}

// pictureTag is the ETag of a picture, the same at every node.
func pictureTag(data []byte) string {
	sum := sha256.Sum256(data)
	return `"` + hex.EncodeToString(sum[:16]) + `"`
}

// fetchFrom asks another node for a picture; nil when it has none, or does not answer.
func (h *Handler) fetchFrom(ctx context.Context, node string, key streamName) []byte {
	select {
	case h.pictures.asking <- struct{}{}:
	case <-ctx.Done():
		return nil
	}
	defer func() { <-h.pictures.asking }()
	question, _ := json.Marshal(pictureQuestion{key.room, key.stream}) // two strings always encode
	data, err := h.cfg.Nodes.Ask(ctx, node, askPicture, question)
	if err != nil {
		h.log.Debug("picture not got", "instance", roomInstances+key.room, "stream", key.stream, "node", node, "err", err)
	}
	if err != nil || len(data) == 0 || len(data) > MaxFarPicture {
		return nil
	}
	return data
}

// answerPicture answers another node, with what is here now: nothing is waited for.
func (h *Handler) answerPicture(question []byte) []byte {
	var q pictureQuestion
	if json.Unmarshal(question, &q) != nil || !room.ValidName(q.Room) || !room.ValidName(q.Stream) {
		return nil
	}
	now, cancel := context.WithCancel(context.Background())
	cancel()
	stream, _ := h.cfg.Host.StreamHere(now, roomInstances+q.Room, q.Stream)
	if stream == nil {
		return nil
	}
	key := streamName{q.Room, q.Stream}
	return h.pictureFile(key, h.keyFrame(now, key, stream))
}
