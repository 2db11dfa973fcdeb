package rtmp

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"foyer/server/backlog"
	"foyer/server/guard"
)

// windowSize is the Window Acknowledgement Size and the Peer Bandwidth that we
// announce. The figure is Flash Media Server's.
const windowSize = 2500000

// Conn reads and writes whole messages. A Session is built on it. One goroutine
// may read and another one write.
type Conn struct {
	nc    net.Conn
	cfg   *Config
	begun time.Time // set by the constructor

	// owned by the goroutine that reads
	in       chunkReader
	src      source
	unread   []byte      // arrived but not yet parsed; a part of src's buffer
	share    guard.Share // of Config.Partial
	window   uint32      // the bytes after which each acknowledgement is due
	filled   uint32      // when bytes came last: since begun, in ms
	acked    uint64
	answered bool    // Set Peer Bandwidth was
	server   bool    // the peer has connected to us; set by NewServerConn
	flash    bool    // the peer is a Flash Player; set by ReadConnect
	nonces   *Nonces // until connect is there

	w backlog.Writer // owned by the writing goroutine

	// reply sends the answers of the reading side: acknowledgements and answers
	// to pings. It is write until a Session puts them into its outbox.
	reply func(packed []byte) error

	lastRead atomic.Int64  // since begun, in ns
	stalled  atomic.Uint32 // since begun, in ms: the last progress of an unfinished message, while waiting for more; 0: there is none
	reading  atomic.Bool   // waiting for bytes of the peer
	bytesIn  atomic.Uint64
	bytesOut atomic.Uint64
}

// NewServerConn does the server's side of the handshake on nc. The time for
// that and for ReadConnect after it is Config.HandshakeTimeout (ErrTimeout).
// When it fails, nc is closed.
func NewServerConn(ctx context.Context, nc net.Conn, cfg *Config) (*Conn, error) {
	c, err := newConn(ctx, nc, cfg, serverHandshake)
	if err == nil {
		c.server = true
	}
	return c, err
}

// NewClientConn does the client's side of the handshake on nc. The time for
// that and for Connect after it is Config.HandshakeTimeout (ErrTimeout). When
// it fails, nc is closed.
func NewClientConn(ctx context.Context, nc net.Conn, cfg *Config) (*Conn, error) {
	return newConn(ctx, nc, cfg, clientHandshake)
}

func newConn(ctx context.Context, nc net.Conn, cfg *Config, handshake func(io.ReadWriter) (*Nonces, error)) (*Conn, error) {
	c := &Conn{nc: nc, cfg: cfg.WithDefaults(), begun: time.Now()}
	c.in.size = initialChunkSize
	c.reply = c.write
	nc.SetDeadline(c.begun.Add(c.cfg.HandshakeTimeout))
	stop := context.AfterFunc(ctx, func() { nc.Close() })
	defer stop()
	nonces, err := handshake(nc)
	if err != nil {
		nc.Close()
		return nil, ended(ctx, err)
	}
	c.nonces = nonces
	// A wrapper that only matters at the beginning of a connection is not kept
	// for its life, and only the socket itself can be polled.
	if w, ok := nc.(interface{ Plain() net.Conn }); ok {
		c.nc = w.Plain()
	}
	c.src.init(c.nc)
	return c, nil
}

// ended returns why I/O under ctx failed with err.
func ended(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return ErrTimeout
	}
	return normalize(err)
}

// ReadMessage reads the next message. It obeys messages for the chunk layer
// without returning them: Set Chunk Size, Abort, Acknowledgement, Window
// Acknowledgement Size, Set Peer Bandwidth, and those of user control, of which
// only ping requests mean anything here.
func (c *Conn) ReadMessage() (Message, error) {
	for {
		n, m, ok, err := c.in.next(c.unread)
		c.unread = c.unread[n:]
		if err != nil {
			return m, err
		}
		if !ok {
			if err := c.fill(); err != nil {
				return m, err
			}
			continue
		}
		if m.Type > TypeSetPeerBandwidth {
			return m, nil
		}
		if err := c.control(m); err != nil {
			return m, err
		}
	}
}

// fill waits for bytes and counts them.
func (c *Conn) fill() error {
	kept, unfinished := len(c.unread), c.in.begun > 0 || !c.share.Empty()
	var err error
	if unfinished {
		if err := c.holdPartial(); err != nil {
			return err
		}
	}
	c.reading.Store(true)
	c.unread, err = c.src.read(c.nc, c.unread)
	c.reading.Store(false)
	if err != nil {
		return c.readFailed(err)
	}
	if unfinished {
		c.stalled.Store(0) // the peer may be held back from here on
	}
	total := c.bytesIn.Add(uint64(len(c.unread) - kept))
	now := time.Since(c.begun)
	c.lastRead.Store(int64(now))
	c.filled = uint32(now / time.Millisecond)
	if c.window > 0 && total-c.acked >= uint64(c.window) {
		return c.acknowledge(total)
	}
	return nil
}

