package server

import (
	"context"
	"net/netip"

	"foyer/server/amf"
	"foyer/server/relay"
	"foyer/server/rtmp"
)

// nodeKind is the purpose of a connection from another node.
type nodeKind uint8

const (
	fromVisitor nodeKind = iota // it is no node
	forClient                   // everything of one client of the other node but the pictures to it
	forStream                   // the pictures of one stream, for all of its players there
	forControl                  // calls of the other process, and a sign of life
)

var nodeKinds = map[string]nodeKind{"client": forClient, "pull": forStream, "control": forControl}

const (
	// codeElsewhere refuses a node that took this one for the owner of an
	// instance. No client ever sees it.
	codeElsewhere = "NetConnection.Connect.Elsewhere"
	// codeNotRunning is ErrNotRunning for another node.
	codeNotRunning = "NetConnection.Call.NotRunning"
)

func notHere() *rtmp.StatusError {
	return &rtmp.StatusError{Code: codeElsewhere, Description: "The instance does not run on this node."}
}

// owned returns the instance of that name if this node runs it itself.
func (h *Host) owned(path string) *Instance {
	_, name, _ := h.Resolve(path)
	h.mu.Lock()
	in := h.instances[name]
	h.mu.Unlock()
	if in == nil {
		return nil
	}
	if in.life.mine.Load() {
		<-in.life.started
	}
	select {
	case <-in.life.started:
	default:
		return nil // this very instance may be asking, as a client of its own node
	}
	if in.life.startErr != nil || in.tunnel != nil {
		return nil
	}
	return in
}

// serveControl is the life of a node's control connection to an instance. It
// ends with the instance. answer proves that this is a node, too.
func (h *Host) serveControl(ctx context.Context, conn *rtmp.Conn, req *rtmp.ConnectRequest, from netip.AddrPort, answer []amf.Field) {
	in := h.owned(req.App)
	if in == nil {
		req.Reject(signed(notHere(), answer))
		return
	}
	p := &rtmpPeer{Session: rtmp.NewSession(conn, control{in}, req.ObjectEncoding)}
	if err := req.Accept(answer...); err != nil {
		conn.Close() // Run returns the reason
	}
	stop := context.AfterFunc(in.ctx, func() { p.Close(appShutdown()) })
	defer stop()
	h.sessions.begin(ctx, p)
	in.log.Debug("node connected", "remote", from)
	err := p.Run(context.Background())
	in.log.Debug("node disconnected", "remote", from, "err", err)
	h.sessions.end(p)
}

// control serves the calls of another node on behalf of its process.
type control struct{ in *Instance }

// ServeCall implements rtmp.Handler.
func (n control) ServeCall(k *rtmp.Call) {
	if !n.in.call(k.Method, k.Args, answer(k, nil)) {
		k.Fail(&rtmp.StatusError{Code: codeNotRunning})
	}
}

// attach lets in a node that takes the pictures of a stream. The application is
// not asked and does not know: it counts the players themselves.
func (ss *streams) attach(c *Client) {
	if ss.in.tunnel != nil {
		ss.in.settle(c, notHere())
		return
	}
	if ss.nodes == nil {
		ss.nodes = make(map[*Client]bool)
	}
	ss.nodes[c] = true
	ss.in.life.arrived(c)
	c.state = clientAccepted
	c.open()
	ss.in.settle(c, nil)
}

// tellLive tells a node that has begun to take a stream whether somebody
// publishes it, since players are told only of changes. It runs on the
// instance's goroutine, where streams begin and end.
func tellLive(p relay.Player, s *relay.Stream) {
	if s.Live() {
		p.Status(rtmp.CodePublishNotify, "It is published.")
	} else {
		p.Status(rtmp.CodeUnpublishNotify, "It is not published.")
	}
}
