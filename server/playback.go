package server

import (
	"slices"
	"strings"

	"foyer/server/relay"
	"foyer/server/rtmp"
)

// playback is one client playing one stream.
type playback struct {
	client *Client
	stream *stream
	leave  func()       // leaves the relay; nil: it plays without
	up     *rtmp.Stream // the stream at the owner; nil: the owner is this node
	over   bool         // owned by the instance goroutine
}

// playing is the part of *rtmp.Play that is needed here. accept returns where
// the messages go.
type playing interface {
	accept(ended func()) relay.Player
	reject(error)
}

// play answers a client that wants to play. It may come before the publisher.
func (ss *streams) play(c *Client, name string, h playing) {
	failed := func(description string) error {
		return &rtmp.StatusError{Level: "error", Code: rtmp.CodePlayFailed, Description: description}
	}
	if ss.in.broken() || c.state != clientAccepted {
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
	if ss.player != nil && c.req.node != forStream {
		var err error
		if public, err = ss.player.OnPlay(c, name); err != nil {
			h.reject(err)
			return
		}
	}
	ss.begin(&playback{client: c, stream: ss.get(public)}, h)
}

// begin starts a playback that has been allowed.
func (ss *streams) begin(p *playback, h playing) {
	c, s := p.client, p.stream
	s.playing++
	c.playing = append(c.playing, p)
	player := h.accept(func() { ss.in.post(func() { ss.stopPlay(p) }) })
	switch c.req.node {
	case forClient: // it is only counted: the pictures go by a tunnelStream
		return
	case forStream:
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

// Play lets a peer play that did not ask by RTMP, such as a browser or an HTTP
// client. It blocks until the application has decided. stop ends it, and so
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

// peerPlay is playing for a peer that did not come by RTMP.
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
	if ss.player != nil && !ss.in.broken() && c.req.node != forStream {
		ss.player.OnStop(c, s.name)
	}
}
