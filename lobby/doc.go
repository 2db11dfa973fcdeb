// Package lobby is the application in front of the rooms: it knows which rooms
// are running, how many people are in them and how active they are.
//
// lobby.go is the page's lobby. A room is an instance somewhere, on this server or
// another, that connects to the lobby as a client with its userName and the rooms'
// password (admission.go). The lobby has that client in roomList, and the last report
// of the room on its list (list.go), where a room is live, then stale if nothing was
// heard of it for a while, and then gone. Visitors watch the list as the shared object
// "rooms" (board.go), ask for a part of it (rooms.go), or ask how lively rooms have
// been (trend.go). Operators announce things to all rooms. nodes.go adds the rooms of
// other nodes.
//
// protocol.go has the messages that rooms, pages and the lobby share; PROTOCOL.md
// describes them for others. Package guard slows down anyone who guesses passwords. An
// encoder with the password can be a room, too.
//
// Everything runs on the goroutine of the lobby's instance, timers included; other
// nodes are heard by Post. There is no lock in this package.
package lobby
