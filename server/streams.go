package server

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"foyer/server/relay"
	"foyer/server/rtmp"
)

const (
	// MaxStreamName is the longest name to publish or play, in bytes.
	MaxStreamName = 255
	// publisherGrace is how long a silent publisher keeps its stream from a
	// newcomer that may not take over.
	publisherGrace = 5 * time.Second
	// A client may publish so many times at once, and then once in each pause.
	publishBurst = 10
	publishPause = time.Second
)

// streams are those of an instance, and belong to its goroutine.
type streams struct {
	in        *Instance
	publisher Publisher // nil: the application is none
	player    Player    // the same

	byName map[string]*stream
	turns  map[*Client]time.Time // of those that have published: see turnToPublish
	pulls  map[*Client]bool      // other nodes that take pictures
}

// stream is one of them: the relay, and who publishes to it.
type stream struct {
	name      string
	relay     *relay.Stream
	audiences []*audience  // its followers
	publisher *publication // nil while nobody publishes
	playing   int
	held      bool  // the application has asked for it
	pull      *pull // brings the pictures from the node that runs the instance
	kept      bool  // its publisher was lost, and the players wait: see Keeper
}

// Stream is the live stream of that public name, made if need be. Methods of
// relay.Stream are safe for any goroutine. Stream is for the instance
// goroutine only.
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
	if s.publisher == nil && s.playing == 0 && !s.held && !s.kept && s.pull == nil {
		delete(ss.byName, s.name)
	}
}

// badName is how publishing is refused.
func badName(description string) *rtmp.StatusError {
	return &rtmp.StatusError{Level: "error", Code: rtmp.CodePublishBadName, Description: description}
}

