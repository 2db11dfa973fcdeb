package server

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"

	"foyer/server/guard"
	"foyer/server/rtmp"
)

// A phase is how far an instance has come in its life. There is no way back:
//
//	starting
//	   │  OnAppStart has run
//	   ▼
//	fresh ───────── a client is refused ─────────► unwanted
//	   │                                              │
//	   │  a client is accepted                        │  a client is accepted
//	   ▼                                              │
//	open ◄────────────────────────────────────────────┘
//	   │  Host.Drain, which may also find it fresh or unwanted
//	   ▼
//	draining
//	   │  all clients that were asked to leave have left
//	   ▼
//	drained
//	   │  Host.Stop
//	   ▼
//	stopping
//
// Several ways lead to stopping from every phase above it: OnAppStart fails,
// Host.Stop is called, another node takes the claim, or nobody has been in for
// Host.Idle. An unwanted instance does not wait for that: it stops as soon as
// nobody is in. A panic of the application leads from any phase to broken.
type phase uint8

const (
	phaseStarting phase = iota // nobody is in yet
	phaseFresh                 // nobody has been accepted or refused
	phaseUnwanted              // nobody has been accepted, and somebody was refused
	phaseOpen                  // somebody has been accepted
	phaseDraining              // nobody new is let in; clients are asked to leave
	phaseDrained               // those that were asked have left
	phaseStopping              // it ends: everybody is let go
	phaseBroken                // the application panicked: none of its code runs again
)

func (p phase) String() string {
	return [...]string{"starting", "fresh", "unwanted", "open", "draining", "drained", "stopping", "broken"}[p]
}

// A claim is the right to run an instance that several nodes could run.
type claim uint8

const (
	claimNone    claim = iota // none is needed, or this is a tunnel to the owner
	claimHeld                 // it is ours
	claimOffered              // it is ours, and given back as soon as the clients have left
	claimLost                 // another node runs it now, or may
)

// life is how an instance begins and ends, and what keeps it going in between:
// its guests.
type life struct {
	in *Instance

	// set before the instance runs
	counted bool        // Host.MaxInstances is about it
	place   guard.Place // of the client that opened it; the last thing to be given back

	// for any goroutine
	starting context.Context // ends when the start has to be given up
	giveUp   context.CancelFunc
	started  chan struct{} // closed when OnAppStart has run
	startErr error         // set before started is closed: why it did not start
	drained  chan struct{} // closed when the phase is drained
	done     chan struct{} // closed when nothing of the instance is left
	pinned   atomic.Bool   // it stays until the host stops
	mine     atomic.Bool   // the claim is ours, though OnAppStart may not have run

	// owned by the instance goroutine
	phase   phase
	claim   claim
	release func()      // gives the claim back; nil: there is none
	guests  int         // accepted and pending clients, without the instance itself
	asked   int         // clients that were asked to leave and are still here
	vacant  time.Time   // since when there are no guests
	idle    *time.Timer // wakes the instance when there have been none for Host.Idle
}

func (l *life) init(in *Instance) {
	l.in = in
	l.starting, l.giveUp = context.WithCancel(in.ctx)
	l.started, l.drained, l.done = make(chan struct{}), make(chan struct{}), make(chan struct{})
}

// enter moves on to a phase, unless a later one has been reached.
func (l *life) enter(p phase) { l.phase = max(l.phase, p) }

// stop ends the instance after this turn.
func (l *life) stop() { l.enter(phaseStopping) }

// lose ends the instance after this turn: another node runs it, or may.
func (l *life) lose() {
	l.claim = claimLost
	l.stop()
}

// begin starts the application, and lets in everybody who has waited for that.
func (l *life) begin() {
	l.protect(l.start)
	close(l.started)
}

