package server

import (
	"context"
	"errors"
	"slices"
	"time"

	"foyer/server/amf"
)

// errUndecided is the error that OnDisconnect gets for a client that was left
// pending for too long.
var errUndecided = errors.New("server: connection was not decided in time")

// admit brings a client before the application and waits for the decision.
// Arrival and departure are posts to the same queue, so a client is settled
// once and in order.
func (in *Instance) admit(ctx context.Context, c *Client, args amf.Args) error {
	settled := make(chan error, 1)
	c.settled = settled
	if !in.post(func() { in.arrive(c, args) }) {
		return errStopped
	}
	deadline := time.NewTimer(in.host.admitTimeout())
	defer deadline.Stop()
	select {
	case err := <-settled:
		return err
	case <-deadline.C:
		in.post(func() { in.expire(c) })
		return <-settled
	case <-ctx.Done():
		in.post(func() { in.depart(c, context.Cause(ctx)) })
		if err := <-settled; err != nil {
			return err
		}
		return context.Cause(ctx)
	}
}

// arrive hands a client to the application, unless none can be let in.
func (in *Instance) arrive(c *Client, args amf.Args) {
	switch {
	case in.life.startErr != nil:
		in.settle(c, in.life.startErr)
	case in.life.phase >= phaseStopping:
		in.settle(c, errStopped)
	case c.req.node == forStream:
		in.streams.attach(c)
	case in.life.phase >= phaseDraining:
		in.settle(c, restarting())
	default:
		in.decide(c, args)
	}
}

// decide asks the application about a client. It may answer later.
func (in *Instance) decide(c *Client, args amf.Args) {
	c.state = clientPending
	if in.pending == nil {
		in.pending = make(map[*Client]bool)
	}
	in.pending[c] = true
	in.life.arrived(c)
	switch err := in.code.OnConnect(c, args); {
	case err == nil:
		in.Accept(c)
	case !errors.Is(err, ErrPending):
		in.Reject(c, err)
	}
}

// Accept settles a pending client: it is in. In OnConnect it counts for more
// than the result of OnConnect. Instance goroutine only.
func (in *Instance) Accept(c *Client) {
	if c.state != clientPending {
		return
	}
	delete(in.pending, c)
	in.clients = append(in.clients, c)
	c.state = clientAccepted
	in.life.enter(phaseOpen)
	in.app.count(c, 1)
	if a, ok := c.peer.(Accepter); ok {
		a.Accept()
	}
	c.open()
	in.life.askLate(c)
	in.settle(c, nil)
}

// Reject settles a pending client: it is refused, in words only when err is a
// *rtmp.StatusError. OnDisconnect does not run for it. Instance goroutine only.
func (in *Instance) Reject(c *Client, err error) {
	if c.state != clientPending {
		return
	}
	in.life.enter(phaseUnwanted)
	in.remove(c)
	in.settle(c, err)
}

// AdmitAfter settles a client by decide, whose error rejects it, at once or
// after a wait in which the client is pending. OnConnect returns it for a
// client whose address has shown wrong credentials: see guard.Guard.Shown.
// Instance goroutine only.
func (in *Instance) AdmitAfter(c *Client, wait time.Duration, decide func() error) error {
	if wait <= 0 {
		return decide()
	}
	in.After(wait, func() {
		if c.state != clientPending {
			return // it has left
		}
		if err := decide(); err != nil {
			in.Reject(c, err)
			return
		}
		in.Accept(c)
	})
	return ErrPending
}

// decideLater is the error of an OnPublish that decides after a wait.
type decideLater struct {
	wait   time.Duration
	decide func() (public string, takeover bool, err error)
}

func (*decideLater) Error() string { return "server: publishing is decided later" }

// PublishAfter is for an OnPublish to return: decide gives the answer, at once
// or after a wait in which this client is not read. It keeps nobody else
// waiting.
func (in *Instance) PublishAfter(wait time.Duration, decide func() (public string, takeover bool, err error)) (public string, takeover bool, err error) {
	if wait <= 0 {
		return decide()
	}
	return "", false, &decideLater{wait, decide}
}

// expire ends a client that is still pending at its deadline.
func (in *Instance) expire(c *Client) {
	if c.state == clientPending {
		in.life.enter(phaseUnwanted)
		in.drop(c, errUndecided)
	}
}

// depart takes out a client that has left by itself or was closed.
func (in *Instance) depart(c *Client, reason error) {
	if c.state == clientPending || c.state == clientAccepted {
		in.drop(c, reason)
	}
}

// drop takes a client out and tells the application. Before that, everything
// that the client published, played and used ends.
func (in *Instance) drop(c *Client, reason error) {
	c.unpark()
	in.streams.drop(c)
	in.objects.releaseAll(c)
	in.remove(c)
	in.settle(c, reason)
	c.calls.lift()
	if !in.broken() && c.req.node != forStream {
		in.code.OnDisconnect(c, reason)
	}
}

// remove takes a client off the lists.
func (in *Instance) remove(c *Client) {
	if c.state == clientAccepted && c.req.node != forStream {
		i := slices.Index(in.clients, c)
		in.clients = slices.Delete(in.clients, i, i+1)
		in.app.count(c, -1)
		in.app.disconnected.Add(1)
	}
	delete(in.pending, c)
	delete(in.streams.nodes, c)
	c.state = clientGone
	in.life.departed(c)
}

// dropAll lets everybody go, because the instance ends.
func (in *Instance) dropAll() {
	for c := range in.pending {
		in.life.protect(func() { in.drop(c, in.unsettled()) })
	}
	for c := range in.streams.nodes {
		c.Close(in.life.farewell())
		in.life.protect(func() { in.drop(c, in.life.farewell()) })
	}
	for len(in.clients) > 0 {
		c := in.clients[len(in.clients)-1]
		c.Close(in.life.farewell())
		in.life.protect(func() { in.drop(c, in.life.farewell()) })
	}
}

// unsettled settles a client that is still pending at the end. A client of a
// tunnel looks for the owner again.
func (in *Instance) unsettled() error {
	in.host.mu.Lock()
	stays := !in.host.draining
	in.host.mu.Unlock()
	if in.tunnel != nil && stays {
		return errStopped
	}
	return in.life.farewell()
}

// settle tells admit the decision.
func (in *Instance) settle(c *Client, err error) {
	if c.settled == nil {
		return
	}
	if err != nil {
		c.state = clientGone
	}
	c.settled <- err
	c.settled = nil
}

// itself reports whether the client says that it is this very instance. Such a
// client does not keep its instance alive. The hint decides nothing else, so a
// liar gives up its own claim and gains nothing.
func (c *Client) itself() bool { return c.req.Referrer == c.in.ref }
