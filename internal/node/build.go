package node

import (
	"net/http"

	"foyer/internal/folder"
	"foyer/lobby"
	"foyer/room"
	"foyer/server"
	"foyer/web"
)

// build makes the host with its applications, and the web side.
func (n *Node) build() {
	n.lobby = n.settings.Lobby
	if n.lobby == "" && n.settings.Hosts("lobby") {
		n.lobby = n.RTMP() + "/lobby"
	}
	n.buildHost()
	if n.settings.Hosts("lobby") {
		n.addLobby()
		n.host.Elsewhere = n.elsewhere
	}
	if n.settings.Hosts("room") || n.relays() {
		n.addRooms()
	}
	n.buildWeb()
}

// buildHost makes the host, without applications.
func (n *Node) buildHost() {
	s := n.settings
	n.host = &server.Host{
		Log: n.log, Node: s.Node, Mounts: s.Mount, Idle: s.Idle, Objects: n.objects(), Redirect: s.Elsewhere == "redirect",
		Guard: n.guard, Always: []string{"lobby/_definst_"}, Opens: n.opens, Dial: n.dial,
	}
	for _, name := range s.Rooms {
		n.host.Always = append(n.host.Always, "room/"+name)
	}
	if n.several() || n.relays() || s.NodeSecret != "" {
		n.host.NodeSecret = string(n.secrets.Node)
	}
	switch {
	case n.several():
		n.host.Owners = owners{n.store}
	case n.relays():
		n.host.Owners = listed{n}
	}
	if n.recorder != nil {
		n.host.OnStream = n.recorder.OnStream
	}
	n.SetLimits(&s.Limits)
	n.SetReservedNicks(s.People.ReservedNicks)
	n.SetMaxBitrate(s.MaxBitrate)
}

// addLobby has the host run the lobby. With several nodes it shares what it
// knows with those of the others.
func (n *Node) addLobby() {
	s := n.settings
	cfg := lobby.Config{
		Secret: string(n.secrets.Lobby), AdminToken: string(n.secrets.Admin),
		StaleAfter: s.StaleAfter, GoneAfter: s.GoneAfter, Log: n.log,
	}
	if n.several() {
		cfg.Directory, cfg.Bus = n.store.Directory(), n.store
	}
	n.host.Handle("lobby", func() server.Application { return lobby.New(cfg) })
}

// addRooms has the host run rooms, each on one node only.
func (n *Node) addRooms() {
	s := n.settings
	cfg := room.Config{
		Lobby: n.lobby, Secret: string(n.secrets.Lobby), AdminToken: string(n.secrets.Admin),
		Resume: func(room string) string { return folder.Resume(n.secrets.Node, room) },
		Node:   s.Node, PublicRTMP: n.publicRTMP(), PublicHTTP: n.publicHTTP(),
		StreamKey: func(name string, generation int64) string {
			return folder.StreamKey(n.secrets.Stream, name, generation)
		},
		Takeover: s.Publish == "takeover", Grace: s.Grace, MaxUsers: s.MaxUsers, Reserved: &n.reserved,
		Open: n.openRoom, History: s.History, HistoryAge: s.HistoryAge,
	}
	if n.recorder != nil {
		cfg.Recorder = n.recorder
	}
	if n.host.NodeSecret != "" { // otherwise this server believes no other one
		cfg.NodeRTMP = n.nodeRTMP()
	}
	if s.Lobby == "" {
		cfg.StaleAfter = s.StaleAfter
	}
	handle := n.host.Handle
	if n.several() || n.relays() {
		handle = n.host.HandleClaimed
	}
	handle("room", func() server.Application { return room.New(cfg) })
}

// buildWeb makes the pages, and a server of them for each listener.
func (n *Node) buildWeb() {
	s := n.settings
	cfg := web.Config{
		Host: n.host, Log: n.log, Node: s.Node, Everywhere: n.everywhere(), AdminToken: string(n.secrets.Admin),
		Lobby: n.lobby, RTMPPort: portNumber(n.rtmp), PublicHTTP: s.PublicHTTP, PublicRTMP: s.PublicRTMP, StreamKey: n.StreamKey,
		Assets: s.Assets, Recorder: n.recorder, Grace: s.Grace, Ready: n.ready, Lost: n.store.Lost,
		Apart: s.Admin != "", MetricsFrom: s.MetricsFrom,
		Backup: n.backup, Forget: n.forget, Store: n.storeStats, Access: s.access(),
	}
	if n.relays() && !s.Hosts("room") {
		cfg.Listed, cfg.StreamKey = true, nil // the keys of rooms are on their own servers
	}
	if n.several() {
		cfg.Nodes, cfg.RunsOn = n.store, n.runsOn
	}
	n.pages = web.New(cfg)
	n.web = map[string]*http.Server{
		"http": n.server(n.pages), "admin": n.server(n.pages.Admin()), protoControl: n.server(n.pages.Control()),
	}
}
