package web

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/netip"
	"path"
	"sync"
	"sync/atomic"
	"time"

	"foyer/media"
	"foyer/server/guard"
	"foyer/server/relay"
)

const (
	// hlsViewerGone is after how long without a request a viewer by HLS is gone.
	// Players ask at least once a segment.
	hlsViewerGone = 15 * time.Second
	// hlsLinger is how long a muxer stays after its last viewer: it takes a
	// segment to begin again.
	hlsLinger = 30 * time.Second
	// hlsLook is how often that is looked at.
	hlsLook = time.Second
	// MaxHLSViewers is how many viewers by HLS one stream counts. Further ones
	// watch and are not counted.
	MaxHLSViewers = 10000
	// MaxHLSSessions is how many of them may be of one address.
	MaxHLSSessions = 100
)

// liveStreams is what a Handler shows by HTTP.
type liveStreams struct {
	// set by newLiveStreams
	h      *Handler
	grace  time.Duration
	write  time.Duration   // liveWrite
	ctx    context.Context // ends when everything is to end
	cancel context.CancelFunc

	flv     atomic.Int64  // viewers by HTTP-FLV
	sent    atomic.Uint64 // bytes to them
	sentHLS atomic.Uint64 // to viewers by HLS

	// guarded by mu
	mu      sync.Mutex
	closed  bool
	hls     map[streamName]*hlsStream
	running sync.WaitGroup // one for each of hls; Add under mu
}

// An hlsStream is the muxer that all viewers of a stream share, from the first
// request until some time after the last.
//
// Viewers by HLS have no connection, so each playlist gives its addresses a
// session of their own. A session is a viewer from the first segment that it
// asks for until hlsViewerGone after the last.
type hlsStream struct {
	// set by open
	key    streamName
	relay  *relay.Stream
	muxer  *media.HLS
	cancel context.CancelFunc

	// guarded by liveStreams.mu
	viewers map[string]*hlsViewer // by session
	sources map[netip.Prefix]int  // how many of them each address has
	asked   time.Time             // when the last request came
	ended   bool
}

// An hlsViewer is one of them, let in by the room or not.
type hlsViewer struct {
	asked   time.Time // guarded by liveStreams.mu
	source  netip.Prefix
	decided chan struct{} // closed when v and err are set
	v       *httpViewer
	err     error
}

func newLiveStreams(h *Handler) *liveStreams {
	l := &liveStreams{h: h, grace: cmp.Or(h.cfg.Grace, media.DefaultGrace), write: liveWrite, hls: make(map[streamName]*hlsStream)}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l
}

// close ends everything and returns when it has ended.
func (l *liveStreams) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.cancel()
	l.running.Wait()
}

// liveHLS answers with the playlist of a stream, or with a part of it.
func (h *Handler) liveHLS(w http.ResponseWriter, r *http.Request, room, stream, part string) {
	s := h.live.open(streamName{room, stream})
	if s == nil {
		notPublished(w, room, stream)
		return
	}
	session := r.URL.Query().Get(media.HLSSession)
	if err := h.live.admit(r, s, session, part); err != nil {
		viewerProblem(w, err)
		return
	}
	var err error
	w = &countingWriter{w, &h.live.sentHLS}
	if part == "" {
		err = s.muxer.Playlist(w, r, stream+"/", rand.Text())
	} else {
		err = s.muxer.Part(w, r, part)
	}
	codec, isCodec := errors.AsType[*media.CodecError](err)
	switch {
	case err == nil:
	case isCodec:
		problem(w, http.StatusNotAcceptable, "The stream cannot be shown by HLS: codec "+codec.Codec+": "+codec.Reason+".")
	case errors.Is(err, media.ErrHLSNotFound):
		problem(w, http.StatusNotFound, "There is no such part of the stream, or no longer.")
	case !s.relay.Live():
		notPublished(w, room, stream)
	default:
		w.Header().Set("Retry-After", liveRetry)
		problem(w, http.StatusServiceUnavailable, "There is no segment of the stream yet. It takes two key frames.")
	}
}

// count is how many streams are muxed, and for how many viewers whom the room
// has let in.
func (l *liveStreams) count() (streams, viewers int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.hls {
		for _, v := range s.viewers {
			if _, in := v.state(); in {
				viewers++
			}
		}
	}
	return len(l.hls), viewers
}

