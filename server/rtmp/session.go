package rtmp

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"foyer/server/amf"
	"foyer/server/backlog"
)

// Session is symmetric: both ends call and serve. Every method that sends is
// safe for concurrent use and never blocks. A peer that reads slowly is written
// to slowly, and is not read while much waits for it. A peer that takes nothing
// for backlog.Patience ends the session with ErrSlow.
type Session struct {
	// set by NewSession
	c    *Conn
	h    Handler
	amf3 bool
	done chan struct{}

	wg sync.WaitGroup // the writer and the ping timer's function; Add only under mu, while running

	dropped atomic.Uint64

	// guarded by mu
	mu      sync.Mutex
	out     outbox
	rest    []byte // of a message that was written in part: it goes before everything else
	running bool   // Run runs: a writer may be started
	writing bool   // there is a writer
	sealed  bool   // nothing more is queued; reason is set
	leaving bool   // sealed by Close: queued messages are still written
	reason  error
	lastTx  uint32
	pending map[uint32]func(amf.Value, error) // by transaction
	peer    []*netStream                      // the peer's message streams; index is id-1
	own     map[uint32]*Stream                // this end's, by message stream
	ping    *time.Timer                       // set when Run begins
}

// A Handler takes the requests of the peer, in wire order, on the goroutine of
// Run. While it blocks, the peer is held back; longer than Config.PingTimeout
// that looks like silence.
type Handler interface {
	ServeCall(*Call) // commands that are not NetStream commands
}

// Optional parts of a Handler.
type (
	// SharedObjectHandler takes types 19 and 16, as they came.
	SharedObjectHandler interface{ ServeSharedObject(Message) }
	// StreamHandler lets the peer publish and play. Its Session itself answers
	// createStream and the other commands of a NetStream.
	StreamHandler interface {
		ServePublish(*Publish)
		ServePlay(*Play)
	}
	// StatusHandler takes onStatus on message stream 0 (a client's NetConnection).
	StatusHandler interface{ ServeStatus(info amf.Object) }
)

// refuseAll is used when there is no Handler.
type refuseAll struct{}

func (refuseAll) ServeCall(c *Call) { c.Fail(MethodNotFound(c.Method)) }

// Stats are the counters of a session.
type Stats struct {
	BytesIn, BytesOut uint64
	Dropped           uint64 // media messages that were dropped: the peer was too slow, they belonged to no stream, or players could not read them
}

// NewSession makes a session of a connection whose connect has been answered,
// or is about to be: messages sent before Run wait for Run. Only one Session
// may be made of a Conn, and Run must be called, even if only to end it.
// objectEncoding 3 lets AMF3 values travel.
func NewSession(c *Conn, h Handler, objectEncoding int) *Session {
	if h == nil {
		h = refuseAll{}
	}
	s := &Session{c: c, h: h, amf3: objectEncoding == 3, done: make(chan struct{})}
	c.reply = s.replyControl
	return s
}

// replyControl sends the answers of the reading side. While the session is
// leaving it sends nothing: an error would end the reader, and with it the
// connection, before the last words are written.
func (s *Session) replyControl(packed []byte) error {
	if err := s.push(laneControl, packed); err != nil && !s.isLeaving() {
		return err
	}
	s.waitRoom()
	return nil
}

// Run moves messages until the connection fails, Close is called, or ctx ends.
// It returns after everything it started has ended, with the reason: ErrClosed
// (the peer left without a word), ErrGoodbye (the peer sent the command close),
// ErrSlow, ErrSilent, a *ProtocolError, the reason given to Close (ErrClosed
// for nil), or the cause of ctx.
func (s *Session) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { s.fail(context.Cause(ctx)) })
	defer stop()
	s.start()
	s.fail(s.read())
	s.mu.Lock()
	s.running = false
	s.ping.Stop()
	s.mu.Unlock()
	s.wg.Wait()
	return s.end()
}

// start starts the writer and the pings.
func (s *Session) start() {
	s.mu.Lock()
	s.running = true
	s.startPingLocked()
	write := s.startWriterLocked()
	s.mu.Unlock()
	if write {
		go s.write()
	}
}

// read serves the peer until reading fails. After Close it only waits for the
// peer to leave.
func (s *Session) read() error {
	for {
		m, err := s.c.ReadMessage()
		if errors.Is(err, ErrMessageSize) { // the peer may not yet have been told why it may not publish
			s.leave(err)
			s.c.drain()
			return err
		}
		if err != nil {
			return err
		}
		if s.isLeaving() {
			s.c.drain()
			return ErrClosed
		}
		if err := s.serve(m); err != nil {
			return err
		}
		s.waitRoom()
	}
}

// waitRoom waits while much is waiting for the peer: a client that does not
// read its answers is not read. It returns at once when the session ends. A
// server is always read, since nothing would move if both waited for each
// other.
func (s *Session) waitRoom() {
	if !s.c.server || !s.out.full() {
		return
	}
	s.mu.Lock()
	if s.sealed || !s.out.full() {
		s.mu.Unlock()
		return
	}
	late := s.out.behind()
	if late.room == nil {
		late.room = make(chan struct{})
	}
	room := late.room
	s.mu.Unlock()
	<-room
}

