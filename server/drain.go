package server

import (
	"context"
	"maps"
	"slices"
	"time"

	"foyer/server/amf"
	"foyer/server/rtmp"
)

// RetryAfter is when who is sent away, or cannot be served just now, should come
// back, at the earliest.
const RetryAfter = time.Second

// handover is how long an instance that another node may run waits for those who
// were asked to leave: until the first of them come back, to that node.
const handover = RetryAfter

// leaving is what people are told of a host that stops.
const leaving = "The server restarts: come back in a moment."

// Drain is the first half of an orderly end; Stop is the second. From now on
// nobody new is let in: who comes is told AppShutdown, and when to come back.
// Applications hear of it, and clients that understand it are asked to
// reconnect. Drain returns when those have left, or ctx ends: at once when
// there are none. The others stay until Stop: waiting brings them nothing. An
// instance that another node may run stops by itself, and gives its claim back,
// when those of its own have left.
func (h *Host) Drain(ctx context.Context) {
	h.mu.Lock()
	h.draining = true
	all := slices.Collect(maps.Values(h.instances))
	h.mu.Unlock()
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

// drain asks everybody who understands it to leave.
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

// ask asks a client of a draining instance to leave, if it understands that.
func (l *life) ask(c *Client) {
	if c.Reconnect("", leaving, RetryAfter) {
		c.asked = true
		l.asked++
	}
}

// askLate is ask for a client that was pending when the others were asked.
func (l *life) askLate(c *Client) {
	if l.phase == phaseDraining || l.phase == phaseDrained {
		l.ask(c)
	}
}

// checkDrained says so when all that were asked have left. Then another node may
// continue.
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

// Reconnect asks the client to connect anew, to uri ("": where it is now) and
// not before retryAfter has passed (Enhanced RTMP v2, "NetConnection.Connect
// .ReconnectRequest"). A client that does not understand it is not asked, and
// the answer is false.
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

// restarting is the refusal of a host that stops.
func restarting() *rtmp.StatusError { return comeBack(appShutdown(), leaving) }
