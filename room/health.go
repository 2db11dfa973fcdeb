package room

import (
	"slices"
	"strings"
	"time"

	"foyer/server"
	"foyer/server/amf"
)

// HealthInterval is how often the slot "ingest" of the shared object "room" is
// brought up to date while somebody publishes. After a publisher has begun, it is done
// sooner once.
const (
	HealthInterval = 5 * time.Second
	FirstHealth    = 2 * time.Second
)

// streamHealth returns how the streams are doing, sorted by name.
func (r *Room) streamHealth() []Health {
	now, list := time.Now(), []Health{}
	for _, p := range r.people.list {
		for public, in := range p.publishing {
			list = append(list, in.health(public, now))
		}
	}
	slices.SortFunc(list, func(a, b Health) int { return strings.Compare(a.Stream, b.Stream) })
	return list
}

// ingestOf is the method ingest([stream]).
func (r *Room) ingestOf(_ *server.Client, args amf.Args) (amf.Value, error) {
	streams := amf.StrictArray{}
	for _, h := range r.streamHealth() {
		if none(args.At(0)) || args.At(0) == amf.String(h.Stream) {
			streams = append(streams, h.value())
		}
	}
	if len(streams) == 0 && !none(args.At(0)) {
		return nil, fail("Nobody publishes a stream of this name.", 0)
	}
	return amf.Object{{Name: "at", Value: amf.Number(ms(time.Now()))}, {Name: "streams", Value: streams}}, nil
}

// showHealth shows in short how the streams are doing, and does so again later.
func (r *Room) showHealth() {
	if r.stage.healthTimer != nil {
		r.stage.healthTimer.Stop()
		r.stage.healthTimer = nil
	}
	streams := amf.Object{}
	for _, h := range r.streamHealth() {
		streams = append(streams, amf.Field{Name: h.Stream, Value: h.summary()})
	}
	r.showSome("ingest", streams)
	if len(streams) > 0 {
		r.stage.healthTimer = r.in.After(HealthInterval, r.showHealth)
	}
}