// Level returns how far behind the peer is with reading.
func (s *Session) Level() backlog.Level { return s.out.getLevel() }

// WhenInStep calls f, on any goroutine, when Level is InStep: at once, or
// later, or never if the session ends before that. Only the last f that waits
// is called.
func (s *Session) WhenInStep(f func()) {
	s.mu.Lock()
	wait := s.sealed || s.out.getLevel() != backlog.InStep
	if wait {
		s.out.behind().wake = f
	}
	s.mu.Unlock()
	if !wait {
		f()
	}
}

func (s *Session) isLeaving() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.leaving
}

// end wakes everybody that waits.
func (s *Session) end() error {
	s.mu.Lock()
	reason := s.reason
	pending, peer, own := s.pending, s.peer, s.own
	s.pending, s.peer, s.own, s.rest = nil, nil, nil, nil
	s.out.drop(s.c.cfg.Outboxes)
	s.mu.Unlock()
	for _, st := range peer {
		if st != nil {
			s.endStream(st, reason)
		}
	}
	for _, st := range own {
		st.end(reason)
	}
	for _, done := range pending {
		done(nil, reason)
	}
	s.c.forget()
	close(s.done)
	return reason
}

// publishing notes that the peer publishes one more stream, or one less. While
// there is one, its messages may be long. It is called on Run's goroutine.
func (s *Session) publishing(more int8) {
	in := &s.c.in
	in.published += more
	if in.published > 0 {
		in.trust = publisher
	} else if in.begun == 0 { // messages that began while it was a publisher may also end
		in.trust = spectator
	}
}

// fail ends the session at once. The first reason counts.
func (s *Session) fail(reason error) {
	s.mu.Lock()
	s.sealLocked(reason)
	s.mu.Unlock()
	s.c.Close()
}

// sealLocked notes why the session ends, and wakes Run if it waits for room.
func (s *Session) sealLocked(reason error) {
	if s.sealed {
		return
	}
	s.sealed, s.reason = true, reason
	if late := s.out.late; late != nil {
		late.wake = nil
		late.makeRoom()
	}
	for _, st := range s.peer {
		if st != nil && st.publish != nil {
			st.publish.decideLocked()
		}
	}
}

// Close ends the session. With a *StatusError the peer first gets onStatus at
// the level error and the command close, within a bounded time; with nil it
// gets the command close. Any other reason ends the session at once. Close does
// not block.
func (s *Session) Close(reason error) {
	if reason == nil {
		s.leave(ErrClosed)
	} else if info, ok := errors.AsType[*StatusError](reason); ok {
		s.leave(reason, s.lastStatus(0, info))
	} else {
		s.fail(reason)
	}
}

// lastStatus makes the message that tells why the session ends. Its level is
// error, the only one at which ffmpeg stops.
func (s *Session) lastStatus(stream uint32, info *StatusError) Message {
	last := *info
	last.Level = LevelError
	return statusMessage(stream, s.amf3, &last)
}

// leave ends the session after the queued messages, the last words and the
// command close. The peer has flushTimeout to take them.
func (s *Session) leave(reason error, last ...Message) {
	last = append(last, commandMessage(0, s.amf3, "close", 0, amf.Null{}))
	packed := Pack(last...)
	s.mu.Lock()
	if s.sealed {
		s.mu.Unlock()
		return
	}
	s.sealLocked(reason)
	s.leaving = true
	s.addLocked(laneMedia, packed, nil) // after everything else
	write := s.startWriterLocked()
	s.mu.Unlock()
	s.c.w.Final(s.c.nc, time.Now().Add(flushTimeout))
	if write {
		go s.write()
	}
}

// Done is closed when Run has ended.
func (s *Session) Done() <-chan struct{} { return s.done }

// Err returns why the session is ending or has ended, or nil.
func (s *Session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reason
}

// ObjectEncoding returns 3 when AMF3 values may travel, else 0.
func (s *Session) ObjectEncoding() int {
	if s.amf3 {
		return 3
	}
	return 0
}

// Stats returns the present counters.
func (s *Session) Stats() Stats {
	return Stats{
		BytesIn:  s.c.bytesIn.Load(),
		BytesOut: s.c.bytesOut.Load(),
		Dropped:  s.dropped.Load(),
	}
}

// Send queues bytes made by Pack in the command lane. They are not copied.
func (s *Session) Send(packed []byte) error { return s.push(laneCommands, packed) }

// send queues one message.
func (s *Session) send(l lane, m Message) error { return s.push(l, Pack(m)) }

// SendShared is Send for bytes that go to many sessions. However many outboxes
// they wait in, they are counted once.
func (s *Session) SendShared(b *backlog.Bytes) error { return s.queue(laneCommands, nil, b) }

// push queues packed.
func (s *Session) push(l lane, packed []byte) error { return s.queue(l, packed, nil) }

