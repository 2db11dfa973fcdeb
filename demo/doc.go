// Package demo makes rooms look alive: people come, talk, change their nicks
// and leave, in waves, so that the lobby has something to show.
//
// Each of them is a client like any other, with a connection of its own, and
// knows only the server's address. So the demo can fill rooms in this process
// and on distant servers in the same way.
//
// Each room, and the lines that are said in it, is a text file in scenes. A
// director decides what happens next; it is a pure function of its seed and of
// the time that has passed. A stage carries it out.
//
// Some rooms also have pictures: a station broadcasts the test card of
// clip/README.md, in a loop that keeps time with the clock. It uses a
// Broadcast, which can also send an FLV file. A Broadcast goes through go-rtmp
// and go-amf0, which share no code with our server.
package demo
