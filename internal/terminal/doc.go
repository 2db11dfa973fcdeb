// Package terminal is being in a room from a terminal: the command join.
//
// A conversation (conversation.go) is one person's stay in the room, with all
// connections that it takes. What happens there is an event (event.go). [Screen]
// shows the events and has a line to write in (lineedit.go); [Pipe] prints them
// and says the lines of its input.
package terminal
