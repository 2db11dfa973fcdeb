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
	// syncEvery is after how many messages without an answer the owner is asked
	// how far it has read; maxUnread is how many of them may be on the way before
	// they take the client's credits.
	syncEvery = 16
	maxUnread = 32
	// syncMethod is a command that every server answers in its turn.
	syncMethod = "_checkbw"
)

// upstream is a client's connection to the owner of the instance. It is the
// handler of the session.
type upstream struct {
	t      *tunnel
	c      *Client
	ctx    context.Context    // ends when the client has gone
	cancel context.CancelFunc // and dialing then

	// owned by the instance goroutine; session is fixed once the client is in
	session *rtmp.Session
	unread  int // messages without an answer, of which we do not know that they were read
	held    int // credits of the client that those have taken
	asked   int // of unread, those before the question that is on the way; 0: there is none
	opening int // streams that are asked for

	last *rtmp.StatusError // owned by the session's reader: the end may follow, and this is why
}

// run connects, then passes on what the owner says until the end. The instance
// waits for it.
func (u *upstream) run(ctx context.Context, args amf.Args) {
	defer u.cancel()
	in, r := u.t.in, u.c.req
	request := rtmp.ConnectRequest{
		FlashVer: r.Agent, SWFURL: r.Referrer, PageURL: r.PageURL, TCURL: r.URI, Args: args,
	}
	if r.Reconnects {
		request.Object = append(request.Object, rtmp.Reconnecting())
	}
	if r.AMF3 {
		request.ObjectEncoding = 3
	}
	uri := u.t.uri()
	if q := u.c.Query(); q != "" {
		uri += "?" + q
	}
	cfg := *in.host.wireConfig()
	cfg.HandshakeTimeout = in.host.admitTimeout() + controlTimeout // the owner may leave the client pending
	s, err := u.t.dialOwner(ctx, "client", r, uri, request, rtmp.DialOptions{Config: &cfg, Handler: u})
	if err != nil {
		in.post(func() { u.refused(err) })
		return
	}
	stop := context.AfterFunc(in.ctx, func() { s.Close(rtmp.ErrClosed) }) // a goodbye before that stays one
	defer stop()
	decided := make(chan bool, 1)
	if !in.post(func() { decided <- u.admitted(s) }) || !<-decided {
		s.Close(nil)
	}
	u.ended(s.Run(context.Background()))
}

// admitted lets the client in as the owner has. It reports false when the
// client has not waited.
func (u *upstream) admitted(s *rtmp.Session) bool {
	if u.c.state != clientPending {
		return false
	}
	u.session = s
	u.t.in.Accept(u.c)
	return true
}

// refused tells the client what the owner said, word for word. An owner that
// could not be asked may have a successor.
func (u *upstream) refused(err error) {
	if !unreachable(err) {
		u.t.in.Reject(u.c, err)
		return
	}
	u.t.in.log.Debug("owner not reached", "node", u.t.owner.Node, "err", err)
	u.t.in.Reject(u.c, errUnreachable)
}

// leave ends the connection because the client's has ended: with a goodbye if
// that one did.
func (u *upstream) leave(reason error) {
	u.cancel()
	switch {
	case u.session == nil:
	case errors.Is(reason, rtmp.ErrGoodbye):
		u.session.Close(nil)
	default:
		u.session.Close(rtmp.ErrClosed)
	}
}

// ended tells the client why the owner has ended the connection.
func (u *upstream) ended(err error) {
	switch {
	case u.last != nil:
		u.c.Close(u.last)
		if u.last.Code == rtmp.CodeConnectShutdown {
			u.t.in.post(u.t.in.life.lose)
		}
	case errors.Is(err, rtmp.ErrGoodbye):
		u.c.Close(nil)
	default:
		u.c.Close(movedOn())
	}
}

// send sends something that has no answer. When the owner does not read it, the
// client has to wait: messages over maxUnread take its credits. Instance
// goroutine.
func (u *upstream) send(f func(*rtmp.Session) error) {
	if f(u.session) != nil {
		return // the client is about to hear of it
	}
	if u.unread++; u.unread > maxUnread {
		u.held++
		u.c.calls.hold(1)
	}
	u.sync()
}

// sync asks the owner to answer when it has read what was sent.
func (u *upstream) sync() {
	if u.asked > 0 || u.unread < syncEvery {
		return
	}
	u.asked = u.unread
	err := u.session.Request(syncMethod, nil, func(amf.Value, error) { u.t.in.post(u.synced) })
	if err != nil {
		u.synced()
	}
}

func (u *upstream) synced() {
	u.unread -= u.asked
	u.asked = 0
	for u.held > 0 && u.held > u.unread-maxUnread {
		u.held--
		u.c.calls.give()
	}
	if u.session.Err() == nil {
		u.sync()
	}
}

// ServeCall takes a call of the owner's application. It is an rtmp.Handler's.
func (u *upstream) ServeCall(k *rtmp.Call) {
	u.goOn()
	if !k.WantsReply() {
		u.c.Push(&Push{Method: k.Method, Args: k.Args})
		return
	}
	if err := u.c.peer.Request(k.Method, k.Args, answer(k)); err != nil {
		k.Fail(err)
	}
}

// ServeSharedObject takes what the owner says of a shared object. It is an
// rtmp.SharedObjectHandler's.
func (u *upstream) ServeSharedObject(m rtmp.Message) {
	u.goOn()
	so, err := sharedobject.Parse(m.Payload, m.Type == rtmp.TypeSharedObjectAMF3)
	if err != nil {
		u.session.Close(&rtmp.ProtocolError{Err: err})
		return
	}
	u.c.Push(&Push{SharedObject: so})
}

// ServeStatus takes onStatus of the owner. It is an rtmp.StatusHandler's.
func (u *upstream) ServeStatus(info amf.Object) {
	u.goOn()
	s := rtmp.ParseStatus(info)
	if s.Level == rtmp.LevelError && strings.HasPrefix(s.Code, "NetConnection.Connect.") {
		u.last = s
		return
	}
	u.c.Push(&Push{Status: s})
}

// pace waits while the client is behind. So the owner finds this connection slow,
// and tells of its objects the latest.
func (u *upstream) pace() {
	p, ok := u.c.peer.(Pacer)
	if !ok || p.Level() == backlog.InStep {
		return
	}
	read := make(chan struct{})
	p.WhenInStep(func() { close(read) })
	select {
	case <-read:
	case <-u.ctx.Done():
	}
}

// goOn passes on what looked like the last word and was not.
func (u *upstream) goOn() {
	u.pace()
	if u.last != nil {
		u.c.Push(&Push{Status: u.last})
		u.last = nil
	}
}
