package server

import "foyer/server/rtmp"

// Optional parts of an Application that is a Publisher.
type (
	// Keeper decides what becomes of the players of a stream whose publisher
	// was lost: its connection ended without a word. Without it they are told
	// NetStream.Play.UnpublishNotify at once.
	Keeper interface {
		// OnLost runs before OnUnpublish. True lets the players wait: they are
		// told nothing until Instance.EndStream, and a publisher that comes
		// before goes on for them.
		OnLost(c *Client, public string) bool
	}

	// Watcher looks at what publishers send.
	Watcher interface {
		// OnPublished runs when a publication has begun. What it returns sees
		// every message on the publisher's goroutine before the players do: it
		// must be quick, and must not change the message. nil: nobody looks.
		OnPublished(c *Client, public string) func(rtmp.Message)
	}
)

// keep asks whether the players of a lost publisher are to wait.
func (ss *streams) keep(p *publication, lost bool) bool {
	k, ok := ss.in.code.(Keeper)
	return ok && lost && !p.over.Load() && !ss.in.broken && !ss.in.stopping && k.OnLost(p.client, p.stream.name)
}

// watch asks who looks at what p sends.
func (ss *streams) watch(p *publication) {
	if w, ok := ss.in.code.(Watcher); ok {
		p.watch = w.OnPublished(p.client, p.stream.name)
	}
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
