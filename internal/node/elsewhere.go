package node

import (
	"context"
	"strings"

	"foyer/lobby"
	"foyer/server"
	"foyer/server/amf"
	"foyer/server/rtmp"
)

// elsewhere refuses a client that asks for a room which the lobby here lists on another
// server, and says where the room is: it is server.Host.Elsewhere. The client is sent
// there if the room is of this site, or at the host that the client asked for. A room
// that knows only its own password could send people, and what they show, anywhere.
func (n *Node) elsewhere(ctx context.Context, instance string, r *server.Request) *rtmp.StatusError {
	name, ok := strings.CutPrefix(instance, "room/")
	if !ok || !server.ValidName(name) || n.everywhere() {
		return nil
	}
	v, err := n.host.Call(ctx, "lobby", lobby.MethodWhere, amf.String(name))
	e, bad := lobby.ParseEntry(v)
	if err != nil || bad != nil || n.settings.Hosts("room") && e.Node == n.settings.Node {
		return nil
	}
	asked := lobby.HostOf(r.URI)
	uri := addressFor(e.SeenFrom(asked), r.Protocol)
	if uri == "" {
		return nil
	}
	text := "The room " + e.Name + " is on another server: " + uri
	own, _ := amf.AsBool(amf.Lookup(v, "own"))
	if own && lobby.Hostname(lobby.HostOf(uri)) != lobby.Hostname(asked) {
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

// everywhere reports whether this node can serve every room of the site.
func (n *Node) everywhere() bool { return n.several() && n.settings.Hosts("room") }
