package lobby

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"iter"
	"time"

	"foyer/server"
	"foyer/server/amf"
	"foyer/server/sharedobject"
)

// A Directory tells the lobbies of several nodes about each other's rooms.
type Directory interface {
	// Put tells the others the entry of a room, the JSON of an [Entry]. It does not
	// block. The newest entry wins, and is renewed until Delete.
	Put(room string, entry []byte)
	Delete(room string)
	// Watch calls changed with the entries of other nodes, on any goroutine: first
	// with all of them, then with changes, and now and then with entries that are
	// still the same. A nil entry says that the room is gone. fresh says whether
	// everything known now has been told.
	Watch(changed func(room string, entry []byte), fresh func(bool)) (stop func())
}

// A Bus carries messages to the lobbies of all nodes, also to the sender's.
type Bus interface {
	Publish(subject string, data []byte) error
	Subscribe(subject string, f func(data []byte)) (stop func(), err error)
}

// MaxElsewhere is how many rooms of other nodes are listed.
const MaxElsewhere = 5 * MaxRooms

// ObjectView is the shared object that says how old the lobby's view of other nodes is.
const ObjectView = "view"

// busAnnounce is the subject of announcements.
const busAnnounce = "announce"

// announcement is an announcement as it travels between lobbies.
type announcement struct {
	From string `json:"from"` // the id of a lobby
	Text string `json:"text"`
}

// nodes is what the other nodes say.
type nodes struct {
	rooms map[string]*room // theirs, by server.Fold of their names
	fresh bool             // their rooms are as they say
	since time.Time        // since when fresh is what it is
	id    string           // of this lobby
	leave []func()         // end what joinNodes began
	view  *sharedobject.Object[*server.Client]
}

// joinNodes joins the other nodes, if there are any. Only the default lobby does: a
// lobby with a name belongs to this node alone.
func (l *Lobby) joinNodes() error {
	if l.in.ShortName() != "_definst_" {
		l.cfg.Directory, l.cfg.Bus = nil, nil
	}
	l.nodes.id, l.nodes.view = rand.Text(), l.in.SharedObject(ObjectView, false)
	l.setFresh(l.cfg.Directory == nil)
	if l.cfg.Bus != nil {
		stop, err := l.cfg.Bus.Subscribe(busAnnounce, func(data []byte) {
			l.in.Post(func() { l.relay(data) })
		})
		if err != nil {
			return err
		}
		l.nodes.leave = append(l.nodes.leave, stop)
	}
	if l.cfg.Directory != nil {
		l.nodes.leave = append(l.nodes.leave, l.cfg.Directory.Watch(
			func(name string, entry []byte) {
				e := remoteEntry(name, entry)
				l.in.Post(func() { l.hear(name, e) })
			},
			func(fresh bool) { l.in.Post(func() { l.setFresh(fresh) }) },
		))
	}
	return nil
}

// leaveNodes tells the other nodes that the rooms of this one are gone.
func (l *Lobby) leaveNodes() {
	for _, stop := range l.nodes.leave {
		stop()
	}
	if l.cfg.Directory != nil {
		for key := range l.listed {
			l.cfg.Directory.Delete(key)
		}
	}
}

// remoteEntry reads what another node says of a room; nil: the room is gone.
func remoteEntry(name string, entry []byte) *Entry {
	var e Entry
	if entry == nil || json.Unmarshal(entry, &e) != nil || !ValidName(e.Name) || server.Fold(e.Name) != server.Fold(name) {
		return nil
	}
	if e.Since = whole(e.Since, MaxWhole); e.State != StateLive {
		e.State = StateStale
	}
	e.Status.clean()
	return &e
}

// hear takes what another node says of a room. A room that it no longer speaks of is
// stale after the usual time, and then gone.
func (l *Lobby) hear(name string, e *Entry) {
	key := server.Fold(name)
	r := l.nodes.rooms[key]
	switch {
	case e == nil && r == nil, r == nil && len(l.nodes.rooms) >= MaxElsewhere:
		return
	case e == nil:
		l.remove(r)
		return
	case r == nil:
		r = &room{key: key, name: e.Name, remote: true}
		l.nodes.rooms[key] = r
		l.startSampling()
		l.log.Debug("room listed", "room", name, "node", e.Node)
	}
	news := !sameNews(e.Status, r.status)
	r.status, r.since, r.heard, r.value = e.Status, time.UnixMilli(int64(e.Since)), time.Now(), nil
	if r.state != e.State {
		l.settle(r, e.State)
	} else if news {
		l.touch(r)
	}
}

