package relay

import (
	"slices"
	"sync"

	"foyer/server/rtmp"
)

// Limits of what a stream keeps for players to come. What goes over them is
// passed on but not kept.
const (
	MaxHeaders     = 32       // sequence headers: one for each codec and track
	MaxHeaderBytes = 64 << 10 // of one sequence header, or of the metadata
)

// A Player takes the messages of a stream. Its methods do not block; a Stream
// calls them one at a time. One whose WriteMessage fails is dropped.
type Player interface {
	WriteMessage(rtmp.Message) error
	Status(code, description string)
}

// A Stream passes what one publisher sends to its players. Its methods are safe
// for concurrent use; what one player is told keeps its order.
type Stream struct {
	name string // set by New

	// guarded by mu
	mu       sync.Mutex
	live     bool
	video    bool // there is video, so players begin at a key frame
	now      uint32
	metadata *rtmp.Message
	headers  []header // in order of arrival
	players  map[Player]*seat
}

type header struct {
	key     headerKey
	message rtmp.Message
}

// A seat is a player's place at a stream. Everything for the player goes
// through queue, which one goroutine at a time empties: the lock is not held
// while the player is called, and the order holds.
type seat struct {
	player Player // set by Join

	// guarded by Stream.mu
	queue     []item
	emptying  bool // some goroutine is in empty
	playing   bool // has had its key frame, or needs none
	announced bool // has been told that the stream is published
}

// An item is a message, or a status when code is set.
type item struct {
	message           rtmp.Message
	code, description string
}

// New returns a stream that nobody publishes or plays yet.
func New(name string) *Stream {
	return &Stream{name: name, players: make(map[Player]*seat)}
}

// Publish says that a publisher begins. Players that waited for one are told
// NetStream.Play.PublishNotify. When another publisher was there, the new one
// takes its place without a word to the players.
func (s *Stream) Publish() {
	s.mu.Lock()
	s.forgetLocked()
	s.live = true
	var todo []*seat
	for _, p := range s.players {
		p.playing = false
		if !p.announced {
			p.announced = true
			todo = p.putLocked(todo, item{code: rtmp.CodePublishNotify, description: s.name + " is now published."})
		}
	}
	s.mu.Unlock()
	s.empty(todo)
}

// Unpublish says that the publisher has gone. Players are told
// NetStream.Play.UnpublishNotify and wait for the next one.
func (s *Stream) Unpublish() {
	s.mu.Lock()
	s.forgetLocked()
	s.live = false
	var todo []*seat
	for _, p := range s.players {
		if p.announced {
			p.announced = false
			todo = p.putLocked(todo, item{code: rtmp.CodeUnpublishNotify, description: s.name + " is now unpublished."})
		}
	}
	s.mu.Unlock()
	s.empty(todo)
}

// Live reports whether somebody publishes.
func (s *Stream) Live() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live
}

func (s *Stream) forgetLocked() {
	s.video, s.now, s.metadata, s.headers = false, 0, nil, nil
}

// Join adds a player. It gets the metadata and the sequence headers at once and
// the stream from the next key frame; a stream without video at once. Before a
// publisher comes, the player waits.
func (s *Stream) Join(p Player) {
	s.mu.Lock()
	if s.players[p] != nil {
		s.mu.Unlock()
		return
	}
	// The play command's own answer says that the stream is there.
	place := &seat{player: p, announced: s.live}
	s.players[p] = place
	var todo []*seat
	if s.metadata != nil {
		todo = place.putLocked(todo, item{message: s.nowLocked(*s.metadata)})
	}
	for _, h := range s.headers {
		todo = place.putLocked(todo, item{message: s.nowLocked(h.message)})
	}
	s.mu.Unlock()
	s.empty(todo)
}

// nowLocked moves a message that was kept to the present: to a player that
// begins here, time must not jump.
func (s *Stream) nowLocked(m rtmp.Message) rtmp.Message {
	m.Timestamp = s.now
	return m
}

// Leave removes a player. A message that is on its way may still arrive.
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
	p.queue = nil
}

// Players is the number of players, those that wait included.
func (s *Stream) Players() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.players)
}

// WriteMessage passes an audio, video or data message of the publisher to the
// players. While nobody publishes, it does nothing.
func (s *Stream) WriteMessage(m rtmp.Message) {
	c := classify(m)
	s.mu.Lock()
	if !s.live || c.kind == clearMetadata {
		s.metadata = nil
		s.mu.Unlock()
		return
	}
	s.keepLocked(m, c)
	var todo []*seat
	for _, p := range s.players {
		if p.admitLocked(m, c, s.video) {
			todo = p.putLocked(todo, item{message: m})
		}
	}
	s.mu.Unlock()
	s.empty(todo)
}

// keepLocked remembers what players to come will need.
func (s *Stream) keepLocked(m rtmp.Message, c class) {
	if m.Type != rtmp.TypeDataAMF0 && m.Type != rtmp.TypeDataAMF3 {
		s.now = m.Timestamp
	}
	if m.Type == rtmp.TypeVideo && len(m.Payload) > 0 {
		s.video = true
	}
	if len(m.Payload) > MaxHeaderBytes {
		return
	}
	switch c.kind {
	case metadata:
		s.metadata = &m
	case sequenceHeader:
		i := slices.IndexFunc(s.headers, func(h header) bool { return h.key == c.key })
		switch {
		case i >= 0:
			s.headers[i].message = m
		case len(s.headers) < MaxHeaders:
			s.headers = append(s.headers, header{c.key, m})
		}
	}
}

// admitLocked reports whether the player is to have m, given whether the
// stream has video. A key frame begins its playing.
func (p *seat) admitLocked(m rtmp.Message, c class, video bool) bool {
	switch {
	case c.kind == metadata || c.kind == sequenceHeader:
		return true
	case m.Type != rtmp.TypeAudio && m.Type != rtmp.TypeVideo:
		return true
	case c.kind == keyFrame:
		p.playing = true
	}
	return p.playing || !video
}

// putLocked queues it for the player and appends p to todo when nobody else is
// emptying its queue: the caller then must.
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

// take takes the next item out of the queue of p; when there is none, it gives
// up the duty to empty it.
func (s *Stream) take(p *seat) (it item, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(p.queue) == 0 {
		p.queue, p.emptying = nil, false
		return item{}, false
	}
	it, p.queue = p.queue[0], p.queue[1:]
	return it, true
}

func (s *Stream) drop(p *seat) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropLocked(p)
}
