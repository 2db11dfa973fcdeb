package node

import (
	"context"
	"log/slog"
	"testing"

	"foyer/lobby"
	"foyer/server"
	"foyer/server/amf"
)

// placesOf is a node whose lobby lists these rooms.
func placesOf(t *testing.T, s *Settings, places map[string]lobby.Place) *Node {
	t.Helper()
	n := &Node{settings: s, host: &server.Host{Log: slog.New(slog.DiscardHandler)}}
	n.host.Handle("lobby", func() server.Application { return lister(places) })
	t.Cleanup(func() { n.host.Stop(context.Background()) })
	if err := n.host.Start("lobby"); err != nil {
		t.Fatal(err)
	}
	return n
}

// lister is a lobby that only says where rooms are.
type lister map[string]lobby.Place

func (lister) OnAppStart(*server.Instance) error        { return nil }
func (lister) OnConnect(*server.Client, amf.Args) error { return nil }
func (lister) OnDisconnect(*server.Client, error)       {}
func (lister) OnAppStop()                               {}
func (l lister) Methods() map[string]server.Method {
	return map[string]server.Method{lobby.MethodWhere: func(_ *server.Client, args amf.Args) (amf.Value, error) {
		name, _ := amf.AsString(args.At(0))
		p, ok := l[name]
		if !ok {
			return amf.Null{}, nil
		}
		return append(p.Value(), amf.Field{Name: "own", Value: amf.Bool(p.Own)}, amf.Field{Name: "nodeRtmp", Value: amf.String(p.NodeRTMP)}), nil
	}}
}

// TestElsewhere: which clients are led where. A room that knows only its own password
// leads nobody to another host than the one that was asked, and is not relayed.
func TestElsewhere(t *testing.T) {
	at := func(name, node, host string, own bool, nodeRTMP string) lobby.Place {
		return lobby.Place{Own: own, NodeRTMP: nodeRTMP, Entry: lobby.Entry{Name: name, State: lobby.StateLive, Status: lobby.Status{
			Node: node, RTMP: "rtmp://" + host + ":1936/room/" + name, HTTP: "http://" + host + ":8081/room/" + name,
		}}}
	}
	places := map[string]lobby.Place{
		"blue": at("Blue", "one", "localhost", false, "rtmp://10.0.0.2:1935"), "far": at("far", "two", "far.example", false, ""),
		"own": at("own", "x", "evil.example", true, "rtmp://evil.example"), "near": at("near", "x", "localhost", true, ""),
		"here": at("here", "hall", "localhost", false, ""),
	}
	const undefined = "[ Server.Reject ] : (_defaultRoot_, _defaultVHost_) : Application (chapter4/room/none) is not defined."
	for _, tt := range []struct {
		name, elsewhere, instance, protocol string
		apps                                []string
		redirect, description               string // "": served here, or nowhere
	}{
		{"localhost", "serve", "room/blue", "rtmp", nil, "rtmp://live.example:1936/room/Blue?key=x", "The room Blue is on another server: rtmp://live.example:1936/room/Blue"},
		{"a WebSocket", "serve", "room/blue", "ws", nil, "ws://live.example:8081/ws/room/Blue?key=x", "The room Blue is on another server: ws://live.example:8081/ws/room/Blue"},
		{"of this site", "serve", "room/far", "rtmp", nil, "rtmp://far.example:1936/room/far?key=x", "The room far is on another server: rtmp://far.example:1936/room/far"},
		{"a stranger's", "serve", "room/own", "rtmp", nil, "", "The room own is on another server: rtmp://evil.example:1936/room/own"},
		{"a stranger's, on this host", "serve", "room/near", "rtmp", nil, "rtmp://live.example:1936/room/near?key=x", "The room near is on another server: rtmp://live.example:1936/room/near"},
		{"the same node, without rooms", "serve", "room/here", "rtmp", nil, "rtmp://live.example:1936/room/here?key=x", "The room here is on another server: rtmp://live.example:1936/room/here"},
		{"the same node", "serve", "room/here", "rtmp", []string{"lobby", "room"}, "", ""},
		{"nobody's", "serve", "room/none", "rtmp", nil, "", ""},
		{"no room", "serve", "chess/blue", "rtmp", nil, "", ""},
		{"no name", "serve", "room/a b", "rtmp", nil, "", ""},
		{"relayed", relay, "room/blue", "rtmp", nil, "", ""},
		{"not reached", relay, "room/far", "rtmp", nil, "rtmp://far.example:1936/room/far?key=x", "The room far is on another server: rtmp://far.example:1936/room/far"},
		{"a stranger's is not relayed", relay, "room/own", "rtmp", nil, "", "The room own is on another server: rtmp://evil.example:1936/room/own"},
		{"nobody's, relayed", relay, "room/none", "rtmp", nil, "", undefined},
		{"nobody's, relayed beside rooms", relay, "room/none", "rtmp", []string{"lobby", "room"}, "", ""},
	} {
		s := &Settings{Node: "hall", Elsewhere: tt.elsewhere, Apps: tt.apps}
		if s.Apps == nil {
			s.Apps = []string{"lobby"}
		}
		n := placesOf(t, s, places)
		no := n.elsewhere(t.Context(), tt.instance, &server.Request{Path: "chapter4/" + tt.instance + "?key=x", URI: "rtmp://live.example/" + tt.instance, Protocol: tt.protocol})
		var redirect, description string
		if no != nil {
			description = no.Description
			if len(no.Extra) > 0 {
				redirect, _ = amf.AsString(amf.Lookup(no.Extra[0].Value, "redirect"))
			}
		}
		if redirect != tt.redirect || description != tt.description {
			t.Errorf("%s: got %q, %q, want %q, %q", tt.name, redirect, description, tt.redirect, tt.description)
		}
	}
}

// TestRelayOwners: a tunnel leads to the server that the lobby knows, and a room that
// nobody lists starts only where there are rooms.
func TestRelayOwners(t *testing.T) {
	places := map[string]lobby.Place{"blue": {NodeRTMP: "rtmp://10.0.0.2:1935", Entry: lobby.Entry{Name: "blue", Status: lobby.Status{Node: "one"}}}}
	for _, apps := range [][]string{{"lobby"}, {"lobby", "room"}} {
		n := placesOf(t, &Settings{Node: "hall", Elsewhere: relay, Apps: apps}, places)
		away := listed{n}.Find(t.Context(), "room/blue")
		if away == nil || *away != (server.ElsewhereError{Node: "one", RTMP: "rtmp://10.0.0.2:1935"}) {
			t.Errorf("%v: found at %v", apps, away)
		}
		if _, err := (listed{n}).Claim(t.Context(), "room/blue", nil); err == nil {
			t.Errorf("%v: a room of another server is claimed", apps)
		}
		if _, err := (listed{n}).Claim(t.Context(), "room/none", nil); (err == nil) != (len(apps) == 2) {
			t.Errorf("%v: claiming a room that nobody lists: %v", apps, err)
		}
	}
}
