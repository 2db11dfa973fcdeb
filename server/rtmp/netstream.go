package rtmp

import "foyer/server/amf"

// A netStream is a message stream that the peer has created. It publishes,
// plays, or does nothing. That is guarded by the session's mu, and changed on
// Run's goroutine only.
type netStream struct {
	id      uint32
	publish *Publish
	play    *Play
	wish    wish
}

// streamCommands are the NetStream commands (RTMP 1.0 §7.2.2) and those that
// accompany them. A Session serves them when its Handler is a StreamHandler.
var streamCommands = map[string]func(*Session, *command) error{
	"createStream":    (*Session).serveCreateStream,
	"deleteStream":    withArgs((*Session).serveDeleteStream),
	"closeStream":     withArgs((*Session).serveCloseStream),
	"publish":         withArgs((*Session).servePublish),
	"play":            withArgs((*Session).servePlay),
	"pause":           withArgs((*Session).servePause),
	"pauseRaw":        withArgs((*Session).servePause),
	"receiveAudio":    withArgs((*Session).serveReceive),
	"receiveVideo":    withArgs((*Session).serveReceive),
	"seek":            (*Session).serveSeek,
	"getStreamLength": (*Session).serveStreamLength,
	"releaseStream":   (*Session).serveReleaseStream,
	"FCPublish":       withArgs((*Session).serveFCPublish),
	"FCUnpublish":     withArgs((*Session).serveFCUnpublish),
	"FCSubscribe":     withArgs((*Session).serveFCSubscribe),
	"FCUnsubscribe":   (*Session).serveReleaseStream,
}

// withArgs serves a command whose arguments matter.
func withArgs(serve func(*Session, *command, amf.Args)) func(*Session, *command) error {
	return func(s *Session, cmd *command) error {
		args, err := cmd.arguments()
		if err == nil {
			serve(s, cmd, args)
		}
		return err
	}
}

func (s *Session) serveCreateStream(cmd *command) error {
	s.mu.Lock()
	id := 0
	for id < len(s.peer) && s.peer[id] != nil {
		id++
	}
	switch {
	case id == MaxStreams:
		s.mu.Unlock()
		return s.replyError(cmd, &StatusError{Code: CodeCallFailed, Description: "Too many streams."})
	case id == len(s.peer):
		s.peer = append(s.peer, nil)
	}
	s.peer[id] = &netStream{id: uint32(id + 1)}
	s.mu.Unlock()
	return s.reply(cmd, amf.Number(id+1))
}

// stream returns the peer's message stream, or nil.
func (s *Session) stream(id uint32) *netStream {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.streamLocked(id)
}

func (s *Session) streamLocked(id uint32) *netStream {
	if id == 0 || uint64(id) > uint64(len(s.peer)) {
		return nil
	}
	return s.peer[id-1]
}

// serveDeleteStream deletes the stream whose id is the argument (RTMP 1.0
// §7.2.2.3).
func (s *Session) serveDeleteStream(cmd *command, args amf.Args) {
	st := s.meant(args, cmd)
	if st == nil {
		return
	}
	s.closeStream(st)
	s.mu.Lock()
	s.peer[st.id-1] = nil
	s.mu.Unlock()
}

// serveCloseStream closes a stream, which can be used again.
func (s *Session) serveCloseStream(cmd *command, args amf.Args) {
	if st := s.meant(args, cmd); st != nil {
		s.closeStream(st)
	}
}

// meant is the stream that a command ends: that of the argument, or the one that
// the command comes on. Peers do both for either command.
func (s *Session) meant(args amf.Args, cmd *command) *netStream {
	n, ok := amf.AsNumber(args.At(0))
	if st := s.stream(uint32(n)); ok && st != nil {
		return st
	}
	return s.stream(cmd.stream)
}

// closeStream stops publishing or playing on st, as the peer asked.
func (s *Session) closeStream(st *netStream) {
	s.stopPublish(st)
	s.endStream(st, nil)
}

// endStream stops publishing or playing on st for reason, without telling the
// peer.
func (s *Session) endStream(st *netStream, reason error) {
	s.mu.Lock()
	publish, play := st.publish, st.play
	st.publish, st.play, st.wish = nil, nil, wish{}
	s.mu.Unlock()
	if publish != nil {
		publish.end(reason)
	}
	if play != nil {
		play.end()
	}
}

// status sends an onStatus on message stream id.
func (s *Session) status(l lane, id uint32, info *StatusError) {
	s.send(l, statusMessage(id, s.amf3, info))
}

// begin sends StreamBegin (RTMP 1.0 §7.1.7). It goes into the command lane, so
// that it keeps its place among the answers.
func (s *Session) begin(id uint32) { s.send(laneCommands, userControl(eventStreamBegin, id)) }

// streamStatus makes an information object with the level status, about the
// stream with that name.
func streamStatus(code, description, name string) *StatusError {
	return &StatusError{
		Level: LevelStatus, Code: code, Description: description,
		Extra: []amf.Field{{Name: "details", Value: amf.String(name)}},
	}
}

// noStream answers a command on a message stream that does not exist.
func (s *Session) noStream(cmd *command, code string) {
	s.status(laneCommands, cmd.stream, &StatusError{Code: code, Description: "No such message stream."})
}

// serveReleaseStream answers commands of FMLE that have no effect here.
func (s *Session) serveReleaseStream(cmd *command) error { return s.reply(cmd, amf.Undefined{}) }

// serveFCPublish answers the announcement of a publish command with
// onFCPublish, as FMLE expects.
func (s *Session) serveFCPublish(cmd *command, args amf.Args) {
	s.answerFC(cmd, args, "onFCPublish", CodePublishStart)
}

// serveFCSubscribe sends the answer that live players of some content networks
// wait for.
func (s *Session) serveFCSubscribe(cmd *command, args amf.Args) {
	s.answerFC(cmd, args, "onFCSubscribe", CodePlayStart)
}

func (s *Session) answerFC(cmd *command, args amf.Args, method, code string) {
	name, _ := amf.AsString(args.At(0))
	s.reply(cmd, amf.Undefined{})
	info := &StatusError{Level: LevelStatus, Code: code, Description: publicName(name)}
	s.send(laneCommands, commandMessage(0, s.amf3, method, 0, amf.Null{}, info.Object()))
}

// serveFCUnpublish ends the stream published under the name, which encoders send
// with the query of publish or without. No name means the only stream.
func (s *Session) serveFCUnpublish(cmd *command, args amf.Args) {
	name, _ := amf.AsString(args.At(0))
	name = publicName(name)
	s.reply(cmd, amf.Undefined{})
	s.mu.Lock()
	var named, only *Publish
	streams := 0
	for _, st := range s.peer {
		if st != nil && st.publish != nil {
			only = st.publish
			streams++
			if only.public() == name {
				named = only
			}
		}
	}
	s.mu.Unlock()
	if name == "" && streams == 1 {
		named = only
	}
	if named != nil {
		named.unpublish()
	}
}

// serveStreamLength answers players that ask for the length before they play: a
// live stream is 0 long.
func (s *Session) serveStreamLength(cmd *command) error { return s.reply(cmd, amf.Number(0)) }
