package web

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"foyer/server"
	"foyer/server/amf"
	"foyer/server/backlog"
	"foyer/server/guard"
	"foyer/server/rtmp"
)

// Limits of one socket.
const (
	MaxFrame    = 256 << 10        // bytes of a frame from the page
	MaxRequests = rtmp.MaxRequests // calls to the page that it has not answered

	connectTimeout = 10 * time.Second // for the connect frame to come
	pingInterval   = 10 * time.Second
	silenceTimeout = 30 * time.Second // without a sign of life
	closeGrace     = 2 * time.Second  // for the other half of the close handshake
	maxBatch       = 256 << 10        // bytes of one write
)

var (
	errBinary   = errors.New("web: binary frame")
	errFirst    = errors.New("web: first frame is not connect")
	errTooLarge = errors.New("web: frame of more than 256 KiB")
	errShutdown = errors.New("web: shutting down")
	pingFrame   = controlFrame(websocket.PingMessage, nil)
)

// A socket is a page's connection, and the [server.Peer] that the instance sees. Its
// reader is bridge.serveClient. Frames to the page go through a queue.
//
// gorilla reads and checks frames. socket does the writing itself, because frames come
// encoded: it writes all that waits in one system call.
type socket struct {
	// set by newSocket
	conn    *websocket.Conn
	net     net.Conn
	sent    *atomic.Uint64 // bytes, of all sockets of the handler
	partial partialFrame
	budget  *backlog.Budget
	writer  sync.WaitGroup // at most one goroutine; the reader waits for it

	w     backlog.Writer // owned by the writer
	level atomic.Uint32  // a backlog.Level; set under mu

	// guarded by mu
	mu       sync.Mutex
	queue    []backlog.Piece
	queued   int  // bytes in queue
	inFlight int  // bytes that are being written
	lag      *lag // nil: little waits
	writing  bool // the writer runs
	closing  bool // nothing is queued any more, and frames from the page are dropped
	reason   error
	leave    func(error)                       // set by onEnd
	requests map[uint64]func(amf.Value, error) // calls to the page, by id
	lastID   uint64
	nextPing *time.Timer
}

// lag is the state of a socket while much waits for its page.
type lag struct {
	tally backlog.Tally
	wake  func()        // called when level is InStep; nil: nobody waits for that
	room  chan struct{} // closed when level is not Far; nil: nobody waits for that
}

func newSocket(conn *websocket.Conn, sent *atomic.Uint64, partial *guard.Budget, outboxes *backlog.Budget) *socket {
	s := &socket{conn: conn, net: conn.NetConn(), sent: sent, partial: partialFrame{budget: partial}, budget: outboxes}
	conn.SetReadLimit(MaxFrame)
	conn.SetPingHandler(func(data string) error {
		s.extend(silenceTimeout)
		s.send(controlFrame(websocket.PongMessage, []byte(data)))
		s.throttle()
		return nil
	})
	conn.SetPongHandler(func(string) error {
		s.extend(silenceTimeout)
		return nil
	})
	conn.SetCloseHandler(func(code int, _ string) error {
		reason := rtmp.ErrClosed
		if code == websocket.CloseNormalClosure || code == websocket.CloseGoingAway {
			reason = rtmp.ErrGoodbye // the page closed the socket, or the user left the page
		}
		if code == websocket.CloseNoStatusReceived {
			code = websocket.CloseNormalClosure
		}
		s.end(reason, closeFrame(code, ""))
		return nil
	})
	return s
}

// Accept implements [server.Accepter]: the page hears of its success before anything
// else.
func (s *socket) Accept() {
	s.send(statusFrame(&rtmp.StatusError{
		Level: "status", Code: rtmp.CodeConnectSuccess, Description: "Connection succeeded.",
	}))
	s.startPings()
}

func (s *socket) startPings() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nextPing = time.AfterFunc(pingInterval, s.ping)
}

func (s *socket) ping() {
	if s.send(pingFrame) == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.nextPing.Reset(pingInterval)
	}
}

// extend gives the page the time d to show a sign of life.
func (s *socket) extend(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closing {
		s.partial.alive = time.Now().Add(d).UnixNano()
		s.conn.SetReadDeadline(s.partial.deadline())
	}
}

