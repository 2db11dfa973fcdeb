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
	ObjectsOpen = "public/" // users may create and write objects whose names start with it
)

// DefaultMaxUsers is how many people with a nick fit into a room unless told otherwise.
const DefaultMaxUsers = 1000

// Config is the same for all rooms of this process.
type Config struct {
	Lobby      string                   // absolute RTMP address; "" for rooms that report to nobody
	Secret     string                   // the password for the lobby
	Resume     func(room string) string // proves to the lobby that a restarted room is the same; nil: it waits until its old link is stale
	AdminToken string                   // the moderators' credential; "" means that there are none
	Node       string                   // this process's name
	NodeRTMP   string                   // where other servers of this site reach this one: "rtmp://10.0.0.3:1935"; "": they cannot
	PublicRTMP string                   // "rtmp://host:1935": the room's address is PublicRTMP + "/room/" + name
	PublicHTTP string                   // "http://host:8080"
	Takeover   bool                     // a newer publisher of a stream takes over from the older one
	Grace      time.Duration            // how long viewers wait for a publisher that was lost; 0: not at all
	MaxUsers   int                      // default DefaultMaxUsers
	Streams    int                      // published at a time; default DefaultStreams
	Reserved   *nick.Reserved           // nicks for moderators only; nil: there are none
	Recorder   Recorder                 // nil: moderators cannot have anything recorded
	StaleAfter time.Duration            // when Lobby calls a silent room stale; 0: not known

	// StreamKey returns the publishing key of a generation of a room; the first
	// generation is 0. nil or "" means that nobody may publish.
	StreamKey func(room string, generation int64) string

	// Open opens the store of a room, and tells found of messages that turn up later.
	// nil: each room is kept in memory until it stops.
	Open func(ctx context.Context, room string, found func(message []byte)) (Store, error)
	// How much of the chat the store of a room keeps; 0: not known.
	History    int
	HistoryAge time.Duration
}

// A Recorder keeps the broadcasts of rooms. Its methods do not block.
type Recorder interface {
	Record(room string, on bool)
	Recorded(room string) bool
}

// ValidName reports whether name may be the name of a room or of a stream.
func ValidName(name string) bool { return lobby.ValidName(name) }