// holdPartial accounts for the unfinished messages before the wait for more.
//
//go:noinline
func (c *Conn) holdPartial() error {
	if c.in.begun > 0 {
		now := c.milliseconds()
		c.stalled.Store(max(1, c.in.stalled(now, now-c.filled)))
	}
	if err := c.cfg.Partial.Hold(&c.share, c.in.taken, c.nc); err != nil {
		return c.in.protocolError(err)
	}
	return nil
}

// milliseconds returns the age of the connection, which is never 0.
func (c *Conn) milliseconds() uint32 { return max(1, uint32(time.Since(c.begun)/time.Millisecond)) }

// readFailed returns why a read failed.
func (c *Conn) readFailed(err error) error {
	if c.cfg.Partial.Over(&c.share) {
		return c.in.protocolError(guard.ErrBudget)
	}
	return normalize(err)
}

// forget gives back the memory of unfinished messages. Nothing more is read.
func (c *Conn) forget() {
	c.in.streams, c.in.taken, c.in.begun = nil, 0, 0
	c.cfg.Partial.Release(&c.share)
}

// acknowledge says how much has come (RTMP 1.0 §5.4.3). It is kept out of fill,
// where thousands of goroutines wait, for its stack.
//
//go:noinline
func (c *Conn) acknowledge(total uint64) error {
	c.acked = total
	return c.reply(Pack(control(TypeAcknowledgement, uint32(total))))
}

// control obeys a control message.
//
//go:noinline
func (c *Conn) control(m Message) error {
	if m.Type == TypeUserControl {
		return c.userControl(m)
	}
	if len(m.Payload) < 4 {
		return c.in.errorf("%v message of %d bytes", m.Type, len(m.Payload))
	}
	switch n := binary.BigEndian.Uint32(m.Payload); m.Type {
	case TypeSetChunkSize:
		return c.in.setSize(n)
	case TypeAbort:
		c.in.abort(n)
	case TypeWindowAckSize:
		c.window = n
	case TypeSetPeerBandwidth:
		if !c.answered { // RTMP 1.0 §5.4.5; our window never changes
			c.answered = true
			return c.reply(Pack(control(TypeWindowAckSize, windowSize)))
		}
	}
	return nil
}

func (c *Conn) userControl(m Message) error {
	if len(m.Payload) < 2 {
		return c.in.errorf("user control message of %d bytes", len(m.Payload))
	}
	if binary.BigEndian.Uint16(m.Payload) == eventPingRequest && len(m.Payload) >= 6 {
		return c.reply(Pack(userControl(eventPingResponse, binary.BigEndian.Uint32(m.Payload[2:]))))
	}
	return nil
}

// protocolError reports a message that cannot be understood.
func (c *Conn) protocolError(doing string, err error) error {
	return c.in.protocolError(fmt.Errorf("%s: %w", doing, err))
}

// WriteMessage writes m in one write. It must not be used beside a Session.
func (c *Conn) WriteMessage(m Message) error { return c.write(Pack(m)) }

// write writes chunks before there is a session.
func (c *Conn) write(packed []byte) error {
	n, err := c.nc.Write(packed)
	c.bytesOut.Add(uint64(n))
	return normalize(err)
}

// writePatiently writes chunks for a session. ErrSlow means that the peer has
// taken nothing for a while.
func (c *Conn) writePatiently(o backlog.Owner, packed []byte) error {
	n, err := c.w.Write(c.nc, packed, o)
	c.bytesOut.Add(uint64(n))
	return normalize(err)
}

// writeNow writes as much of packed as there is room for, and never waits. The
// deadline of an earlier write does not matter.
func (c *Conn) writeNow(packed []byte) (n int, err error) {
	if c.src.raw == nil {
		return 0, nil
	}
	werr := c.src.raw.Control(func(fd uintptr) { n, err = pollWrite(fd, packed) })
	if n = max(n, 0); errors.Is(err, errWouldBlock) {
		err = nil
	}
	c.bytesOut.Add(uint64(n))
	return n, normalize(cmp.Or(werr, err))
}