// Push implements [server.Peer].
func (s *socket) Push(p *server.Push) error {
	return s.put(nil, p.Bytes(server.JSON, encodePush))
}

// Request implements [server.Peer].
func (s *socket) Request(method string, args []amf.Value, done func(amf.Value, error)) error {
	if done == nil {
		return s.send(callFrame("", method, args))
	}
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		return rtmp.ErrClosed
	}
	if len(s.requests) >= MaxRequests {
		s.mu.Unlock()
		return rtmp.ErrBusy
	}
	if s.requests == nil {
		s.requests = make(map[uint64]func(amf.Value, error))
	}
	s.lastID++
	id := s.lastID
	s.requests[id] = done
	s.mu.Unlock()
	s.send(callFrame(strconv.FormatUint(id, 10), method, args)) // an error reaches done when the socket ends
	return nil
}

// answered passes the page's answer to the caller. An answer for which nobody waits is
// dropped.
func (s *socket) answered(f *frame) {
	id, err := strconv.ParseUint(string(f.ID), 10, 64)
	if err != nil {
		return
	}
	s.mu.Lock()
	done := s.requests[id]
	delete(s.requests, id)
	s.mu.Unlock()
	if done == nil {
		return
	}
	if f.Type == typeResult {
		done(f.Value, nil)
		return
	}
	done(nil, rtmp.ParseStatus(f.Info))
}

// send queues a frame. It never blocks.
func (s *socket) send(frame []byte) error { return s.put(frame, nil) }

// put queues frame, or shared if that is not nil.
func (s *socket) put(frame []byte, shared *backlog.Bytes) error {
	if shared != nil {
		frame = shared.Bytes()
	}
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		return rtmp.ErrClosed
	}
	p, over := backlog.Piece{B: frame}, false
	if s.budget != nil && s.queued+s.inFlight+len(frame) > backlog.Free {
		p, over = s.lagLocked().tally.Add(s.budget, s, frame, shared)
	}
	s.queueLocked(p)
	s.mu.Unlock()
	if over {
		s.budget.Relieve()
	}
	return nil
}

// lagLocked returns the lag, and makes it if need be.
func (s *socket) lagLocked() *lag {
	if s.lag == nil {
		s.lag = new(lag)
	}
	return s.lag
}

// doneLocked takes pieces off the tally.
func (s *socket) doneLocked(pieces []backlog.Piece) {
	if s.lag != nil {
		s.lag.tally.Done(s.budget, pieces)
	}
}

func (s *socket) queueLocked(p backlog.Piece) {
	s.queue = append(s.queue, p)
	s.queued += len(p.B)
	s.updateLevelLocked()
	s.startLocked()
}

// offer queues a frame if limit bytes have room for it. It never blocks. When nothing
// else waits, a frame of any size passes.
func (s *socket) offer(frame []byte, limit int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return true // nobody misses it
	}
	if s.queued > 0 && s.queued+len(frame) > limit {
		return false
	}
	s.queueLocked(backlog.Piece{B: frame}) // not counted, because all viewers share the bytes
	return true
}

// drain drops all that waits to be written.
func (s *socket) drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropLocked()
}

func (s *socket) dropLocked() {
	s.doneLocked(s.queue)
	s.queue, s.queued = nil, 0
	s.updateLevelLocked()
}

// updateLevelLocked finds the level, and wakes the reader if it has waited for that. The
// function that it returns, unless nil, is to be called without locks.
func (s *socket) updateLevelLocked() (wake func()) {
	before := s.Level()
	level := backlog.LevelOf(s.queued+s.inFlight, before)
	s.level.Store(uint32(level))
	if s.lag == nil {
		return nil
	}
	if s.lag.room != nil && (level != backlog.Far || s.closing) {
		close(s.lag.room)
		s.lag.room = nil
	}
	if level == backlog.InStep {
		wake, s.lag.wake = s.lag.wake, nil
	}
	return wake
}

// Level implements [server.Pacer].
func (s *socket) Level() backlog.Level { return backlog.Level(s.level.Load()) }

// WhenInStep implements [server.Pacer].
func (s *socket) WhenInStep(f func()) {
	s.mu.Lock()
	wait := s.closing || s.Level() != backlog.InStep
	if wait && !s.closing {
		s.lagLocked().wake = f
	}
	s.mu.Unlock()
	if !wait {
		f()
	}
}

