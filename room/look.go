package room

import (
	"slices"
	"strings"
	"time"

	"foyer/server"
	"foyer/server/amf"
)

// LookInterval is how often the slot "ingest" of the shared object "room" is
// brought up to date while somebody publishes; for who has just begun it is
// sooner.
const (
	LookInterval = 5 * time.Second
	FirstLook    = 2 * time.Second
)

// reports returns how the streams are doing, by name.
func (r *Room) reports() []Report {
	now, list := time.Now(), []Report{}
	for _, p := range r.people.list {
		for public, in := range p.publishing {
			list = append(list, in.report(public, now))
		}
	}
	slices.SortFunc(list, func(a, b Report) int { return strings.Compare(a.Stream, b.Stream) })
	return list
}

// ingestOf is the method ingest([stream]).
func (r *Room) ingestOf(_ *server.Client, args amf.Args) (amf.Value, error) {
	streams := amf.StrictArray{}
	for _, report := range r.reports() {
		if none(args.At(0)) || args.At(0) == amf.String(report.Stream) {
			streams = append(streams, report.value())
		}
	}
	if len(streams) == 0 && !none(args.At(0)) {
		return nil, fail("Nobody publishes a stream of this name.", 0)
	}
	return amf.Object{{Name: "at", Value: amf.Number(ms(time.Now()))}, {Name: "streams", Value: streams}}, nil
}

// look shows in short how the streams are doing, and looks again later.
func (r *Room) look() {
	if r.stage.looker != nil {
		r.stage.looker.Stop()
		r.stage.looker = nil
	}
	streams := amf.Object{}
	for _, report := range r.reports() {
		streams = append(streams, amf.Field{Name: report.Stream, Value: report.short()})
	}
	r.showSome("ingest", streams)
	if len(streams) > 0 {
		r.stage.looker = r.in.After(LookInterval, r.look)
	}
}