// writeAll writes several pieces as writePatiently does, in one system call
// where there is one. It consumes the slice.
func (c *Conn) writeAll(o backlog.Owner, pieces *net.Buffers, total int) error {
	_, vectors := c.nc.(*net.TCPConn)
	if len(*pieces) > 1 && (!vectors || total <= readBuffer) {
		return c.writeJoined(o, *pieces)
	}
	if len(*pieces) == 1 {
		return c.writePatiently(o, (*pieces)[0])
	}
	n, err := c.w.WriteBuffers(c.nc, pieces, o)
	c.bytesOut.Add(uint64(n))
	return normalize(err)
}

// writeJoined copies small pieces together. That is cheaper than a vector of
// them, and the only way where there are no vectors.
func (c *Conn) writeJoined(o backlog.Owner, pieces net.Buffers) error {
	p := buffers.Get().(*[readBuffer]byte)
	defer buffers.Put(p)
	n := 0
	for _, b := range pieces {
		for len(b) > 0 {
			k := copy(p[n:], b)
			n, b = n+k, b[k:]
			if n == len(p) {
				if err := c.writePatiently(o, p[:]); err != nil {
					return err
				}
				n = 0
			}
		}
	}
	if n == 0 {
		return nil
	}
	return c.writePatiently(o, p[:n])
}

// finish ends a connection in such a way that the peer can read the last words
// that were written. If it were closed with bytes of the peer unread it would
// be reset, and the words lost. finish reports whether the reader should
// continue until the peer has left, for at most lingerTimeout.
func (c *Conn) finish() (linger bool) {
	c.nc.SetReadDeadline(time.Now().Add(lingerTimeout))
	half, ok := c.nc.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		c.nc.Close()
		return false
	}
	return true
}

// drain reads and discards until the connection has ended.
func (c *Conn) drain() {
	for {
		var err error
		if c.unread, err = c.src.read(c.nc, nil); err != nil {
			return
		}
	}
}

// Close closes the connection at once.
func (c *Conn) Close() error { return c.nc.Close() }

const (
	readBuffer  = 64 << 10 // borrowed while bytes are there
	smallBuffer = 4 << 10  // kept where the connection cannot be polled
)

var buffers = sync.Pool{New: func() any { return new([readBuffer]byte) }}

// source reads a connection into borrowed buffers. On a socket it has none
// while it waits, since the system says when bytes are there; elsewhere (TLS, a
// pipe) it keeps a small one.
type source struct {
	raw   syscall.RawConn // nil: no socket
	ready func(fd uintptr) bool
	buf   *[readBuffer]byte // borrowed, or nil
	small *[smallBuffer]byte
	tail  [maxHeader]byte // the beginning of a header, kept while there is no buffer
	kept  int16
	n     int32
	err   error
}

func (s *source) init(nc net.Conn) {
	sc, ok := nc.(syscall.Conn)
	if !ok || !canPoll {
		return
	}
	if raw, err := sc.SyscallConn(); err == nil {
		s.raw, s.ready = raw, s.readReady
	}
}

// read waits for bytes of nc and returns them after rest, which is at most
// maxHeader bytes of those it returned last.
func (s *source) read(nc net.Conn, rest []byte) ([]byte, error) {
	if s.raw == nil {
		return s.readSmall(nc, rest)
	}
	s.kept = int16(copy(s.tail[:], rest))
	s.release()
	if err := s.raw.Read(s.ready); err != nil {
		return nil, err
	}
	if s.err != nil {
		s.release()
		return nil, s.err
	}
	if s.n == 0 {
		s.release()
		return nil, io.EOF
	}
	return s.buf[:int(s.kept)+int(s.n)], nil
}

// readReady is called when there may be bytes, and once before that.
func (s *source) readReady(fd uintptr) bool {
	p := buffers.Get().(*[readBuffer]byte)
	n, err := pollRead(fd, p[s.kept:])
	if errors.Is(err, errWouldBlock) {
		buffers.Put(p)
		return false
	}
	copy(p[:], s.tail[:s.kept])
	s.buf, s.n, s.err = p, int32(max(n, 0)), err
	return true
}

func (s *source) release() {
	if s.buf != nil {
		buffers.Put(s.buf)
		s.buf = nil
	}
}

func (s *source) readSmall(nc net.Conn, rest []byte) ([]byte, error) {
	if s.small == nil {
		s.small = new([smallBuffer]byte)
	}
	k := copy(s.small[:], rest)
	n, err := nc.Read(s.small[k:])
	if n > 0 {
		err = nil // it comes again
	}
	return s.small[:k+n], err
}