// check refuses what no application needs to see. A slash in a
// stream of the default instance comes from a tool that splits addresses
// elsewhere than we do: ffmpeg takes rtmp://h/chapter4/room/blue/live for the
// application chapter4/room and the stream blue/live. The client has been
// admitted to the wrong instance by then, so all that can be done is to say so.
func (ss *streams) check(name string) string {
	public, _, _ := strings.Cut(name, "?")
	switch {
	case public == "":
		return "The stream has no name."
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

// publication is one client publishing one stream, and the rtmp.Sink of what
// it sends: from the publisher's reader to the relay, past the instance.
type publication struct {
	client *Client
	stream *stream
	handle publishing
	watch  func(rtmp.Message) // nil when nobody does: see Watcher

	begun time.Time
	seen  atomic.Int64 // when the last message came
	over  atomic.Bool  // taken over, or ended

	// owned by the publisher's reader
	bytes, messages speed
	fast            bool // it was too fast: nothing more is counted, or passed on
}

// publishing is what is needed of *rtmp.Publish.
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

// Close is the end of what the publisher sends: without a word, unless it said
// that it stops.
func (p *publication) Close(err error) {
	in := p.client.in
	in.post(func() { in.streams.unpublish(p, err != nil && !errors.Is(err, rtmp.ErrGoodbye)) })
}

func (p *publication) silent() bool {
	return time.Since(time.Unix(0, p.seen.Load())) > publisherGrace
}

// publish answers a client that wants to publish.
func (ss *streams) publish(c *Client, name, kind string, h publishing) {
	if ss.in.broken || ss.publisher == nil && ss.in.tunnel == nil || c.state != clientAccepted {
		h.Reject(badName("Publishing is not allowed here."))
		return
	}
	if reason := ss.check(name); reason != "" {
		ss.in.log.Warn("publish refused", "client", c.ID(), "err", reason)
		h.Reject(badName(reason))
		return
	}
	if ss.in.tunnel != nil {
		ss.in.tunnel.publish(c, name, kind, h)
		return
	}
	if wait := ss.turnToPublish(c, time.Now()); wait > 0 {
		ss.in.After(wait, func() { ss.askToPublish(c, name, kind, h) })
		return
	}
	ss.askToPublish(c, name, kind, h)
}

// turnToPublish is how long a client has to wait that wants to publish: after
// publishBurst times, one publishPause for each. It, and nobody else, is not
// read meanwhile, for each beginning is told to everybody.
func (ss *streams) turnToPublish(c *Client, now time.Time) time.Duration {
	if ss.turns == nil {
		ss.turns = make(map[*Client]time.Time)
	}
	due := ss.turns[c]
	if due.Before(now) {
		due = now
	}
	due = due.Add(publishPause)
	ss.turns[c] = due
	return due.Sub(now) - publishBurst*publishPause
}

// askToPublish asks the application.
func (ss *streams) askToPublish(c *Client, name, kind string, h publishing) {
	if ss.in.broken || c.state != clientAccepted {
		return // there is nobody to be told
	}
	public, takeover, err := ss.publisher.OnPublish(c, name, kind)
	if wait, ok := errors.AsType[*later](err); ok {
		ss.in.After(wait.wait, func() {
			if c.state == clientAccepted { // otherwise there is nobody to be told
				public, takeover, err := wait.decide()
				ss.publishAs(c, public, takeover, err, h)
			}
		})
		return
	}
	ss.publishAs(c, public, takeover, err, h)
}

// publishAs does what the application has decided.
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

// unpublish ends a publication, unless it was taken over before. The players
// may be left to wait for one that was lost.
func (ss *streams) unpublish(p *publication, lost bool) {
	kept := ss.keep(p, lost)
	if !ss.endPublication(p) {
		return
	}
	p.stream.publisher, p.stream.kept = nil, kept
	if kept {
		return
	}
	p.stream.relay.Unpublish()
	ss.forget(p.stream)
}

// endPublication tells the application, once, and reports whether it did. The
// players are not told: somebody else may follow.
func (ss *streams) endPublication(p *publication) bool {
	if p.over.Swap(true) {
		return false
	}
	c := p.client
	c.streams = slices.DeleteFunc(c.streams, func(q *publication) bool { return q == p })
	ss.in.log.Info("stream unpublished", "client", c.ID(), "stream", p.stream.name)
	if !ss.in.broken {
		ss.publisher.OnUnpublish(c, p.stream.name)
	}
	return true
}

// playback is one client playing one stream.
type playback struct {
	client *Client
	stream *stream
	leave  func()       // the relay; nil: it plays without
	up     *rtmp.Stream // on the node that runs the instance; nil: that is here
	over   bool         // owned by the instance goroutine
}

// playing is what is needed of *rtmp.Play: accept returns where the messages go.
type playing interface {
	accept(ended func()) relay.Player
	reject(error)
}

// play answers a client that wants to play. It may come before the publisher.
func (ss *streams) play(c *Client, name string, h playing) {
	failed := func(description string) error {
		return &rtmp.StatusError{Level: "error", Code: rtmp.CodePlayFailed, Description: description}
	}
	if ss.in.broken || c.state != clientAccepted {
		h.reject(failed("The instance is shutting down."))
		return
	}
	if reason := ss.check(name); reason != "" {
		ss.in.log.Warn("play refused", "client", c.ID(), "err", reason)
		h.reject(failed(reason))
		return
	}
	if ss.in.tunnel != nil {
		ss.in.tunnel.play(c, name, h)
		return
	}
	public, _, _ := strings.Cut(name, "?")
	if ss.player != nil && c.req.node != forPull {
		var err error
		if public, err = ss.player.OnPlay(c, name); err != nil {
			h.reject(err)
			return
		}
	}
	ss.begin(&playback{client: c, stream: ss.get(public)}, h)
}

// begin lets a client play that may.
func (ss *streams) begin(p *playback, h playing) {
	c, s := p.client, p.stream
	s.playing++
	c.playing = append(c.playing, p)
	player := h.accept(func() { ss.in.post(func() { ss.stopPlay(p) }) })
	switch c.req.node {
	case forClient: // it is only counted: the pictures go by a pull
		return
	case forPull:
		tellLive(player, s.relay)
	}
	switch player := player.(type) {
	case nil:
	case relay.Follower:
		p.leave = ss.in.host.fan.follow(s.audiences, s.relay, player)
	default:
		s.relay.Join(player)
		p.leave = func() { s.relay.Leave(player) }
	}
}

// Play lets a peer play that did not ask for it by RTMP: a browser, an HTTP
// client. It blocks until the application has decided; stop ends it, and so
// does Leave. A nil player gets its pictures elsewhere, from a remux that many
// share, and is only counted. Not for the instance goroutine.
func (c *Client) Play(name string, player relay.Player) (stop func(), err error) {
	k := &peerPlay{player: player, decided: make(chan error, 1)}
	if !c.in.post(func() { c.in.streams.play(c, name, k) }) {
		return nil, appShutdown()
	}
	if err := <-k.decided; err != nil {
		return nil, err
	}
	return k.ended, nil
}

// peerPlay is the playing of a peer that does not come by RTMP.
type peerPlay struct {
	player  relay.Player
	ended   func()
	decided chan error
}

func (k *peerPlay) accept(ended func()) relay.Player {
	k.ended = ended
	k.decided <- nil
	return k.player
}

func (k *peerPlay) reject(err error) { k.decided <- err }

// Stream is the stream of that public name that somebody publishes now in a
// running instance ("room/blue"), or nil. One that another node runs is asked
// for it, and the stream brought here, which may take pullWait.
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

// published is the stream of that name that somebody publishes now, and whose
// pictures are at this node; or nil. Not for the instance goroutine.
func (ss *streams) published(name string) *relay.Stream {
	found := make(chan *relay.Stream, 1)
	if !ss.in.post(func() {
		s := ss.byName[name]
		if s != nil && (s.publisher != nil || s.pull != nil && s.relay.Live()) {
			found <- s.relay
			return
		}
		found <- nil
	}) {
		return nil
	}
	return <-found
}

// stopPlay ends a playback, once.
func (ss *streams) stopPlay(p *playback) {
	if p.over {
		return
	}
	p.over = true
	c, s := p.client, p.stream
	c.playing = slices.DeleteFunc(c.playing, func(q *playback) bool { return q == p })
	if p.leave != nil {
		p.leave()
	}
	s.playing--
	if ss.in.tunnel != nil {
		ss.in.tunnel.stopped(p)
	}
	ss.forget(s)
	if ss.player != nil && !ss.in.broken && c.req.node != forPull {
		ss.player.OnStop(c, s.name)
	}
}

// drop ends what a client publishes and plays.
func (ss *streams) drop(c *Client) {
	delete(ss.turns, c)
	for len(c.streams) > 0 {
		ss.unpublish(c.streams[0], true)
	}
	for len(c.playing) > 0 {
		ss.stopPlay(c.playing[0])
	}
}
