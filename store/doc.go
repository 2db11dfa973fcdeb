// Package store keeps what must not be lost, and joins several nodes. Its
// engine is NATS with JetStream: in the process, or an external cluster of NATS servers.
//
// The chat of all rooms is one stream, each room a subject of it. A room sends
// one message at a time, and says which one it thinks is the newest: so an
// answer that got lost, and another node that has taken the room over, are both
// found out by the next message, and ids have neither gaps nor doubles. What
// else a room knows, and shared objects, are values in buckets.
//
// Whatever a room, an object or a node is called, its keys are bounded (keys.go):
// NATS ends a connection over a subject that is too long, and its client
// library takes that for final. If it does happen the connection, or the
// embedded engine, is opened again (conn.go). A room or an instance of which
// nothing is kept leaves nothing behind.
//
// The embedded engine has written a message to its file when it answers, so a
// killed process loses nothing. Against a power loss the file must be flushed
// as well: a flusher does that for everything that was stored since the last
// flush, and only then are the messages acknowledged.
//
// With an external NATS there are several nodes. An instance runs on the one
// that has claimed it (owners.go). A claim names the lease of its node
// (lease.go), one for all it has, which ends by itself when it is not renewed:
// only its node's monotonic clock and NATS say when. What a former
// owner still writes is refused, chat and values alike (fence.go). The nodes
// know each other's rooms from a bucket that everybody renews (directory.go),
// and tell and ask each other things (bus.go).
package store
