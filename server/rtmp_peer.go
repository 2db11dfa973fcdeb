package server

import (
	"foyer/server/amf"
	"foyer/server/guard"
	"foyer/server/relay"
	"foyer/server/rtmp"
	"foyer/server/sharedobject"
)

// rtmpPeer is an RTMP session as the peer of a client, and the handler of that
// session.
type rtmpPeer struct {
	*rtmp.Session
	client *Client     // set before the session runs
	place  guard.Place // of the connection; left by serveConn
}

// Vouch implements Voucher.
func (p *rtmpPeer) Vouch() { p.place.Vouch() }

// Push queues m in the bytes that all peers of the same encoding share.
func (p *rtmpPeer) Push(m *Push) error {
	if p.ObjectEncoding() == 3 {
		return p.SendShared(m.Bytes(AMF3, pack3))
	}
	return p.SendShared(m.Bytes(AMF0, pack0))
}

// ServeCall implements rtmp.Handler.
func (p *rtmpPeer) ServeCall(k *rtmp.Call) {
	p.client.ServeCall(k.Method, k.Args, answer(k, p.client))
}

// answer returns the function that replies to a call, nil when no answer is
// wanted. The bytes of the reply are on the account of c, unless that is nil.
func answer(k *rtmp.Call, c *Client) func(amf.Value, error) {
	if !k.WantsReply() {
		return nil
	}
	return func(v amf.Value, err error) {
		if err != nil {
			k.Fail(err)
			return
		}
		bytes := k.Reply(v)
		if c != nil {
			c.Answered(bytes)
		}
	}
}

// ServeSharedObject implements rtmp.SharedObjectHandler.
func (p *rtmpPeer) ServeSharedObject(m rtmp.Message) {
	so, err := sharedobject.Parse(m.Payload, m.Type == rtmp.TypeSharedObjectAMF3)
	if err != nil {
		p.Close(&rtmp.ProtocolError{Offset: p.Stats().BytesIn, Err: err})
		return
	}
	p.client.ServeSharedObject(so)
}

// ServePublish implements rtmp.StreamHandler.
func (p *rtmpPeer) ServePublish(k *rtmp.Publish) {
	c := p.client
	k.Name = c.published(k.Name)
	if !c.ask(func() { c.in.streams.publish(c, k.Name, k.Kind, k) }) {
		k.Reject(appShutdown())
	}
}

// ServePlay implements rtmp.StreamHandler.
func (p *rtmpPeer) ServePlay(k *rtmp.Play) {
	c := p.client
	k.Name = c.played(k.Name)
	if !c.ask(func() { c.in.streams.play(c, k.Name, player{k}) }) {
		k.Reject(appShutdown())
	}
}

// player adapts *rtmp.Play, whose Accept returns a concrete type.
type player struct{ *rtmp.Play }

func (k player) accept(ended func()) relay.Player { return k.Accept(ended) }
func (k player) reject(err error)                 { k.Reject(err) }
