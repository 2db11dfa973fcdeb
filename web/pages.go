package web

import (
	"bytes"
	"cmp"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"foyer/lobby"
	"foyer/server"
	"foyer/server/amf"
	"foyer/server/guard"
)

// LobbyPage is the data of lobby.html.
type LobbyPage struct {
	At          int64  // milliseconds since 1970
	Sampled     int64  // time of the last samples of the cards' trends
	Unreachable string // for how long other servers have been out of reach; "" if they are not
	Headline    string
	Rooms       []Card
	Query       Query
	RTMP        string // address of an example room that anybody may open
	Node        string // only rooms on this node have pictures; "": all have
}

// A Query is what a visitor looks for (q, tag, sort and live of the address), so that a
// page without script can search and sort.
type Query struct {
	Text, Tag, Sort string
	Live            bool
}

// RoomPage is the data of room.html.
type RoomPage struct {
	Name    string
	Running bool
	Entry   lobby.Entry // zero when this server's lobby does not list it
	RTMP    string      // the room's address for encoders and terminals
	Node    string
}

// People says who is in the room, as far as the lobby knows.
func (p RoomPage) People() string {
	words := "Nobody has joined yet"
	if p.Entry.Users > 0 {
		words = count(p.Entry.Users, "person has", "people have") + " joined"
	}
	if p.Entry.Spectators > 0 {
		words += ", " + count(p.Entry.Spectators, "spectator", "spectators")
	}
	return words + "."
}

// MessagePage is the data of message.html, a page with a message instead of a room.
type MessagePage struct {
	Base          string // relative address of /, whatever path a proxy has before it
	Title, Detail string
	Status        int    // of an error
	Lobby         string // of another server, to which the rooms of this one report
	Address, Host string // of a room on another server
	Back          string // text of the link to the lobby; "": there is none
}

// lobbyPage is /.
func (h *Handler) lobbyPage(w http.ResponseWriter, r *http.Request) {
	if !h.hasLobby() {
		h.noLobbyPage(w, r)
		return
	}
	q := pageQuery(r.URL.Query())
	rooms, err := h.rooms(r, q.value())
	if err != nil {
		h.noteLobby(err)
		h.errorPage(w, r, http.StatusServiceUnavailable, "The lobby does not answer", "Try again in a moment.")
		return
	}
	sums, err := h.sums(r.Context(), false) // the headline counts all rooms, not only those that match
	h.noteLobby(err)
	trends, now := h.trends(r.Context()), time.Now()
	page := LobbyPage{At: now.UnixMilli(), Sampled: int64(trends.At), Headline: headline(sums), Query: q, Node: h.cfg.Node}
	if h.cfg.Nodes != nil {
		page.Node = ""
	}
	if view := h.view(r.Context()); view != nil && !view.Fresh {
		page.Unreachable = now.Sub(time.UnixMilli(view.At)).Round(time.Second).String()
	}
	page.RTMP = h.roomAddress(r, "blue")
	for _, e := range rooms {
		page.Rooms = append(page.Rooms, newCard(e, h.href(r, e), trends, now))
	}
	h.render(w, http.StatusOK, "lobby.html", page)
}

// noLobbyPage is / on a server that has only rooms.
func (h *Handler) noLobbyPage(w http.ResponseWriter, r *http.Request) {
	name := "This server"
	if h.cfg.Node != "" {
		name += " (" + h.cfg.Node + ")"
	}
	h.render(w, http.StatusOK, "message.html", MessagePage{
		Base: toRoot(r), Title: "The lobby is elsewhere", Detail: name + " has rooms, but no lobby.", Lobby: guard.SeenFrom(h.cfg.Lobby, r.Host),
	})
}

// pageQuery reads the parameters of the page's address, and leaves out invalid ones.
func pageQuery(params url.Values) Query {
	q := Query{Text: params.Get("q"), Tag: params.Get("tag"), Sort: params.Get("sort"), Live: params.Get("live") == "1"}
	switch q.Sort {
	case "users", "name", "newest":
	default:
		q.Sort = "activity"
	}
	return q
}

func (q Query) value() amf.Object {
	return amf.Object{
		{Name: "text", Value: amf.String(q.Text)}, {Name: "tag", Value: amf.String(q.Tag)},
		{Name: "sort", Value: amf.String(q.Sort)}, {Name: "live", Value: amf.Bool(q.Live)},
	}
}

// href returns the address of a room's page, on this server or on another one of this
// site.
func (h *Handler) href(r *http.Request, e lobby.Entry) string {
	if h.isElsewhere(e) && h.isOfSite(r, e.HTTP) {
		return e.HTTP
	}
	return "./room/" + url.PathEscape(e.Name)
}

// isElsewhere reports whether visitors can enter the room only on another server, whose
// page is known.
func (h *Handler) isElsewhere(e lobby.Entry) bool {
	if h.cfg.Everywhere || e.HTTP == "" {
		return false
	}
	app, _, _ := h.cfg.Host.Resolve(roomInstances + e.Name)
	return app == "" || e.Node != "" && e.Node != h.cfg.Node // servers of one machine may have one name
}