// throttle waits while much waits for the page, because a page that does not read its
// answers should not send more calls. It returns at once when the socket ends.
func (s *socket) throttle() {
	if s.Level() != backlog.Far {
		return
	}
	s.mu.Lock()
	if s.closing || s.Level() != backlog.Far {
		s.mu.Unlock()
		return
	}
	lag := s.lagLocked()
	if lag.room == nil {
		lag.room = make(chan struct{})
	}
	room := lag.room
	s.mu.Unlock()
	<-room
}

// startLocked starts the writer, which ends when nothing is left to write. The reader
// waits for it.
func (s *socket) startLocked() {
	if !s.writing && len(s.queue) > 0 {
		s.writing = true
		s.writer.Go(s.write)
	}
}

func (s *socket) write() {
	var batch []backlog.Piece
	var vectors net.Buffers
	for {
		s.mu.Lock()
		s.doneLocked(batch)
		clear(batch) // its array may live on in queue
		batch, s.inFlight = s.takeLocked(), 0
		for _, p := range batch {
			s.inFlight += len(p.B)
		}
		wake := s.updateLevelLocked()
		if len(batch) == 0 {
			s.writing = false
			s.lag = nil // nothing is counted now, and nobody waits
		}
		s.mu.Unlock()
		if wake != nil {
			wake()
		}
		if len(batch) == 0 {
			return
		}
		vectors = vectors[:0]
		for _, p := range batch {
			vectors = append(vectors, p.B)
		}
		left := vectors
		n, err := s.w.WriteBuffers(s.net, &left, s)
		s.sent.Add(uint64(n))
		if err != nil {
			s.abort(err, batch)
			return
		}
	}
}

// takeLocked takes the next batch to write out of the queue.
func (s *socket) takeLocked() []backlog.Piece {
	k, n := 0, 0
	for k < len(s.queue) && n < maxBatch {
		n += len(s.queue[k].B)
		k++
	}
	batch := s.queue[:k:k]
	s.queued -= n
	if s.queue = s.queue[k:]; len(s.queue) == 0 {
		s.queue = nil
	}
	return batch
}

// EndSlow implements [backlog.Owner].
func (s *socket) EndSlow() {
	s.end(rtmp.ErrSlow)
	s.net.Close() // it does not read, so it cannot be told
}

// Moved implements [backlog.Owner]. It is a sign of life that the page has read
// something: a ping may wait in the queue for a long time.
func (s *socket) Moved() {
	s.extend(silenceTimeout)
	s.mu.Lock()
	if s.lag != nil {
		s.lag.tally.Moved(s.budget)
	}
	s.mu.Unlock()
}

// abort ends the socket at once after a failed write. writing stays true, so that the
// writer does not start again.
func (s *socket) abort(err error, batch []backlog.Piece) {
	s.mu.Lock()
	s.doneLocked(batch)
	s.inFlight = 0
	s.updateLevelLocked()
	s.mu.Unlock()
	reason := rtmp.ErrClosed
	if errors.Is(err, backlog.ErrStuck) {
		reason = rtmp.ErrSlow
	}
	s.end(reason)
	s.net.Close()
}

// Close implements [server.Peer].
func (s *socket) Close(reason error) {
	status, isStatus := errors.AsType[*rtmp.StatusError](reason)
	code, text := closeCode(reason)
	if isStatus {
		s.end(reason, statusFrame(status), closeFrame(code, text))
		return
	}
	s.end(cmp.Or(reason, rtmp.ErrClosed), closeFrame(code, text))
}

// closeCode returns the code and text of the close frame for a reason.
func closeCode(reason error) (code int, text string) {
	status, isStatus := errors.AsType[*rtmp.StatusError](reason)
	switch {
	case reason == nil, errors.Is(reason, rtmp.ErrGoodbye):
		return websocket.CloseNormalClosure, ""
	case errors.Is(reason, errShutdown), isStatus && status.Code == rtmp.CodeConnectShutdown:
		return websocket.CloseServiceRestart, retryHint()
	case isStatus:
		return websocket.ClosePolicyViolation, status.Description
	case errors.Is(reason, errBinary):
		return websocket.CloseUnsupportedData, "only text frames are allowed"
	case errors.Is(reason, errFirst):
		return websocket.ClosePolicyViolation, "the first frame must be connect"
	case errors.Is(reason, errMalformed):
		return websocket.CloseInvalidFramePayloadData, "malformed frame"
	case errors.Is(reason, rtmp.ErrSilent):
		return websocket.ClosePolicyViolation, "no sign of life"
	case errors.Is(reason, rtmp.ErrStalled):
		return websocket.ClosePolicyViolation, "a frame was not completed in time"
	case errors.Is(reason, guard.ErrBudget):
		return websocket.CloseTryAgainLater, "too many unfinished frames"
	case errors.Is(reason, errTooSlow):
		return websocket.CloseTryAgainLater, "too slow for the stream"
	}
	return websocket.CloseInternalServerErr, ""
}

