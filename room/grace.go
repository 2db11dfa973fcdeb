package room

import (
	"fmt"
	"time"

	"foyer/server"
	"foyer/server/amf"
)

// An absence begins when the connection of a publisher breaks. Viewers wait.
type absence struct {
	since time.Time
	timer *time.Timer // gives up
	who   publisher
}

// OnLost lets viewers wait for a publisher whose connection broke. Within the grace
// time it may continue, or another publisher with the key of the room.
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
	r.notify(fmt.Sprintf("The connection of %s broke. Please wait: the broadcast may continue within %s.", public, r.cfg.Grace))
	return true // OnUnpublish follows, and shows the absence
}

// giveUp ends an absence: viewers are told that the stream is over.
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

// release is release(stream): its publisher has to stop, and viewers do not wait. An
// encoder comes back by itself, so its key is refused from its address for
// ReleaseTime.
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