// queue queues packed, or shared if that is not nil.
func (s *Session) queue(l lane, packed []byte, shared *backlog.Bytes) error {
	s.mu.Lock()
	if s.sealed {
		defer s.mu.Unlock()
		return s.reason
	}
	over := s.addLocked(l, packed, shared)
	err := s.writeLocked()
	if over {
		s.c.cfg.Outboxes.Relieve()
	}
	return err
}

// addLocked puts packed, or shared, into the outbox. It reports whether the
// outboxes of the process hold too much.
func (s *Session) addLocked(l lane, packed []byte, shared *backlog.Bytes) (over bool) {
	before := s.out.bytes[laneMedia]
	if l != laneMedia {
		before = s.out.bytes[laneControl] + s.out.bytes[laneCommands]
	}
	p, over := s.out.piece(s, packed, shared, before)
	s.out.add(l, p)
	return over
}

// writeLocked has the queued messages written, and unlocks mu.
func (s *Session) writeLocked() error {
	write := s.startWriterLocked()
	s.mu.Unlock()
	if write {
		go s.write()
	}
	return nil
}

// slow is a Session in the role of its outbox's owner.
type slow Session

// EndSlow implements backlog.Owner.
func (s *slow) EndSlow() { (*Session)(s).fail(ErrSlow) }

// Moved implements backlog.Owner. It is a sign of life that the peer has read
// something: a ping may be far behind what it reads now.
func (s *slow) Moved() {
	s.c.lastRead.Store(int64(time.Since(s.c.begun)))
	s.mu.Lock()
	if s.out.late != nil {
		s.out.late.tally.Moved(s.c.cfg.Outboxes)
	}
	s.mu.Unlock()
}

// sendCommand sends in the command lane. With now, somebody waits for the
// message and nothing follows it: sendCommand tries to write at once, without a
// goroutine, and leaves to the writer what there is no room for. It does not
// block either.
func (s *Session) sendCommand(m Message, now bool) error {
	packed := Pack(m)
	if !now {
		return s.push(laneCommands, packed)
	}
	s.mu.Lock()
	if s.sealed || s.writing || s.out.q != nil || s.rest != nil || !s.running {
		s.mu.Unlock()
		return s.push(laneCommands, packed)
	}
	s.writing = true // we are the writer
	s.wg.Add(1)
	s.mu.Unlock()
	n, err := s.c.writeNow(packed)
	if err != nil {
		s.wg.Done()
		s.fail(err)
		return err
	}
	s.mu.Lock()
	over := false
	if n < len(packed) {
		var rest backlog.Piece
		rest, over = s.out.piece(s, packed[n:], nil, s.out.total())
		s.out.addFirst(rest)
	}
	if s.out.q == nil && !s.leaving {
		s.writing = false
		s.mu.Unlock()
		s.wg.Done()
		return nil
	}
	s.mu.Unlock()
	go s.write()
	if over {
		s.c.cfg.Outboxes.Relieve()
	}
	return nil
}

// startWriterLocked reports whether the caller must run write, in a goroutine
// of its own or, if it is one that may wait, in itself.
func (s *Session) startWriterLocked() bool {
	if !s.running || s.writing || s.out.q == nil {
		return false
	}
	s.writing = true
	s.wg.Add(1)
	return true
}

// write writes the outbox until it is empty or writing fails. The goroutine
// that fills an empty outbox starts it, and Run waits for it. Its error ends
// the session.
func (s *Session) write() {
	defer s.wg.Done()
	b := batches.Get().(*batch)
	defer batches.Put(b)
	for {
		s.mu.Lock()
		wake := s.out.written(s.c.cfg.Outboxes, b)
		rest := s.rest
		s.rest = nil
		more := s.out.take(b) // there is no rest either: none is left while s.writing is set
		if !more {
			s.writing = false
		}
		leaving := s.leaving
		s.mu.Unlock()
		if wake != nil {
			wake()
		}
		if !more {
			if leaving {
				s.c.finish()
			}
			return
		}
		if err := s.writeBatch(rest, b); err != nil {
			s.fail(err)
			s.mu.Lock()
			s.out.written(s.c.cfg.Outboxes, b)
			s.mu.Unlock()
			return // writing stays true: there is nothing left to write to
		}
	}
}

// writeBatch writes rest, then b.
func (s *Session) writeBatch(rest []byte, b *batch) error {
	if rest != nil {
		if err := s.c.writePatiently((*slow)(s), rest); err != nil {
			return err
		}
	}
	for _, p := range b.pieces {
		b.vectors = append(b.vectors, p.B)
	}
	b.left = b.vectors
	return s.c.writeAll((*slow)(s), &b.left, b.total())
}

// serve handles one message.
func (s *Session) serve(m Message) error {
	switch m.Type {
	case TypeCommandAMF0, TypeCommandAMF3:
		if len(m.Payload) == 0 {
			return nil
		}
		return s.serveCommand(m)
	case TypeAudio, TypeVideo, TypeDataAMF0, TypeDataAMF3, TypeAggregate:
		return s.serveMedia(m)
	case TypeSharedObjectAMF0, TypeSharedObjectAMF3:
		if h, ok := s.h.(SharedObjectHandler); ok {
			h.ServeSharedObject(m)
		}
	}
	return nil
}