// retryHint is how many milliseconds a page should wait before it comes back after a
// restart. It differs from page to page.
func retryHint() string { return strconv.Itoa(500 + rand.IntN(2500)) }

// end sends the last frames and gives the page a moment to close its half. It tells the
// client's instance. Only the first reason counts.
func (s *socket) end(reason error, last ...[]byte) {
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		return
	}
	s.closing, s.reason = true, reason
	for _, frame := range last {
		s.queue = append(s.queue, backlog.Piece{B: frame})
		s.queued += len(frame)
	}
	if s.lag != nil {
		s.lag.wake = nil
	}
	s.updateLevelLocked()
	s.startLocked()
	now := time.Now()
	s.conn.SetReadDeadline(now.Add(closeGrace))
	s.w.Final(s.net, now.Add(closeGrace))
	leave := s.leave
	s.mu.Unlock()
	if leave != nil {
		leave(reason)
	}
}

// onEnd runs f once, as soon as the socket begins to end, even while its reader waits.
func (s *socket) onEnd(f func(reason error)) {
	s.mu.Lock()
	closing, reason := s.closing, s.reason
	s.leave = f
	s.mu.Unlock()
	if closing {
		f(reason)
	}
}

// ended returns whether the socket is ending, and why.
func (s *socket) ended() (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing, s.reason
}

// read returns the next text frame. Its error is errBinary, or io.EOF when the socket
// has ended. While the socket is ending, read waits for the other half of the close
// handshake and drops everything before it.
func (s *socket) read() ([]byte, error) {
	for {
		kind, r, err := s.conn.NextReader()
		var text []byte
		if err == nil {
			text, err = s.readFrame(r)
		}
		closing, _ := s.ended()
		switch {
		case err != nil:
			s.readFailed(err)
			return nil, io.EOF
		case closing:
		case kind != websocket.TextMessage:
			return nil, errBinary
		default:
			return text, nil
		}
	}
}

// readFailed ends the socket after a failed read.
func (s *socket) readFailed(err error) {
	timeout, isNet := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, rtmp.ErrStalled), errors.Is(err, guard.ErrBudget):
		s.Close(&rtmp.ProtocolError{Err: err})
	case isNet && timeout.Timeout():
		s.Close(rtmp.ErrSilent)
	case isNet, peerLeft(err):
		s.end(rtmp.ErrClosed)
	default: // the page broke RFC 6455, and gorilla has sent the close frame
		if errors.Is(err, websocket.ErrReadLimit) {
			err = fmt.Errorf("%w: %w", rtmp.ErrMessageSize, errTooLarge)
		}
		s.end(&rtmp.ProtocolError{Err: err})
		s.linger()
	}
}

func peerLeft(err error) bool {
	_, isClose := errors.AsType[*websocket.CloseError](err)
	return isClose || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.ErrClosedPipe)
}

// linger drops what the page still sends, for a moment. If a connection is closed with
// unread bytes, the close frame that gorilla has sent may be lost.
func (s *socket) linger() {
	if half, ok := s.net.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
	io.Copy(io.Discard, io.LimitReader(s.net, 2*MaxFrame)) // until the read deadline that end has set
}

// finish waits for the writer, closes the connection, and fails the calls that the page
// has not answered.
func (s *socket) finish() {
	s.writer.Wait()
	s.net.Close()
	s.mu.Lock()
	if s.nextPing != nil {
		s.nextPing.Stop()
	}
	s.dropLocked()
	requests, reason := s.requests, s.reason
	s.requests = nil
	s.mu.Unlock()
	for _, done := range requests {
		done(nil, reason)
	}
}
