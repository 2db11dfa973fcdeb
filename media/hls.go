package media

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"sync"
	"time"

	"foyer/server/flv"
	"foyer/server/relay"
	"foyer/server/rtmp"
)

const (
	// MaxHLSQueue is by how many bytes the muxer may lag behind the publisher.
	MaxHLSQueue = 3 << 20
	// MaxHLS is how many bytes all segments of a broadcast may take, with the one that
	// is being made.
	MaxHLS = 13 << 20
	// MaxHLSSegment is how many bytes a segment may have. It is as long as the time
	// between two key frames, or longer.
	MaxHLSSegment = MaxHLS / (hlsLeast + 1)

	hlsSegments = 7           // in a playlist (RFC 8216bis appendix B: six target durations)
	hlsLeast    = 3           // when they are long (RFC 8216 §6.2.2)
	hlsKept     = 10          // for those who have an older playlist
	hlsLasts    = time.Second // a segment, at least
	hlsPartTime = 200 * time.Millisecond
	hlsSample   = 128 // roughly what a frame takes besides its bytes, until its part is made
	// hlsWait is how long a request waits for the first segment.
	hlsWait = 10 * time.Second
	// hlsBlock is how long a request waits for a part, at most.
	hlsBlock = 4 * time.Second
	// hlsLook is how often a stream that was lost is looked at.
	hlsLook = time.Second
)

// ErrHLSNotYet says that there is no segment yet: nothing is published, or the
// publisher's first key frames have not come.
var ErrHLSNotYet = errors.New("media: no segment yet")

// ErrHLSNotFound says that a playlist, segment or part is not there, or no longer.
var ErrHLSNotFound = errors.New("media: no such part of the stream")

// A CodecError says that a stream cannot be shown in this way.
type CodecError struct{ Codec, Reason string }

func (e *CodecError) Error() string { return "media: codec " + e.Codec + ": " + e.Reason }

// HLS makes playlists and segments of one broadcast, with the parts of low latency.
// Pictures and sound have a rendition each, which are cut at the same moments.
type HLS struct {
	// set by NewHLS
	queue *Queue
	log   *slog.Logger
	grace time.Duration
	id    string // in the names of all that is made

	// owned by Run
	mender mender
	muxer  hlsMuxer
	clock  flv.Clock
	heard  time.Time

	// guarded by mu
	mu         sync.Mutex
	stream     *relay.Stream
	renditions [lanes]*hlsRendition // nil: there is none
	target     int                  // seconds
	failed     error                // a *CodecError: why nothing can be shown
	over       bool                 // the broadcast has ended
	changed    chan struct{}        // closed when any of it changes
}

// NewHLS makes the HLS of a broadcast; Run runs it. Grace is how long the stream may be
// lost; 0 means DefaultGrace. A nil log logs nothing.
func NewHLS(stream *relay.Stream, grace time.Duration, log *slog.Logger) *HLS {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	h := &HLS{
		stream: stream, queue: NewQueue(MaxHLSQueue, 0), log: log, grace: cmp.Or(grace, DefaultGrace),
		id: rand.Text()[:hlsID], changed: make(chan struct{}), target: 1,
	}
	h.muxer = newHLSMuxer(h)
	return h
}

// Run muxes until ctx ends or the broadcast is over: its publisher has said so, or the
// stream is lost for longer than the grace. Afterwards the playlists say that they have
// ended, and what they name is still there.
func (h *HLS) Run(ctx context.Context) {
	h.queue.join(h.from())
	defer func() { h.queue.Close(errOver); h.from().Leave(h.queue) }()
	h.heard = time.Now()
	for !h.Over() {
		wait, cancel := context.WithTimeout(ctx, hlsLook)
		items, err := h.queue.Next(wait, 1<<20)
		cancel()
		for _, it := range items {
			h.take(it)
		}
		switch {
		case err == nil:
		case ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded):
			return
		case !h.from().Live() && time.Since(h.heard) >= h.grace:
			h.end()
		default:
			h.write(h.mender.settle())
		}
	}
}

// from is the stream that is shown.
func (h *HLS) from() *relay.Stream {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.stream
}

// Follow continues the broadcast, which was lost, with the stream that is published now.
// It reports whether that was possible.
func (h *HLS) Follow(s *relay.Stream) bool {
	h.mu.Lock()
	old := h.stream
	possible := !h.over && !old.Live() && !h.queue.left()
	if possible {
		h.stream = s
	}
	h.mu.Unlock()
	if possible {
		old.Leave(h.queue)
		h.queue.Status(rtmp.CodePublishNotify, "")
		s.Join(h.queue)
	}
	return possible
}

