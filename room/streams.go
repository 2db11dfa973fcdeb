package room

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"foyer/lobby"
	"foyer/server"
	"foyer/server/amf"
	"foyer/server/rtmp"
)

// MaxStreams is how many streams of one room may be published at a time.
const MaxStreams = lobby.MaxStreams

// OnPublish lets an encoder publish NAME?key=KEY. The reason why it may not is
// what a person reads in OBS.
func (r *Room) OnPublish(client *server.Client, name, _ string) (public string, takeover bool, err error) {
	public, query, _ := strings.Cut(name, "?")
	values, _ := url.ParseQuery(query) // what it could not read is not there
	p := personOf(client)
	switch {
	case p == nil:
		return "", false, badName("Not allowed.")
	case r.cfg.StreamKey == nil:
		return "", false, badName("Nobody may publish on this server.")
	case values.Get("key") == "":
		return "", false, badName(fmt.Sprintf("The stream key is missing: publish as %s?key=KEY.", streamName(public)))
	case !same(values.Get("key"), r.cfg.StreamKey(r.name)):
		return "", false, badName(fmt.Sprintf("Wrong stream key for room %s.", r.name))
	case !ValidName(public):
		return "", false, badName("Stream name is not valid.")
	}
	streams := r.streams()
	if len(streams) >= MaxStreams && !slices.Contains(streams, public) {
		return "", false, badName("Too many streams in this room.")
	}
	if older := r.publisher(public); older != nil && older != p && !r.cfg.Takeover {
		// The host decides between the two: it knows whether the older one is
		// alive, and has let it go by the end of this turn if it is not.
		r.in.Post(func() {
			if older.publishing[public] {
				r.OnUnpublish(client, public)
			}
		})
	}
	if p.publishing == nil {
		p.publishing = make(map[string]bool)
	}
	p.publishing[public] = true
	r.activity.warm(heatPublish, time.Now())
	r.showStreams()
	return public, r.cfg.Takeover, nil
}

// OnUnpublish hears that a publisher stopped, or that a newer one took over.
func (r *Room) OnUnpublish(client *server.Client, public string) {
	if p := personOf(client); p != nil {
		delete(p.publishing, public)
		r.showStreams()
	}
}

// OnPlay lets everybody play, also before there is a publisher.
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

// OnStop hears that a player stopped.
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

// streams returns what is being published, sorted by name; never nil.
func (r *Room) streams() []string {
	names := make(map[string]bool)
	for _, p := range r.people {
		maps.Copy(names, p.publishing)
	}
	list := slices.AppendSeq([]string{}, maps.Keys(names))
	slices.Sort(list)
	return list
}

// publisher returns who publishes the stream.
func (r *Room) publisher(public string) *person {
	for _, p := range r.people {
		if p.publishing[public] {
			return p
		}
	}
	return nil
}

// badName is a refusal to publish.
func badName(reason string) *rtmp.StatusError {
	return &rtmp.StatusError{Level: "error", Code: "NetStream.Publish.BadName", Description: reason}
}

// streamName is name in a sentence.
func streamName(name string) string {
	if ValidName(name) {
		return name
	}
	return "live"
}

// showStreams brings the slot of the shared object "room" up to date.
func (r *Room) showStreams() {
	list := amf.StrictArray{}
	for _, name := range r.streams() {
		list = append(list, amf.String(name))
	}
	r.state.Set("streams", list)
	r.changed()
}
