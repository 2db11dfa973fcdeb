package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"path"
	"strings"
	"time"

	"foyer/media"
	"foyer/server"
	"foyer/server/amf"
	"foyer/server/relay"
	"foyer/server/rtmp"
)

const (
	// MaxLiveQueue is how many bytes may wait for a viewer by HTTP-FLV. Beyond it,
	// messages are dropped until the next key frame.
	MaxLiveQueue = 8 << 20
	// livePatience is how long messages may be dropped before the viewer is ended.
	livePatience = 15 * time.Second
	// liveWrite is how long one write to a viewer may take.
	liveWrite = 10 * time.Second
	// liveBatch is about how many bytes are written at once.
	liveBatch = 256 << 10
	// liveRetry is after how many seconds to ask again for a stream that nobody publishes.
	liveRetry = "2"
)

// errGone ends a viewer whose publisher has not come back.
var errGone = errors.New("web: publisher did not come back")

// errLate says that nothing has come by a deadline.
var errLate = errors.New("web: nothing came")

// toAnyOrigin lets pages of every origin read the answers of f, since players are
// often on other sites.
func toAnyOrigin(f http.HandlerFunc) http.HandlerFunc {
	const methods = "GET, HEAD, OPTIONS"
	serve := only(methods, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodOptions {
			f(w, r)
			return
		}
		w.Header().Set("Allow", methods)
		w.Header().Set("Access-Control-Allow-Methods", methods)
		w.Header().Set("Access-Control-Allow-Headers", "Range")
		w.Header().Set("Access-Control-Max-Age", "86400")
		w.WriteHeader(http.StatusNoContent)
	})
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Access-Control-Expose-Headers", "Content-Length, Content-Range, Retry-After")
		w.Header().Set("Cross-Origin-Resource-Policy", "cross-origin")
		serve(w, r)
	}
}

// liveByHTTP is /live/ROOM/STREAM.flv, .m3u8 and .mp4.
func (h *Handler) liveByHTTP(w http.ResponseWriter, r *http.Request) {
	room, file := server.Fold(r.PathValue("room")), r.PathValue("file")
	ext := path.Ext(file)
	stream := strings.TrimSuffix(file, ext)
	if !server.ValidName(room) || !server.ValidName(stream) {
		notFound(w, r)
		return
	}
	if h.isLiveElsewhere(w, r, room, stream) {
		return
	}
	switch ext {
	case ".flv":
		h.liveFLV(w, r, room, stream)
	case ".m3u8":
		h.liveHLS(w, r, room, stream, "")
	case ".mp4":
		h.livePicture(w, r, room, stream)
	default:
		notFound(w, r)
	}
}

// livePart is /live/ROOM/STREAM/PART: the playlists, segments and parts of HLS.
func (h *Handler) livePart(w http.ResponseWriter, r *http.Request) {
	room, stream := server.Fold(r.PathValue("room")), r.PathValue("stream")
	if !server.ValidName(room) || !server.ValidName(stream) {
		notFound(w, r)
		return
	}
	if !h.isLiveElsewhere(w, r, room, stream) {
		h.liveHLS(w, r, room, stream, r.PathValue("part"))
	}
}

// isLiveElsewhere answers a request for a stream that this server does not have, and
// reports true, if another server has the room.
func (h *Handler) isLiveElsewhere(w http.ResponseWriter, r *http.Request, room, stream string) bool {
	if app, _, _ := h.cfg.Host.Resolve(roomInstances + room); app != "" && (h.cfg.Nodes != nil || h.cfg.Everywhere) {
		return false // this node has what other nodes have
	}
	return h.cfg.Host.Stream(roomInstances+room, stream) == nil && h.isElsewhereAnswered(w, r, room)
}

// liveFLV is HTTP-FLV: a file without an end that begins at the last key frame.
func (h *Handler) liveFLV(w http.ResponseWriter, r *http.Request, room, stream string) {
	if h.cfg.Host.Stream(roomInstances+room, stream) == nil {
		notPublished(w, room, stream)
		return
	}
	w.Header().Set("Content-Type", "video/x-flv")
	w.Header().Set("Cache-Control", "no-store")
	if r.Method == http.MethodHead {
		return
	}
	place, no := h.guard.Enter(clientAddr(r))
	defer place.Leave()
	if no != nil {
		w.Header().Del("Content-Type")
		tooManyRequests(w, h.guard.Refuse(clientAddr(r), no))
		return
	}
	queue := media.NewQueue(MaxLiveQueue, livePatience)
	v, err := h.newHTTPViewer(r, streamName{room, stream}, queue)
	if err != nil {
		viewerProblem(w, err)
		return
	}
	defer v.leave()
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	defer context.AfterFunc(h.live.ctx, func() { cancel(errShutdown) })()
	defer context.AfterFunc(v.ctx, func() { cancel(context.Cause(v.ctx)) })()
	h.live.flv.Add(1)
	defer h.live.flv.Add(-1)
	err = h.pumpFLV(ctx, w, queue)
	h.log.Debug("HTTP-FLV viewer ended", "client", v.client.ID(), "instance", roomInstances+room, "stream", stream, "err", err)
}

