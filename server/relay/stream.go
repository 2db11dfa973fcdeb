package relay

import (
	"slices"
	"sync"
	"time"

	"foyer/server/flv"
	"foyer/server/rtmp"
)

// Limits of what a stream keeps for new players. Messages beyond them are
// passed on but not kept.
const (
	MaxHeaders     = 32       // sequence headers: one for each codec and track
	MaxHeaderBytes = 64 << 10 // of one sequence header, or of the metadata
)

// maxSpare is how many messages an empty queue of a player keeps room for.
const maxSpare = 64

// A Player takes the messages of a stream. Its methods do not block; a Stream
// calls them one at a time. A player whose WriteMessage fails is dropped.
type Player interface {
	WriteMessage(rtmp.Message) error
	Status(code, description string)
}

// A Stream passes the messages of one publisher to its players. Its methods are
// safe for concurrent use, and each player gets everything in order.
type Stream struct {
	// set by New
	name string
	made time.Time

	// guarded by mu
	mu       sync.Mutex
	live     bool
	video    bool  // there is video, so players begin at a key frame
	keyed    bool  // a key frame has come
	track    uint8 // of the last key frame
	clock    clock
	log      log
	key      uint64 // number of the last key frame, once keyed, or of what belongs to it
	pictured bool   // a picture has come
	picture  uint32 // the publisher's timestamp of the last one
	lead     uint64 // number of what came first in front of the next picture, if led
	led      bool
	metadata *rtmp.Message
	headers  []header       // in order of arrival
	intro    []rtmp.Message // metadata and headers, for players that begin now; nil: to be made
	keyIntro []rtmp.Message // the same for players that begin at key
	players  map[Player]*seat
	cursors  int
	grown    func() // see Watch
}

type header struct {
	key     headerKey
	message rtmp.Message
}

// A seat is a player's place at a stream. Everything for the player goes
// through queue, which one goroutine at a time empties. So the order holds, and
// the lock is not held while the player is called.
type seat struct {
	player Player // set by Join

	// guarded by Stream.mu
	queue    []item
	taken    int  // of queue
	emptying bool // some goroutine is in empty
	waiting  bool // for a key frame
}

// An item is a message, or a status when code is set.
type item struct {
	message           rtmp.Message
	code, description string
}

// New returns a stream that nobody publishes or plays yet.
func New(name string) *Stream {
	return &Stream{name: name, made: time.Now(), players: make(map[Player]*seat)}
}

// Publish says that a publisher begins. Players that waited for one are told
// NetStream.Play.PublishNotify. When there is a publisher already, the new one
// takes its place and players are told nothing.
func (s *Stream) Publish() { s.setLive(true, rtmp.CodePublishNotify, s.name+" is now published.") }

// Unpublish says that the broadcast is over: the publisher has said so, or nobody
// waits for it any longer. Players are told NetStream.Play.UnpublishNotify and wait
// for the next one. While somebody does wait for a publisher whose connection broke,
// neither Unpublish nor Lose is called.
func (s *Stream) Unpublish() {
	s.setLive(false, rtmp.CodeUnpublishNotify, s.name+" is now unpublished.")
}

// Lose says that nothing more comes here, though the broadcast may continue in another
// stream: when a room moves to another node. Followers are told
// NetStream.Play.UnpublishNotify, since RTMP has no other word. Other players are told
// nothing, because for them that is the end of the broadcast.
func (s *Stream) Lose() {
	s.mu.Lock()
	s.forgetLocked()
	if s.live {
		s.live = false
		s.noticeLocked(rtmp.CodeUnpublishNotify, s.name+" is now unpublished.")
	}
	s.unlockGrown(nil)
}

// setLive begins or ends a publication, of which players are told if it is a
// change.
func (s *Stream) setLive(live bool, code, description string) {
	s.mu.Lock()
	s.forgetLocked()
	var todo []*seat
	if s.live != live {
		s.live = live
		todo = s.tellLocked(code, description)
	}
	s.unlockGrown(todo)
}

// tellLocked tells all players, in order with the messages.
func (s *Stream) tellLocked(code, description string) (todo []*seat) {
	for _, p := range s.players {
		todo = p.putLocked(todo, item{code: code, description: description})
	}
	s.noticeLocked(code, description)
	return todo
}