// setFresh notes whether the other nodes can be heard. While they cannot, their rooms
// stay on the list as stale: they may well be there.
func (l *Lobby) setFresh(fresh bool) {
	l.nodes.fresh, l.nodes.since = fresh, time.Now()
	l.nodes.view.Set("fresh", amf.Bool(fresh))
	l.nodes.view.Set("at", amf.Number(l.nodes.since.UnixMilli()))
	if !fresh {
		return
	}
	for _, r := range l.nodes.rooms {
		if r.state == StateStale {
			r.heard = time.Now()
			l.watch(r)
		}
	}
}

// View says how old a lobby's view of other nodes is.
type View struct {
	Fresh bool  // the view is up to date
	At    int64 // since when, in ms since 1970; if it is not fresh, what is listed was true then
}

// ParseView reads what the method view answers; nil when there are no other nodes.
func ParseView(v amf.Value) *View {
	fresh, ok := amf.AsBool(amf.Lookup(v, "fresh"))
	if !ok {
		return nil
	}
	at, _ := amf.AsNumber(amf.Lookup(v, "at"))
	return &View{fresh, int64(at)}
}

// Value returns w as it travels.
func (w *View) Value() amf.Object {
	return amf.Object{{Name: "fresh", Value: amf.Bool(w.Fresh)}, {Name: "at", Value: amf.Number(w.At)}}
}

// viewOf is the method view. It answers what the shared object says, or null where there are no
// other nodes.
func (l *Lobby) viewOf(*server.Client, amf.Args) (amf.Value, error) {
	if l.cfg.Directory == nil {
		return amf.Null{}, nil
	}
	return (&View{l.nodes.fresh, l.nodes.since.UnixMilli()}).Value(), nil
}

// share tells the other nodes how a room of this one is.
func (l *Lobby) share(key string) {
	if l.cfg.Directory == nil {
		return
	}
	r := l.listed[key]
	if r == nil {
		l.cfg.Directory.Delete(key)
		return
	}
	e := r.plain()
	e.Node = cmp.Or(e.Node, r.node)
	data, err := json.Marshal(e)
	if err != nil {
		l.log.Error("room not shared", "room", r.name, "err", err)
		return
	}
	l.cfg.Directory.Put(key, data)
}

// shown returns the room of that name as it is listed, or nil. A room that is connected
// here goes before one of another node.
func (l *Lobby) shown(key string) *room {
	here, there := l.listed[key], l.nodes.rooms[key]
	if here == nil || there != nil && here.state != StateLive && there.state == StateLive {
		return there
	}
	return here
}

// all yields the rooms as they are listed, in no order.
func (l *Lobby) all() iter.Seq2[string, *room] {
	return func(yield func(string, *room) bool) {
		for key := range l.listed {
			if !yield(key, l.shown(key)) {
				return
			}
		}
		for key, r := range l.nodes.rooms {
			if l.listed[key] == nil && !yield(key, r) {
				return
			}
		}
	}
}

// known reports whether r is still on a list.
func (l *Lobby) known(r *room) bool {
	if r.remote {
		return l.nodes.rooms[r.key] == r
	}
	return l.listed[r.key] == r
}

// spread has the other lobbies make an announcement too, and returns how many rooms
// they have, as far as is known.
func (l *Lobby) spread(said string) (rooms int) {
	if l.cfg.Bus == nil {
		return 0
	}
	data, err := json.Marshal(announcement{l.nodes.id, said})
	if err == nil {
		err = l.cfg.Bus.Publish(busAnnounce, data)
	}
	if err != nil {
		l.log.Warn("announcement not made on other nodes", "err", err)
		return 0
	}
	for key, r := range l.nodes.rooms {
		if r.state == StateLive && l.roomList[key] == nil {
			rooms++
		}
	}
	return rooms
}

// relay makes an announcement of another lobby here.
func (l *Lobby) relay(data []byte) {
	var a announcement
	if err := json.Unmarshal(data, &a); err != nil || a.From == l.nodes.id {
		return
	}
	if said := text(a.Text, MaxAnnouncement); said != "" {
		l.tellRooms(said)
	}
}
