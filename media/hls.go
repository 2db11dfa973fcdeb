package media

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/bluenviron/gohlslib/v2"

	"foyer/server/flv"
	"foyer/server/relay"
	"foyer/server/rtmp"
)

const (
	// MaxHLSQueue is by how many bytes the muxer may lag behind the publisher.
	MaxHLSQueue = 3 << 20
	// MaxHLS is how many bytes all segments of a stream may take, with the one
	// that is being made and the spare room in the library's buffers.
	MaxHLS = 26 << 20

	hlsSegments     = 7 // the least that low latency allows (RFC 8216bis appendix B)
	hlsLongSegments = 3 // the least without (RFC 8216 §6.2.2)
	hlsSegment      = time.Second
	hlsSample       = 128 // roughly what a frame takes besides its bytes, until its part is made
	hlsPart         = 200 * time.Millisecond
	// hlsWait is how long a request waits for the first segment.
	hlsWait = 10 * time.Second
	// hlsSilence is how long no message has to come until the requests that wait
	// for the next part are answered.
	hlsSilence = 10 * time.Second
)

// ErrHLSNotYet says that there is no segment yet: nothing is published, or the
// publisher's first key frames have not come.
var ErrHLSNotYet = errors.New("media: no segment yet")

// ErrHLSNotFound says that a playlist, segment or part is not there, or no longer.
var ErrHLSNotFound = errors.New("media: no such part of the stream")

// A CodecError says that a stream cannot be shown in this way.
type CodecError struct{ Codec, Reason string }

func (e *CodecError) Error() string { return "media: codec " + e.Codec + ": " + e.Reason }

// HLS makes playlists and segments of one stream, with the parts of low latency.
type HLS struct {
	// set by NewHLS
	stream *relay.Stream
	queue  *Queue
	log    *slog.Logger
	grace  time.Duration

	// guarded by mu
	mu      sync.Mutex
	current *hlsMuxer
	failed  error         // a *CodecError: why there is none
	changed chan struct{} // closed when current or failed changes

	// owned by Run
	tracks hlsTracks
	clock  flv.Clock
	room   hlsRoom
	heard  time.Time
	gone   bool // nobody is publishing
}

// hlsMuxer is a muxer from one set of codecs to the next.
type hlsMuxer struct {
	*gohlslib.Muxer
	begun time.Time // wall clock of time base
	base  int64
	ready chan struct{} // closed when the first segment is there, or never will be
}

// NewHLS makes the HLS of a stream; Run runs it. Grace is how long the
// publisher may be gone; 0 means DefaultGrace. A nil log logs nothing.
func NewHLS(stream *relay.Stream, grace time.Duration, log *slog.Logger) *HLS {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &HLS{
		stream: stream, queue: NewQueue(MaxHLSQueue, 0), log: log, grace: cmp.Or(grace, DefaultGrace),
		changed: make(chan struct{}),
	}
}

// Run muxes until ctx ends or the publisher is gone for longer than the grace.
func (h *HLS) Run(ctx context.Context) {
	h.queue.join(h.stream)
	defer h.stream.Leave(h.queue)
	defer h.set(nil, nil)
	h.heard = time.Now()
	for {
		wait, cancel := context.WithTimeout(ctx, hlsSilence)
		items, err := h.queue.Next(wait, 1<<20)
		cancel()
		for _, it := range items {
			h.take(it)
		}
		switch {
		case err == nil:
		case ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded):
			return
		case h.gone && time.Since(h.heard) >= h.grace:
			return
		default:
			h.set(nil, nil) // nothing comes: nobody should wait for the next part
		}
	}
}

