package rtmp

import (
	"context"
	"sync/atomic"

	"foyer/server/amf"
)

// Request calls method. done runs once, on Run's goroutine, with the result,
// the *StatusError of an _error, or the reason for which the session ended. If
// done is nil no answer is wanted, and the transaction is 0. When Request
// returns an error (ErrBusy, or the reason for which the session is ending),
// done does not run.
func (s *Session) Request(method string, args []amf.Value, done func(amf.Value, error)) error {
	_, err := s.request(method, args, done)
	return err
}

func (s *Session) request(method string, args []amf.Value, done func(amf.Value, error)) (tx uint32, err error) {
	alone := false // the only call without an answer: the caller waits for it alone
	if done != nil {
		if tx, alone, err = s.expect(done); err != nil {
			return 0, err
		}
	}
	values := append(make([]amf.Value, 0, 8), amf.Null{})
	m := commandMessage(0, s.amf3, method, float64(tx), append(values, args...)...)
	if err := s.sendCommand(m, alone); err != nil && (done == nil || s.forget(tx)) {
		return 0, err
	}
	return tx, nil
}

// expect gives done a transaction, and reports whether no other one is pending.
func (s *Session) expect(done func(amf.Value, error)) (tx uint32, alone bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sealed {
		return 0, false, s.reason
	}
	if len(s.pending) >= MaxRequests {
		return 0, false, ErrBusy
	}
	if s.pending == nil {
		s.pending, s.lastTx = make(map[uint32]func(amf.Value, error)), connectTransaction
	}
	for {
		s.lastTx++
		if _, taken := s.pending[s.lastTx]; !taken && s.lastTx > connectTransaction {
			break
		}
	}
	s.pending[s.lastTx] = done
	return s.lastTx, len(s.pending) == 1, nil
}

// forget takes back a transaction, and reports whether it was still waiting.
func (s *Session) forget(tx uint32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.pending[tx]
	delete(s.pending, tx)
	return ok
}

// answered returns the function that waits for the answer to a transaction. It
// returns nil for an answer to a call that was given up, or never made.
func (s *Session) answered(tx float64) func(amf.Value, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := uint32(tx)
	if float64(n) != tx {
		return nil
	}
	done := s.pending[n]
	delete(s.pending, n)
	return done
}

// Call is a Request that waits for the answer. It must not be used on Run's
// goroutine, which reads the answer.
func (s *Session) Call(ctx context.Context, method string, args ...amf.Value) (amf.Value, error) {
	type answer struct {
		v   amf.Value
		err error
	}
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	got := make(chan answer, 1) // done runs once
	tx, err := s.request(method, args, func(v amf.Value, err error) { got <- answer{v, err} })
	if err != nil {
		return nil, err
	}
	select {
	case a := <-got:
		return a.v, a.err
	case <-ctx.Done():
		s.forget(tx)
		return nil, context.Cause(ctx)
	}
}

// A Call is a command of the peer that the session does not serve itself.
type Call struct {
	Method string
	Args   amf.Args // after the command object

	s        *Session
	stream   uint32
	tx       float64
	alone    bool // nothing had arrived after it yet
	answered atomic.Bool
}

// WantsReply reports whether the peer waits for an answer (RTMP 1.0 §7.2.1.2:
// a transaction other than 0).
func (c *Call) WantsReply() bool { return c.tx != 0 }

// Reply answers the call, and returns how many bytes the answer takes. It works
// once. For a call that wants no reply it does nothing. Any goroutine may use
// it.
func (c *Call) Reply(v amf.Value) (bytes int) { return c.answer("_result", v) }

// Fail answers the call with an _error, in the same way. A *StatusError is sent
// as it is, any other error as NetConnection.Call.Failed without its text.
func (c *Call) Fail(err error) {
	if c.WantsReply() {
		c.answer("_error", statusOf(err, CodeCallFailed, "").Object())
	}
}

func (c *Call) answer(name string, v amf.Value) (bytes int) {
	if !c.WantsReply() || !c.answered.CompareAndSwap(false, true) {
		return 0
	}
	m := commandMessage(c.stream, c.s.amf3, name, c.tx, amf.Null{}, v)
	c.s.sendCommand(m, c.alone)
	return len(m.Payload)
}

