package rtmp

import (
	"slices"

	"foyer/server/amf"
	"foyer/server/flv"
)

// Values of a Play's Start that are no position.
const (
	StartAny  = -2000 // live, else recorded, else wait for somebody to publish
	StartLive = -1000 // live only
)

// Play is a play command. Start and Duration are in milliseconds, as on the
// wire; Start may be StartAny or StartLive, Duration -1000 means to the end.
type Play struct {
	Name            string
	Start, Duration float64
	Reset           bool

	s  *Session
	id uint32

	// guarded by the session's mu
	player  *Player
	ended   func()
	settled bool
	over    bool
}

// servePlay asks the Handler (RTMP 1.0 §7.2.2.1). It ends an earlier play of
// the stream.
func (s *Session) servePlay(cmd *command, args amf.Args) {
	st := s.stream(cmd.stream)
	if st == nil {
		s.noStream(cmd, CodePlayFailed)
		return
	}
	if stop, only := stops(args.At(0)); stop && (s.stopPlay(st) || only) {
		return
	}
	p := parsePlay(args)
	p.s, p.id = s, cmd.stream
	s.mu.Lock()
	before := st.play
	publishing := st.publish != nil
	if !publishing {
		st.play = p
	}
	if before != nil {
		st.wish.again()
	}
	s.mu.Unlock()
	if publishing {
		s.status(laneCommands, cmd.stream, &StatusError{Code: CodePlayFailed, Description: "This stream is in use."})
		return
	}
	if before != nil {
		before.end()
	}
	s.h.(StreamHandler).ServePlay(p)
}

// stops reports whether the first argument of publish or play asks to stop, as
// Flash's publish(false) and play(false) do. Wirecast sends null, which is no
// more than a missing name while there is nothing to stop: only says that it
// can mean nothing else.
func stops(name amf.Value) (stop, only bool) {
	switch v := name.(type) {
	case amf.Bool:
		return !bool(v), !bool(v)
	case amf.Null, amf.Undefined, nil:
		return true, false
	}
	return false, false
}

// stopPlay stops playing, as the peer asked, and reports whether there was
// something to stop. The answer follows the last picture.
func (s *Session) stopPlay(st *netStream) bool {
	s.mu.Lock()
	p := st.play
	st.play = nil
	st.wish.again()
	s.mu.Unlock()
	if p == nil {
		return false
	}
	p.end()
	s.send(laneMedia, userControl(eventStreamEOF, st.id))
	s.status(laneMedia, st.id, streamStatus(CodePlayStop, "Stopped playing "+p.Name+".", p.Name))
	return true
}

// parsePlay reads the arguments of play. The specification's examples have
// seconds where everybody sends milliseconds, so -2 and -1 are accepted, too.
func parsePlay(args amf.Args) *Play {
	p := &Play{Start: StartAny, Duration: -1000, Reset: true}
	p.Name, _ = amf.AsString(args.At(0))
	if n, ok := amf.AsNumber(args.At(1)); ok {
		p.Start = n
		if n == -2 || n == -1 {
			p.Start = n * 1000
		}
	}
	if n, ok := amf.AsNumber(args.At(2)); ok && n >= 0 {
		p.Duration = n
	}
	if b, ok := amf.AsBool(args.At(3)); ok {
		p.Reset = b
	} else if n, ok := amf.AsNumber(args.At(3)); ok {
		p.Reset = n != 0
	}
	return p
}

// Accept answers in Flash Media Server's order: StreamBegin, Play.Reset,
// Play.Start, and for a Flash Player |RtmpSampleAccess and
// NetStream.Data.Start, which are data: ffmpeg would show an empty track for
// each, and copy it. It returns the Player
// that takes the stream's messages. ended, if not nil, is called once: when the
// player stops playing for whatever reason, or at once if it has already
// stopped.
func (p *Play) Accept(ended func()) *Player {
	pl := &Player{p: p}
	p.s.mu.Lock()
	if p.settled || p.over {
		p.s.mu.Unlock()
		if ended != nil {
			ended()
		}
		return pl
	}
	p.settled, p.ended = true, ended
	p.s.mu.Unlock()

	p.s.begin(p.id)
	if p.Reset {
		p.s.status(laneCommands, p.id, streamStatus(CodePlayReset, "Playing and resetting "+p.Name+".", p.Name))
	}
	p.s.status(laneCommands, p.id, streamStatus(CodePlayStart, "Started playing "+p.Name+".", p.Name))
	if p.s.c.flash {
		p.s.send(laneMedia, dataMessage(p.id, amf.String("|RtmpSampleAccess"), amf.Bool(false), amf.Bool(false)))
		p.s.send(laneMedia, dataMessage(p.id, amf.String("onStatus"),
			amf.Object{{Name: "code", Value: amf.String("NetStream.Data.Start")}}))
	}
	pl.obey()
	return pl
}

