package room

import (
	"slices"
	"strings"
	"time"

	"foyer/room/ingest"
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

// maxEncoder is how much of an encoder's name is shown, in code points.
const maxEncoder = 60

// streamHealth returns how the streams are doing, sorted by name.
func (r *Room) streamHealth() []ingest.Health {
	now, list := time.Now(), []ingest.Health{}
	for _, p := range r.people.list {
		for public, in := range p.publishing {
			h := in.Health(public, now)
			h.Encoder = line(amf.String(h.Encoder), maxEncoder)
			list = append(list, h)
		}
	}
	slices.SortFunc(list, func(a, b ingest.Health) int { return strings.Compare(a.Stream, b.Stream) })
	return list
}

// ingestOf is the method ingest([stream]).
func (r *Room) ingestOf(_ *server.Client, args amf.Args) (amf.Value, error) {
	streams := amf.StrictArray{}
	for _, h := range r.streamHealth() {
		if none(args.At(0)) || args.At(0) == amf.String(h.Stream) {
			streams = append(streams, h.Value())
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
		streams = append(streams, amf.Field{Name: h.Stream, Value: h.Summary()})
	}
	r.showSome("ingest", streams)
	if len(streams) > 0 {
		r.stage.healthTimer = r.in.After(HealthInterval, r.showHealth)
	}
}
