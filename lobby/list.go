package lobby

import (
	"reflect"
	"time"

	"foyer/server"
	"foyer/server/amf"
)

// How the list is kept.
const (
	ReportInterval = 5 * time.Second // how often a room with nothing to tell should report
	MaxRooms       = 10000
)

// room is a room on the list. It outlives the links that the room makes.
type room struct {
	key    string // server.Fold of its name
	name   string // as it was first opened
	remote bool   // it is another node's: what follows is as that said
	node   string // as it said when it connected
	resume string // by which it shows that it is the same room, to us alone; "": it cannot
	own    bool   // it has its own password only
	state  string
	since  time.Time // it is listed
	heard  time.Time // its last sign of life or, when stale, when that was noticed
	status Status
	trend  string // its activity since then, a character a sample
	timer  *time.Timer
	value  amf.Object // the entry as it travels; nil when it has to be made again
}

// entry returns r as it is listed. It is made once for all who ask.
func (r *room) entry() amf.Object {
	if r.value == nil {
		r.value = r.plain().Value()
	}
	return r.value
}

func (r *room) plain() Entry {
	return Entry{Name: r.name, State: r.state, Since: float64(r.since.UnixMilli()), Status: r.status}
}

// report takes a room's whole state, unless a newer one is known.
func (l *Lobby) report(from *server.Client, args amf.Args) (amf.Value, error) {
	r, ok := from.Data.(*room)
	if !ok {
		return nil, server.Fail("Not allowed.")
	}
	status, err := ParseStatus(args.At(0))
	if err != nil {
		return nil, server.Fail("The report cannot be read: " + err.Error() + ".")
	}
	answer := amf.Object{{Name: "interval", Value: amf.Number(ReportInterval.Milliseconds())}}
	if l.roomList[r.key] != from || status.before(r.status) {
		return append(answer, amf.Field{Name: "ignored", Value: amf.Bool(true)}), nil
	}
	if r.own {
		status.Pinned = false // that is for those to say who have the lobby's password
	}
	news := !sameNews(status, r.status)
	r.status, r.heard, r.value = status, time.Now(), nil
	if r.state != StateLive || l.listed[r.key] != r {
		l.list(r)
	} else if news {
		l.touch(r)
	}
	return answer, nil
}

// before reports whether s is older than t. A room that counts neither epochs
// nor reports is never late.
func (s Status) before(t Status) bool {
	return s.Epoch < t.Epoch || s.Epoch == t.Epoch && s.Seq < t.Seq
}

// sameNews reports whether somebody who looks at the list would see no
// difference: a room with nothing to tell only counts on.
func sameNews(a, b Status) bool {
	a.Seq = b.Seq
	return reflect.DeepEqual(a, b)
}

// list shows r as live, from now on if it was not on the list.
func (l *Lobby) list(r *room) {
	if l.listed[r.key] != r {
		l.listed[r.key] = r
		r.since, r.trend = time.Now(), ""
		l.startSampling()
		l.log.Info("room listed", "room", r.name)
	}
	l.settle(r, StateLive)
}

// stale shows that nobody knows how r is.
func (l *Lobby) stale(r *room) {
	if !l.known(r) {
		return
	}
	l.log.Info("room stale", "room", r.name, "elsewhere", r.remote)
	l.settle(r, StateStale)
}

// remove takes r off the list: it is gone.
func (l *Lobby) remove(r *room) {
	if !l.known(r) {
		return
	}
	l.log.Info("room gone", "room", r.name, "elsewhere", r.remote)
	r.timer.Stop()
	if r.remote {
		delete(l.nodes.rooms, r.key)
	} else {
		delete(l.listed, r.key)
	}
	l.touch(r)
}

// settle gives r a state and the time it may stay in it.
func (l *Lobby) settle(r *room, state string) {
	r.state, r.heard, r.value = state, time.Now(), nil
	l.watch(r)
	l.touch(r)
}

// watch wakes up when r's time is over. A report only moves that time, so a
// room costs a timer now and then, not one for each report.
func (l *Lobby) watch(r *room) {
	if r.timer != nil {
		r.timer.Stop()
	}
	r.timer = l.in.After(time.Until(l.due(r)), func() { l.expire(r) })
}

func (l *Lobby) due(r *room) time.Time {
	if r.state == StateLive {
		return r.heard.Add(l.cfg.StaleAfter)
	}
	return r.heard.Add(l.cfg.GoneAfter)
}

func (l *Lobby) expire(r *room) {
	switch {
	case !l.known(r): // gone meanwhile
	case time.Until(l.due(r)) > 0:
		l.watch(r)
	case r.state == StateLive:
		l.stale(r)
	case r.remote && !l.nodes.fresh: // nobody knows; setFresh goes on
	default:
		l.remove(r)
	}
}
