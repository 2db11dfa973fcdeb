package demo

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"time"

	"foyer/client"
	"foyer/server/amf"
	"foyer/server/sharedobject"
)

// onAir are the rooms with pictures. The others have none, as in life.
var onAir = []string{"blue", "jazz", "night-train"}

// stationStream is the name of the stream that a station publishes.
const stationStream = "live"

// refusedPause is how long a station waits after a refusal.
const refusedPause = 10 * time.Second

// A station broadcasts the clip into one room, unless somebody else broadcasts
// there.
type station struct {
	url  string // of the room
	room string
	key  func(ctx context.Context, room string) (string, error)
	log  *slog.Logger
	dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// run broadcasts until ctx ends.
func (s *station) run(ctx context.Context) {
	failed := 0
	for ctx.Err() == nil {
		// A person may be broadcasting here with the same key, and has
		// precedence.
		err := s.untilFree(ctx)
		var key string
		if err == nil {
			key, err = s.key(ctx, s.room)
		}
		if err == nil {
			b := &Broadcast{URL: s.url, Stream: stationStream + "?key=" + key, dial: s.dial}
			b.OnProgress = s.tell(&failed)
			err = b.Run(ctx)
		}
		pause := retryPause(failed + 1)
		refusal, refused := errors.AsType[*Refusal](err)
		switch {
		case ctx.Err() != nil:
			return
		case refused && refusal.Late:
			s.log.Info("broadcast ended by the room", "instance", s.url, "err", err)
			pause = refusedPause
		case failed == 0:
			s.log.Warn("broadcast not possible", "instance", s.url, "err", err)
		}
		if failed++; refused {
			pause = refusedPause
		}
		sleep(ctx, pause)
	}
}

// tell logs when a broadcast begins, and when it is lost.
func (s *station) tell(failed *int) func(Progress) {
	live := false
	return func(p Progress) {
		if p.Live != live && p.Live {
			s.log.Info("broadcast begun", "instance", s.url, "stream", stationStream)
			*failed = 0
		} else if p.Live != live {
			s.log.Info("broadcast interrupted", "instance", s.url, "err", p.Err)
		}
		live = p.Live
	}
}

// untilFree waits until nobody publishes the stream.
func (s *station) untilFree(ctx context.Context) error {
	for {
		taken, err := s.taken(ctx)
		if err != nil || !taken {
			return err
		}
		if !sleep(ctx, refusedPause) {
			return ctx.Err()
		}
	}
}

// taken finds out, as a spectator of the room, whether the stream is published.
func (s *station) taken(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, callTimeout, errLost)
	defer cancel()
	nc, err := client.Dial(ctx, s.url, client.Options{Dial: s.dial})
	if err != nil {
		return false, err
	}
	defer nc.Close()
	synced := make(chan struct{}, 1) // the first is enough
	state, err := nc.SharedObject("room", false, func([]sharedobject.Sync) {
		select {
		case synced <- struct{}{}:
		default:
		}
	})
	if err != nil {
		return false, err
	}
	select {
	case <-synced:
	case <-nc.Done():
		return false, errLost
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
	streams, _ := state.Get("streams")
	list, _ := streams.(amf.StrictArray)
	return slices.ContainsFunc(list, func(v amf.Value) bool {
		name, _ := amf.AsString(v)
		return name == stationStream
	}), nil
}
