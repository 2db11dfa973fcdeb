// Package web is the browser's side of foyer: the WebSocket bridge, the HTTP
// API, metrics, and the pages.
//
// # The bridge
//
// A browser tab is a client of an instance like any other. [Handler] upgrades
// /ws/<application>[/<instance>], reads the connect frame, asks the host for
// admission, and from then on passes what the page sends to the client
// (calls, answers, shared object events) and what the instance pushes to the
// page. Frames are small JSON objects with a type (frame.go); values are
// mapped between AMF and JSON in json.go.
//
// A socket (socket.go) is one goroutine that reads. A second one exists only
// while there is something to write: a page that watches a quiet lobby costs
// one small stack and no buffers. What an instance tells to a thousand pages
// is encoded once, frame header included, and the bytes are shared.
//
// # Pictures
//
// /ws/live/ROOM/STREAM is a socket of the same kind that carries fragmented MP4
// (live_ws.go): text frames say what comes ({"type":"init","mime":…}), that the
// publisher has gone or is not there yet ({"type":"end"}), or that a codec has
// no place in MP4 ({"type":"unsupported","codec":…}); binary ones are the init
// segment and the fragments. A stream is remuxed once for all its viewers
// (remux.go), and each fragment becomes a whole frame once. A viewer is a client
// of the room; one of a room that does not run waits, and does not start it.
// /live/ROOM/STREAM.mp4 is the last key frame (pictures.go). The node that runs the
// room is asked for it ([Nodes]), unless its pictures come to this one anyway.
//
// # Everything else
//
// api.go answers /api/v1 and metrics.go /metrics; both ask the running
// instances by [server.Host.Call], as a client would: there is no back door.
// pages.go renders / and /room/NAME from web/assets, which are embedded, and
// headers.go puts the same strict headers on every answer. listener.go tells where a
// request came in: who can open the control socket is an operator without a token.
package web
