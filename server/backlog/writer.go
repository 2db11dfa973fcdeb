package backlog

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// Patience is how long a connection may take nothing at all while something
// waits for it.
const Patience = 10 * time.Second

// How a Writer notices progress. Every glance it tries to continue a write that
// waits. If the peer has read anything the kernel takes more, which by itself
// it would report only once a third of its buffer is free.
const (
	glance     = time.Second
	fresh      = time.Second // a deadline of this age is still used, so that not every write sets one
	recordSize = 16 << 10    // of TLS: the unit in which progress is noticed
)

// ErrStuck says that nothing could be written for Patience.
var ErrStuck = errors.New("backlog: peer does not read")

// A Writer writes to one connection, as slowly as its peer reads. Only one
// goroutine at a time may write. The zero value is ready.
type Writer struct {
	set   int64        // when the deadline was set, in Unix time; owned by the writing goroutine
	final atomic.Int64 // when writing must end, in Unix time; 0: not yet known
}

// A writing is one call of Write or WriteBuffers.
type writing struct {
	w     *Writer
	nc    net.Conn
	whole bool      // a timeout breaks the connection, as with TLS
	moved time.Time // the last progress
	owner Owner
}

// Write writes p to nc, for o. The error is ErrStuck when the peer takes
// nothing.
//
// A goroutine that is started for one write has a stack of 2 KiB. So the work
// before and after the system call is done in functions of its own, and leaves
// nothing on the stack during the call.
func (w *Writer) Write(nc net.Conn, p []byte, o Owner) (n int, err error) {
	began := w.ready(nc)
	if began == 0 {
		return w.writeRest(nc, p, 0, nil, o, 0)
	}
	n, err = nc.Write(p)
	if err == nil {
		return n, nil
	}
	return w.writeRest(nc, p, n, err, o, began)
}

// ready sets the deadline where that is due, and returns the time of now. It is 0
// for TLS: that writes in parts.
//
//go:noinline
func (w *Writer) ready(nc net.Conn) int64 {
	if _, secure := nc.(*tls.Conn); secure {
		return 0
	}
	now := time.Now()
	if d := now.UnixNano() - w.set; d < 0 || d >= int64(fresh) || w.final.Load() != 0 {
		g := writing{w: w, nc: nc}
		g.arm(now)
	}
	return now.UnixNano()
}

// writeRest writes what a first write, which failed after n bytes, has left.
//
//go:noinline
func (w *Writer) writeRest(nc net.Conn, p []byte, n int, err error, o Owner, began int64) (int, error) {
	var g writing
	if began == 0 {
		g = w.begin(nc, o)
	} else {
		g = writing{w: w, nc: nc, moved: time.Unix(0, began), owner: o}
		if err = g.goOn(n, err); err != nil {
			return n, err
		}
	}
	for {
		part := p[n:]
		if g.whole {
			part = part[:min(len(part), recordSize)]
		}
		k, err := nc.Write(part)
		n += k
		switch {
		case err == nil && n == len(p):
			return n, nil
		case err == nil:
			g.arm(time.Now())
		default:
			if err = g.goOn(k, err); err != nil {
				return n, err
			}
		}
	}
}

// WriteBuffers is Write for several pieces. It consumes the slice.
func (w *Writer) WriteBuffers(nc net.Conn, pieces *net.Buffers, o Owner) (n int64, err error) {
	g := w.begin(nc, o)
	if g.whole {
		for _, p := range *pieces {
			k, err := w.Write(nc, p, o)
			if n += int64(k); err != nil {
				return n, err
			}
		}
		return n, nil
	}
	for {
		k, err := pieces.WriteTo(nc)
		n += k
		if err == nil {
			return n, nil
		}
		if err = g.goOn(int(k), err); err != nil {
			return n, err
		}
	}
}

// Final says that nothing needs to be written after t.
func (w *Writer) Final(nc net.Conn, t time.Time) {
	w.final.Store(t.UnixNano())
	nc.SetWriteDeadline(t)
}

func (w *Writer) begin(nc net.Conn, o Owner) writing {
	secure, whole := nc.(*tls.Conn)
	if whole && w.set == 0 {
		setLowWater(secure)
	}
	now := time.Now()
	g := writing{w: w, nc: nc, whole: whole, moved: now, owner: o}
	if d := now.UnixNano() - w.set; d < 0 || d >= int64(fresh) || w.final.Load() != 0 {
		g.arm(now)
	}
	return g
}

// arm sets the deadline of the next write, at most the one of Final.
func (g *writing) arm(now time.Time) {
	wait := fresh + glance // so that it serves every write while it is fresh
	if g.whole {
		wait = fresh + Patience
	}
	g.set(now, now.Add(wait))
}

func (g *writing) set(now, deadline time.Time) {
	g.w.set = now.UnixNano()
	for before := int64(-1); ; {
		final := g.w.final.Load()
		if final == before {
			return
		}
		before = final
		if final != 0 && final < deadline.UnixNano() {
			deadline = deadline.Add(time.Duration(final - deadline.UnixNano()))
		}
		g.nc.SetWriteDeadline(deadline)
	}
}

// goOn judges a write that has failed after n bytes. It returns nil if the peer
// gets more time, and sets the deadline for that.
func (g *writing) goOn(n int, err error) error {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	now := time.Now()
	if n > 0 {
		g.moved = now
		g.owner.Moved()
	}
	final := g.w.final.Load()
	left := Patience - now.Sub(g.moved)
	if left <= 0 || g.whole || final != 0 && now.UnixNano() >= final {
		return ErrStuck
	}
	g.set(now, now.Add(min(glance, left)))
	g.w.set = 0 // so that the next Write sets a deadline of its own
	return nil
}
