package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"foyer/server/amf"
	"foyer/server/guard"
	"foyer/server/rtmp"
)

// How long Serve waits after an error of Accept that may pass, at first and at
// most.
const (
	acceptBackoff    = 5 * time.Millisecond
	maxAcceptBackoff = time.Second
)

// Serve accepts RTMP connections until ctx ends. Several Serves may run, one
// for each listener; a *tls.Conn is an rtmps client. Clients that are still
// there when ctx ends are told AppShutdown. Serve returns when its connections
// have ended.
func (h *Host) Serve(ctx context.Context, ln net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { ln.Close() })
	defer stop()
	var wg sync.WaitGroup // a goroutine for each connection: its reader
	defer wg.Wait()
	defer h.sessions.shutdown(ctx)
	defer cancel() // first: a client that comes in from now on is told at once
	backoff := acceptBackoff
	for {
		nc, err := ln.Accept()
		switch {
		case err == nil:
			backoff = acceptBackoff
			wg.Go(func() { h.serveConn(ctx, nc) })
		case ctx.Err() != nil:
			return nil
		case !temporary(err):
			return fmt.Errorf("accepting connections: %w", err)
		default:
			h.log().Warn("connection not accepted", "err", err, "dur", backoff)
			select {
			case <-time.After(backoff):
			case <-ctx.Done():
			}
			backoff = min(2*backoff, maxAcceptBackoff)
		}
	}
}

// temporary reports whether Accept may succeed later: too many open files, or
// a connection that was gone before it was accepted.
func temporary(err error) bool {
	var t interface{ Temporary() bool }
	return errors.As(err, &t) && t.Temporary()
}

// serveConn is the life of one RTMP connection: handshake, connect, admission,
// then its session until the end. Thousands of goroutines wait in it, so
// everything before the session is elsewhere, to keep their stacks small.
func (h *Host) serveConn(ctx context.Context, nc net.Conn) {
	p := new(rtmpPeer)
	h.meet(ctx, nc, p)
	nc = guard.Counted(nc) // nothing more of it is kept for the life of the client
	defer nc.Close()       // the guard, which counts it, hears of its end
	defer p.place.Leave()
	if p.client == nil {
		return
	}
	h.sessions.begin(ctx, p)
	// Run does not see the end of ctx: sessions.shutdown ends it, and tells the
	// peer.
	p.client.Leave(p.Run(context.Background()))
	h.sessions.end(p)
}

// in. An address with too many connections hears that in answer to connect.
// meet does everything before the session. p has a client then, if it was let in.
// An address with too many connections is told so in answer to connect.
//
//go:noinline
func (h *Host) meet(ctx context.Context, nc net.Conn, p *rtmpPeer) {
	awaitAddr(ctx, nc)
	addr := guard.AddrPort(nc.RemoteAddr()).Addr()
	var no *guard.Refusal
	p.place, no = h.guard().Enter(addr)
	if no != nil && no.Drop {
		h.guard().Refuse(addr, no)
		return
	}
	conn, req, err := h.greet(ctx, nc)
	if err != nil {
		h.greetingFailed(nc.RemoteAddr(), err)
		return
	}
	r := request(nc, req)
	answer, err := h.recognize(ctx, r, req)
	switch {
	case err != nil:
		req.Reject(signed(err, answer)) // if that fails, nobody is left to be told
		return
	case r.node != fromVisitor:
		p.place.Vouch()
	case no != nil:
		req.Reject(signed(h.refuse(addr, no), answer))
		return
	}
	if r.node == forControl {
		h.serveControl(ctx, conn, req, r.Addr, answer)
		return
	}
	h.welcome(ctx, p, conn, req, r, answer)
}

// welcome asks for the admission of a connection. answer goes with the answer
// to connect.
func (h *Host) welcome(ctx context.Context, p *rtmpPeer, conn *rtmp.Conn, req *rtmp.ConnectRequest, r *Request, answer []amf.Field) {
	// The session exists before the decision, to keep what the application says
	// in OnConnect until connect is answered.
	p.Session = rtmp.NewSession(conn, p, req.ObjectEncoding)
	if r.node == fromVisitor {
		h.locate(r)
	}
	c, err := h.connect(ctx, p, r)
	if err != nil {
		req.Reject(signed(err, answer))
		return
	}
	p.client = c
	if err := req.Accept(answer...); err != nil {
		conn.Close() // Run returns the reason
	}
}

// awaitAddr waits until it is known where a connection comes from: a proxy in
// front says that before anything else. When ctx ends the peer is told nothing.
func awaitAddr(ctx context.Context, nc net.Conn) {
	if !guard.Awaited(nc) {
		return
	}
	stop := context.AfterFunc(ctx, func() { nc.Close() })
	defer stop()
	nc.RemoteAddr()
}

// greet does the handshake and reads connect, within Config.HandshakeTimeout.
func (h *Host) greet(ctx context.Context, nc net.Conn) (*rtmp.Conn, *rtmp.ConnectRequest, error) {
	conn, err := rtmp.NewServerConn(ctx, nc, h.wireConfig())
	if err != nil {
		return nil, nil, err
	}
	req, err := rtmp.ReadConnect(ctx, conn)
	return conn, req, err
}

// greetingFailed logs a connection that never became a client. One that left
// without a word is a port scan or a health check. The guard has logged a bad
// PROXY header.
func (h *Host) greetingFailed(remote net.Addr, err error) {
	if errors.Is(err, rtmp.ErrClosed) || errors.Is(err, context.Canceled) || errors.Is(err, guard.ErrProxyHeader) {
		h.log().Debug("connection closed before connect", "remote", remote.String(), "err", err)
		return
	}
	h.log().Warn("connection refused", "remote", remote.String(), "err", err)
	h.limited(guard.AddrPort(remote).Addr(), err)
}

// request is the Request of an RTMP peer.
func request(nc net.Conn, r *rtmp.ConnectRequest) *Request {
	protocol := "rtmp"
	if _, ok := nc.(*tls.Conn); ok {
		protocol = "rtmps"
	}
	return &Request{
		Path: typedPath(r.App, r.TCURL), Args: r.Args, Addr: guard.AddrPort(nc.RemoteAddr()), Named: guard.Named(nc),
		Agent: r.FlashVer, Referrer: r.SWFURL, PageURL: r.PageURL, URI: r.TCURL,
		Protocol: protocol, AMF3: r.ObjectEncoding == 3, Reconnects: r.Reconnects(),
	}
}