// serveCommand handles a command: an answer, a command for the session, or a
// call.
func (s *Session) serveCommand(m Message) error {
	cmd, err := parseCommand(m)
	if err != nil {
		return s.c.protocolError("reading command", err)
	}
	if serve := s.builtin(cmd); serve != nil {
		err := serve(s, cmd)
		if err == nil || err == ErrGoodbye {
			return err
		}
		return s.c.protocolError("reading "+shorten(cmd.name), err)
	}
	args, err := cmd.arguments()
	if err != nil {
		return s.c.protocolError("reading call of "+shorten(cmd.name), err)
	}
	s.h.ServeCall(&Call{Method: cmd.name, Args: args, s: s, stream: cmd.stream, tx: cmd.tx, alone: len(s.c.unread) == 0})
	return nil
}

// shorten cuts a name that the peer has sent, for an error text.
func shorten(name string) string { return name[:min(len(name), 64)] }

// sessionCommands are served whatever the Handler is.
var sessionCommands = map[string]func(*Session, *command) error{
	"_result":         (*Session).serveResult,
	"_error":          (*Session).serveResult,
	"onStatus":        (*Session).serveStatus,
	"close":           func(*Session, *command) error { return ErrGoodbye },
	"onFCPublish":     ignore,
	"onFCUnpublish":   ignore,
	"onFCSubscribe":   ignore,
	"onFCUnsubscribe": ignore,
	"_checkbw":        (*Session).replyNull,
	"onBWDone":        (*Session).replyNull, // bandwidth checks, of either side
	"onBWCheck":       (*Session).replyNull,
}

// Reserved reports whether a name cannot be a method's, because a server's
// session serves it as a command of its own.
func Reserved(name string) bool {
	return name == "connect" || sessionCommands[name] != nil || streamCommands[name] != nil
}

func ignore(*Session, *command) error { return nil }

// builtin returns the function that serves cmd instead of the Handler, or nil.
func (s *Session) builtin(cmd *command) func(*Session, *command) error {
	if serve := sessionCommands[cmd.name]; serve != nil {
		return serve
	}
	if _, ok := s.h.(StreamHandler); ok {
		return streamCommands[cmd.name]
	}
	return nil
}

// replyNull answers a command that has no effect here.
func (s *Session) replyNull(cmd *command) error { return s.reply(cmd, amf.Null{}) }

// reply answers cmd if it wants an answer.
func (s *Session) reply(cmd *command, v amf.Value) error {
	if cmd.tx != 0 {
		s.send(laneCommands, commandMessage(cmd.stream, s.amf3, "_result", cmd.tx, amf.Null{}, v))
	}
	return nil
}

// replyError answers cmd with an _error if it wants an answer.
func (s *Session) replyError(cmd *command, info *StatusError) error {
	if cmd.tx != 0 {
		s.send(laneCommands, commandMessage(cmd.stream, s.amf3, "_error", cmd.tx, amf.Null{}, info.Object()))
	}
	return nil
}

// serveResult passes an answer to the function that waits for it.
func (s *Session) serveResult(cmd *command) error {
	done := s.answered(cmd.tx)
	if done == nil {
		return nil
	}
	v, err := cmd.result()
	if err != nil {
		done(nil, s.c.protocolError("reading "+cmd.name, err))
		return err
	}
	if cmd.name == "_error" {
		done(nil, ParseStatus(v))
	} else {
		done(v, nil)
	}
	return nil
}

// serveStatus handles onStatus, for the NetConnection or for a stream of this
// end.
func (s *Session) serveStatus(cmd *command) error {
	v, err := cmd.result()
	if err != nil {
		return err
	}
	if cmd.stream != 0 {
		s.mu.Lock()
		st := s.own[cmd.stream]
		s.mu.Unlock()
		if st != nil {
			st.status(v)
		}
	} else if h, ok := s.h.(StatusHandler); ok {
		h.ServeStatus(members(v))
	}
	return nil
}