// obey makes pl the stream's player, and does what the peer has asked of it
// since the play command or before that.
func (pl *Player) obey() {
	p := pl.p
	p.s.mu.Lock()
	st := p.s.streamLocked(p.id)
	if st == nil || st.play != p {
		p.s.mu.Unlock()
		return // it has stopped already
	}
	p.player, pl.g = pl, st.wish.gate
	sought := st.wish.sought
	st.wish.again()
	p.s.mu.Unlock()
	if pl.g.paused {
		pl.pauseNotify(true)
	}
	if sought {
		pl.seekNotify()
	}
}

// Reject answers NetStream.Play.StreamNotFound for nil, a *StatusError as it
// is, and any other error as NetStream.Play.Failed without its text.
func (p *Play) Reject(err error) {
	p.s.mu.Lock()
	if p.settled || p.over {
		p.s.mu.Unlock()
		return
	}
	p.settled, p.over = true, true
	if st := p.s.streamLocked(p.id); st != nil && st.play == p {
		st.play = nil
		st.wish.again()
	}
	p.s.mu.Unlock()
	info := &StatusError{Code: CodePlayNotFound, Description: p.Name + " was not found."}
	if err != nil {
		info = statusOf(err, CodePlayFailed, p.Name+" cannot be played.")
	}
	p.s.status(laneCommands, p.id, info)
}

// end notes that the player has stopped. It is called on Run's goroutine, when
// st.play is no longer p.
func (p *Play) end() {
	p.s.mu.Lock()
	ended := p.ended
	p.ended, p.over = nil, true
	p.s.mu.Unlock()
	if ended != nil {
		ended()
	}
}

// Player writes to one playing stream. Its methods may be used by any
// goroutine and do not block.
type Player struct {
	p *Play
	w burst

	// guarded by the session's mu
	g    gate
	held []Message // sequence headers that came while the player did not want them
	at   uint32    // time of the last message that it did not want
}

// maxHeld is how many sequence headers are held for a player: one for each codec
// and track.
const maxHeld = 8

// WriteMessage sends m on the player's stream, in the media lane, whatever m's
// StreamID. It honours pause, receiveAudio and receiveVideo; when the player
// does not read fast enough, it drops video up to the next key frame, then
// sound. An error means that the player is gone.
func (pl *Player) WriteMessage(m Message) error {
	m.StreamID = pl.p.id
	pl.hold(m)
	return pl.p.s.media(&pl.g, &pl.p.over, m)
}

// hold keeps a sequence header that the player does not want to have now.
func (pl *Player) hold(m Message) {
	s := pl.p.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if !pl.g.unwanted(m.Type) {
		return
	}
	pl.at = m.Timestamp
	var t flv.Tag
	if !t.Parse(flv.Media(m.Type), m.Payload) || !isHeader(&t) {
		return
	}
	pl.held = slices.DeleteFunc(pl.held, func(old Message) bool {
		var o flv.Tag
		o.Parse(flv.Media(old.Type), old.Payload)
		return o.Media == t.Media && o.Kind == t.Kind && o.Codec == t.Codec && o.Track == t.Track
	})
	if len(pl.held) == maxHeld {
		pl.held = slices.Delete(pl.held, 0, 1)
	}
	pl.held = append(pl.held, m)
}

// want changes what the player wants to have. Before audio or video comes what
// it cannot be decoded without.
func (pl *Player) want(change func(*gate)) {
	s := pl.p.s
	s.mu.Lock()
	change(&pl.g)
	var due []Message
	pl.held = slices.DeleteFunc(pl.held, func(m Message) bool {
		if pl.g.unwanted(m.Type) {
			return false
		}
		m.Timestamp = pl.at
		due = append(due, m)
		return true
	})
	if len(due) == 0 || s.sealed {
		s.mu.Unlock()
		return
	}
	s.addLocked(laneMedia, Pack(due...), nil)
	s.writeLocked()
}

