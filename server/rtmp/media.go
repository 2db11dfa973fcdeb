package rtmp

import (
	"errors"

	"foyer/server/flv"
)

// serveMedia hands audio, video and data to the sink of their stream.
func (s *Session) serveMedia(m Message) error {
	sink, id := s.sink(m)
	if sink == nil {
		s.dropped.Add(1)
		return nil
	}
	m.StreamID = id
	if m.Type != TypeAggregate {
		s.pass(sink, m)
		return nil
	}
	if err := splitAggregate(m, func(sub Message) { s.pass(sink, sub) }); err != nil {
		return s.c.protocolError("reading aggregate", err)
	}
	return nil
}

// pass hands on a message, if it is one that players can read. Data becomes type
// 18.
func (s *Session) pass(sink Sink, m Message) {
	if m.Type == TypeDataAMF0 || m.Type == TypeDataAMF3 {
		b, ok := dataPayload(m)
		if ok {
			b, ok = readable(b)
		}
		if !ok {
			s.dropped.Add(1)
			return
		}
		m.Type, m.Payload = TypeDataAMF0, b
	}
	sink.WriteMessage(m)
}

// sink returns the sink for m: that of the stream which the peer publishes, or
// which this end plays. Some encoders send metadata on message stream 0, which
// is accepted when exactly one stream is published.
func (s *Session) sink(m Message) (Sink, uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st := s.own[m.StreamID]; st != nil {
		return st.sink, m.StreamID
	}
	if st := s.streamLocked(m.StreamID); st != nil && st.publish != nil {
		return st.publish.sink, m.StreamID
	}
	if m.StreamID != 0 || m.Type != TypeDataAMF0 && m.Type != TypeDataAMF3 {
		return nil, 0
	}
	var only *Publish
	for _, st := range s.peer {
		if st != nil && st.publish != nil {
			if only != nil {
				return nil, 0
			}
			only = st.publish
		}
	}
	if only == nil {
		return nil, 0
	}
	return only.sink, only.id
}

var errAggregate = errors.New("sub-message goes past the end")

// splitAggregate yields the messages of an aggregate (RTMP 1.0 §7.1.6). They
// are FLV tags. Their times are shifted so that the first one has the time of
// the aggregate, whose stream they share.
func splitAggregate(m Message, yield func(Message)) error {
	var offset uint32
	for b, first := m.Payload, true; len(b) > 0; first = false {
		if len(b) < flv.HeaderSize {
			return errAggregate
		}
		h := flv.ParseHeader(b)
		if b = b[flv.HeaderSize:]; len(b) < h.Size {
			return errAggregate
		}
		if first {
			offset = m.Timestamp - h.Time
		}
		sub := Message{Type: MessageType(h.Media), StreamID: m.StreamID, Timestamp: h.Time + offset, Payload: b[:h.Size:h.Size]}
		switch sub.Type {
		case TypeAudio, TypeVideo, TypeDataAMF0:
			yield(sub)
		}
		b = b[h.Size:]
		b = b[min(flv.BackSize, len(b)):] // the back pointer; some peers leave out the last one
	}
	return nil
}

// isHeader reports whether pictures or sound are decoded with t.
func isHeader(t *flv.Tag) bool {
	switch t.Kind {
	case flv.SequenceStart, flv.MPEG2TSSequenceStart, flv.MultichannelConfig, flv.Metadata:
		return true
	}
	return false
}

// A gate decides which messages of one stream fit into the outbox. Once video
// has been dropped, so is everything up to the next key frame, since it could
// not be decoded. It is guarded by the session's mu.
type gate struct {
	waiting          bool // for a key frame
	noAudio, noVideo bool // the player does not want it
	paused           bool
}

// receive notes that the player wants audio or video, or none. Video begins
// with a key frame.
func (g *gate) receive(audio, on bool) {
	if audio {
		g.noAudio = !on
	} else {
		g.noVideo, g.waiting = !on, true
	}
}

// unwanted reports whether the player does not want messages of that type.
func (g *gate) unwanted(t MessageType) bool {
	switch t {
	case TypeAudio:
		return g.paused || g.noAudio
	case TypeVideo:
		return g.paused || g.noVideo
	}
	return false
}

// open reports whether everything passes.
func (g *gate) open() bool { return *g == gate{} }

// pass reports whether m, n bytes long when packed, is to be sent.
func (g *gate) pass(o *outbox, m Message, n int) bool {
	switch {
	case g.unwanted(m.Type):
		return false
	case m.Type != TypeVideo:
		// Sound is small, and missed most: it may use the reserve, too.
		return o.fits(n, MaxMediaOutbox+mediaReserve)
	}
	var t flv.Tag
	whole := t.Parse(flv.Video, m.Payload)
	switch {
	case whole && t.Kind != flv.CodedFrames && t.Kind != flv.Other:
		// No picture can be decoded without its configuration.
		return o.fits(n, MaxMediaOutbox+mediaReserve)
	case !o.fits(n, MaxMediaOutbox):
		g.waiting = true
		return false
	case g.waiting && !t.Key:
		return false
	}
	g.waiting = false
	return true
}
