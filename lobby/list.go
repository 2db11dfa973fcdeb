package lobby

import (
	"reflect"
	"time"

	"foyer/server"
	"foyer/server/amf"
	"foyer/server/guard"
)

// How the list is kept.
const (
	ReportInterval = 5 * time.Second // how often a room without news should report
	MaxRooms       = 10000
)

// room is a room on the list. It outlives the connections that the room makes.
type room struct {
	key      string // server.Fold of its name
	name     string // as it was first opened
	remote   bool   // it is another node's, and the rest is what that node said
	node     string // as the room said when it connected
	nodeRTMP string // where other servers reach its own, as it said; "": they cannot
	resume   string // by which the room proves that it is the same; "": it cannot
	own      bool   // it knows only its own password
	state    string
	since    time.Time // when it was listed
	heard    time.Time // when it last gave a sign of life or, if stale, when that was noticed
	status   Status
	trend    string // its activity since then, a character a sample
	timer    *time.Timer
	value    amf.Object // the entry as it travels; nil: to be made again
}

// entry returns r as it is listed. It is made once for everybody.
func (r *room) entry() amf.Object {
	if r.value == nil {
		r.value = r.plain().Value()
	}
	return r.value
}

// entryFrom returns the entry for anyone who came by host.
func (r *room) entryFrom(host string) amf.Object {
	if guard.SeenFrom(r.status.RTMP, host) == r.status.RTMP && guard.SeenFrom(r.status.HTTP, host) == r.status.HTTP {
		return r.entry()
	}
	return r.plain().SeenFrom(host).Value()
}

func (r *room) plain() Entry {
	return Entry{Name: r.name, State: r.state, Since: float64(r.since.UnixMilli()), Status: r.status}
}

// report takes the whole status of a room, unless a newer one is known.
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
		status.Pinned = false // only rooms that know the lobby's password may say so
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

// sameNews reports whether the list looks the same with either: a report without news
// differs only in its number.
func sameNews(a, b Status) bool {
	a.Seq = b.Seq
	return reflect.DeepEqual(a, b)
}

// list shows r as live, and puts it on the list if it is not there.
func (l *Lobby) list(r *room) {
	if l.listed[r.key] != r {
		l.listed[r.key] = r
		r.since, r.trend = time.Now(), ""
		l.startSampling()
		l.log.Info("room listed", "room", r.name)
	}
	l.settle(r, StateLive)
}

// stale shows that r was not heard of for a while.
func (l *Lobby) stale(r *room) {
	if !l.known(r) {
		return
	}
	l.log.Info("room stale", "room", r.name, "elsewhere", r.remote)
	l.settle(r, StateStale)
}

// remove takes r off the list.
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

// settle gives r a state, and the time that it may stay in it.
func (l *Lobby) settle(r *room, state string) {
	r.state, r.heard, r.value = state, time.Now(), nil
	l.watch(r)
	l.touch(r)
}

// watch sets a timer for the end of r's time. A report only moves that end, so a room
// costs a timer now and then, not one for each report.
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
	case r.remote && !l.nodes.fresh: // it may well be there; setFresh starts the time again
	default:
		l.remove(r)
	}
}