// take handles an item.
func (h *HLS) take(it Item) {
	switch {
	case h.Over(): // what follows is another broadcast
	case it.Code == rtmp.CodeUnpublishNotify:
		h.end()
	case it.Code == rtmp.CodePublishNotify:
		h.write(h.mender.end())
		h.clock.Begin()
	case it.Message.Type == rtmp.TypeDataAMF0 || it.Message.Type == rtmp.TypeDataAMF3:
		h.muxer.expect(it.Message.Payload)
	default:
		h.heard = time.Now()
		if it.Dropped > 0 {
			h.mender.gap()
		}
		h.write(h.mender.take(it.Message))
	}
}

// saved is deferred by those who mux. If a publisher's message makes a library panic,
// that costs what has not been written, not the process.
func (h *HLS) saved() {
	if p := recover(); p != nil {
		h.log.Error("HLS muxer failed", "err", fmt.Sprint(p))
		h.muxer.reset()
	}
}

// write muxes what is ready.
func (h *HLS) write(list []mended) {
	defer h.saved()
	for _, m := range list {
		switch m.Kind {
		case flv.SequenceStart:
			h.muxer.configure(m.tag)
		case flv.CodedFrames:
			h.muxer.frame(m.tag, max(0, h.clock.At(m.Media, m.message.Timestamp)))
		}
	}
}

// end ends the broadcast.
func (h *HLS) end() {
	defer func() { h.change(func() { h.over = true }) }()
	defer h.saved()
	h.write(h.mender.end())
	h.muxer.finish()
}

// Over reports whether the broadcast has ended. Its segments are still
// there, but another HLS has to show the next one.
func (h *HLS) Over() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.over
}

// change changes what requests see, and wakes those that wait.
func (h *HLS) change(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
	for _, v := range h.renditions {
		if v != nil {
			v.text = nil
		}
	}
	close(h.changed)
	h.changed = make(chan struct{})
}

// fail says why nothing can be shown; nil: something can.
func (h *HLS) fail(err error) {
	if h.failed != err { // only Run writes it
		h.change(func() { h.failed = err })
	}
}

// Names of parameters in the addresses of playlists and segments.
const (
	// HLSSession tells the addresses of one playlist from those of another.
	HLSSession = "session"
	// HLSBroadcast says of which broadcast they are.
	HLSBroadcast = "show"
)

// Has reports whether a request is for a playlist or segment of this broadcast.
func (h *HLS) Has(q url.Values) bool { return q.Get(HLSBroadcast) == h.id }

// Playlist answers with the multivariant playlist, whose addresses begin with
// prefix and end with the query session, which Part repeats in its playlists. It
// waits a bounded time for the first segment. Its error is ErrHLSNotYet, a
// *CodecError, or the cause of the request's context; nothing has been answered
// then.
func (h *HLS) Playlist(w http.ResponseWriter, r *http.Request, prefix, session string) error {
	err := h.await(r.Context(), hlsWait, func() bool { return h.failed != nil || h.readyLocked() })
	if err != nil {
		return err
	}
	h.mu.Lock()
	failed, text := h.failed, []byte(nil)
	if failed == nil && h.readyLocked() {
		text = h.multivariantLocked(prefix, h.query(session))
	}
	h.mu.Unlock()
	switch {
	case failed != nil:
		return failed
	case text == nil:
		return ErrHLSNotYet
	}
	answer(w, "application/vnd.apple.mpegurl", "no-cache", text)
	return nil
}

// query is what the addresses in playlists end with.
func (h *HLS) query(session string) string {
	q := url.Values{HLSBroadcast: {h.id}}
	if hlsValue.MatchString(session) {
		q.Set(HLSSession, session)
	}
	return "?" + q.Encode()
}

// hlsValue is the form of a value in a query.
var hlsValue = regexp.MustCompile(`^[A-Za-z0-9]{1,32}$`)

