// Package room is the room application: people who talk, with what they need
// for it, and streams they watch together.
//
// room.go is the page's room: it connects to the lobby when it starts, says
// goodbye when it stops, and goes on when the lobby is away (link.go). Who is in
// is one table (people.go, admission.go): users with a nick (package nick), and
// spectators and encoders without one. What users say is stored, told to
// everybody, and looked up again (chat.go, text.go, history.go, pages.go), as fast
// as their addresses (ratelimit.go) and moderators (moderation.go) let them. What else a room
// knows is stored as well, so that it is the same room when it starts again
// (state.go); where is a matter of who runs it (store.go), or it is memory
// (memory.go). Encoders publish with the room's key,
// anybody plays (streams.go); viewers wait for one whose connection broke
// (grace.go). What encoders send is looked at (tag.go, avc.go, ingest.go), to say
// what of it hurts viewers (advice.go, health.go). Two shared objects show who is
// there and how the room is; users may make others (objects.go). How much happens
// in a room is a number between 0 and 1 (activity.go).
//
// PROTOCOL.md describes all that for those who write clients.
//
// Everything runs on the goroutine of the room's instance, timers included, and
// needs no lock; but for ingest, which a publisher's goroutine writes.
package room