// open returns the muxer of a stream, and starts it if need be. It is nil when
// nothing is published. One whose publisher is gone answers until the grace is over.
func (l *liveStreams) open(key streamName) *hlsStream {
	l.mu.Lock()
	s := l.hls[key]
	l.mu.Unlock()
	if s != nil && s.relay.Live() {
		return s
	}
	now := l.h.cfg.Host.Stream(roomInstances+key.room, key.stream)
	if now == nil {
		return s
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if s = l.hls[key]; s != nil && s.relay == now {
		return s
	}
	if l.closed {
		return nil
	}
	if s != nil {
		s.cancel() // the room has begun the stream anew
	}
	s = &hlsStream{
		key: key, relay: now, viewers: make(map[string]*hlsViewer), sources: make(map[netip.Prefix]int), asked: time.Now(),
		muxer: media.NewHLS(now, l.grace, l.h.log.With("instance", roomInstances+key.room, "stream", key.stream)),
	}
	ctx, cancel := context.WithCancel(l.ctx)
	s.cancel = cancel
	l.hls[key] = s
	l.running.Go(func() { l.run(ctx, s) }) // ends with ctx; close waits
	return s
}

// run muxes, and lets viewers go that ask no more.
func (l *liveStreams) run(ctx context.Context, s *hlsStream) {
	var muxing sync.WaitGroup
	muxing.Go(func() {
		defer s.cancel()
		s.muxer.Run(ctx)
	})
	tick := time.NewTicker(hlsLook)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
		if l.sweep(s, time.Now()) {
			s.cancel()
		}
	}
	muxing.Wait()
	l.mu.Lock()
	s.ended = true
	if l.hls[s.key] == s {
		delete(l.hls, s.key)
	}
	left := s.viewers
	s.viewers = nil
	l.mu.Unlock()
	for _, v := range left {
		v.leave()
	}
}

// sweep ends the viewers that have gone, and reports whether the last one went
// long ago.
func (l *liveStreams) sweep(s *hlsStream, now time.Time) (unused bool) {
	var gone []*hlsViewer
	l.mu.Lock()
	for key, v := range s.viewers {
		if now.Sub(v.asked) >= hlsViewerGone {
			delete(s.viewers, key)
			if s.sources[v.source]--; s.sources[v.source] == 0 {
				delete(s.sources, v.source)
			}
			gone = append(gone, v)
		}
	}
	unused = len(s.viewers) == 0 && now.Sub(s.asked) >= hlsLinger
	l.mu.Unlock()
	for _, v := range gone {
		v.leave()
	}
	return unused
}

// leave ends a viewer, once the room has decided about it.
func (v *hlsViewer) leave() {
	<-v.decided
	if v.v != nil {
		v.v.leave()
	}
}

// admit counts a session that asks for a segment as a viewer. A first request
// waits for the room; an error is the room's. What is no session of a playlist,
// or over the bounds, is served and not counted.
func (l *liveStreams) admit(r *http.Request, s *hlsStream, session, part string) error {
	segment := part != "" && path.Ext(part) != ".m3u8" && len(session) == sessionLength
	l.mu.Lock()
	if s.ended {
		l.mu.Unlock()
		return errGone
	}
	s.asked = time.Now()
	v := s.viewers[session]
	switch source := guard.Source(clientAddr(r)); {
	case v != nil:
		if decided, in := v.state(); segment && (in || !decided) { // else it may try again when it is forgotten
			v.asked = s.asked
		}
		l.mu.Unlock()
	case !segment, !s.roomFor(source):
		l.mu.Unlock()
		return nil
	default:
		v = &hlsViewer{asked: s.asked, source: source, decided: make(chan struct{})}
		s.viewers[session] = v
		s.sources[source]++
		l.mu.Unlock()
		v.connect(l.h, r, s.key)
	}
	return v.wait(r.Context())
}

// sessionLength is that of rand.Text.
const sessionLength = 26

// roomFor reports whether one more viewer of that source is counted. The caller
// holds liveStreams.mu.
func (s *hlsStream) roomFor(source netip.Prefix) bool {
	return len(s.viewers) < MaxHLSViewers && s.sources[source] < MaxHLSSessions
}

// connect asks the room to let the viewer in.
func (v *hlsViewer) connect(h *Handler, r *http.Request, key streamName) {
	defer close(v.decided)
	// The room decides for later requests too: they do not end with this one.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), callTimeout)
	defer cancel()
	w, err := h.newHTTPViewer(r.WithContext(ctx), key.room)
	if err == nil {
		if err = w.play(key.stream, nil); err != nil {
			w.leave()
		}
	}
	if v.err = err; err == nil {
		v.v = w
	}
}

// state reports whether the room has decided about the viewer, and whether it is in:
// let in, and not closed since.
func (v *hlsViewer) state() (decided, in bool) {
	select {
	case <-v.decided:
		return true, v.err == nil && v.v.ctx.Err() == nil
	default:
		return false, false
	}
}

// wait returns why the room does not let the viewer in, or no longer.
func (v *hlsViewer) wait(ctx context.Context) error {
	select {
	case <-v.decided:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if v.err != nil {
		return v.err
	}
	return context.Cause(v.v.ctx)
}
