// Package rtmptest has what tests and examples of RTMP programs need: a
// connection in memory, and a peer that follows a script.
package rtmptest

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// PipeBuffer is how many bytes each direction of a Pipe holds before a writer
// has to wait, as with a socket's buffers.
const PipeBuffer = 64 << 10

// Pipe returns the two ends of a connection in memory. Unlike the ends of
// net.Pipe they have buffers and CloseWrite, as sockets have.
func Pipe() (client, server net.Conn) {
	up, down := newHalf(), newHalf()
	return &end{in: down, out: up, name: "client"}, &end{in: up, out: down, name: "server"}
}

// half is one direction.
type half struct {
	mu            sync.Mutex
	cond          sync.Cond
	buf           []byte
	closed        bool // nothing more will be written
	gone          bool // nobody will read
	readDeadline  deadline
	writeDeadline deadline
}

func newHalf() *half {
	h := &half{}
	h.cond.L = &h.mu
	h.readDeadline.half, h.writeDeadline.half = h, h
	return h
}

// deadline is guarded by its half's mu.
type deadline struct {
	half   *half
	timer  *time.Timer
	passed bool
}

func (d *deadline) set(t time.Time) {
	d.half.mu.Lock()
	defer d.half.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.passed = false
	if t.IsZero() {
		return
	}
	wait := time.Until(t)
	if wait <= 0 {
		d.passed = true
		d.half.cond.Broadcast()
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(wait, func() {
		d.half.mu.Lock()
		defer d.half.mu.Unlock()
		if d.timer == timer {
			d.passed = true
			d.half.cond.Broadcast()
		}
	})
	d.timer = timer
}

func (h *half) read(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		switch {
		case h.gone:
			return 0, net.ErrClosed
		case h.readDeadline.passed:
			return 0, os.ErrDeadlineExceeded
		case len(h.buf) > 0:
			n := copy(p, h.buf)
			h.buf = h.buf[:copy(h.buf, h.buf[n:])]
			h.cond.Broadcast()
			return n, nil
		case h.closed:
			return 0, io.EOF
		}
		h.cond.Wait()
	}
}

func (h *half) write(p []byte) (n int, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(p) > 0 {
		switch {
		case h.closed:
			return n, net.ErrClosed
		case h.gone:
			return n, io.ErrClosedPipe
		case h.writeDeadline.passed:
			return n, os.ErrDeadlineExceeded
		}
		k := min(len(p), PipeBuffer-len(h.buf))
		if k == 0 {
			h.cond.Wait()
			continue
		}
		h.buf = append(h.buf, p[:k]...)
		n, p = n+k, p[k:]
		h.cond.Broadcast()
	}
	return n, nil
}

func (h *half) end(reader bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if reader {
		h.gone = true
	} else {
		h.closed = true
	}
	h.cond.Broadcast()
}

// end is one end.
type end struct {
	in, out *half
	name    string
}

func (e *end) Read(p []byte) (int, error)  { return e.in.read(p) }
func (e *end) Write(p []byte) (int, error) { return e.out.write(p) }
func (e *end) CloseWrite() error           { e.out.end(false); return nil }

func (e *end) Close() error {
	e.SetDeadline(time.Time{}) // no timer stays behind
	e.out.end(false)
	e.in.end(true)
	return nil
}

func (e *end) LocalAddr() net.Addr  { return addr(e.name) }
func (e *end) RemoteAddr() net.Addr { return addr("peer of " + e.name) }

func (e *end) SetDeadline(t time.Time) error {
	e.SetReadDeadline(t)
	e.SetWriteDeadline(t)
	return nil
}

func (e *end) SetReadDeadline(t time.Time) error  { e.in.readDeadline.set(t); return nil }
func (e *end) SetWriteDeadline(t time.Time) error { e.out.writeDeadline.set(t); return nil }

type addr string

func (a addr) Network() string { return "pipe" }
func (a addr) String() string  { return string(a) }
