// Package rtmp speaks RTMP, both ends of it, in three floors:
//
//	  Session    calls both ways, NetStreams, pings, one bounded outbox
//	─────────────────────────────────────────────────────────────────────
//	  Conn       whole messages: chunks, Set Chunk Size, acknowledgements
//	─────────────────────────────────────────────────────────────────────
//	  net.Conn   handshake, then bytes
//
// # From a connection to a session
//
// A server that has accepted a net.Conn makes a [Conn] of it with
// [NewServerConn], which does the handshake, and reads the connect command
// with [ReadConnect]. It answers with [ConnectRequest.Accept] or
// [ConnectRequest.Reject]; nothing else may be said before. Then a [Session]
// of the Conn runs until one of the two ends has had enough:
//
//	c, err := rtmp.NewServerConn(ctx, nc, nil)
//	r, err := rtmp.ReadConnect(ctx, c)
//	err = r.Accept()
//	err = rtmp.NewSession(c, handler, r.ObjectEncoding).Run(ctx)
//
// A client gets its Session from [Dial], and runs it too.
//
// # Calls
//
// From here on both ends are alike. [Session.Call] and [Session.Request] call
// the peer; what the peer calls comes to [Handler.ServeCall], one after the
// other in the order of the wire, and is answered with [Call.Reply] or
// [Call.Fail] then or later. Only a [*StatusError] reaches the peer in words.
//
// # Streams
//
// A Handler that is a [StreamHandler] lets the peer publish and play: it gets
// a [Publish] or a [Play], accepts or rejects it, and names a [Sink] for what
// is published or gets a [Player] for what is played. This end's own NetStreams
// come from [Session.CreateStream].
//
// # Who waits for whom
//
// A session is one goroutine, Run's, which reads; while it waits it holds no
// buffer. A second one writes, and exists only while the outbox has something
// in it. Nothing that sends ever blocks: bytes are queued, control messages
// before commands before media. A peer that reads slowly loses video first, then
// sound. [Session.Level] says how far behind it is with commands, for senders
// that have only the latest state to tell. A peer that is Far behind is not read
// until it has caught up, and one that takes nothing at all for
// [backlog.Patience] loses the connection (ErrSlow), as do the worst when the
// outboxes of the process ([Config].Outboxes) hold too much.
// What is said to many is packed once: [Pack] makes bytes that are the same
// for every connection.
//
// # Limits
//
// The constants Max… bound what a peer may take. Bytes that break the protocol
// end the connection with a [*ProtocolError] that says where.
package rtmp
