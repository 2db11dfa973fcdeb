package web

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/gorilla/websocket"

	"foyer/server"
	"foyer/server/amf"
	"foyer/server/guard"
	"foyer/server/rtmp"
)

// upgrader takes small buffers, which a socket keeps while it is idle. Origins are
// checked before the upgrade, and socket does the writing.
var upgrader = websocket.Upgrader{
	HandshakeTimeout: connectTimeout,
	ReadBufferSize:   512,
	WriteBufferPool:  &sync.Pool{},
	CheckOrigin:      func(*http.Request) bool { return true },
	Error: func(w http.ResponseWriter, _ *http.Request, status int, reason error) {
		problem(w, status, strings.TrimPrefix(reason.Error(), "websocket: "))
	},
}

// bridge is the sockets of a Handler.
type bridge struct {
	// set by newBridge
	host            *server.Host
	guard           *guard.Guard
	log             *slog.Logger
	isOriginAllowed func(http.ResponseWriter, *http.Request) bool // reports whether a page may connect, and answers the request if not
	ctx             context.Context                               // ends when sockets are to end
	cancel          context.CancelFunc

	received, sent atomic.Uint64 // bytes of frames
	stripped       strippedHandshakes

	// guarded by mu
	mu      sync.Mutex
	closed  bool
	sockets map[*socket]struct{}
	running sync.WaitGroup // one for each socket; Add under mu
}

func newBridge(host *server.Host, guard *guard.Guard, log *slog.Logger) *bridge {
	b := &bridge{host: host, guard: guard, log: log, sockets: make(map[*socket]struct{})}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	return b
}

// ServeHTTP upgrades /ws/<application>[/<instance>].
func (b *bridge) ServeHTTP(w http.ResponseWriter, r *http.Request) { b.upgrade(w, r, b.serveClient) }

// upgrade makes a socket of a request, and calls run with it. The socket outlives the
// request, since a goroutine of its own is smaller than one that has served HTTP. close
// waits for it.
func (b *bridge) upgrade(w http.ResponseWriter, r *http.Request, run func(*socket, server.Request)) {
	stripped := b.isStripped(r)
	if !b.isOriginAllowed(w, r) {
		return
	}
	if !websocket.IsWebSocketUpgrade(r) {
		if r.ProtoMajor == 1 { // HTTP/2 forbids the header, RFC 9113 §8.2.2
			w.Header().Set("Upgrade", "websocket")
		}
		detail := "This address is for WebSockets only."
		if stripped {
			detail = strippedHandshake
		}
		problem(w, http.StatusUpgradeRequired, detail)
		return
	}
	if b.isClosed() {
		w.Header().Set("Retry-After", "1")
		problem(w, http.StatusServiceUnavailable, "The server is stopping. Try again in a moment.")
		return
	}
	place, no := b.guard.Enter(clientAddr(r))
	if no != nil {
		tooManyRequests(w, b.guard.Refuse(clientAddr(r), no))
		place.Leave()
		return
	}
	conn, err := upgrader.Upgrade(countedHijacker{w}, r, nil)
	if err != nil {
		place.Leave()
		return // the upgrader has answered, or the client is gone
	}
	s := newSocket(conn, &b.sent, b.host.Partial(), b.host.Outboxes())
	req := socketRequest(r)
	if !b.start(s, func() { b.serveSocket(s, req, &place, run) }) {
		s.Close(errShutdown)
		s.finish()
		place.Leave()
	}
}

// countedHijacker is a ResponseWriter that gives away its connection without the
// wrappers that were there only for its beginning.
type countedHijacker struct{ http.ResponseWriter }

// Hijack implements [http.Hijacker].
func (s countedHijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, rw, err := http.NewResponseController(s.ResponseWriter).Hijack()
	return guard.Counted(nc), rw, err
}

func (b *bridge) isClosed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed
}

func (b *bridge) start(s *socket, run func()) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	b.sockets[s] = struct{}{}
	b.running.Go(run)
	return true
}

// open returns how many sockets there are.
func (b *bridge) open() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.sockets)
}

// close ends all sockets and returns when they have ended.
func (b *bridge) close() {
	b.mu.Lock()
	b.closed = true
	open := slices.Collect(maps.Keys(b.sockets))
	b.mu.Unlock()
	for _, s := range open {
		s.Close(errShutdown)
	}
	b.cancel()
	b.running.Wait()
}

// serveSocket runs a socket from beginning to end, and waits for its writer.
func (b *bridge) serveSocket(s *socket, req server.Request, place *guard.Place, run func(*socket, server.Request)) {
	defer func() {
		s.finish()
		place.Leave()
		b.mu.Lock()
		delete(b.sockets, s)
		b.mu.Unlock()
	}()
	run(s, req)
}

// serveClient is the reader of a socket: it admits a page, and passes on its frames
// until the socket ends.
func (b *bridge) serveClient(s *socket, req server.Request) {
	c, err := b.admit(s, req)
	if err != nil {
		b.refuse(s, req, err)
		return
	}
	s.onEnd(c.Leave)
	b.serve(s, c)
}

