package server

import (
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"foyer/server/rtmp"
)

const (
	// publisherGrace is how long a silent publisher keeps its stream from a
	// newcomer that may not take it over.
	publisherGrace = 5 * time.Second
	// A client may publish publishBurst times at once, and then once in each
	// publishPause.
	publishBurst = 10
	publishPause = time.Second
)

// publication is one client publishing one stream. It is the rtmp.Sink of the
// publisher's messages: they go from the publisher's reader to the relay, past
// the instance.
type publication struct {
	client *Client
	stream *stream
	handle publishing
	watch  func(rtmp.Message) // nil when nobody watches: see Watcher

	begun time.Time
	seen  atomic.Int64 // when the last message came
	over  atomic.Bool  // taken over, or ended

	// owned by the publisher's reader
	bytes, messages speed
	fast            bool // it was too fast: no more is counted or passed on
}

// publishing is the part of *rtmp.Publish that is needed here.
type publishing interface {
	Accept(rtmp.Sink)
	Reject(error)
	End(error)
}

// WriteMessage passes a message on to the players.
func (p *publication) WriteMessage(m rtmp.Message) {
	if p.over.Load() || p.fast {
		return
	}
	now := time.Now()
	p.seen.Store(now.UnixNano())
	if p.tooFast(now, &m) {
		p.fast = true
		p.client.in.post(func() { p.client.in.streams.slowDown(p) })
		return
	}
	if p.watch != nil {
		p.watch(m)
	}
	p.stream.relay.WriteMessage(m)
}

// Close ends the publication: it is lost, unless the publisher said that it
// stops.
func (p *publication) Close(err error) {
	in := p.client.in
	in.post(func() { in.streams.unpublish(p, err != nil && !errors.Is(err, rtmp.ErrGoodbye)) })
}

func (p *publication) silent() bool {
	return time.Since(time.Unix(0, p.seen.Load())) > publisherGrace
}

// publish answers a client that wants to publish.
func (ss *streams) publish(c *Client, name, kind string, h publishing) {
	if ss.in.broken() || ss.publisher == nil && ss.in.tunnel == nil || c.state != clientAccepted {
		h.Reject(badName("Publishing is not allowed here."))
		return
	}
	if reason := ss.check(name); reason != "" {
		if reason == noName {
			reason += " The stream key is live?key=KEY, where live is the name."
		}
		ss.in.log.Warn("publish refused", "client", c.ID(), "err", reason)
		h.Reject(badName(reason))
		return
	}
	if ss.in.tunnel != nil {
		ss.in.tunnel.publish(c, name, kind, h)
		return
	}
	if wait := ss.waitToPublish(c, time.Now()); wait > 0 {
		ss.in.After(wait, func() { ss.askToPublish(c, name, kind, h) })
		return
	}
	ss.askToPublish(c, name, kind, h)
}

// waitToPublish returns how long a client that wants to publish has to wait:
// after publishBurst times, one publishPause for each. Everybody is told of
// each beginning. Only this client is not read in the meantime.
func (ss *streams) waitToPublish(c *Client, now time.Time) time.Duration {
	if ss.nextPublish == nil {
		ss.nextPublish = make(map[*Client]time.Time)
	}
	due := ss.nextPublish[c]
	if due.Before(now) {
		due = now
	}
	due = due.Add(publishPause)
	ss.nextPublish[c] = due
	return due.Sub(now) - publishBurst*publishPause
}

// askToPublish asks the application.
func (ss *streams) askToPublish(c *Client, name, kind string, h publishing) {
	if ss.in.broken() || c.state != clientAccepted {
		return // nobody is left to be told
	}
	public, takeover, err := ss.publisher.OnPublish(c, name, kind)
	if wait, ok := errors.AsType[*decideLater](err); ok {
		ss.in.After(wait.wait, func() {
			if c.state == clientAccepted { // otherwise nobody is left to be told
				public, takeover, err := wait.decide()
				ss.publishAs(c, public, takeover, err, h)
			}
		})
		return
	}
	ss.publishAs(c, public, takeover, err, h)
}

// publishAs acts on the application's decision.
func (ss *streams) publishAs(c *Client, public string, takeover bool, err error, h publishing) {
	if err != nil {
		ss.in.log.Info("publish refused", "client", c.ID(), "err", err)
		h.Reject(err)
		return
	}
	s := ss.get(public)
	if old := s.publisher; old != nil {
		if old.client == c || !takeover && !old.silent() {
			h.Reject(badName("Stream " + public + " is already published."))
			return
		}
		ss.endPublication(old)
		old.handle.End(badName("Taken over by a newer publisher."))
	}
	p := &publication{client: c, stream: s, handle: h, begun: time.Now()}
	p.seen.Store(time.Now().UnixNano())
	ss.watch(p)
	s.publisher, s.kept = p, false
	c.streams = append(c.streams, p)
	ss.in.log.Info("stream published", "client", c.ID(), "stream", public)
	if ss.in.host.OnStream != nil {
		ss.in.host.OnStream(ss.in.app.name+"/"+ss.in.short, public, s.relay)
	}
	s.relay.Publish()
	h.Accept(p)
}

// unpublish ends a publication, unless it has been taken over. If it was lost,
// its players may be left to wait.
func (ss *streams) unpublish(p *publication, lost bool) {
	kept := ss.keep(p, lost)
	if !ss.endPublication(p) {
		return
	}
	p.stream.publisher, p.stream.kept = nil, kept
	switch {
	case kept:
		return
	case lost && ss.in.life.phase >= phaseStopping: // it may come back to another instance
		p.stream.relay.Lose()
	default:
		p.stream.relay.Unpublish()
	}
	ss.forget(p.stream)
}

// endPublication tells the application, once, and reports whether it did. It
// does not tell the players, since another publisher may follow.
func (ss *streams) endPublication(p *publication) bool {
	if p.over.Swap(true) {
		return false
	}
	c := p.client
	c.streams = slices.DeleteFunc(c.streams, func(q *publication) bool { return q == p })
	ss.in.log.Info("stream unpublished", "client", c.ID(), "stream", p.stream.name)
	if !ss.in.broken() {
		ss.publisher.OnUnpublish(c, p.stream.name)
	}
	return true
}

// keep asks the application whether the players of a lost publisher should
// wait.
func (ss *streams) keep(p *publication, lost bool) bool {
	k, ok := ss.in.code.(Keeper)
	return ok && lost && !p.over.Load() && ss.in.life.phase < phaseStopping && k.OnLost(p.client, p.stream.name)
}

// watch asks the application to watch the messages of p.
func (ss *streams) watch(p *publication) {
	if w, ok := ss.in.code.(Watcher); ok {
		p.watch = w.OnPublished(p.client, p.stream.name)
	}
}

// badName is a refusal to publish, or the end of a publication.
func badName(description string) *rtmp.StatusError {
	return &rtmp.StatusError{Level: "error", Code: rtmp.CodePublishBadName, Description: description}
}