// noticeLocked tells the followers.
func (s *Stream) noticeLocked(code, description string) {
	s.log.notify(s.clock.now(), code, description)
	s.trimLocked()
}

// unlockGrown unlocks mu and lets the players have what is new.
func (s *Stream) unlockGrown(todo []*seat) {
	grown := s.grown
	if s.cursors == 0 {
		grown = nil
	}
	s.mu.Unlock()
	s.empty(todo)
	if grown != nil {
		grown()
	}
}

// Watch has f called whenever there is something new for followers. The
// publisher's goroutine calls it, so f must not block.
func (s *Stream) Watch(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.grown = f
}

// Live reports whether there is a publisher.
func (s *Stream) Live() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live
}

func (s *Stream) forgetLocked() {
	s.video, s.keyed, s.metadata, s.headers, s.intro, s.keyIntro = false, false, nil, nil, nil, nil
	s.pictured, s.led = false, false
	s.clock.begin()
}

// Join adds a player. It gets the metadata, the sequence headers and everything
// since the last key frame at once, and then the stream; a stream without video
// begins with the present. Before a publisher comes, the player waits.
func (s *Stream) Join(p Player) {
	s.mu.Lock()
	if s.players[p] != nil {
		s.mu.Unlock()
		return
	}
	place := &seat{player: p}
	s.players[p] = place
	intro, begin, waiting := s.beginLocked()
	place.waiting = waiting
	var todo []*seat
	for _, m := range intro {
		todo = place.putLocked(todo, item{message: m})
	}
	for n := begin; n < s.log.next(); n++ {
		if e := s.log.at(n); e.notice == nil {
			todo = place.putLocked(todo, item{message: e.message})
		}
	}
	s.mu.Unlock()
	s.empty(todo)
}

// beginLocked returns where in the log a player begins, and what it needs
// before that, dated so that the time of no track jumps. waiting says that the player
// must wait for a key frame.
func (s *Stream) beginLocked() (intro []rtmp.Message, begin uint64, waiting bool) {
	begin, at := s.log.next(), s.clock.now()
	intro = s.introLocked()
	switch {
	case s.keyed && s.key >= s.log.first:
		begin, intro = s.key, s.keyIntro
		at = s.log.at(begin).message.Timestamp
	case s.video:
		waiting = true
	}
	dated := slices.Clone(intro)
	for i := range dated {
		if dated[i].Type == rtmp.TypeAudio || dated[i].Type == rtmp.TypeVideo {
			dated[i].Timestamp = at
		}
	}
	return dated, begin, waiting
}

// introLocked returns the messages that a player needs before it can begin now.
func (s *Stream) introLocked() []rtmp.Message {
	if s.intro == nil {
		s.intro = make([]rtmp.Message, 0, 1+len(s.headers))
		if s.metadata != nil {
			s.intro = append(s.intro, *s.metadata)
		}
		for _, h := range s.headers {
			s.intro = append(s.intro, h.message)
		}
	}
	return s.intro
}

// Leave removes a player. A message on its way may still arrive.
func (s *Stream) Leave(p Player) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if place := s.players[p]; place != nil {
		s.dropLocked(place)
	}
}

func (s *Stream) dropLocked(p *seat) {
	if s.players[p.player] == p {
		delete(s.players, p.player)
	}
	p.queue, p.taken = nil, 0
}

// Players returns the number of players, including those that wait.
func (s *Stream) Players() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.players) + s.cursors
}