// media sends a message of audio, video or data if g lets it pass. over is
// guarded by mu, as g is.
func (s *Session) media(g *gate, over *bool, m Message) error {
	s.mu.Lock()
	switch {
	case s.sealed:
		defer s.mu.Unlock()
		return s.reason
	case *over:
		s.mu.Unlock()
		return ErrClosed
	case !g.pass(&s.out, m, packedLen(&m, ChunkSize)):
		s.mu.Unlock()
		s.dropped.Add(1)
		return nil
	}
	s.mu.Unlock()
	return s.push(laneMedia, Pack(m))
}

// Status sends an onStatus on this stream, in order with its messages:
// PublishNotify, UnpublishNotify … Its level is status, or warning for
// CodePlaySlow: ffmpeg stops only at the level error.
func (pl *Player) Status(code, description string) {
	p := pl.p
	p.s.mu.Lock()
	over := p.over
	p.s.mu.Unlock()
	if over {
		return
	}
	info := streamStatus(code, description, p.Name)
	if code == CodePlaySlow {
		info.Level = LevelWarning
	}
	p.s.status(laneMedia, p.id, info)
}

// Close ends the player's connection. The player is told why on its stream,
// with the level error, if there is room for that.
func (pl *Player) Close(err error) {
	s := pl.p.s
	reason := statusOf(err, CodePlayFailed, pl.p.Name+" cannot be played on.")
	s.leave(reason, s.lastStatus(pl.p.id, reason))
}

// A wish is what the peer has asked of a stream, for the next play to be
// accepted: the commands may come in one write with play, or before it.
type wish struct {
	gate        // receiveAudio and receiveVideo hold until the stream is closed
	sought bool // seek wants an answer
}

// again forgets what concerned one play only.
func (w *wish) again() { w.paused, w.sought = false, false }

// playerLocked returns the player of a message stream that the peer has
// created; nil until its play is accepted.
func (st *netStream) playerLocked() *Player {
	if st.play == nil {
		return nil
	}
	return st.play.player
}

// servePause pauses and resumes a stream. A live stream resumes at its next key
// frame (RTMP 1.0 §7.2.2.8).
func (s *Session) servePause(cmd *command, args amf.Args) {
	on, _ := amf.AsBool(args.At(0))
	st := s.stream(cmd.stream)
	if st == nil {
		return
	}
	s.mu.Lock()
	pl := st.playerLocked()
	if pl == nil {
		st.wish.paused = on
	}
	s.mu.Unlock()
	if pl == nil {
		return
	}
	if !on {
		pl.pauseNotify(on)
	}
	pl.want(func(g *gate) { g.paused, g.waiting = on, true })
	if on {
		pl.pauseNotify(on)
	}
}

func (pl *Player) pauseNotify(on bool) {
	if on {
		pl.Status(CodePauseNotify, "Pausing "+pl.p.Name+".")
	} else {
		pl.Status(CodeUnpauseNotify, "Unpausing "+pl.p.Name+".")
	}
}

// serveReceive serves receiveAudio and receiveVideo (RTMP 1.0 §7.2.2.4, §7.2.2.5).
func (s *Session) serveReceive(cmd *command, args amf.Args) {
	on, ok := amf.AsBool(args.At(0))
	st := s.stream(cmd.stream)
	if st == nil || !ok {
		return
	}
	audio := cmd.name == "receiveAudio"
	s.mu.Lock()
	st.wish.receive(audio, on)
	pl := st.playerLocked()
	s.mu.Unlock()
	if pl == nil {
		return
	}
	if on {
		pl.seekNotify()
		pl.Status(CodePlayStart, "Started playing "+pl.p.Name+".")
	}
	pl.want(func(g *gate) { g.receive(audio, on) })
}

// serveSeek only answers, since nobody can seek in a live stream (RTMP 1.0
// §7.2.2.7).
func (s *Session) serveSeek(cmd *command) error {
	st := s.stream(cmd.stream)
	if st == nil {
		return nil
	}
	s.mu.Lock()
	pl := st.playerLocked()
	st.wish.sought = pl == nil
	s.mu.Unlock()
	if pl != nil {
		pl.seekNotify()
	}
	return nil
}

func (pl *Player) seekNotify() { pl.Status(CodeSeekNotify, "Seeking "+pl.p.Name+".") }
