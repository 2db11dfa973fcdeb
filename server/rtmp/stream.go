package rtmp

import (
	"cmp"
	"context"
	"errors"

	"foyer/server/amf"
)

// A StatusSink is a Sink that is told what onStatus says about its stream once
// it plays: PublishNotify, UnpublishNotify, Play.Stop … Like WriteMessage it
// runs on Run's goroutine.
type StatusSink interface {
	Sink
	ServeStatus(info amf.Object)
}

// Stream is this end's NetStream.
type Stream struct {
	s  *Session
	id uint32

	// guarded by the session's mu
	sink    Sink
	started chan error // cap 1: the answer to publish or play, while something waits for it
	g       gate
	over    bool
}

var errStreamBusy = errors.New("rtmp: message stream is in use")

// CreateStream opens a NetStream of this end. Neither CreateStream nor the
// methods of Stream that wait for an answer may be used on Run's goroutine.
func (s *Session) CreateStream(ctx context.Context) (*Stream, error) {
	v, err := s.Call(ctx, "createStream")
	if err != nil {
		return nil, err
	}
	n, ok := amf.AsNumber(v)
	st := &Stream{s: s, id: uint32(n)}
	if !ok || st.id == 0 || float64(st.id) != n {
		return nil, &StatusError{Code: CodeCallFailed, Description: "createStream gave no stream."}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sealed {
		return nil, s.reason
	}
	if s.own == nil {
		s.own = make(map[uint32]*Stream)
	}
	s.own[st.id] = st
	return st, nil
}

// Publish publishes the stream under a name; kind is live, record or append. A
// *StatusError means that the server refused.
func (st *Stream) Publish(ctx context.Context, name, kind string) error {
	return st.start(ctx, "publish", nil, amf.String(name), amf.String(kind))
}

// PublishTo is Publish with a StatusSink that is told what onStatus says about
// the stream later, and closed.
func (st *Stream) PublishTo(ctx context.Context, name, kind string, dst Sink) error {
	return st.start(ctx, "publish", dst, amf.String(name), amf.String(kind))
}

// Play plays the stream of that name into dst, until the Stream is closed or
// the session ends. start is a position in milliseconds, StartAny or StartLive.
func (st *Stream) Play(ctx context.Context, name string, start float64, dst Sink) error {
	return st.start(ctx, "play", dst, amf.String(name), amf.Number(start))
}

// start sends a command on the stream and waits for its onStatus.
func (st *Stream) start(ctx context.Context, method string, dst Sink, args ...amf.Value) error {
	started := make(chan error, 1) // there is one answer: see status
	st.s.mu.Lock()
	switch {
	case st.s.sealed:
		defer st.s.mu.Unlock()
		return st.s.reason
	case st.over:
		st.s.mu.Unlock()
		return ErrClosed
	case st.started != nil, st.sink != nil:
		st.s.mu.Unlock()
		return errStreamBusy
	}
	st.started, st.sink = started, dst
	st.s.mu.Unlock()

	values := append([]amf.Value{amf.Null{}}, args...)
	err := st.s.send(laneCommands, commandMessage(st.id, st.s.amf3, method, 0, values...))
	if err == nil {
		select {
		case err = <-started:
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	st.s.mu.Lock()
	st.started = nil
	if err != nil {
		st.sink = nil // it was never used by Play: nothing to close
	}
	st.s.mu.Unlock()
	return err
}

// status takes an onStatus on the stream. It is called on Run's goroutine.
func (st *Stream) status(v amf.Value) {
	info := ParseStatus(v)
	st.s.mu.Lock()
	started, sink := st.started, st.sink
	var answer error
	switch {
	case info.Level == LevelError:
		answer = info
	case info.Code != CodePublishStart && info.Code != CodePlayStart:
		started = nil // Play.Reset comes before Play.Start
	}
	if started != nil {
		st.started = nil
	}
	st.s.mu.Unlock()
	if started != nil {
		started <- answer
	} else if sink, ok := sink.(StatusSink); ok {
		sink.ServeStatus(members(v))
	}
}

// WriteMessage sends a message of a published stream, whatever its StreamID. It
// does not block; when the server does not read fast enough, it drops video up
// to the next key frame, then sound. Metadata is sent as it is; put
// @setDataFrame before it if the server is to keep it.
func (st *Stream) WriteMessage(m Message) error {
	m.StreamID = st.id
	return st.s.media(&st.g, &st.over, m)
}

// Close ends the stream, after everything that was written to it.
func (st *Stream) Close() error {
	st.s.mu.Lock()
	if st.over {
		st.s.mu.Unlock()
		return nil
	}
	delete(st.s.own, st.id)
	st.s.mu.Unlock()
	st.end(nil)
	return st.s.send(laneMedia, commandMessage(0, st.s.amf3, "deleteStream", 0, amf.Null{}, amf.Number(st.id)))
}

// end closes the sink and wakes the methods that wait for an answer.
func (st *Stream) end(reason error) {
	st.s.mu.Lock()
	sink, started := st.sink, st.started
	st.sink, st.started, st.over = nil, nil, true
	st.s.mu.Unlock()
	if started != nil {
		started <- cmp.Or(reason, ErrClosed)
	} else if sink != nil {
		sink.Close(reason)
	}
}