// WriteMessage passes an audio, video or data message of the publisher to the
// players. While nobody publishes, it does nothing. It drops video from before
// the first key frame, which nobody could use.
func (s *Stream) WriteMessage(m rtmp.Message) {
	c := classify(&m)
	s.mu.Lock()
	if !s.live {
		s.mu.Unlock()
		return
	}
	if c.kind == clearMetadata {
		s.metadata, s.intro = nil, nil
		s.mu.Unlock()
		return
	}
	if c.kind == keyFrame && (s.minorLocked(c.track) || c.part == flv.More && s.pictured && m.Timestamp == s.picture) {
		c.kind = other
	}
	if c.part == flv.Begin || c.part == flv.More {
		s.pictured, s.picture = true, m.Timestamp
	}
	at := s.clock.stamp(&m)
	m.Timestamp = at
	if c.kind == metadata {
		m.Timestamp = 0 // it is true of the whole stream; at any other time ffmpeg takes it for a subtitle
	}
	s.keepLocked(m, c)
	if m.Type == rtmp.TypeVideo && !s.keyed && c.kind != sequenceHeader && !c.part.Leads() {
		s.mu.Unlock()
		return
	}
	s.log.age = uint32(time.Since(s.made) / time.Millisecond)
	m = s.log.append(m, at)
	s.trimLocked()
	var few [8]*seat
	todo := few[:0]
	for _, p := range s.players {
		if p.admitLocked(m, c, s.video) {
			todo = p.putLocked(todo, item{message: m})
		}
	}
	s.unlockGrown(todo)
}

// minorLocked reports whether players do not begin at the key frames of a track,
// because those of a track with a lower number still come. A player that began
// there would miss the key frame of the track that most people want, which is
// sent first.
func (s *Stream) minorLocked(track uint8) bool {
	return s.keyed && track > s.track && s.key >= s.log.first
}

// trimLocked forgets what no player will need any more.
func (s *Stream) trimLocked() {
	keep := s.log.next()
	if s.keyed {
		keep = s.key
	}
	s.log.trim(s.clock.now(), keep, s.cursors == 0)
}

// keepLocked keeps what new players will need.
func (s *Stream) keepLocked(m rtmp.Message, c class) {
	if m.Type == rtmp.TypeVideo && len(m.Payload) > 0 {
		s.video = true
	}
	if c.kind == keyFrame {
		s.keyed, s.track, s.key, s.keyIntro = true, c.track, s.log.next(), s.introLocked()
		if s.led && s.lead >= s.log.first {
			s.key = s.lead
		}
	}
	switch {
	case c.part.Leads():
		if !s.led {
			s.led, s.lead = true, s.log.next()
		}
	case c.part == flv.Begin || c.part == flv.More:
		s.led = false
	}
	if len(m.Payload) > MaxHeaderBytes {
		return
	}
	switch c.kind {
	case metadata:
		kept := m
		s.metadata, s.intro = &kept, nil
	case sequenceHeader:
		i := slices.IndexFunc(s.headers, func(h header) bool { return h.key == c.key })
		switch {
		case i >= 0:
			s.headers[i].message = m
		case len(s.headers) < MaxHeaders:
			s.headers = append(s.headers, header{c.key, m})
		}
		s.intro = nil
	}
}

// admitLocked reports whether the player is to have m, given whether the
// stream has video. A key frame ends its waiting.
func (p *seat) admitLocked(m rtmp.Message, c class, video bool) bool {
	if !video || c.kind == keyFrame {
		p.waiting = false
	}
	return !p.waiting || c.kind == metadata || c.kind == sequenceHeader ||
		m.Type != rtmp.TypeAudio && m.Type != rtmp.TypeVideo
}

// putLocked queues an item for the player. It appends p to todo when no
// goroutine is emptying its queue: then the caller must.
func (p *seat) putLocked(todo []*seat, it item) []*seat {
	p.queue = append(p.queue, it)
	if p.emptying {
		return todo
	}
	p.emptying = true
	return append(todo, p)
}

// empty passes on what is queued for each of the seats.
func (s *Stream) empty(todo []*seat) {
	for _, p := range todo {
		for it, ok := s.take(p); ok; it, ok = s.take(p) {
			if it.code != "" {
				p.player.Status(it.code, it.description)
			} else if p.player.WriteMessage(it.message) != nil {
				s.drop(p)
			}
		}
	}
}

// take takes the next item from the queue of p. When there is none, the caller
// no longer empties the queue.
func (s *Stream) take(p *seat) (it item, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.taken == len(p.queue) {
		p.queue, p.taken, p.emptying = p.queue[:0], 0, false
		if cap(p.queue) > maxSpare {
			p.queue = nil
		}
		return item{}, false
	}
	it, p.queue[p.taken] = p.queue[p.taken], item{}
	p.taken++
	return it, true
}

func (s *Stream) drop(p *seat) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropLocked(p)
}
