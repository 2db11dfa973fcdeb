package room

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"foyer/server"
	"foyer/server/amf"
	"foyer/server/guard"
)

// ReleaseTime is how long a broadcast that was released may not come back with
// the same key from the same address.
const ReleaseTime = time.Minute

// maxReleased is how many such broadcasts are remembered; the oldest are
// forgotten first.
const maxReleased = 64

// KeyGeneration returns the generation of the stream key that a stored state has; nil
// is the state of a new room.
func KeyGeneration(state []byte) (int64, error) {
	k, err := parseState(state)
	return k.Generation, err
}

// RenewKey returns state with another generation of the stream key.
func RenewKey(state []byte) ([]byte, error) {
	k, err := parseState(state)
	if err != nil {
		return nil, err
	}
	if state == nil {
		state = []byte("{}")
	}
	var all map[string]json.RawMessage // also members that this program does not know
	if err := json.Unmarshal(state, &all); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	all["key"], _ = json.Marshal(nextGeneration(k.Generation))
	return json.Marshal(all)
}

// nextGeneration returns one that has never been, even if the state of the room was
// forgotten meanwhile.
func nextGeneration(last int64) int64 { return max(last+1, time.Now().Unix()) }

// keys say which key lets a client publish, and which publishers are refused although
// they have it. As JSON they are part of the room's state.
type keys struct {
	Generation int64    `json:"key,omitempty"` // of the stream key; 0: the first
	Released   releases `json:"released,omitempty"`
}

// streamKey returns the key of the room; "" if nobody may publish.
func (r *Room) streamKey() string {
	if r.cfg.StreamKey == nil {
		return ""
	}
	return r.cfg.StreamKey(r.name, r.stage.Generation)
}

// renewKey is newKey(), for operators. The old key is void at once: streams published
// with it end, and nobody waits for those whose publisher was lost. The answer comes
// when that is stored.
func (r *Room) renewKey(from *server.Client, _ amf.Args) (amf.Value, error) {
	switch {
	case !from.Local():
		return nil, fail("Not allowed.", 0)
	case r.cfg.StreamKey == nil:
		return nil, fail("Nobody may publish on this server.", 0)
	}
	r.stage.Generation = nextGeneration(r.stage.Generation)
	r.log.Warn("stream key replaced")
	for _, name := range r.names() {
		r.stage.stopWaiting(name)
		r.in.EndStream(name, badName("The stream key was replaced: the operator of the server has the new one."))
		r.notify(name + " was ended: its stream key was replaced.")
	}
	r.showStreams()
	return r.whenSaved("The old key is void now, but that cannot be stored at the moment.")
}

// A publisher is known by its address and its key.
type publisher struct {
	Source netip.Prefix `json:"addr"`
	Key    int64        `json:"key,omitempty"` // its generation
}

func (r *Room) publisherOf(client *server.Client) publisher {
	return publisher{guard.Source(client.IP()), r.stage.Generation}
}

// publisherNamed returns the publisher of a stream, also one that was lost.
func (r *Room) publisherNamed(stream string) (publisher, bool) {
	for _, p := range r.people.list {
		if p.publishing[stream] != nil {
			return r.publisherOf(p.client), true
		}
	}
	if w := r.stage.away[stream]; w != nil {
		return w.who, true
	}
	return publisher{}, false
}

// A released broadcast may not come back yet.
type released struct {
	publisher
	Until time.Time `json:"until"`
}

// releases are all of them, oldest first.
type releases []released

func (all *releases) add(who publisher, now time.Time) {
	all.drop(now)
	*all = slices.DeleteFunc(*all, func(l released) bool { return l.publisher == who })
	if n := len(*all) - maxReleased + 1; n > 0 {
		*all = slices.Delete(*all, 0, n)
	}
	*all = append(*all, released{who, now.Add(ReleaseTime)})
}

// wait returns how long this publisher is refused.
func (all releases) wait(who publisher, now time.Time) time.Duration {
	for _, l := range all {
		if l.publisher == who && l.Until.After(now) {
			return l.Until.Sub(now)
		}
	}
	return 0
}

// drop forgets those whose time is over.
func (all *releases) drop(now time.Time) {
	*all = slices.DeleteFunc(*all, func(l released) bool { return !l.Until.After(now) })
}
