package web

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"sync"
	"sync/atomic"
	"time"

	"foyer/media"
	"foyer/server/guard"
	"foyer/server/relay"
)

const (
	// hlsViewerGone is how long a viewer by HLS counts after its last request. A player
	// sends at least one request a segment.
	hlsViewerGone = 15 * time.Second
	// hlsLinger is how long a muxer runs after its last viewer, since a new one would need
	// a whole segment before it can answer.
	hlsLinger = 30 * time.Second
	// hlsLook is how often a muxer looks for viewers that are gone.
	hlsLook = time.Second
	// MaxHLSViewers is how many viewers by HLS a stream counts. More can watch, but are
	// not counted.
	MaxHLSViewers = 10000
	// MaxHLSSessions is how many of them may have one address.
	MaxHLSSessions = 100
)

// liveStreams are the streams that a Handler serves by HTTP.
type liveStreams struct {
	// set by newLiveStreams
	h      *Handler
	grace  time.Duration
	write  time.Duration   // liveWrite
	ctx    context.Context // ends when everything is to end
	cancel context.CancelFunc

	flv     atomic.Int64  // viewers by HTTP-FLV
	sent    atomic.Uint64 // bytes to them
	sentHLS atomic.Uint64 // bytes to viewers by HLS

	// guarded by mu
	mu      sync.Mutex
	hls     map[streamName]*hlsStream
	running sync.WaitGroup // one for each muxer; Add under mu
}

// An hlsStream is the muxer that all viewers of a broadcast share. It runs from the first
// request until some time after the last, and for as long it shows the end of a broadcast
// that is over, also when another one has begun.
//
// Viewers by HLS have no connection, so each playlist puts a session of its own into the
// addresses of its segments. A session counts as a viewer from the first segment that it
// requests until hlsViewerGone after the last.
type hlsStream struct {
	// set by open
	key    streamName
	muxer  *media.HLS
	cancel context.CancelFunc

	// guarded by liveStreams.mu
	relay   *relay.Stream
	before  *hlsStream            // shows the broadcast before; or nil
	viewers map[string]*hlsViewer // by session
	sources map[netip.Prefix]int  // how many viewers each address has
	asked   time.Time             // time of the last request
	ended   bool
}

// An hlsViewer is a session that counts as a viewer, or that the room has refused.
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
	l.cancel()
	l.mu.Unlock()
	l.running.Wait()
}

// liveHLS answers with the playlist of a stream, or with a part of it.
func (h *Handler) liveHLS(w http.ResponseWriter, r *http.Request, room, stream, part string) {
	s := h.live.open(streamName{room, stream}, r.URL.Query())
	if s == nil || part == "" && s.muxer.Over() {
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
		problem(w, http.StatusNotAcceptable, "HLS cannot carry this stream: codec "+codec.Codec+": "+codec.Reason+".")
	case errors.Is(err, media.ErrHLSNotFound):
		problem(w, http.StatusNotFound, "This part of the stream does not exist, or no longer.")
	case s.muxer.Over():
		notPublished(w, room, stream)
	default:
		w.Header().Set("Retry-After", liveRetry)
		problem(w, http.StatusServiceUnavailable, "The first segment of this stream is not complete yet. It ends with the second key frame. Try again in a moment.")
	}
}

// count returns how many streams are muxed, and how many viewers the room has let in.
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

// open returns the muxer of a stream, and starts it if need be; for a request that names
// the broadcast before, that one's. It returns nil if nobody publishes. While a publisher
// that was lost may come back, and for a while after a broadcast is over, its muxer still
// answers.
func (l *liveStreams) open(key streamName, q url.Values) *hlsStream {
	l.mu.Lock()
	s := l.hls[key].showing(q)
	live := s != nil && s.relay.Live()
	l.mu.Unlock()
	if s != nil {
		if over := s.muxer.Over(); live && !over || over && s.muxer.Has(q) {
			return s
		}
	}
	now := l.h.cfg.Host.Stream(roomInstances+key.room, key.stream)
	if now == nil {
		return s
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.hls[key]
	switch {
	case before != nil && before.relay == now && !before.muxer.Over():
		return before
	case before != nil && before.muxer.Follow(now): // the room has moved, or begun the stream again
		before.relay = now
		return before
	case l.ctx.Err() != nil:
		return nil
	}
	return l.beginLocked(key, now, before)
}

// showing is the muxer of a stream, or that of the broadcast before if a request names
// it. The caller holds liveStreams.mu.
func (s *hlsStream) showing(q url.Values) *hlsStream {
	if s != nil && s.before != nil && s.before.muxer.Has(q) {
		return s.before
	}
	return s
}

// beginLocked begins the HLS of a broadcast, behind the one before, if any.
func (l *liveStreams) beginLocked(key streamName, now *relay.Stream, before *hlsStream) *hlsStream {
	if before != nil && before.before != nil {
		before.before.cancel()
		before.before = nil
	}
	s := &hlsStream{
		key: key, relay: now, viewers: make(map[string]*hlsViewer), sources: make(map[netip.Prefix]int), asked: time.Now(), before: before,
		muxer: media.NewHLS(now, l.grace, l.h.log.With("instance", roomInstances+key.room, "stream", key.stream)),
	}
	ctx, cancel := context.WithCancel(l.ctx)
	s.cancel = cancel
	l.hls[key] = s
	l.running.Go(func() { l.run(ctx, s) }) // ends with ctx; close waits
	return s
}

// run muxes, and ends viewers that send no more requests.
func (l *liveStreams) run(ctx context.Context, s *hlsStream) {
	var muxing sync.WaitGroup
	muxing.Go(func() { s.muxer.Run(ctx) })
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
	if now := l.hls[s.key]; now == s {
		delete(l.hls, s.key)
	} else if now != nil && now.before == s {
		now.before = nil
	}
	left := s.viewers
	s.viewers = nil
	l.mu.Unlock()
	for _, v := range left {
		v.leave()
	}
}

// sweep ends the viewers that have gone, and reports whether there has been none for
// hlsLinger.
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

// leave ends a viewer after the room has decided about it.
func (v *hlsViewer) leave() {
	<-v.decided
	if v.v != nil {
		v.v.leave()
	}
}

// admit counts a session that requests a segment as a viewer. The first request waits
// for the room, whose refusal is the error. A request without a session, or over the
// bounds, is served but not counted.
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
		if decided, in := v.state(); segment && (in || !decided) { // otherwise it is forgotten, and may try again
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

// sessionLength is the length of rand.Text.
const sessionLength = 26

// roomFor reports whether one more viewer of that source can be counted. The caller
// holds liveStreams.mu.
func (s *hlsStream) roomFor(source netip.Prefix) bool {
	return len(s.viewers) < MaxHLSViewers && s.sources[source] < MaxHLSSessions
}

// connect asks the room to let the viewer in.
func (v *hlsViewer) connect(h *Handler, r *http.Request, key streamName) {
	defer close(v.decided)
	// The decision holds for later requests too, so it must not end with this one.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), callTimeout)
	defer cancel()
	v.v, v.err = h.newHTTPViewer(r.WithContext(ctx), key, nil)
}

// state reports whether the room has decided about the viewer, and whether the viewer is
// in: admitted, and not closed since.
func (v *hlsViewer) state() (decided, in bool) {
	select {
	case <-v.decided:
		return true, v.err == nil && v.v.ctx.Err() == nil
	default:
		return false, false
	}
}

// wait returns why the room has refused the viewer, or ended it since.
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