// isOfSite reports whether an address that a room has reported belongs to this site: it
// has the host that the visitor requested, at any port, or the settings name its origin.
// A room may report any address.
func (h *Handler) isOfSite(r *http.Request, address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
		return false
	}
	return strings.EqualFold(u.Hostname(), guard.Hostname(r.Host)) || h.isNamed(address)
}

// roomPage is /room/NAME, also for a room that is not running, since joining starts it.
// A room on another server is shown there.
func (h *Handler) roomPage(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if !server.ValidName(name) {
		h.errorPage(w, r, http.StatusNotFound, "No such room",
			"The name of a room has 1 to 64 letters, digits, dots, underscores and hyphens. It begins with a letter or digit.")
		return
	}
	entry, err := h.entry(r, name, true)
	h.noteLobby(err)
	page := RoomPage{Name: name, RTMP: h.roomAddress(r, name), Node: h.cfg.Node}
	if entry != nil {
		if h.isElsewhere(*entry) {
			h.roomElsewhere(w, r, *entry)
			return
		}
		page.Name, page.Entry, page.Running = entry.Name, *entry, true
	}
	if app, _, _ := h.cfg.Host.Resolve(roomInstances + name); app != "room" || h.cfg.Listed && !page.Running {
		h.errorPage(w, r, http.StatusNotFound, "No rooms here", "This server has a lobby, but no rooms.")
		return
	}
	h.render(w, http.StatusOK, "room.html", page)
}

// roomElsewhere answers for a room on another server. It redirects to a server of this
// site. For any other, it shows the address.
func (h *Handler) roomElsewhere(w http.ResponseWriter, r *http.Request, e lobby.Entry) {
	if h.leads(r, e) {
		http.Redirect(w, r, e.HTTP, http.StatusSeeOther)
		return
	}
	page := MessagePage{
		Base: toRoot(r), Title: e.Name + " is elsewhere", Address: e.HTTP, Back: "Stay in the lobby",
		Detail: "This room reports that it is on another server. This site does not know that server, so look at the address before you open it:",
	}
	if u, err := url.Parse(e.HTTP); err == nil {
		page.Host = u.Host
	}
	h.render(w, http.StatusOK, "message.html", page)
}

// leads reports whether visitors may be sent to the page of a room that another server
// has: that server is one of this site, and not this one, to which a room may report that
// it belongs by mistake.
func (h *Handler) leads(r *http.Request, e lobby.Entry) bool {
	scheme := "http"
	if isHTTPS(r) {
		scheme = "https"
	}
	if here := scheme + "://" + withPort(r.Host, scheme) + visitorOf(r).prefix; strings.HasPrefix(portOf(e.HTTP), here+"/"+roomInstances) {
		return false
	}
	return h.isOfSite(r, e.HTTP) || h.cfg.RunsOn != nil && h.cfg.RunsOn(r.Context(), e.Name, e.Node)
}

// portOf returns an address with its port, whatever it is.
func portOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	u.Host = withPort(u.Host, u.Scheme)
	return u.String()
}

// isElsewhereAnswered answers a request to read something of a room, and reports true,
// if another server has the room: it redirects there, or says where that is.
func (h *Handler) isElsewhereAnswered(w http.ResponseWriter, r *http.Request, room string) bool {
	e, err := h.entry(r, room, true)
	if err != nil || e == nil || !h.isElsewhere(*e) && !(h.cfg.Listed && e.HTTP != "") || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	base, ok := strings.CutSuffix(e.HTTP, "/"+roomInstances+e.Name)
	if !ok || !h.leads(r, *e) {
		problem(w, http.StatusNotFound, "The room is on another server: "+e.HTTP+".")
		return true
	}
	to := url.URL{Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
	w.Header().Set("Cache-Control", "no-store")
	redirect(w, base+to.String(), http.StatusTemporaryRedirect)
	return true
}

// roomAddress returns the RTMP address of a room, for encoders. If the settings do not
// name this server, it has the host that the browser requested.
func (h *Handler) roomAddress(r *http.Request, name string) string {
	base := strings.TrimRight(h.cfg.PublicRTMP, "/")
	if base == "" {
		base = "rtmp://" + joinPort(hostname(r), cmp.Or(h.cfg.RTMPPort, "1935"))
	}
	return guard.SeenFrom(base+"/"+roomInstances+name, r.Host)
}

// joinPort leaves out the default port of RTMP.
func joinPort(host, port string) string {
	if port == "1935" && !strings.Contains(host, ":") {
		return host
	}
	return net.JoinHostPort(host, port)
}

// missingPage answers for all pages that do not exist.
func (h *Handler) missingPage(w http.ResponseWriter, r *http.Request) {
	h.errorPage(w, r, http.StatusNotFound, "Nothing here", "There is nothing at this address.")
}

func (h *Handler) errorPage(w http.ResponseWriter, r *http.Request, status int, title, detail string) {
	h.render(w, status, "message.html", MessagePage{Base: toRoot(r), Title: title, Detail: detail, Status: status, Back: "Go to the lobby"})
}

// render executes a whole template before it sends anything.
func (h *Handler) render(w http.ResponseWriter, status int, name string, data any) {
	var page bytes.Buffer
	t, err := h.assets.page(name)
	if err == nil {
		err = t.ExecuteTemplate(&page, name, data)
	}
	if err != nil {
		h.failed(w, "page not rendered", err, "page", name)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(page.Bytes())
}