// start makes the application and asks what it can do.
func (l *life) start() {
	in := l.in
	l.startErr = errors.New("application panicked")
	err := l.chooseCode()
	if err == nil && in.tunnel == nil {
		err = in.objects.load()
	}
	if err == nil {
		err = in.code.OnAppStart(in)
	}
	if l.startErr = err; err != nil {
		l.stop()
		in.log.Log(in.ctx, levelOfStart(err), "instance refused to start", "err", err)
		return
	}
	if c, ok := in.code.(Caller); ok {
		in.turn.methods = c.Methods()
	}
	in.objects.sharer, _ = in.code.(Sharer)
	in.streams.publisher, _ = in.code.(Publisher)
	in.streams.player, _ = in.code.(Player)
	in.log.Info("instance started")
	l.enter(phaseFresh)
	l.vacated()
	in.objects.flush()
}

// levelOfStart is how serious it is that an instance did not start.
func levelOfStart(err error) slog.Level {
	if errors.Is(err, errUnreachable) {
		return slog.LevelDebug // the client tries again, and complains in the end
	}
	if s, ok := errors.AsType[*rtmp.StatusError](err); ok && s.Code == rtmp.CodeConnectRejected {
		return slog.LevelInfo // the client asked for something that cannot be
	}
	return slog.LevelWarn
}

// protect is the one place where a panic of an application ends.
func (l *life) protect(f func()) {
	defer l.recover(l.breakDown)
	f()
}

// recover is deferred around code of the application.
func (l *life) recover(then func()) {
	if r := recover(); r != nil {
		l.in.log.Error("application panicked", "err", r, "stack", string(debug.Stack()))
		then()
	}
}

func (l *life) breakDown() { l.enter(phaseBroken) }

// over reports whether the instance has to end, and closes the mailbox then. An
// idle instance continues if somebody arrives at the last moment.
func (l *life) over() bool {
	switch {
	case l.phase >= phaseStopping:
		return l.in.turn.mailbox.close(false)
	case l.guests > 0 || l.pinned.Load():
		return false
	case l.phase == phaseUnwanted || time.Since(l.vacant) >= l.in.host.idle():
		return l.in.turn.mailbox.close(true)
	}
	return false
}

// arrived counts a client as a guest.
func (l *life) arrived(c *Client) {
	if c.itself() {
		return
	}
	l.guests++
	l.idle.Stop()
}

// departed counts a client no longer.
func (l *life) departed(c *Client) {
	if c.asked {
		c.asked = false
		l.asked--
		l.checkDrained()
	}
	if c.itself() {
		return
	}
	if l.guests--; l.guests == 0 {
		l.vacated()
	}
}

// vacated starts the wait for the end of an instance without guests. It runs at
// the start too, since the first client may never arrive.
func (l *life) vacated() {
	l.vacant = time.Now()
	if l.idle == nil {
		l.idle = time.AfterFunc(l.in.host.idle(), func() { l.in.post(func() {}) })
		return
	}
	l.idle.Reset(l.in.host.idle())
}

// end lets everybody go, and returns when everything that the instance started
// has ended. The mailbox is closed.
func (l *life) end() {
	in := l.in
	l.stop()
	in.turn.drain()
	in.dropAll()
	if l.startErr == nil && l.phase != phaseBroken {
		l.protect(in.code.OnAppStop)
	}
	if l.idle != nil {
		l.idle.Stop()
	}
	for k := range in.links {
		k.goodbye()
	}
	in.cancel()
	in.wg.Wait() // for saves as well
	if l.startErr == nil && l.phase != phaseBroken && l.claim != claimLost {
		in.objects.saveRest()
		in.wg.Wait()
	}
	if l.release != nil {
		l.release()
	}
	in.host.forget(in)
	l.place.Leave()
	if l.startErr == nil {
		in.log.Info("instance stopped")
	}
}

// farewell is the status for the clients that are there at the end.
func (l *life) farewell() *rtmp.StatusError {
	if l.claim >= claimOffered {
		return movedOn()
	}
	return appShutdown()
}