func answer(w http.ResponseWriter, kind, cache string, parts ...[]byte) {
	length := 0
	for _, b := range parts {
		length += len(b)
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", strconv.Itoa(length)) // players count how fast it comes
	w.Header().Set("Cache-Control", cache)
	for _, b := range parts {
		w.Write(b)
	}
}

// hlsID is the length of an id.
const hlsID = 8

var (
	hlsStream = regexp.MustCompile(`^(video1|audio2)_stream\.m3u8$`)
	hlsFile   = regexp.MustCompile(`^([A-Z2-7]{8})_(video1|audio2)_(init|seg|part)([0-9]{1,9})(?:_([0-9]{1,4}))?\.mp4$`)
)

// laneOf is the track that a name is of.
var laneOf = map[string]lane{"video1": videoLane, "audio2": audioLane}

// Part answers with a media playlist, segment or part. Its errors are those of
// Playlist and ErrHLSNotFound.
func (h *HLS) Part(w http.ResponseWriter, r *http.Request, name string) error {
	if m := hlsStream.FindStringSubmatch(name); m != nil {
		if q := r.URL.Query(); q.Has(HLSBroadcast) && !h.Has(q) {
			return ErrHLSNotFound // its numbers would be others
		}
		return h.mediaPlaylist(w, r, laneOf[m[1]])
	}
	m := hlsFile.FindStringSubmatch(name)
	if m == nil || m[1] != h.id {
		return ErrHLSNotFound
	}
	number, _ := strconv.Atoi(m[4])
	index, _ := strconv.Atoi(m[5])
	return h.file(w, r, laneOf[m[2]], m[3], number, index)
}

// mediaPlaylist answers with the playlist of a rendition. It waits for the part that
// the request names (RFC 8216bis §6.2.5.2).
func (h *HLS) mediaPlaylist(w http.ResponseWriter, r *http.Request, l lane) error {
	q := r.URL.Query()
	msn, part := hlsNumber(q.Get("_HLS_msn")), hlsNumber(q.Get("_HLS_part"))
	wait := hlsWait
	if msn >= 0 {
		wait = h.patience(l)
	}
	err := h.await(r.Context(), wait, func() bool {
		v := h.renditions[l]
		if !v.ready() {
			return h.failed != nil || h.over
		}
		return h.over || v.has(msn, part) || v.beyond(msn)
	})
	if err != nil {
		return err
	}
	text, err := h.text(l, msn)
	if err != nil {
		return err
	}
	answer(w, "application/vnd.apple.mpegurl", "no-cache", bytes.ReplaceAll(text, []byte(hlsQueryMark), []byte(h.query(q.Get(HLSSession)))))
	return nil
}

// hlsQueryMark stands for the query of addresses, which is another for each viewer.
const hlsQueryMark = "\x00"

// text is the playlist of a rendition, with marks for queries. It is made once for all
// viewers.
func (h *HLS) text(l lane, msn int) ([]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	v := h.renditions[l]
	switch {
	case !v.ready() && h.failed != nil:
		return nil, h.failed
	case !v.ready():
		return nil, ErrHLSNotYet
	case !h.over && v.beyond(msn):
		return nil, ErrHLSNotFound
	case v.text == nil:
		v.text = v.playlistLocked(h, hlsQueryMark)
	}
	return v.text, nil
}

// patience is how long a request waits for the next part. Then it gets the playlist as it
// is, which players bear better than an error (RFC 8216bis §6.2.5.2 wants one after three
// target durations or more): hls.js gives up after 0.8 target durations or three parts.
func (h *HLS) patience(l lane) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	wait := time.Duration(h.target) * 600 * time.Millisecond
	if v := h.renditions[l]; v != nil {
		list, _ := v.listed()
		wait = max(wait, partTarget(recent(list))*5/2)
	}
	return min(wait, hlsBlock)
}

// hlsNumber reads a number of a query; -1 is none.
func hlsNumber(s string) int {
	if n, err := strconv.ParseUint(s, 10, 31); err == nil {
		return int(n)
	}
	return -1
}

// file answers with an init segment, a segment or a part. It waits for the part that a
// playlist has announced.
func (h *HLS) file(w http.ResponseWriter, r *http.Request, l lane, kind string, number, index int) error {
	var parts [][]byte
	err := h.await(r.Context(), hlsBlock, func() bool {
		v := h.renditions[l]
		if v == nil {
			return true
		}
		var announced bool
		parts, announced = v.find(kind, number, index)
		return parts != nil || !announced || h.over
	})
	switch {
	case err != nil:
		return err
	case parts == nil:
		return ErrHLSNotFound
	}
	answer(w, [lanes]string{"video/mp4", "audio/mp4"}[l], "max-age=3600", parts...)
	return nil
}

// await waits until done, which is called with the lock held, or until the time is up.
// Its error is the cause of ctx.
func (h *HLS) await(ctx context.Context, wait time.Duration, done func() bool) error {
	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	for {
		h.mu.Lock()
		ready, changed := done(), h.changed
		h.mu.Unlock()
		if ready {
			return nil
		}
		select {
		case <-changed:
		case <-timeout.C:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
