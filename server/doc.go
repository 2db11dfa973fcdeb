// Package server runs application instances and their clients, as Flash
// Communication Server did. This page goes from the outside in; to read the
// code, begin with instance.go.
//
// # Hosts
//
// A [Host] has applications, each of them a name and a function:
//
//	h := &server.Host{Log: log, Mounts: []string{"chapter4"}}
//	h.Handle("lobby", func() server.Application { return new(Lobby) })
//	go h.Serve(ctx, listener)
//
// The first connection to rtmp://host/lobby or to rtmp://host/lobby/blue starts
// an [Instance] of the application. Those are two, "lobby/_definst_" and
// "lobby/blue". An instance stops some time after its last client has gone.
//
// # Addresses
//
// The application is the longest name that the path begins with, with or
// without one of Host.Mounts before it. The rest is the instance. Leading,
// trailing and doubled slashes do not matter, and the query is left to the
// application ([Client.Query]).
//
// Some tools put the end of the instance's name into the name of a stream, as
// ffmpeg does with rtmp://h/chapter4/room/blue/live. Their clients are admitted
// to the default instance. There, publishing and playing under a name with a
// slash is refused, with a description that says what to type instead.
//
// People type into one field of an encoder what belongs into the other.
// rtmp://h/room/blue/live?key=KEY as the server is the instance room/blue, and
// the stream live if the name of the stream is left empty; a key in the address
// counts for a stream without one. Blanks and slashes around names, a type in
// front of them (flv:live) and percent-encoding do not matter
// ([rtmp.SplitName]).
//
// # Applications
//
// An [Application] is four events: OnAppStart, OnConnect, OnDisconnect and
// OnAppStop. The goroutine of the instance runs them, one at a time. So an
// application has no locks, and must not block: everybody in the instance would
// wait. Work that takes time runs beside it with [Instance.Go], and comes back
// with [Instance.Post].
//
// Whatever an application does not implement has a default. Remote methods are a
// map ([Caller]). The application may also decide about shared objects
// ([Sharer]), publishing and playing ([Publisher], [Player]), and hear of the
// end of the host ([Drainer]).
//
// # Clients
//
// A [Client] is a connection as its instance sees it: an encoder, a terminal, a
// browser tab or another instance. OnConnect accepts it, rejects it, or leaves
// it pending until [Instance.Accept] or [Instance.Reject]. Until the peer has
// been told that it is accepted, it is sent nothing else; everything that the
// application says in OnConnect follows.
//
// Calls of one client are served in the order they came. At most [MaxCalls] of
// them are on their way at a time, and the client's departure comes after all of
// them. [Client.Push] tells many clients the same thing: a [Push] is encoded
// once for each of the three wire forms. [Instance.BroadcastMsg] is a Push to
// everybody.
//
// # Turns
//
// Everything that reaches an instance is posted. One turn runs all the posts
// that came in during the turn before, and then tells subscribers, in one
// message for each object, what has changed in shared objects.
//
// # Shared objects
//
// [Instance.SharedObject] is the application's own handle on a shared object.
// Clients use the same objects, as far as the application allows it.
//
// With [Host].Objects the persistent ones are stored. They are read when their
// instance starts, and subscribers are told only of changes that are stored: a
// change that cannot be stored is taken back, and its writer hears
// SharedObject.Flush.Failed.
//
// # Streams
//
// A client publishes under a name that [Publisher] gives it. From then on its
// messages go from its reader to a relay.Stream and from there to the players;
// the goroutine of the instance has no part in it. Players may come first. An
// application may let them wait for a publisher that was lost ([Keeper]), look
// at the messages of publishers ([Watcher]), and end a stream
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
// An instance of an application that was handled with [Host.HandleClaimed] runs
// on one node at a time, its owner: [Owners] knows which. On any other node a
// tunnel serves its clients: an instance of the same name without the
// application. Each client of the tunnel has a connection to the owner for its
// calls, pushes, shared objects and publications, so the owner's application
// knows it as any other client. Pictures come once for each stream and node.
// Nodes prove to each other that they know [Host].NodeSecret.
//
// # Other ways in
//
// A program that speaks something else than RTMP, such as the WebSocket bridge,
// is a [Peer]. It asks [Host.Connect] for admission, and passes on its peer's
// requests to the Client that it gets.
package server
