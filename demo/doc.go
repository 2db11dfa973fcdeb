// Package demo makes rooms look alive: people who come, talk, change their
// names and go, in waves, so that the lobby has something to show.
//
// Each of them is a client like any other, with a connection of its own, and
// knows of the server only its address. So the demo fills rooms in this
// process and on servers far away in the same way.
//
// What a room is like and what is said there is a text file in scenes. A
// director decides what happens next; it is a pure function of its seed and of
// the time that has passed. A stage carries it out.
//
// Some rooms also have pictures: a station broadcasts the test card of
// clip/README.md, in a loop that keeps time with the clock. What carries it
// is a Broadcast, which also serves whoever has an FLV file of their own. It
// goes through go-rtmp and go-amf0: a stranger to our server.
package demo
