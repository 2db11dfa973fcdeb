package server

import (
	"context"
	"strings"
	"time"
	"unicode/utf8"

	"foyer/server/relay"
	"foyer/server/rtmp"
)

// MaxStreamName is the longest name to publish or play, in bytes.
const MaxStreamName = 255

// streams are those of an instance, and belong to its goroutine.
type streams struct {
	in        *Instance
	publisher Publisher // nil: the application is none
	player    Player    // the same

	byName map[string]*stream
	turns  map[*Client]time.Time // of those that have published: see turnToPublish
	nodes  map[*Client]bool      // other nodes that take the pictures of a stream
}

// stream is one of them: the relay, and who publishes to it.
type stream struct {
	name      string
	relay     *relay.Stream
	audiences []*audience  // its followers
	publisher *publication // nil while nobody publishes
	playing   int
	held      bool          // the application has asked for it
	tunnel    *tunnelStream // brings the pictures from the node that runs the instance
	kept      bool          // its publisher was lost, and the players wait: see Keeper
}

// Stream is the live stream of that public name, made if need be. Methods of
// relay.Stream are safe for any goroutine. Stream is for the instance
// goroutine only.
func (in *Instance) Stream(name string) *relay.Stream {
	s := in.streams.get(name)
	s.held = true
	return s.relay
}

func (ss *streams) get(name string) *stream {
	s := ss.byName[name]
	if s == nil {
		if ss.byName == nil {
			ss.byName = make(map[string]*stream)
		}
		s = &stream{name: name, relay: relay.New(name)}
		s.audiences = ss.in.host.fan.audiences(s.relay)
		ss.byName[name] = s
	}
	return s
}

// forget drops a stream that nobody needs.
func (ss *streams) forget(s *stream) {
	if s.publisher == nil && s.playing == 0 && !s.held && !s.kept && s.tunnel == nil {
		delete(ss.byName, s.name)
	}
}

// check refuses what no application needs to see. A slash in a
// stream of the default instance comes from a tool that splits addresses
// elsewhere than we do: ffmpeg takes rtmp://h/chapter4/room/blue/live for the
// application chapter4/room and the stream blue/live. The client has been
// admitted to the wrong instance by then, so all that can be done is to say so.
func (ss *streams) check(name string) string {
	public, _, _ := strings.Cut(name, "?")
	switch {
	case public == "":
		return "The stream has no name."
	case len(name) > MaxStreamName:
		return "The name of the stream is too long."
	case !utf8.ValidString(name) || strings.ContainsFunc(name, hidden):
		return "The name of the stream has characters that cannot be seen."
	case ss.in.short == defaultInstance && strings.Contains(public, "/"):
		i := strings.LastIndex(public, "/")
		return "Stream " + public + " names an instance: connect to " + ss.in.app.name + "/" + public[:i] +
			" and use " + public[i+1:] + " (ffmpeg: -rtmp_app " + ss.in.app.name + "/" + public[:i] +
			" -rtmp_playpath " + public[i+1:] + ")."
	}
	return ""
}

// EndStream ends a stream: its publisher is told the reason and its connection
// ends, and players hear NetStream.Play.UnpublishNotify. A stream whose lost
// publisher is being waited for ends, too. It reports whether there was
// something to end. Instance goroutine only.
func (in *Instance) EndStream(name string, reason *rtmp.StatusError) bool {
	return in.streams.end(name, reason)
}

func (ss *streams) end(name string, reason *rtmp.StatusError) bool {
	s := ss.byName[name]
	if s == nil || s.publisher == nil && !s.kept {
		return false
	}
	if p := s.publisher; p != nil {
		ss.endPublication(p)
		p.handle.End(reason)
	}
	s.publisher, s.kept = nil, false
	s.relay.Unpublish()
	ss.forget(s)
	return true
}

// Stream is the stream of that public name that somebody publishes now in a
// running instance ("room/blue"), or nil. One that another node runs is asked
// for it, and the stream brought here, which may take streamWait.
func (h *Host) Stream(instance, name string) *relay.Stream {
	in := h.reach(context.Background(), instance)
	if in == nil {
		return nil
	}
	if in.tunnel != nil {
		return in.tunnel.stream(name)
	}
	return in.streams.published(name)
}

// published is the stream of that name that somebody publishes now, and whose
// pictures are at this node; or nil. Not for the instance goroutine.
func (ss *streams) published(name string) *relay.Stream {
	found := make(chan *relay.Stream, 1)
	if !ss.in.post(func() {
		s := ss.byName[name]
		if s != nil && (s.publisher != nil || s.tunnel != nil && s.relay.Live()) {
			found <- s.relay
			return
		}
		found <- nil
	}) {
		return nil
	}
	return <-found
}

// StreamHere is the stream of that public name that somebody publishes now in
// an instance ("room/blue"), if its pictures come to this node anyway. If not,
// node is who runs the instance, "" when that is this one or nobody. Unlike
// Stream it starts nothing, brings nothing here, and waits for no start.
func (h *Host) StreamHere(ctx context.Context, instance, name string) (s *relay.Stream, node string) {
	in, away := h.find(ctx, instance)
	if away != nil {
		return nil, away.Node
	}
	if in == nil {
		return nil, ""
	}
	select {
	case <-in.life.started:
	default:
		return nil, ""
	}
	if in.life.startErr != nil {
		return nil, ""
	}
	if s = in.streams.published(name); s == nil && in.tunnel != nil {
		node = in.tunnel.owner.Node
	}
	return s, node
}

// Stream is the stream that the client plays under that public name, published
// or not; nil when it does not play it. Not for the instance goroutine.
func (c *Client) Stream(name string) *relay.Stream {
	found := make(chan *relay.Stream, 1)
	if !c.in.post(func() {
		for _, p := range c.playing {
			if p.stream.name == name {
				found <- p.stream.relay
				return
			}
		}
		found <- nil
	}) {
		return nil
	}
	return <-found
}

// drop ends what a client publishes and plays.
func (ss *streams) drop(c *Client) {
	delete(ss.turns, c)
	for len(c.streams) > 0 {
		ss.unpublish(c.streams[0], true)
	}
	for len(c.playing) > 0 {
		ss.stopPlay(c.playing[0])
	}
}