// take handles an item. If a publisher's message makes the library panic, that
// costs the muxer, not the process.
func (h *HLS) take(it Item) {
	defer func() {
		if p := recover(); p != nil {
			h.log.Error("HLS muxer failed", "err", fmt.Sprint(p))
			h.set(nil, nil)
		}
	}()
	switch it.Code {
	case rtmp.CodeUnpublishNotify:
		h.gone = true
		return
	case rtmp.CodePublishNotify:
		h.tracks, h.room = hlsTracks{}, hlsRoom{}
		h.clock.Begin()
		return
	}
	h.gone, h.heard = false, time.Now()
	f, ok := parse(it.Message)
	if !ok {
		return
	}
	switch f.Kind {
	case flv.SequenceStart:
		h.tracks.header(f)
	case flv.CodedFrames:
		h.frame(f, max(0, h.clock.At(flv.Media(it.Message.Type), it.Message.Timestamp)))
	}
}

// frame writes a picture or sound, with a new muxer if the codecs have changed.
func (h *HLS) frame(f tag, at int64) {
	begin, err := h.tracks.coded(f, at)
	m := h.muxer()
	if h.room.over(f, at, h.tracks.pictures()) {
		if h.room.size == hlsNone {
			err = errHLSTooLong
		}
		m = nil
		h.set(nil, err)
	}
	switch {
	case h.room.size == hlsNone:
		return
	case err != nil:
		h.set(nil, err)
		return
	case begin, m == nil && !h.tracks.changed && f.Key && f.picture() == h.tracks.pictures(): // again, after a silence
		if m = h.begin(at); m == nil {
			return
		}
	case m == nil, h.tracks.changed:
		return
	}
	for _, w := range h.tracks.ready(f, at) {
		ntp := m.begun.Add(time.Duration(w.at-m.base) * time.Millisecond)
		if err := w.write(m.Muxer, ntp); err != nil {
			h.log.Debug("frame left out of HLS", "err", err)
		}
	}
}

// begin starts a muxer for the tracks that are known now, or returns nil.
func (h *HLS) begin(at int64) *hlsMuxer {
	tracks, err := h.tracks.open()
	if err != nil {
		h.set(nil, err)
		return nil
	}
	m := &hlsMuxer{
		Muxer: &gohlslib.Muxer{
			Tracks: tracks, Variant: h.room.size.variant(), SegmentCount: h.room.size.segments(),
			SegmentMinDuration: hlsSegment, PartMinDuration: hlsPart, SegmentMaxSize: uint64(h.room.size.most()),
			OnEncodeError: func(err error) { h.log.Debug("frame left out of HLS", "err", err) },
		},
		begun: time.Now(), base: at, ready: make(chan struct{}),
	}
	if err := m.Start(); err != nil {
		h.set(nil, &CodecError{"of the stream", err.Error()})
		return nil
	}
	go m.watch() // ends with the muxer; close waits for it
	h.set(m, nil)
	return m
}

func (h *HLS) muxer() *hlsMuxer {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.current
}

// set makes another muxer the current one and closes the last.
func (h *HLS) set(m *hlsMuxer, err error) {
	h.mu.Lock()
	old, same := h.current, h.current == m && (h.failed == nil) == (err == nil)
	h.current, h.failed = m, err
	if !same {
		close(h.changed)
		h.changed = make(chan struct{})
	}
	h.mu.Unlock()
	if old != nil && old != m {
		old.close()
	}
}

// watch waits until the muxer has its first segment. The muxer's own way to ask
// blocks, so it is asked in a goroutine; close ends it.
func (m *hlsMuxer) watch() {
	defer close(m.ready)
	m.ask("index.m3u8", "")
}

// ask asks the muxer for a file.
func (m *hlsMuxer) ask(name, query string) *hlsAnswer {
	a := &hlsAnswer{header: make(http.Header)}
	defer func() {
		if recover() != nil { // what it muxes comes from the publisher
			a.status = http.StatusInternalServerError
		}
	}()
	m.Handle(a, &http.Request{Method: http.MethodGet, Header: http.Header{}, URL: &url.URL{Path: name, RawQuery: query}})
	return a
}

// close ends the muxer, and everybody who waits for it.
func (m *hlsMuxer) close() {
	m.Close()
	<-m.ready
}