// pumpFLV writes what comes until the viewer leaves, or the publisher is gone for good.
func (h *Handler) pumpFLV(ctx context.Context, w http.ResponseWriter, queue *media.Queue) error {
	control := http.NewResponseController(w)
	control.SetReadDeadline(time.Time{})
	if err := control.Flush(); err != nil { // so that the answer begins before the first key frame
		return err
	}
	p := flvPump{queue: queue, heard: time.Now(), grace: h.live.grace}
	for {
		if err := p.next(ctx); err != nil {
			return err
		}
		if len(p.buf) == 0 {
			continue
		}
		control.SetWriteDeadline(time.Now().Add(h.live.write))
		n, err := w.Write(p.buf)
		h.live.sent.Add(uint64(n))
		if err != nil {
			return err
		}
		if err := control.Flush(); err != nil {
			return err
		}
		if p.buf = p.buf[:0]; cap(p.buf) > 4*liveBatch {
			p.buf = nil
		}
	}
}

// A flvPump makes HTTP-FLV of what a queue has.
type flvPump struct {
	queue *media.Queue
	flv   media.FLV
	buf   []byte // to be written
	grace time.Duration
	heard time.Time // when the last message came
	gone  bool      // there is no publisher
}

// next waits for messages, or for what to do because none come.
func (p *flvPump) next(ctx context.Context) error {
	var by time.Time
	switch {
	case p.gone:
		by = p.heard.Add(p.grace)
	case p.flv.Waits():
		by = time.Now().Add(media.Settle)
	}
	items, err := nextBy(ctx, p.queue, by)
	for _, it := range items {
		p.take(it)
	}
	switch {
	case err != errLate:
		return err
	case p.gone:
		return errGone
	}
	p.buf = p.flv.Settle(p.buf)
	return nil
}

func (p *flvPump) take(it media.Item) {
	switch it.Code {
	case rtmp.CodeUnpublishNotify:
		p.gone, p.buf = true, p.flv.End(p.buf)
		return
	case rtmp.CodePublishNotify:
		p.gone = false
		p.flv.Restart()
		return
	}
	p.heard, p.gone = time.Now(), false
	if it.Dropped > 0 {
		p.flv.Gap()
	}
	p.buf = p.flv.Append(p.buf, it.Message)
}

// nextBy takes items from the queue. At the deadline, if there is one, its error is
// errLate.
func nextBy(ctx context.Context, queue *media.Queue, deadline time.Time) ([]media.Item, error) {
	if deadline.IsZero() {
		return queue.Next(ctx, liveBatch)
	}
	ctx, cancel := context.WithDeadlineCause(ctx, deadline, errLate)
	defer cancel()
	return queue.Next(ctx, liveBatch)
}

// notPublished answers a request for a stream that nobody publishes.
func notPublished(w http.ResponseWriter, room, stream string) {
	w.Header().Set("Retry-After", liveRetry)
	problem(w, http.StatusNotFound, fmt.Sprintf("Nobody is publishing %s in room %s at the moment.", stream, room))
}

// viewerProblem answers a viewer that the room does not let in.
func viewerProblem(w http.ResponseWriter, err error) {
	if status, ok := errors.AsType[*rtmp.StatusError](err); ok {
		code := http.StatusForbidden
		if status.Code == rtmp.CodePlayNotFound {
			code = http.StatusNotFound
		}
		problem(w, code, status.Description)
		return
	}
	w.Header().Set("Retry-After", liveRetry)
	problem(w, http.StatusServiceUnavailable, "The room does not answer. Try again in a moment.")
}

// An httpViewer is a client that only plays, and its own [server.Peer].
type httpViewer struct {
	client *server.Client
	stop   func()

	ctx context.Context // ends when the room closes the client, with the reason
	end context.CancelCauseFunc
}

// newHTTPViewer asks the room to admit a viewer by HTTP of a stream. The player is nil
// for a viewer that gets the stream from a muxer.
func (h *Handler) newHTTPViewer(r *http.Request, key streamName, player relay.Player) (*httpViewer, error) {
	v := new(httpViewer)
	v.ctx, v.end = context.WithCancelCause(context.Background())
	req := socketRequest(r)
	req.Path, req.Protocol = roomInstances+key.room, "http"
	if isHTTPS(r) {
		req.Protocol = "https"
	}
	req.URI = req.Protocol + "://" + r.Host + clip(r.URL.RequestURI())
	var err error
	if v.client, err = h.cfg.Host.Connect(r.Context(), v, req); err == nil {
		if v.stop, err = v.client.Play(key.stream, player); err != nil {
			v.client.Leave(rtmp.ErrGoodbye)
		}
	}
	if err != nil {
		v.end(err)
		return nil, err
	}
	return v, nil
}

func (v *httpViewer) leave() {
	v.stop()
	v.client.Leave(rtmp.ErrGoodbye)
	v.end(nil)
}

// Push implements [server.Peer]. A video player does not chat.
func (v *httpViewer) Push(*server.Push) error { return nil }

// Request implements [server.Peer].
func (v *httpViewer) Request(method string, _ []amf.Value, _ func(amf.Value, error)) error {
	return rtmp.MethodNotFound(method)
}

// Close implements [server.Peer].
func (v *httpViewer) Close(reason error) { v.end(cmp.Or(reason, rtmp.ErrClosed)) }
