package lobby

import (
	"cmp"
	"errors"
	"log/slog"
	"time"

	"foyer/server"
	"foyer/server/amf"
	"foyer/server/guard"
	"foyer/server/rtmp"
)

// Config is what a lobby needs to know.
type Config struct {
	Secret     string        // the rooms' password; none means that no room gets in
	AdminToken string        // the operators'; none means that there are none
	StaleAfter time.Duration // how long a room may be silent before it is stale; default 15 s
	GoneAfter  time.Duration // how long a stale room stays on the list; default 30 s
	Log        *slog.Logger  // nil means the instance's
	Directory  Directory     // the rooms of other nodes; nil means that there are none
	Bus        Bus           // to the lobbies of other nodes; nil means that there are none
}

// Lobby is the application. All of it belongs to the instance goroutine.
type Lobby struct {
	cfg Config
	in  *server.Instance
	log *slog.Logger

	// Rooms are kept by server.Fold of their names.
	roomList map[string]*server.Client // the live client of every authenticated room, as on the page
	listed   map[string]*room          // the rooms on the list, for a while also without a client

	nodes   nodes   // the rooms of other nodes
	board   board   // the shared object that visitors watch
	samples samples // how active rooms have been
}

// New makes the application of one lobby.
func New(cfg Config) server.Application {
	cfg.StaleAfter = cmp.Or(cfg.StaleAfter, 15*time.Second)
	cfg.GoneAfter = cmp.Or(cfg.GoneAfter, 30*time.Second)
	return &Lobby{
		cfg:      cfg,
		roomList: make(map[string]*server.Client),
		listed:   make(map[string]*room),
		nodes:    nodes{rooms: make(map[string]*room)},
		board:    board{dirty: make(map[string]bool), slots: make(map[string]string)},
	}
}

// OnAppStart opens the shared object that visitors watch, and joins the other nodes.
func (l *Lobby) OnAppStart(in *server.Instance) error {
	l.in, l.log = in, cmp.Or(l.cfg.Log, in.Log())
	l.board.object = in.SharedObject(ObjectRooms, false)
	return l.joinNodes()
}

// OnConnect tells instances from visitors: a room gives its userName and the password,
// an operator gives admin and the admin token, and a visitor gives nothing. Answers to
// an address with many failures come later.
func (l *Lobby) OnConnect(client *server.Client, args amf.Args) error {
	if none(args.At(0)) {
		return nil
	}
	admit, right := l.authenticate(client, args)
	wait := l.in.Guard().Shown(client.IP(), right, "for", "lobby")
	return l.in.AdmitAfter(client, wait, admit)
}

// join puts an authenticated room into roomList. A live connection is replaced only by
// the room that it belongs to.
func (l *Lobby) join(client *server.Client, n newcomer) error {
	key := server.Fold(n.name)
	r, old := l.listed[key], l.roomList[key]
	if r == nil && len(l.listed) >= MaxRooms {
		return server.Reject("The lobby is full.")
	}
	same := r != nil && guard.Same(n.resume, r.resume)
	if old != nil && r != nil && r.state == StateLive && !same {
		return server.Reject("Room name is already in use.")
	}
	if r == nil {
		r = &room{key: key, name: n.name}
	} else if !same || n.node != r.node || 0 < n.epoch && n.epoch < r.status.Epoch {
		// The status is that of another process, or of this one before its clock was
		// set back and it started again.
		r.status = Status{}
	}
	r.node, r.nodeRTMP, r.resume, r.own = n.node, n.nodeRTMP, n.resume, n.own
	if n.unlisted {
		r.status.Unlisted = true
	}
	l.roomList[key], client.Data = client, r
	if old != nil {
		old.Close(&rtmp.StatusError{Code: rtmp.CodeConnectClosed, Description: "Replaced by a newer connection of this room."})
	}
	l.list(r)
	if !n.own { // it knows the lobby's password, so it belongs to this site
		client.Vouch()
	}
	return nil
}

// OnDisconnect takes a room off the list if it said goodbye; one that just vanished
// stays for a while. A connection that was replaced no longer belongs to a room.
func (l *Lobby) OnDisconnect(client *server.Client, reason error) {
	r, ok := client.Data.(*room)
	client.Data = nil
	if !ok || l.roomList[r.key] != client {
		return
	}
	delete(l.roomList, r.key)
	if errors.Is(reason, rtmp.ErrGoodbye) {
		l.remove(r)
		return
	}
	l.stale(r)
}

// OnAppStop leaves the other nodes. Timers and shared objects go with the instance.
func (l *Lobby) OnAppStop() {
	l.leaveNodes()
}

// Methods are what clients may call.
func (l *Lobby) Methods() map[string]server.Method {
	return map[string]server.Method{
		MethodReport:   l.report,
		MethodRooms:    l.rooms,
		MethodTrends:   l.trends,
		MethodSums:     l.sums,
		MethodWhere:    l.where,
		MethodView:     l.viewOf,
		MethodAnnounce: l.announce,
	}
}
