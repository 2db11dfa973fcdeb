package rtmp

import (
	"cmp"

	"foyer/server/amf"
)

// A Sink takes the audio, video and data messages of a published stream, in
// order, on the publisher's goroutine. WriteMessage does not block. Data
// messages come as type 18, onMetaData without @setDataFrame before it, and
// always decode: metadata is completed, anything else left out that does not.
// The messages of aggregates come one by one. Close is called once, when the stream
// ends, with the reason: nil when the publisher ended it.
type Sink interface {
	WriteMessage(Message)
	Close(err error)
}

// Publish is a publish command waiting for its answer. Name is as sent, query
// included; ServePublish may put in its place what was meant. Kind is live,
// record or append.
type Publish struct {
	Name, Kind string

	s  *Session
	id uint32

	// guarded by the session's mu
	sink    Sink
	settled bool          // accepted or rejected
	decided chan struct{} // closed when settled, or when the session ends
	over    bool
	reason  error // once over
}

// public returns the name without its query, which has the key, since encoders
// log what they are told.
func (p *Publish) public() string { return publicName(p.Name) }

func publicName(name string) string {
	name, _ = SplitName(name)
	return name
}

// servePublish asks the Handler (RTMP 1.0 §7.2.2.6), and waits for the decision
// before it reads again: some publishers, go-rtmp among them, send metadata and
// pictures without waiting for the answer.
func (s *Session) servePublish(cmd *command, args amf.Args) {
	st := s.stream(cmd.stream)
	if st == nil {
		s.noStream(cmd, CodePublishBadName)
		return
	}
	if stop, only := stops(args.At(0)); stop && (s.stopPublish(st) || only) {
		return
	}
	decided := make(chan struct{})
	p := &Publish{s: s, id: cmd.stream, decided: decided}
	p.Name, _ = amf.AsString(args.At(0))
	kind, _ := amf.AsString(args.At(1))
	p.Kind = cmp.Or(kind, "live")
	if !s.reserve(st, p) {
		return
	}
	s.h.(StreamHandler).ServePublish(p)
	<-decided // Accept and Reject close it, and the session's end
	s.mu.Lock()
	accepted := p.sink != nil
	s.mu.Unlock()
	if accepted {
		s.publishing(+1)
	}
}

// reserve gives the stream to p, unless it is in use or the session ends.
func (s *Session) reserve(st *netStream, p *Publish) bool {
	s.mu.Lock()
	busy, sealed := st.publish != nil || st.play != nil, s.sealed
	if !busy && !sealed {
		st.publish = p
	}
	s.mu.Unlock()
	if busy {
		s.status(laneCommands, p.id, &StatusError{Code: CodePublishBadName, Description: "This stream is in use."})
	}
	return !busy && !sealed
}

// stopPublish stops publishing on st, as the peer asked, and reports whether
// there was something to stop.
func (s *Session) stopPublish(st *netStream) bool {
	s.mu.Lock()
	p := st.publish
	s.mu.Unlock()
	if p == nil {
		return false
	}
	p.unpublish()
	return true
}

// decideLocked lets servePublish continue.
func (p *Publish) decideLocked() {
	if p.decided != nil {
		close(p.decided)
		p.decided = nil
	}
}

// Accept answers NetStream.Publish.Start, after which messages flow to dst. Any
// goroutine may use it, once. When the stream has already ended, dst is closed.
// Until Accept or Reject nothing more is read from the peer.
func (p *Publish) Accept(dst Sink) {
	p.s.mu.Lock()
	if p.settled || p.over {
		reason := p.reason
		p.s.mu.Unlock()
		dst.Close(reason)
		return
	}
	p.settled, p.sink = true, dst
	p.decideLocked()
	p.s.mu.Unlock()
	p.s.begin(p.id)
	p.s.status(laneCommands, p.id, streamStatus(CodePublishStart, p.public()+" is now published.", p.public()))
}

// Reject answers NetStream.Publish.BadName with the level error, unless err is
// a *StatusError, which is sent as it is. The message stream is then free
// again.
func (p *Publish) Reject(err error) {
	p.s.mu.Lock()
	if p.settled || p.over {
		p.s.mu.Unlock()
		return
	}
	p.settled, p.over = true, true
	p.decideLocked()
	if st := p.s.streamLocked(p.id); st != nil && st.publish == p {
		st.publish = nil
	}
	p.s.mu.Unlock()
	p.s.status(laneCommands, p.id, statusOf(err, CodePublishBadName, p.public()+" cannot be published."))
}

// End tells an accepted publisher that its stream is over, with a *StatusError
// at the level error on that stream, and ends its connection. Any goroutine may
// use it.
func (p *Publish) End(err error) {
	reason := statusOf(err, CodePublishBadName, p.public()+" has ended.")
	p.s.leave(reason, p.s.lastStatus(p.id, reason))
}

// unpublish ends p, as the publisher asked. Some publishers take the answer for
// a failure, so only those that ask for it get one.
func (p *Publish) unpublish() {
	if p.end(nil) {
		p.s.status(laneCommands, p.id, streamStatus(CodeUnpublishSuccess, p.public()+" is now unpublished.", p.public()))
	}
}

// end closes the sink, and reports whether there was one. It is called on Run's
// goroutine.
func (p *Publish) end(reason error) bool {
	p.s.mu.Lock()
	sink := p.sink
	p.sink, p.over, p.reason = nil, true, reason
	if st := p.s.streamLocked(p.id); st != nil && st.publish == p {
		st.publish = nil
	}
	p.s.mu.Unlock()
	if sink == nil {
		return false
	}
	p.s.publishing(-1)
	sink.Close(reason)
	return true
}
