// Package terminal lets a person be in a room from a terminal: the command join.
//
// A conversation (conversation.go) is one person's stay in the room, over as many
// connections as it takes. It tells of everything there by events (event.go).
// [Screen] shows the events and has a line to write in (lineedit.go); [Pipe] prints
// them and says the lines of its input.
package terminal
