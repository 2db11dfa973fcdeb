package node

import (
	"context"
	"errors"
	"strings"

	"foyer/lobby"
	"foyer/server"
	"foyer/server/amf"
	"foyer/server/guard"
	"foyer/server/rtmp"
)

// everywhere reports whether this node can serve every room of the site.
func (n *Node) everywhere() bool {
	return n.several() && n.settings.Hosts("room") || n.relays()
}

// relays reports whether this node serves the rooms that its lobby lists on other
// servers, by tunnels to them.
func (n *Node) relays() bool {
	return n.settings.Elsewhere == relay && n.settings.Hosts("lobby") && !n.several()
}

// relay is the value of --elsewhere for relays.
const relay = "relay"

// place says where a room is that the lobby here lists on another server; nil: nowhere.
// A server without rooms has none of those, whatever the other servers are called.
func (n *Node) place(ctx context.Context, instance string) *lobby.Place {
	name, ok := strings.CutPrefix(instance, "room/")
	if !ok || !server.ValidName(name) {
		return nil
	}
	v, err := n.host.Call(ctx, "lobby", lobby.MethodWhere, amf.String(name))
	if err != nil {
		return nil
	}
	p, err := lobby.ParsePlace(v)
	if err != nil || p == nil || n.settings.Hosts("room") && p.Node == n.settings.Node {
		return nil
	}
	return p
}

// elsewhere refuses a client that asks for a room which the lobby here lists on another
// server, and says where the room is, unless this node relays it: it is
// server.Host.Elsewhere. The client is sent there if the room is of this site, or at the
// host that the client asked for. A room that knows only its own password could send
// people, and what they show, anywhere.
func (n *Node) elsewhere(ctx context.Context, instance string, r *server.Request) *rtmp.StatusError {
	if n.several() && n.settings.Hosts("room") {
		return nil
	}
	p := n.place(ctx, instance)
	switch {
	case p == nil && n.relays() && !n.settings.Hosts("room") && strings.HasPrefix(instance, "room/"):
		return server.NotDefined(r.Path)
	case p == nil || n.relays() && owner(p) != nil:
		return nil
	}
	asked := guard.HostOf(r.URI)
	uri := addressFor(p.SeenFrom(asked), r.Protocol)
	if uri == "" {
		return nil
	}
	text := "The room " + p.Name + " is on another server: " + uri
	if p.Own && guard.Hostname(guard.HostOf(uri)) != guard.Hostname(asked) {
		return server.Reject(text)
	}
	_, query, _ := strings.Cut(r.Path, "?")
	return server.Moved(text, uri, query)
}

// addressFor is the address of a room for a client that speaks that protocol; "" if the
// room has none.
func addressFor(e lobby.Entry, protocol string) string {
	if !strings.HasPrefix(protocol, "ws") {
		return e.RTMP
	}
	base, ok := strings.CutSuffix(e.HTTP, "/room/"+e.Name)
	if !ok {
		return ""
	}
	return "ws" + strings.TrimPrefix(base, "http") + "/ws/room/" + e.Name
}

// owner is the server of a room, for a tunnel to it; nil if there can be none.
func owner(p *lobby.Place) *server.ElsewhereError {
	if p.Own || p.NodeRTMP == "" || p.Node == "" {
		return nil
	}
	return &server.ElsewhereError{Node: p.Node, RTMP: p.NodeRTMP}
}

// listed are the owners of rooms on a node that relays: the servers by which its lobby
// has them listed.
type listed struct{ n *Node }

// errNobody is why a room without an owner does not start on a server without rooms.
var errNobody = errors.New("no server has the room")

// Claim is server.Owners.
func (l listed) Claim(ctx context.Context, instance string, _ func()) (release func(), err error) {
	if away := l.Find(ctx, instance); away != nil {
		return nil, away
	}
	if !l.n.settings.Hosts("room") {
		return nil, errNobody
	}
	return func() {}, nil
}

// Find is server.Owners, too.
func (l listed) Find(ctx context.Context, instance string) *server.ElsewhereError {
	if p := l.n.place(ctx, instance); p != nil {
		return owner(p)
	}
	return nil
}
