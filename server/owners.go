package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"foyer/server/rtmp"
)

// Times for instances that several nodes could run.
const (
	// claimTimeout is how long a claim may take.
	claimTimeout = 3 * time.Second
	// reachTimeout is how long a client waits for an owner that answers, and
	// reachPause how long until the next try.
	reachTimeout = 7 * time.Second
	reachPause   = 250 * time.Millisecond
	// findTimeout is how long the search for the owner may take.
	findTimeout = time.Second
)

// errUnreachable settles a client whose instance has no owner that answers.
var errUnreachable = errors.New("server: owner cannot be reached")

// Owners knows which of several nodes runs an instance, its owner.
type Owners interface {
	// Claim makes this node the owner of an instance. If another node is the
	// owner, the error is an *ElsewhereError. Claim blocks at most until ctx
	// ends. lost runs once, on any goroutine, when the instance is no longer
	// ours although release has not been called. release is called once, also
	// after lost, when nothing of the instance is left.
	Claim(ctx context.Context, instance string, lost func()) (release func(), err error)
	// Find returns the other node that runs an instance, without claiming it,
	// or nil when that is this node, or none, or not known. It blocks at most
	// until ctx ends.
	Find(ctx context.Context, instance string) *ElsewhereError
}

// ElsewhereError says that another node runs an instance.
type ElsewhereError struct {
	Node string // its name
	RTMP string // where nodes reach it: "rtmp://host:port"
}

func (e *ElsewhereError) Error() string { return "server: instance runs on node " + e.Node }

// HandleClaimed is Handle for an application that may have only one instance of
// each name among all nodes. They start when Host.Owners agrees.
func (h *Host) HandleClaimed(app string, new func() Application) {
	h.Handle(app, new)
	name, _ := clean(app)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.apps[name].claimed = true
}

// chooseCode decides what runs here: the application, or a tunnel to the owner.
// It blocks the instance's goroutine, and only the clients that have come
// already wait.
func (l *life) chooseCode() error {
	in := l.in
	if in.app.claimed && in.host.Owners != nil {
		ctx, cancel := context.WithTimeout(l.starting, claimTimeout)
		defer cancel()
		release, err := in.host.Owners.Claim(ctx, in.name, l.claimGone)
		if away, ok := errors.AsType[*ElsewhereError](err); ok {
			in.tunnel = &tunnel{in: in, owner: away}
			in.code = in.tunnel
			l.place.Leave() // it is open elsewhere
			return nil
		}
		if err != nil {
			return fmt.Errorf("claiming: %w: %w", errUnreachable, err)
		}
		l.claim, l.release = claimHeld, release
		l.mine.Store(true)
	}
	in.code = in.app.make()
	return nil
}

// claimGone hears that the claim is no longer ours. Any goroutine.
func (l *life) claimGone() {
	l.in.post(func() {
		l.in.log.Warn("instance lost to another node")
		l.lose()
	})
}

// movedOn sends clients away that will find the instance again.
func movedOn() *rtmp.StatusError {
	return comeBack(appShutdown(), "The application instance has moved to another server: connect again.")
}

// unplaced refuses clients when no owner of the instance could be found. It is
// not Rejected, after which they would not come again.
func unplaced() *rtmp.StatusError {
	e := &rtmp.StatusError{Level: rtmp.LevelError, Code: rtmp.CodeConnectFailed}
	return comeBack(e, "The application instance cannot be reached at the moment.")
}

// comeBack adds to a status its description and, for programs, the time before
// another try.
func comeBack(e *rtmp.StatusError, why string) *rtmp.StatusError {
	e.Description = why
	e.Application = Because(why, RetryAfter)
	return e
}
