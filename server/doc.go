// Package server runs application instances and their clients, as Flash
// Communication Server did.
//
// A [Host] has applications, each a name and a function:
//
//	h := &server.Host{Log: log, Mounts: []string{"chapter4"}}
//	h.Handle("lobby", func() server.Application { return new(Lobby) })
//	go h.Serve(ctx, listener)
//
// The first connection to rtmp://host/lobby, or to rtmp://host/lobby/blue,
// starts an [Instance] of it; "lobby/_definst_" and "lobby/blue" are two. An
// instance stops some time after its last client has gone.
//
// # Addresses
//
// The application is the longest name that the path begins with, with or
// without one of Host.Mounts before it; the rest is the instance. Leading,
// trailing and doubled slashes do not matter, and a query is left to the
// application ([Client.Query]). Where a tool has put the end of the instance's
// name into the name of a stream (ffmpeg does, given rtmp://h/chapter4/room/blue/live)
// the client has been admitted to the default instance; publishing and playing
// there under a name with a slash is refused with a description that says what
// to type instead.
//
// # Applications
//
// An [Application] is four events: OnAppStart, OnConnect, OnDisconnect,
// OnAppStop. One goroutine runs them, one at a time, so an application has no
// locks; and it must not block, for everybody in the instance waits for it.
// What takes time runs beside it with [Instance.Go] and comes back with
// [Instance.Post]. Remote methods are a map, for which an application has a
// method Methods ([Caller]); it may also decide about shared objects
// ([Sharer]) and streams ([Publisher], [Player]).
//
// # Clients
//
// A [Client] is a connection as its instance sees it, whatever it speaks: an
// encoder, a terminal, a browser tab or another instance. OnConnect accepts,
// rejects or leaves it pending. Until the peer was told that it is accepted
// nothing else is sent to it; what the application says in OnConnect follows.
// Calls of one client are served in the order they came, at most [MaxCalls] of
// them are on the way at a time, and its departure comes after all of them.
//
// [Client.Push] is the way to tell many the same: a [Push] is encoded once for
// each of the three wire forms. [Instance.BroadcastMsg] is a Push to everybody.
//
// # Shared objects
//
// [Instance.SharedObject] is the application's hand on a shared object. What
// one turn of the instance changes, a turn being what had come in while the
// last one ran, reaches a subscriber as one message.
//
// With [Host].Objects persistent ones are stored. They are read when their
// instance starts, and nothing is told of them that is not stored: a change
// that cannot be is taken back and answered with SharedObject.Flush.Failed.
//
// # Streams
//
// A client publishes under a name that [Publisher] gives it, and from then on
// its messages go from its reader to a relay.Stream and from there to the
// players; the instance's goroutine has no part in it. Players may come first.
// An application may let them wait for a publisher that was lost ([Keeper]),
// look at what publishers send ([Watcher]), and end a stream
// ([Instance.EndStream]).
//
// # Connections to other instances
//
// [Instance.NewNetConnection] makes a [NetConnection], which is used as in the
// book:
//
//	func (r *Room) OnAppStart(in *server.Instance) error {
//		r.lobby = in.NewNetConnection()
//		r.lobby.OnStatus = r.onStatus
//		return r.lobby.Connect("rtmp://localhost/chapter4/lobby", amf.String("Room"), amf.String("secretPassword6"))
//	}
//
// It goes over the wire even to an instance of the same process, or to itself.
//
// # Several nodes
//
// An instance of an application handled with [Host.HandleClaimed] runs on one
// node at a time, its owner: [Owners] knows which. A client that comes to another node is
// served there by a tunnel, an instance of the same name without the
// application: calls, pushes, shared objects and what is published go through
// a connection to the owner for each client, so that the owner's application
// knows it as any other; pictures come once for each stream and node. Nodes
// prove themselves to each other with [Host.NodeSecret].
//
// # Other ways in
//
// A program that speaks something else than RTMP, such as the WebSocket
// bridge, is a [Peer]: it asks [Host.Connect] for admission and hands on what
// its peer wants to the Client it gets.
package server
