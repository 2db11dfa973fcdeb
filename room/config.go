package room

import (
	"context"
	"time"

	"foyer/lobby"
	"foyer/room/nick"
)

// Names of the shared objects of a room.
const (
	ObjectUsers = "users"   // a slot per user, by id: {nick, role, since, via}
	ObjectRoom  = "room"    // the slots title, topic, streams, away, ingest, slow, locked, recording, keep
	ObjectsOpen = "public/" // users may create and write objects whose names start so
)

// DefaultMaxUsers is how many people with a nick a room holds unless told otherwise.
const DefaultMaxUsers = 1000

// Config is what every room of this process needs to know.
type Config struct {
	Lobby      string                   // absolute RTMP address; "" for rooms that report to nobody
	Secret     string                   // the password towards the lobby
	Resume     func(room string) string // what shows the lobby that a restarted room is the same; nil: it waits until its old link is stale
	AdminToken string                   // the moderators' credential; "" means that there are none
	Node       string                   // this process's name
	PublicRTMP string                   // "rtmp://host:1935": the room's address is PublicRTMP + "/room/" + name
	PublicHTTP string                   // "http://host:8080"
	Takeover   bool                     // a newer publisher of a stream takes over from the older one
	Grace      time.Duration            // how long viewers wait for a publisher that was lost; 0: not at all
	MaxUsers   int                      // default DefaultMaxUsers
	Streams    int                      // published at a time; default DefaultStreams
	Reserved   *nick.Reserved           // nicks for moderators only; nil: there are none
	Recorder   Recorder                 // nil: moderators cannot have anything recorded
	StaleAfter time.Duration            // when Lobby calls a silent room stale; 0: not known

	// StreamKey is the publishing key of a room, of a generation: the first one
	// is 0. nil or "" means that nobody publishes.
	StreamKey func(room string, generation int64) string

	// Open opens what is kept of a room; nil: a room keeps what it knows in
	// memory, until it stops.
	Open func(ctx context.Context, room string, found func(message []byte)) (Store, error)
	// How much of the chat Open's keeper keeps of a room; 0 is not known.
	History    int
	HistoryAge time.Duration
}

// A Recorder keeps the broadcasts of rooms. Its methods do not block.
type Recorder interface {
	Record(room string, on bool)
	Recorded(room string) bool
}

// ValidName reports whether name may be a room's, and a stream's.
func ValidName(name string) bool { return lobby.ValidName(name) }
