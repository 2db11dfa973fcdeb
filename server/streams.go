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

// streams are the streams of an instance, and belong to its goroutine.
type streams struct {
	in        *Instance
	publisher Publisher // nil: the application is none
	player    Player    // the same

	byName      map[string]*stream
	nextPublish map[*Client]time.Time // when clients that have published may do so again
	nodes       map[*Client]bool      // other nodes that take the pictures of a stream
}

// stream is one stream: the relay, and its publisher.
type stream struct {
	name      string
	relay     *relay.Stream
	audiences []*audience  // its followers
	publisher *publication // nil while nobody publishes
	playing   int
	held      bool          // the application has asked for it
	tunnel    *tunnelStream // brings the pictures from the owner; nil when that is this node
	kept      bool          // its publisher was lost, and the players wait: see Keeper
}

// Stream is the live stream of that public name, made if need be. Instance
// goroutine only; the methods of relay.Stream are safe for any goroutine.
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

const noName = "The stream has no name."

// check returns why a name is refused without asking the application, or "". A
// slash in a stream of the default instance comes from a tool that splits
// addresses in another place than we do: ffmpeg takes
// rtmp://h/chapter4/room/blue/live for the application chapter4/room and the
// stream blue/live. By then the client has been admitted to the wrong instance,
// so all we can do is to say so.
func (ss *streams) check(name string) string {
	public, _, _ := strings.Cut(name, "?")
	switch {
	case public == "":
		return noName
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
// ends, and players hear NetStream.Play.UnpublishNotify. A stream that waits
// for a lost publisher ends as well. EndStream reports whether there was
// something to end. Instance goroutine only.
func (in *Instance) EndStream(name string, reason *rtmp.StatusError) bool {
	ss := &in.streams
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

// Stream is the stream of that public name in a running instance ("room/blue")
// if somebody publishes it now, or nil. If another node runs the instance, the
// stream is brought here, which may take streamWait.
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

// published is the stream of that name if somebody publishes it now and its
// pictures come to this node, or nil. Not for the instance goroutine.
func (ss *streams) published(name string) *relay.Stream {
	return await(ss.in, func() *relay.Stream {
		s := ss.byName[name]
		if s != nil && (s.publisher != nil || s.tunnel != nil && s.relay.Live()) {
			return s.relay
		}
		return nil
	})
}

// StreamHere is the stream of that public name in an instance ("room/blue") if
// somebody publishes it now and its pictures come to this node anyway. If they
// do not, node is the owner of the instance, or "" when that is this node or
// nobody. Unlike Stream it starts nothing, brings nothing here, and does not
// wait for a start.
func (h *Host) StreamHere(ctx context.Context, instance, name string) (s *relay.Stream, node string) {
	in, away := h.find(ctx, instance)
	switch {
	case away != nil:
		return nil, away.Node
	case in == nil:
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
// or not, or nil when the client does not play it. Not for the instance
// goroutine.
func (c *Client) Stream(name string) *relay.Stream {
	return await(c.in, func() *relay.Stream {
		for _, p := range c.playing {
			if p.stream.name == name {
				return p.stream.relay
			}
		}
		return nil
	})
}

// drop ends everything that a client publishes and plays.
func (ss *streams) drop(c *Client) {
	delete(ss.nextPublish, c)
	for len(c.streams) > 0 {
		ss.unpublish(c.streams[0], true)
	}
	for len(c.playing) > 0 {
		ss.stopPlay(c.playing[0])
	}
}
