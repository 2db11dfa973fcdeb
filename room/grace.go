package room

import (
	"fmt"
	"time"

	"foyer/server"
	"foyer/server/amf"
)

// An absence is that of a publisher that was lost: viewers wait for it.
type absence struct {
	since time.Time
	timer *time.Timer // gives up
	who   publisher
}

// OnLost lets the viewers of a publisher whose connection broke wait for it:
// with the room's key, it or another may go on within the grace time.
func (r *Room) OnLost(client *server.Client, public string) bool {
	if personOf(client) == nil || r.cfg.Grace <= 0 {
		return false // thrown out
	}
	w := &absence{since: time.Now(), who: r.publisherOf(client)}
	w.timer = r.in.After(r.cfg.Grace, func() {
		if r.stage.away[public] == w {
			r.giveUp(public)
		}
	})
	r.stage.away[public] = w
	r.notify(fmt.Sprintf("The connection of %s broke. It may go on within %s: stay.", public, r.cfg.Grace))
	return true // OnUnpublish follows, and shows it
}

// giveUp ends the wait for a stream: its viewers are told that it is over.
func (r *Room) giveUp(public string) {
	r.stage.stopWaiting(public)
	r.in.EndStream(public, badName("The stream has ended."))
	r.showStreams()
	r.notify(public + " has ended.")
}

// stopWaiting forgets that the publisher of a stream is away.
func (s *stage) stopWaiting(public string) {
	if w := s.away[public]; w != nil {
		w.timer.Stop()
		delete(s.away, public)
	}
}

// release is release(stream): whoever publishes it has to stop, and nobody
// waits for it any more. An encoder comes back by itself: for ReleaseTime it is
// refused, by its key and address.
func (r *Room) release(args amf.Args) error {
	name, _ := amf.AsString(args.At(0))
	who, ok := r.publisherNamed(name)
	r.stage.stopWaiting(name)
	if !r.in.EndStream(name, refusedFor(badName("Released by a moderator."), ReleaseTime)) {
		return fail("Nobody publishes a stream of this name.", 0)
	}
	if ok {
		r.stage.Released.add(who, time.Now())
		r.saveSoon()
	}
	r.showStreams()
	r.notify(name + " was ended by a moderator.")
	return nil
}
