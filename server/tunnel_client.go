package server

import (
	"context"
	"errors"
	"strings"

	"foyer/server/amf"
	"foyer/server/backlog"
	"foyer/server/rtmp"
	"foyer/server/sharedobject"
)

const (
	// After syncEvery messages without an answer the owner is asked how far it
	// has read. Once maxUnread of them are on the way, more of them take the
	// client's credits.
	syncEvery = 16
	maxUnread = 32
	// syncMethod is a command that every server answers in order.
	syncMethod = "_checkbw"
)

// tunnelClient is a client's connection to the owner of the instance. It is the
// handler of the session.
type tunnelClient struct {
	t      *tunnel
	c      *Client
	ctx    context.Context // ends when the client has gone, and dialing with it
	cancel context.CancelFunc

	// owned by the instance goroutine; session is fixed once the client is in
	session *rtmp.Session
	unread  int // messages without an answer that may not have been read yet
	held    int // credits of the client that those hold
	asked   int // how many of unread came before the question that is on the way; 0: there is none
	opening int // streams that were asked for and not answered

	last *rtmp.StatusError // owned by the session's reader: the reason if the end follows
}

// run connects, then passes on everything that the owner says until the end.
// The instance waits for it.
func (tc *tunnelClient) run(ctx context.Context, args amf.Args) {
	defer tc.cancel()
	in, r := tc.t.in, tc.c.req
	request := rtmp.ConnectRequest{
		FlashVer: r.Agent, SWFURL: r.Referrer, PageURL: r.PageURL, TCURL: r.URI, Args: args,
	}
	if r.Reconnects {
		request.Object = append(request.Object, rtmp.Reconnecting())
	}
	if r.AMF3 {
		request.ObjectEncoding = 3
	}
	uri := tc.t.uri()
	if q := tc.c.Query(); q != "" {
		uri += "?" + q
	}
	cfg := *in.host.wireConfig()
	cfg.HandshakeTimeout = in.host.admitTimeout() + controlTimeout // the owner may leave the client pending
	s, err := tc.t.dialOwner(ctx, "client", r, uri, request, rtmp.DialOptions{Config: &cfg, Handler: tc})
	if err != nil {
		in.post(func() { tc.refused(err) })
		return
	}
	stop := context.AfterFunc(in.ctx, func() { s.Close(rtmp.ErrClosed) }) // a goodbye before that remains one
	defer stop()
	if !await(in, func() bool { return tc.admitted(s) }) {
		s.Close(nil)
	}
	tc.ended(s.Run(context.Background()))
}

// admitted lets the client in, as the owner has. It reports false when the
// client has not waited for it.
func (tc *tunnelClient) admitted(s *rtmp.Session) bool {
	if tc.c.state != clientPending {
		return false
	}
	tc.session = s
	tc.t.in.Accept(tc.c)
	return true
}

// refused tells the client the owner's words. An owner that could not be asked
// may have a successor.
func (tc *tunnelClient) refused(err error) {
	if !unreachable(err) {
		tc.t.in.Reject(tc.c, err)
		return
	}
	tc.t.in.log.Debug("owner not reached", "node", tc.t.owner.Node, "err", err)
	tc.t.in.Reject(tc.c, errUnreachable)
}

// unreachable reports whether connecting to an owner failed in a way that may
// be better with another owner.
func unreachable(err error) bool {
	s, ok := errors.AsType[*rtmp.StatusError](err)
	return !ok || s.Code == codeElsewhere || s.Code == rtmp.CodeConnectShutdown
}

// leave ends the connection because the client's has ended, with a goodbye if
// that one ended so.
func (tc *tunnelClient) leave(reason error) {
	tc.cancel()
	switch {
	case tc.session == nil:
	case errors.Is(reason, rtmp.ErrGoodbye):
		tc.session.Close(nil)
	default:
		tc.session.Close(rtmp.ErrClosed)
	}
}

// ended tells the client why the owner has ended the connection.
func (tc *tunnelClient) ended(err error) {
	switch {
	case tc.last != nil:
		tc.c.Close(tc.last)
		if tc.last.Code == rtmp.CodeConnectShutdown {
			tc.t.in.post(tc.t.in.life.lose)
		}
	case errors.Is(err, rtmp.ErrGoodbye):
		tc.c.Close(nil)
	default:
		tc.c.Close(movedOn())
	}
}

// send sends something that has no answer. A client has to wait when the owner
// does not read it: messages beyond maxUnread take its credits. Instance
// goroutine.
func (tc *tunnelClient) send(f func(*rtmp.Session) error) {
	if f(tc.session) != nil {
		return // the client is about to hear of it
	}
	if tc.unread++; tc.unread > maxUnread {
		tc.held++
		tc.c.calls.hold(1)
	}
	tc.sync()
}

// sync asks the owner to answer when it has read everything that was sent.
func (tc *tunnelClient) sync() {
	if tc.asked > 0 || tc.unread < syncEvery {
		return
	}
	tc.asked = tc.unread
	err := tc.session.Request(syncMethod, nil, func(amf.Value, error) { tc.t.in.post(tc.synced) })
	if err != nil {
		tc.synced()
	}
}

func (tc *tunnelClient) synced() {
	tc.unread -= tc.asked
	tc.asked = 0
	for tc.held > 0 && tc.held > tc.unread-maxUnread {
		tc.held--
		tc.c.calls.give()
	}
	if tc.session.Err() == nil {
		tc.sync()
	}
}

// ServeCall takes a call of the owner's application. It implements
// rtmp.Handler.
func (tc *tunnelClient) ServeCall(k *rtmp.Call) {
	tc.passLast()
	if !k.WantsReply() {
		tc.c.Push(&Push{Method: k.Method, Args: k.Args})
		return
	}
	if err := tc.c.peer.Request(k.Method, k.Args, answer(k, nil)); err != nil {
		k.Fail(err)
	}
}

// ServeSharedObject takes what the owner says of a shared object. It implements
// rtmp.SharedObjectHandler.
func (tc *tunnelClient) ServeSharedObject(m rtmp.Message) {
	tc.passLast()
	so, err := sharedobject.Parse(m.Payload, m.Type == rtmp.TypeSharedObjectAMF3)
	if err != nil {
		tc.session.Close(&rtmp.ProtocolError{Err: err})
		return
	}
	tc.c.Push(&Push{SharedObject: so})
}

// ServeStatus takes onStatus of the owner. It implements rtmp.StatusHandler.
func (tc *tunnelClient) ServeStatus(info amf.Object) {
	tc.passLast()
	s := rtmp.ParseStatus(info)
	if s.Level == rtmp.LevelError && strings.HasPrefix(s.Code, "NetConnection.Connect.") {
		tc.last = s
		return
	}
	tc.c.Push(&Push{Status: s})
}

// pace waits while the client is behind. So the owner finds this connection
// slow, and sends it only the latest of each object.
func (tc *tunnelClient) pace() {
	p, ok := tc.c.peer.(Pacer)
	if !ok || p.Level() == backlog.InStep {
		return
	}
	read := make(chan struct{})
	p.WhenInStep(func() { close(read) })
	select {
	case <-read:
	case <-tc.ctx.Done():
	}
}

// passLast passes on a status that looked like the reason of the end, when more
// follows.
func (tc *tunnelClient) passLast() {
	tc.pace()
	if tc.last != nil {
		tc.c.Push(&Push{Status: tc.last})
		tc.last = nil
	}
}
