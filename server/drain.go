package server

import (
	"context"
	"time"

	"foyer/server/amf"
	"foyer/server/rtmp"
)

// RetryAfter is how long a client should wait, at least, that is sent away or
// cannot be served at the moment.
const RetryAfter = time.Second

// handover is how long an instance that another node may run waits for the
// clients that were asked to leave: until the first of them come back, to that
// node.
const handover = RetryAfter

// leaving is the description for clients of a host that stops.
const leaving = "The server restarts: come back in a moment."

// Drain is the first half of an orderly end; Stop is the second. From now on
// nobody new is let in: newcomers are told AppShutdown, and when to come back.
// Applications hear of it, and clients that understand it are asked to
// reconnect. Drain returns when those have left, at once when there are none,
// or when ctx ends. The other clients stay until Stop, since waiting would not
// help them. An instance that another node may run stops, and gives its claim
// back, as soon as its own clients have left.
func (h *Host) Drain(ctx context.Context) {
	h.shut()
	all := h.all()
	for _, in := range all {
		in.post(in.life.drain)
	}
	for _, in := range all {
		select {
		case <-in.life.drained:
		case <-in.life.done:
		case <-ctx.Done():
			return
		}
	}
}

// drain asks the clients that understand it to leave.
func (l *life) drain() {
	if l.phase >= phaseDraining {
		return
	}
	l.enter(phaseDraining)
	if l.claim == claimHeld {
		l.claim = claimOffered
		l.in.After(handover, l.stop)
	}
	if d, ok := l.in.code.(Drainer); ok {
		d.OnDrain(RetryAfter)
	}
	for _, c := range l.in.clients {
		l.ask(c)
	}
	l.checkDrained()
}

// ask asks a client to leave, if it understands that.
func (l *life) ask(c *Client) {
	if c.Reconnect("", leaving, RetryAfter) {
		c.asked = true
		l.asked++
	}
}

// askLate is ask for a client that was still pending when the others were
// asked.
func (l *life) askLate(c *Client) {
	if l.phase == phaseDraining || l.phase == phaseDrained {
		l.ask(c)
	}
}

// checkDrained ends the wait for the clients that were asked to leave, once all
// of them have left. Then another node may run the instance.
func (l *life) checkDrained() {
	if l.phase != phaseDraining || l.asked > 0 {
		return
	}
	l.enter(phaseDrained)
	close(l.drained)
	if l.claim == claimOffered {
		l.stop()
	}
}

// Reconnects reports whether the client says that it understands Reconnect.
func (c *Client) Reconnects() bool { return c.req.Reconnects }

// Reconnect asks the client to connect again, to uri ("": to the same address),
// and not before retryAfter has passed (Enhanced RTMP v2,
// "NetConnection.Connect.ReconnectRequest"). It returns false for a client that
// does not understand that, and does not ask it.
func (c *Client) Reconnect(uri, description string, retryAfter time.Duration) bool {
	if !c.Reconnects() {
		return false
	}
	info := &rtmp.StatusError{
		Level: rtmp.LevelStatus, Code: rtmp.CodeReconnectRequest, Description: description,
		Application: amf.Object{{Name: "retryAfter", Value: amf.Number(retryAfter.Milliseconds())}},
	}
	if uri != "" {
		info.Extra = []amf.Field{{Name: "tcUrl", Value: amf.String(uri)}}
	}
	c.Push(&Push{Status: info})
	return true
}

// restarting refuses clients of a host that stops.
func restarting() *rtmp.StatusError { return comeBack(appShutdown(), leaving) }
