package server

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"

	"foyer/server/amf"
	"foyer/server/backlog"
	"foyer/server/guard"
	"foyer/server/relay"
	"foyer/server/rtmp"
	"foyer/server/sharedobject"
)

// incoming is an RTMP session as an instance's peer, and the session's handler.
type incoming struct {
	session *rtmp.Session
	client  *Client     // set before session runs
	place   guard.Place // of the connection; left by serveConn
}

// serveConn is the life of one RTMP connection: handshake, connect, admission,
// then its session until it ends. Thousands of goroutines wait in it: what comes
// before the session is elsewhere, for its stack.
func (h *Host) serveConn(ctx context.Context, nc net.Conn) {
	p := new(incoming)
	h.meet(ctx, nc, p)
	nc = guard.Counted(nc) // not more of it is kept for the life of the client
	defer nc.Close()       // whoever counts it hears of its end
	defer p.place.Leave()
	if p.client == nil {
		return
	}
	h.sessions.begin(ctx, p)
	// Run does not see the end of ctx: sessions.shutdown ends it with a word
	// to the peer.
	p.client.Leave(p.session.Run(context.Background()))
	h.sessions.end(p)
}

// meet does what comes before the session: p has a client then, if it was let
// in. An address with too many connections hears that in answer to connect.
//
//go:noinline
func (h *Host) meet(ctx context.Context, nc net.Conn, p *incoming) {
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
	answer, err := h.vouch(ctx, r, req)
	switch {
	case err != nil:
		req.Reject(vouched(err, answer)) // if that fails, there is nobody to be told
		return
	case r.node != fromVisitor:
		p.place.Vouch()
	case no != nil:
		req.Reject(vouched(h.refuse(addr, no), answer))
		return
	}
	if r.node == forControl {
		h.serveControl(ctx, conn, req, r.Addr, answer)
		return
	}
	h.welcome(ctx, p, conn, req, r, answer)
}

// welcome asks for the admission of a connection. answer is what goes with ours.
func (h *Host) welcome(ctx context.Context, p *incoming, conn *rtmp.Conn, req *rtmp.ConnectRequest, r *Request, answer []amf.Field) {
	// The session is there before the decision, to keep what the application
	// says in OnConnect until connect was answered.
	p.session = rtmp.NewSession(conn, p, req.ObjectEncoding)
	c, err := h.connect(ctx, p, r)
	if err != nil {
		req.Reject(vouched(err, answer))
		return
	}
	p.client = c
	if err := req.Accept(answer...); err != nil {
		conn.Close() // Run says why
	}
}

// Vouch is Voucher.
func (p *incoming) Vouch() { p.place.Vouch() }

// awaitAddr waits until it is known where a connection comes from: a proxy in
// front says it before anything else. Nobody has to be told when ctx ends.
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
// without a word is a port scan or a health check; of a PROXY header the guard
// has told.
func (h *Host) greetingFailed(remote net.Addr, err error) {
	if errors.Is(err, rtmp.ErrClosed) || errors.Is(err, context.Canceled) || errors.Is(err, guard.ErrProxyHeader) {
		h.log().Debug("connection closed before connect", "remote", remote.String(), "err", err)
		return
	}
	h.log().Warn("connection refused", "remote", remote.String(), "err", err)
	h.limited(guard.AddrPort(remote).Addr(), err)
}

// request is what an RTMP peer said, as any other peer would say it.
func request(nc net.Conn, r *rtmp.ConnectRequest) *Request {
	protocol := "rtmp"
	if _, ok := nc.(*tls.Conn); ok {
		protocol = "rtmps"
	}
	return &Request{
		Path: r.App, Args: r.Args, Addr: guard.AddrPort(nc.RemoteAddr()), Named: guard.Named(nc),
		Agent: r.FlashVer, Referrer: r.SWFURL, PageURL: r.PageURL, URI: r.TCURL,
		Protocol: protocol, AMF3: r.ObjectEncoding == 3, Reconnects: r.Reconnects(),
	}
}

// Push queues the bytes that all peers of the same encoding share.
func (p *incoming) Push(m *Push) error {
	if p.session.ObjectEncoding() == 3 {
		return p.session.SendShared(m.Bytes(AMF3, pack3))
	}
	return p.session.SendShared(m.Bytes(AMF0, pack0))
}

