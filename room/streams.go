package room

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"foyer/lobby"
	"foyer/room/ingest"
	"foyer/server"
	"foyer/server/amf"
	"foyer/server/guard"
	"foyer/server/rtmp"
)

// How many streams of one room may be published at a time.
const (
	DefaultStreams = 4
	MaxStreams     = lobby.MaxStreams
)

// stage is what is published in the room, and by whom it may be.
type stage struct {
	keys
	away        map[string]*absence // streams whose publisher was lost, by name
	healthTimer *time.Timer         // shows their health again; nil while there are none
}

// OnPublish lets an encoder publish NAME?key=KEY. People read the reason of a refusal
// in OBS.
func (r *Room) OnPublish(client *server.Client, name, _ string) (string, bool, error) {
	public, query, _ := strings.Cut(name, "?")
	shown := shownKey(query)
	p := personOf(client)
	switch {
	case p == nil:
		return "", false, badName("Not allowed.")
	case r.cfg.StreamKey == nil:
		return "", false, badName("Nobody may publish on this server.")
	case shown == "":
		return "", false, badName(fmt.Sprintf("The stream key is missing: publish as %s?key=KEY.", streamName(public)))
	}
	right := guard.Same(shown, r.streamKey())
	wait := r.in.Guard().Shown(client.IP(), right, "for", "stream", "room", r.name)
	generation := r.stage.Generation
	return r.in.PublishAfter(wait, func() (string, bool, error) {
		return r.admitStream(client, public, right && generation == r.stage.Generation)
	})
}

// shownKey returns the key of a query: the last one that is not empty, for people
// add theirs to a template that has one already. Text that was pasted with it, or
// added behind it by a program that joins addresses, goes.
func shownKey(query string) (key string) {
	values, _ := url.ParseQuery(query) // parts that cannot be read are left out
	for _, v := range values["key"] {
		v, _, _ = strings.Cut(v, "/")
		if v = rtmp.TrimPasted(v); v != "" {
			key = v
		}
	}
	return key
}

// admitStream answers a client that wants to publish and has shown a key. After wrong
// keys it runs later.
func (r *Room) admitStream(client *server.Client, public string, right bool) (string, bool, error) {
	switch {
	case personOf(client) == nil: // thrown out meanwhile
		return "", false, badName("Not allowed.")
	case !right:
		return "", false, badName(fmt.Sprintf("Wrong stream key for room %s.", r.name))
	case !ValidName(public):
		return "", false, badName("Stream name is not valid. The stream key is live?key=KEY, where live is the name.")
	}
	if wait := r.stage.Released.wait(r.publisherOf(client), time.Now()); wait > 0 {
		reason := fmt.Sprintf("The broadcast was ended by a moderator: it may come back in %d s.", (wait+time.Second-1)/time.Second)
		return "", false, refusedFor(badName(reason), wait)
	}
	if names := r.names(); len(names) >= r.cfg.Streams && !slices.Contains(names, public) {
		return "", false, r.tooManyStreams(client)
	}
	return public, r.cfg.Takeover, nil
}

// OnPublished hears that a publisher has begun, and returns the monitor of what it
// sends.
func (r *Room) OnPublished(client *server.Client, public string) func(rtmp.Message) {
	p := personOf(client)
	if p == nil {
		return nil // thrown out in this turn
	}
	in := ingest.NewMonitor(time.Now())
	if p.publishing == nil {
		p.publishing = make(map[string]*ingest.Monitor)
	}
	p.publishing[public] = in
	r.activity.warm(heatPublish, time.Now())
	if _, back := r.stage.away[public]; back {
		r.stage.stopWaiting(public)
		r.in.Post(func() { r.notify(public + " is back.") }) // after the answer to the encoder
	}
	r.showStreams()
	r.showHealth()
	r.stage.healthTimer.Reset(FirstHealth)
	return in.WriteMessage
}

// OnUnpublish hears that a publisher has stopped, or that a newer one took over.
func (r *Room) OnUnpublish(client *server.Client, public string) {
	if p := personOf(client); p != nil {
		delete(p.publishing, public)
		r.showStreams()
		r.showHealth()
	}
}

// OnPlay lets everybody play, even before there is a publisher.
func (r *Room) OnPlay(client *server.Client, name string) (public string, err error) {
	public, _, _ = strings.Cut(name, "?")
	p := personOf(client)
	if p == nil || !ValidName(public) {
		return "", &rtmp.StatusError{Code: "NetStream.Play.StreamNotFound", Description: "Stream name is not valid."}
	}
	if p.playing == nil {
		p.playing = make(map[string]int)
	}
	p.playing[public]++
	r.changed()
	return public, nil
}

// OnStop hears that a player has stopped.
func (r *Room) OnStop(client *server.Client, public string) {
	p := personOf(client)
	if p == nil || p.playing[public] == 0 {
		return
	}
	if p.playing[public]--; p.playing[public] == 0 {
		delete(p.playing, public)
	}
	r.changed()
}

// streams returns the names of what is being published, sorted; never nil.
func (r *Room) streams() []string {
	list := []string{}
	for _, p := range r.people.list {
		list = slices.AppendSeq(list, maps.Keys(p.publishing))
	}
	slices.Sort(list)
	return list
}

// names returns those and the streams that are waited for, sorted.
func (r *Room) names() []string {
	list := slices.AppendSeq(r.streams(), maps.Keys(r.stage.away))
	slices.Sort(list)
	return list
}

// tooManyStreams refuses one more stream.
func (r *Room) tooManyStreams(client *server.Client) error {
	no := r.in.Guard().Refuse(client.IP(), &guard.Refusal{
		Limit: "streams", Reason: fmt.Sprintf("Too many streams in this room: it takes %d at a time. End one first.", r.cfg.Streams),
	}, "instance", r.in.Name())
	return refusedFor(badName(no.Reason), 0)
}

// refusedFor adds to a refusal the reason, and when to try again, for programs.
func refusedFor(e *rtmp.StatusError, retryAfter time.Duration) *rtmp.StatusError {
	e.Application = server.Because(e.Description, retryAfter)
	return e
}

// badName makes the refusal to publish.
func badName(reason string) *rtmp.StatusError {
	return &rtmp.StatusError{Level: "error", Code: "NetStream.Publish.BadName", Description: reason}
}

// maxNameShown is how long the name of a stream may be, in bytes, to be repeated in
// a refusal, which is logged, too: a longer one may be the key, typed alone.
const maxNameShown = 16

// streamName returns a name that can stand in a sentence.
func streamName(name string) string {
	if ValidName(name) && len(name) <= maxNameShown {
		return name
	}
	return "live"
}

// showStreams brings the slots streams and away of the shared object "room" up to
// date. A stream that is waited for is in both.
func (r *Room) showStreams() {
	list, away := amf.StrictArray{}, amf.Object{}
	for _, name := range r.names() {
		list = append(list, amf.String(name))
		if w, waits := r.stage.away[name]; waits {
			away = append(away, amf.Field{Name: name, Value: amf.Number(ms(w.since))})
		}
	}
	r.object.Set("streams", list)
	r.showSome("away", away)
	r.changed()
}

// showSome shows a slot that exists only while there is something in it.
func (r *Room) showSome(slot string, o amf.Object) {
	if len(o) == 0 {
		r.object.Remove(slot)
		return
	}
	r.object.Set(slot, o)
}
