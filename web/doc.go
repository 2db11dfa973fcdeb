// Package web is the browser's side of foyer: pages, the WebSocket bridge, live
// streams by HTTP, the HTTP API, and metrics.
//
// # A request
//
// [Handler] serves everything (handler.go). First it finds out where a request comes
// from, whatever proxies are in between (visitor.go), and by which listener it came
// in: the public one, the one for operators, or the control socket (listener.go).
// It refuses foreign hosts and origins (origin.go), looks at the credential
// (credentials.go), and charges the address for the answer (response.go). Then one
// of the handlers below answers. Errors are problem documents (problem.go).
//
// # The bridge
//
// A browser tab is a client of an instance like any other. The bridge (bridge.go)
// upgrades /ws/<application>[/<instance>], reads the connect frame, and asks the
// host for admission. From then on it passes calls, answers and shared object
// events from the page to the client, and what the instance pushes to the page.
// Frames are small JSON objects with a type (frame.go). Values are mapped between
// AMF and JSON in json.go. PROTOCOL.md describes both for programmers of clients.
//
// A socket (socket.go) is one goroutine, which reads. A second one exists only while
// there is something to write, so a page that watches a quiet lobby costs one small
// stack and no buffers. A message for a thousand pages is encoded once, the header of
// its WebSocket frame included (websocket_frame.go), and the pages share the bytes.
// If the socket of a page does not open, reach.go tells the page why.
//
// # Pictures
//
// /ws/live/ROOM/STREAM is a socket of the same kind that carries fragmented MP4
// (live_ws.go). Its text frames announce the format ({"type":"init","mime":…}), say
// that nobody publishes now ({"type":"end"}), or name a codec that MP4 cannot carry
// ({"type":"unsupported","codec":…}). Its binary frames are the init segment and the
// fragments. A stream is remuxed once for all its viewers (remux.go), and each
// fragment becomes a whole frame once. A viewer is a client of the room. If the room
// does not run, the viewer waits and does not start it.
//
// /live/ROOM/STREAM.flv is HTTP-FLV (live_http.go), and .m3u8 is HLS (live_hls.go).
// .mp4 is the last key frame (pictures.go). The node that runs the room is asked for
// it ([Nodes]), unless this node has the stream anyway. recordings.go serves the
// recordings of a room.
//
// # Everything else
//
// api.go and api_operator.go answer /api/v1, and monitoring.go answers /metrics and
// the health checks. They ask the running instances by [server.Host.Call], as a
// client would: there is no back door. lobby.go asks the lobby. pages.go renders /
// and /room/NAME from web/assets, which are embedded (assets.go).
package web
