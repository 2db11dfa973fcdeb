// Package store keeps what must not be lost, and joins several nodes. Its
// engine is NATS with JetStream: in the process, or an external cluster of NATS
// servers.
//
// The chat of all rooms is one stream, in which each room has a subject
// (chat.go). A room sends one message at a time, and says which message it
// believes to be the newest. So the next message reveals that an answer was
// lost, or that another node has taken the room over, and ids have neither gaps
// nor duplicates. The state of rooms (room.go) and shared objects (state.go)
// are values in buckets.
//
// Keys are bounded whatever rooms, objects and nodes are called (keys.go): NATS
// ends a connection over a subject that is too long, and its client library
// does not open it again. When that happens all the same, the store opens
// another connection, or starts the embedded engine again (conn.go). A room or
// an instance of which nothing is stored leaves no trace.
//
// The embedded engine has written a message to its file when it answers, so a
// killed process loses nothing. Against a power loss the file must be flushed
// as well: a flusher does that for everything stored since the last flush, and
// only then are the messages acknowledged (sync.go).
//
// With an external NATS there are several nodes (cluster.go). An instance runs
// on the node that has claimed it (owners.go). A claim names the lease of its
// node (lease.go). A node has one lease for all its claims, which ends unless
// it is renewed; only the node's monotonic clock and NATS decide when. The
// store rejects writes from a former owner, to the chat and to values alike
// (fence.go). The nodes learn about each other's rooms from a bucket that all
// of them renew (directory.go), and send each other messages and questions
// (bus.go).
package store