// Request calls a method of the peer.
func (p *incoming) Request(method string, args []amf.Value, done func(amf.Value, error)) error {
	return p.session.Request(method, args, done)
}

// Close ends the session, with a word when reason has one for the peer.
func (p *incoming) Close(reason error) { p.session.Close(reason) }

// Level implements Pacer.
func (p *incoming) Level() backlog.Level { return p.session.Level() }

// WhenInStep implements Pacer.
func (p *incoming) WhenInStep(f func()) { p.session.WhenInStep(f) }

// ServeCall takes a command of the peer. It is an rtmp.Handler's.
func (p *incoming) ServeCall(k *rtmp.Call) {
	if !k.WantsReply() {
		p.client.ServeCall(k.Method, k.Args, nil)
		return
	}
	p.client.ServeCall(k.Method, k.Args, func(v amf.Value, err error) {
		if err != nil {
			k.Fail(err)
			return
		}
		p.client.Answered(k.Reply(v))
	})
}

// answer returns what replies to a call, nil when no answer is wanted.
func answer(k *rtmp.Call) func(amf.Value, error) {
	if !k.WantsReply() {
		return nil
	}
	return func(v amf.Value, err error) {
		if err != nil {
			k.Fail(err)
			return
		}
		k.Reply(v)
	}
}

// ServeSharedObject takes a message of type 19 or 16. It is an
// rtmp.SharedObjectHandler's.
func (p *incoming) ServeSharedObject(m rtmp.Message) {
	so, err := sharedobject.Parse(m.Payload, m.Type == rtmp.TypeSharedObjectAMF3)
	if err != nil {
		p.session.Close(&rtmp.ProtocolError{Offset: p.session.Stats().BytesIn, Err: err})
		return
	}
	p.client.ServeSharedObject(so)
}

// ServePublish takes a publish command. It is an rtmp.StreamHandler's.
func (p *incoming) ServePublish(k *rtmp.Publish) {
	c := p.client
	if !c.later(func() { c.in.streams.publish(c, k.Name, k.Kind, k) }) {
		k.Reject(appShutdown())
	}
}

// ServePlay takes a play command. It is an rtmp.StreamHandler's.
func (p *incoming) ServePlay(k *rtmp.Play) {
	c := p.client
	if !c.later(func() { c.in.streams.play(c, k.Name, player{k}) }) {
		k.Reject(appShutdown())
	}
}

// player adapts *rtmp.Play, whose Accept returns a concrete type.
type player struct{ *rtmp.Play }

func (k player) accept(ended func()) relay.Player { return k.Accept(ended) }
func (k player) reject(err error)                 { k.Reject(err) }

// sessions are the RTMP sessions of a host, for counting and for shutdown.
type sessions struct {
	mu      sync.Mutex // guards what follows
	live    map[*incoming]context.Context
	in, out uint64 // bytes of those that ended
}

// begin adds a session that was accepted by the Serve whose context is ctx.
func (s *sessions) begin(ctx context.Context, p *incoming) {
	s.mu.Lock()
	if s.live == nil {
		s.live = make(map[*incoming]context.Context)
	}
	s.live[p] = ctx
	s.mu.Unlock()
	if ctx.Err() != nil {
		p.session.Close(appShutdown())
	}
}

func (s *sessions) end(p *incoming) {
	stats := p.session.Stats()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.live, p)
	s.in += stats.BytesIn
	s.out += stats.BytesOut
}

// list returns the live ones of one Serve.
func (s *sessions) list(ctx context.Context) []*incoming {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*incoming
	for p, of := range s.live {
		if ctx == of {
			all = append(all, p)
		}
	}
	return all
}

// shutdown ends the sessions of one Serve.
func (s *sessions) shutdown(ctx context.Context) {
	for _, p := range s.list(ctx) {
		p.session.Close(appShutdown())
	}
}

// bytes adds up all that sessions have moved.
func (s *sessions) bytes() (in, out uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	in, out = s.in, s.out
	for p := range s.live {
		stats := p.session.Stats() // counters: it takes no lock
		in += stats.BytesIn
		out += stats.BytesOut
	}
	return in, out
}