// HLSSession is the name of the query parameter that tells the addresses of one
// playlist from those of another.
const HLSSession = "session"

var hlsName = regexp.MustCompile(`^[A-Za-z0-9_]{1,64}\.(m3u8|mp4|ts)$`)

// Playlist answers with the multivariant playlist, whose addresses begin with
// prefix and end with the query session, which Part repeats in its playlists. It
// waits a bounded time for the first segment. Its error is ErrHLSNotYet, a
// *CodecError, or the cause of the request's context; nothing has been answered
// then.
func (h *HLS) Playlist(w http.ResponseWriter, r *http.Request, prefix, session string) error {
	m, err := h.wait(r.Context())
	if err != nil {
		return err
	}
	a := m.ask("index.m3u8", url.Values{HLSSession: {session}}.Encode())
	if a.status != http.StatusOK {
		return ErrHLSNotYet
	}
	w.Header().Set("Content-Type", a.Header().Get("Content-Type"))
	w.Header().Set("Cache-Control", "no-cache")
	w.Write(prefixPlaylist(a.body, prefix))
	return nil
}

// Part answers with a media playlist, segment or part. Its errors are those of
// Playlist and ErrHLSNotFound.
func (h *HLS) Part(w http.ResponseWriter, r *http.Request, name string) error {
	if !hlsName.MatchString(name) || name == "index.m3u8" {
		return ErrHLSNotFound
	}
	m, err := h.wait(r.Context())
	if err != nil {
		return err
	}
	a := m.ask(name, hlsQuery(r.URL.Query()))
	switch a.status {
	case http.StatusOK:
	case 0, http.StatusBadRequest:
		return ErrHLSNotFound
	default:
		return ErrHLSNotYet
	}
	for _, name := range []string{"Content-Type", "Cache-Control"} {
		w.Header().Set(name, a.Header().Get(name))
	}
	w.Write(a.body)
	return nil
}

// hlsQuery is the part of a query that the muxer is given. It repeats the query in
// its addresses, so it gets no more than it needs.
func hlsQuery(q url.Values) string {
	kept := url.Values{}
	for _, name := range []string{"_HLS_msn", "_HLS_part", "_HLS_skip", HLSSession} {
		if v := q.Get(name); hlsValue.MatchString(v) {
			kept.Set(name, v)
		}
	}
	return kept.Encode()
}

// hlsValue is the form of a value in a query.
var hlsValue = regexp.MustCompile(`^[A-Za-z0-9]{1,32}$`)

// wait returns the muxer once it has a segment.
func (h *HLS) wait(ctx context.Context) (*hlsMuxer, error) {
	timeout := time.NewTimer(hlsWait)
	defer timeout.Stop()
	for {
		h.mu.Lock()
		m, err, changed := h.current, h.failed, h.changed
		h.mu.Unlock()
		if err != nil {
			return nil, err
		}
		var ready chan struct{}
		if m != nil {
			ready = m.ready
		}
		select {
		case <-ready:
			if h.muxer() == m {
				return m, nil
			}
		case <-changed:
		case <-timeout.C:
			return nil, ErrHLSNotYet
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// hlsAnswer keeps an answer of the muxer, whose errors have no body.
type hlsAnswer struct {
	header http.Header
	status int
	body   []byte
}

func (a *hlsAnswer) Header() http.Header { return a.header }

func (a *hlsAnswer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *hlsAnswer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	a.body = append(a.body, b...)
	return len(b), nil
}

// prefixPlaylist puts prefix in front of the addresses in a playlist.
func prefixPlaylist(text []byte, prefix string) []byte {
	lines := strings.Split(string(text), "\n")
	for i, line := range lines {
		switch {
		case strings.HasPrefix(line, "#"):
			lines[i] = strings.Replace(line, `URI="`, `URI="`+prefix, 1)
		case line != "":
			lines[i] = prefix + line
		}
	}
	return []byte(strings.Join(lines, "\n"))
}
