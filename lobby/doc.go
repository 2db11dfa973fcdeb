// Package lobby is the application in front of the rooms: it knows which rooms
// are running, how many people are in them and how active they are.
//
// A room is an instance somewhere, on this server or another, that connects to
// the lobby as a client with its userName and the rooms' password. The lobby
// keeps that client in roomList (lobby.go) and what the room reports on its
// list (list.go): live, stale when nothing was heard for a while, and then
// gone. Visitors watch the list as the shared object "rooms", or ask for the
// part they want (rooms.go), and how lively rooms have been (trend.go). Operators
// announce things to all rooms. What other nodes have is in nodes.go.
//
// What travels is in protocol.go, which rooms and pages share, and described
// for others in PROTOCOL.md. Who guesses passwords is slowed down by
// package guard. An encoder with the password can be a room, too
// (admission.go).
//
// Everything runs on the goroutine of the lobby's instance, timers included:
// there is no lock in this package.
package lobby
