// Package room is the room application: people who talk, and streams that they
// watch together.
//
// room.go is the page's room. It connects to the lobby when it starts and says
// goodbye when it stops; while the lobby is away, the room continues (link.go). Its
// parts each own their fields. people is the table of everybody in the room
// (people.go): users with a nick (package nick), and spectators and encoders
// without one; admission.go says how they come in and leave. chat stores each
// message, tells it to everybody, and answers questions about earlier ones (chat.go,
// text.go, history.go, pages.go); it says nothing twice (once.go). limits say how fast
// people may talk (ratelimit.go), settings and doors are what moderators decide about
// the room and about single people (settings.go, doors.go, moderation.go), and stage is
// what is published (streams.go): with the key of the room (key.go), waited for when
// its connection breaks (grace.go), and watched, to tell encoders what hurts their
// viewers (health.go, package ingest).
//
// All that a room has to know when it starts again is its state (state.go). A Store
// keeps the state and the chat (store.go); a Memory keeps them until the process ends
// (memory.go). Two shared objects show who is there and how the room is; users may
// make others (objects.go). How much happens in a room is a number between 0 and 1
// (activity.go).
//
// PROTOCOL.md describes the methods and objects for those who write clients.
//
// Everything runs on the goroutine of the room's instance, timers included, and
// there is no lock. Only three things happen elsewhere, and come back with a Post or
// an atomic value: the store calls back, old pages are read, and a monitor looks at
// messages on their publisher's goroutine.
package room