// admit reads the connect frame and asks the host for admission. If there is no such
// application, it does not wait for the frame.
func (b *bridge) admit(s *socket, req server.Request) (*server.Client, error) {
	if _, _, ok := b.host.Resolve(req.Path); ok {
		f, err := b.first(s)
		if err != nil {
			return nil, err
		}
		req.Args, req.Reconnects = f.Args, rtmp.CapsReconnect(f.CapsEx)
	}
	return b.host.Connect(b.ctx, s, req)
}

// first reads the connect frame. Any other frame it answers with a status, and the
// socket ends.
func (b *bridge) first(s *socket) (*frame, error) {
	s.extend(connectTimeout)
	f, err := b.next(s)
	switch {
	case err == io.EOF:
		_, reason := s.ended()
		return nil, reason
	case err == nil && f.Type == typeConnect:
		return f, nil
	case err == nil:
		err = &rtmp.ProtocolError{Err: errFirst}
	case errors.Is(err, errNoFrame):
		err = fmt.Errorf("%w: %w", errFirst, err)
	}
	status := server.Reject("The first frame must be connect.")
	code, text := closeCode(err)
	s.end(err, statusFrame(status), closeFrame(code, text))
	return nil, err
}

// refuse tells the page why it is not admitted, and waits for the other half of the
// close handshake. The host has logged a refusal by the application.
func (b *bridge) refuse(s *socket, req server.Request, err error) {
	s.Close(err)
	if _, ok := errors.AsType[*rtmp.ProtocolError](err); ok || errors.Is(err, rtmp.ErrSilent) {
		b.log.Warn("client dropped before it connected", "remote", req.Addr, "err", err)
	}
	s.read()
}

// serve passes on the frames of a page until the socket has ended.
func (b *bridge) serve(s *socket, c *server.Client) {
	for {
		s.throttle()
		s.extend(silenceTimeout)
		f, err := b.next(s)
		switch {
		case err == io.EOF:
			return
		case err != nil:
			s.Close(err)
		case f.Type == typeCall && f.Method == "close" && f.ID == "":
			s.Close(rtmp.ErrGoodbye)
		case f.Type == typeCall:
			c.ServeCall(f.Method, f.Args, s.reply(f, c))
		case f.Type == typeSO:
			c.ServeSharedObject(&f.Object)
		case f.Type == typeConnect:
			s.Close(&rtmp.StatusError{Code: rtmp.CodeConnectRejected, Description: "This socket is connected already."})
		default:
			s.answered(f)
		}
	}
}

// next reads a frame. Its error is io.EOF when the socket has ended, or a
// *rtmp.ProtocolError.
func (b *bridge) next(s *socket) (*frame, error) {
	text, err := s.read()
	if err == io.EOF {
		return nil, err
	}
	var f *frame
	if err == nil {
		b.received.Add(uint64(len(text)))
		f, err = parseFrame(text)
	}
	if err != nil {
		return nil, &rtmp.ProtocolError{Err: err}
	}
	return f, nil
}

// reply returns the function that answers a call, or nil when no answer is wanted.
func (s *socket) reply(f *frame, c *server.Client) func(amf.Value, error) {
	id := f.ID
	if id == "" {
		return nil
	}
	return func(v amf.Value, err error) {
		frame := answerFrame(id, v, err)
		s.send(frame)
		c.Answered(len(frame))
	}
}

// socketRequest describes a request to the host. It copies strings, because the header
// of a request is one long string, and a socket must not keep all of it.
func socketRequest(r *http.Request) server.Request {
	path := below(r.URL, "/ws/")
	if r.URL.RawQuery != "" {
		path += "?" + r.URL.RawQuery
	}
	protocol := "ws"
	if isHTTPS(r) {
		protocol = "wss"
	}
	origin, referer := clip(r.Header.Get("Origin")), clip(r.Referer())
	return server.Request{
		Path:     strings.Clone(path),
		Addr:     visitorOf(r).addr,
		Named:    visitorOf(r).named,
		Agent:    clip(r.UserAgent()),
		Referrer: cmp.Or(origin, referer),
		PageURL:  cmp.Or(referer, origin),
		URI:      protocol + "://" + r.Host + clip(r.URL.RequestURI()),
		Protocol: protocol,
		AMF3:     true, // JSON can express all of it
	}
}

// below returns the part of a path after a prefix, with its percent-encoding undone
// once. An encoded slash or question mark is no separator and cannot be part of a name,
// so a path with one is returned as it was sent.
func below(u *url.URL, prefix string) string {
	if strings.Contains(u.Path, "?") || strings.Contains(strings.ToLower(u.RawPath), "%2f") {
		return strings.TrimPrefix(u.EscapedPath(), prefix)
	}
	return strings.TrimPrefix(u.Path, prefix)
}

// maxClip is how many bytes are kept of each thing that a page says about itself.
const maxClip = 512

func clip(s string) string { return strings.Clone(s[:min(len(s), maxClip)]) }
