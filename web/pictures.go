package web

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"foyer/media"
	"foyer/server"
	"foyer/server/relay"
)

const (
	// MaxPictures is how many pictures are kept, and MaxPictureBytes how many bytes they
	// may have together.
	MaxPictures     = 4096
	MaxPictureBytes = 64 << 20
	// MaxFarPicture is how many bytes a picture from another node may have.
	MaxFarPicture = 1 << 20
	// MaxAsking is how many questions to other nodes may be open at once.
	MaxAsking = 16

	pictureFresh = time.Second / 2 // after this time a picture of this node is looked for again
	pictureFar   = 3 * time.Second // the same for one of another node
	pictureNone  = time.Second     // the same if there was none
	pictureWait  = 3 * time.Second // for a key frame, if there is none yet
	pictureAsk   = 2 * time.Second // for another node, and for the turn to ask it
)

// askPicture is the subject by which nodes ask each other for pictures.
const askPicture = "picture"

// Nodes asks other nodes by their names, and answers their questions.
type Nodes interface {
	Ask(ctx context.Context, node, subject string, question []byte) (answer []byte, err error)
	// Answer has f answer the questions of other nodes. f must not block.
	Answer(subject string, f func(question []byte) []byte) (stop func(), err error)
}

// A pictureQuestion is the question of one node to another, as JSON. The answer is the
// file, or nothing.
type pictureQuestion struct {
	Room   string `json:"room"`
	Stream string `json:"stream"`
}

// pictures are the key frames for the cards of rooms on this and other nodes. Each is
// looked for once for all who want it, and kept for a moment.
type pictures struct {
	asking chan struct{} // cap MaxAsking: has a value for each open question

	// guarded by mu
	mu    sync.Mutex
	kept  map[streamName]*picture
	bytes int
}

// A picture is a key frame as it was found.
type picture struct {
	found chan struct{} // closed when the following are set

	still *media.Still // nil: the picture came from another node, or there is none
	data  []byte       // the file; nil: there is none
	tag   string
	until time.Time // the picture is current until then; guarded by pictures.mu, zero while it is looked for
}

func newPictures() *pictures {
	return &pictures{asking: make(chan struct{}, MaxAsking), kept: make(map[streamName]*picture)}
}

// livePicture serves /live/ROOM/STREAM.mp4: the last key frame as a file of one frame,
// which is made once for all who want it.
func (h *Handler) livePicture(w http.ResponseWriter, r *http.Request, name, stream string) {
	s := h.findPicture(r.Context(), streamName{name, stream})
	if s == nil || s.data == nil {
		w.Header().Set("Retry-After", "5")
		problem(w, http.StatusNotFound, "There is no picture of this stream at the moment.")
		return
	}
	w.Header().Set("Content-Type", "video/mp4")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("ETag", s.tag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(s.data))
}

// findPicture finds the last key frame of a stream, wherever its room runs. The first
// caller looks for it, and the others wait for that one. It returns nil if ctx ends
// before.
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

// take returns the picture of a stream. If it returns a last one as well, which may be
// empty, the caller has to look for a newer one.
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

// keep notes that a picture was found and is current for d. It drops others to make
// room.
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

// fetchPicture finds the picture of s. If the room runs here, or somebody here watches
// the stream, it is on this node, otherwise on the node that runs the room.
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
			fresh, s.tag = pictureFar, etag(s.data)
		}
	}
}

// fetchHere finds the picture of a stream whose messages come to this node. It keeps the
// last one if there is no newer one.
func (h *Handler) fetchHere(ctx context.Context, key streamName, stream *relay.Stream, s, last *picture) {
	ctx, cancel := context.WithTimeout(ctx, pictureWait)
	defer cancel()
	still := h.keyFrame(ctx, key, stream)
	if last.still.Same(still) {
		s.still, s.data, s.tag = last.still, last.data, last.tag
		return
	}
	if data := h.pictureFile(key, still); data != nil {
		s.still, s.data, s.tag = still, data, etag(data)
	}
}

// keyFrame returns the last key frame of a stream, or nil.
func (h *Handler) keyFrame(ctx context.Context, key streamName, stream *relay.Stream) *media.Still {
	if still := h.remuxes.still(key, stream); still != nil {
		return still
	}
	still, _ := media.LastKeyFrame(ctx, stream) // an error means that there is none
	return still
}

// pictureFile returns a key frame as a file, or nil.
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

// fetchFrom asks another node for a picture. It returns nil if that has none, or does
// not answer.
func (h *Handler) fetchFrom(ctx context.Context, node string, key streamName) []byte {
	select {
	case h.pictures.asking <- struct{}{}:
	case <-ctx.Done():
		return nil
	}
	defer func() { <-h.pictures.asking }()
	question, _ := json.Marshal(pictureQuestion{key.room, key.stream}) // two strings can always be encoded
	data, err := h.cfg.Nodes.Ask(ctx, node, askPicture, question)
	if err != nil {
		h.log.Debug("picture not fetched", "instance", roomInstances+key.room, "stream", key.stream, "node", node, "err", err)
	}
	if err != nil || len(data) == 0 || len(data) > MaxFarPicture {
		return nil
	}
	return data
}

// answerPicture answers another node with what is here now. It does not wait.
func (h *Handler) answerPicture(question []byte) []byte {
	var q pictureQuestion
	if json.Unmarshal(question, &q) != nil || !server.ValidName(q.Room) || !server.ValidName(q.Stream) {
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
