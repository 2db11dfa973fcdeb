// Package rtmp speaks RTMP, as either end, in three layers:
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
// [ConnectRequest.Reject]; nothing else may be sent before. Then a [Session]
// of the Conn runs until one of the two ends leaves:
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
// the peer. The calls of the peer come to [Handler.ServeCall], one after the
// other in the order of the wire, and are answered with [Call.Reply] or
// [Call.Fail], at once or later. Only a [*StatusError] reaches the peer in words.
//
// # Streams
//
// A Handler that is a [StreamHandler] lets the peer publish and play. It gets a
// [Publish] or a [Play], and accepts or rejects it. A publication needs a [Sink],
// which takes the messages; a play returns a [Player], which sends them. This
// end's own NetStreams come from [Session.CreateStream].
//
// # Who waits for whom
//
// A session is one goroutine, Run's, which reads, and holds no buffer while it
// waits. A second goroutine writes, and exists only while the outbox has
// something in it. Sending never blocks: bytes are queued, control messages
// before commands, and commands before media. A peer that reads slowly loses
// video first, then sound. [Session.Level] says how far behind it is with
// commands, for senders that have only the latest state to tell. A peer that is
// Far behind is not read until it has caught up. A peer that takes nothing at
// all for [backlog.Patience] loses the connection (ErrSlow), and so do the worst
// peers when the outboxes of the process ([Config].Outboxes) hold too much.
//
// A message for many peers is packed once: [Pack] makes bytes that are the same
// for every connection.
//
// # Limits
//
// The constants Max… bound the memory and the numbers that a peer may use. Bytes
// that break the protocol end the connection, with a [*ProtocolError] that says
// where they are.
package rtmp
