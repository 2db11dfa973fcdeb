package room

import (
	"cmp"
	"math/rand/v2"
	"time"

	"foyer/lobby"
	"foyer/server/amf"
	"foyer/server/rtmp"
)

// How often the room reports to its lobby, and tries to reach one that it has lost.
const (
	ReportPause = 500 * time.Millisecond // between reports of changes
	MinReport   = time.Second            // the shortest and the longest pause that a lobby may ask for
	MaxReport   = time.Minute
	MinRetry    = 500 * time.Millisecond
	MaxRetry    = 15 * time.Second
	StableLink  = 10 * time.Second // a link that lasted as long was good: the next retry is quick

	maxComplaint = 300 // characters of a lobby's message that are logged
)

// link is what the lobby is told, and the state of the connection to it.
type link struct {
	epoch      float64 // milliseconds: grows when the room restarts
	seq        float64 // of the last report
	resume     string  // by which the lobby knows the room again; nobody else is told
	restarting bool    // the server is about to stop

	interval  time.Duration // what the lobby asked for
	reported  time.Time     // when the last report went out
	told      time.Time     // when the last report with news went out
	reporter  *time.Timer   // sends the next one
	soon      bool          // the next one has news
	attempts  int           // failed ones, in a row
	since     time.Time     // when the link was made; zero while there is none
	retry     *time.Timer   // makes the next one; nil when none is due
	complaint string        // logged last
}

func (r *Room) lobbyFound() {
	r.log.Info("lobby connected", "lobby", r.cfg.Lobby)
	r.link.since = time.Now()
}

// lobbyLost tries again later. When a lobby restarts, all of its rooms do: they spread
// over a delay that grows.
func (r *Room) lobbyLost(info *rtmp.StatusError) {
	l := &r.link
	if l.retry != nil {
		return // one failure may be reported more than once
	}
	if !l.since.IsZero() && time.Since(l.since) >= StableLink {
		l.attempts, l.complaint = 0, ""
	}
	l.since = time.Time{}
	l.attempts++
	r.complain(info)
	l.retry = r.in.After(retryDelay(l.attempts), func() {
		l.retry = nil
		r.connectLobby()
	})
}

// retryDelay returns a random time that is longer on average after each
// failure in a row, between MinRetry and MaxRetry.
func retryDelay(attempts int) time.Duration {
	longest := min(MinRetry<<min(attempts, 10), MaxRetry)
	return MinRetry + rand.N(longest-MinRetry+1)
}

// complain logs a trouble between room and lobby, unless it is the same as before.
func (r *Room) complain(info *rtmp.StatusError) {
	code, why := line(amf.String(info.Code), maxComplaint), line(amf.String(info.Description), maxComplaint)
	text := code + ": " + why
	if r.link.complaint == text {
		return
	}
	r.link.complaint = text
	r.log.Warn("lobby trouble", "lobby", r.cfg.Lobby, "code", code, "err", why)
}

// changed reports at once, or when ReportPause has passed since the last report with
// news. Reports without news hold nothing up.
func (r *Room) changed() {
	l := &r.link
	if l.soon {
		return
	}
	l.soon = true
	r.reportIn(max(0, time.Until(l.told.Add(ReportPause))))
}

func (r *Room) reportIn(d time.Duration) {
	if r.link.reporter != nil {
		r.link.reporter.Stop()
	}
	r.link.reporter = r.in.After(d, r.report)
}

// report tells the lobby the whole status of the room. Without a lobby it does nothing:
// the whole status goes out when there is one again.
func (r *Room) report() {
	l := &r.link
	news := l.soon
	l.soon = false
	if r.lobbyNC == nil || !r.lobbyNC.IsConnected() {
		return
	}
	l.seq++
	if l.reported = time.Now(); news {
		l.told = l.reported
	}
	r.lobbyNC.Call(lobby.MethodReport, r.reportTaken, r.status().Value())
	r.reportIn(r.reportPause())
}

// reportTaken hears how often the lobby wants a report.
func (r *Room) reportTaken(answer amf.Value, err error) {
	if err != nil {
		if info, ok := err.(*rtmp.StatusError); ok {
			r.complain(info)
		}
		return
	}
	if n, ok := amf.AsNumber(amf.Lookup(answer, "interval")); ok && n > 0 {
		r.link.interval = time.Duration(min(n, 1e6)) * time.Millisecond
		if !r.link.soon {
			r.reportIn(max(0, time.Until(r.link.reported.Add(r.reportPause()))))
		}
	}
}

// reportPause is how long the room waits with a report without news: as long as the
// lobby says, but never so long that the lobby calls the room stale.
func (r *Room) reportPause() time.Duration {
	pause := min(max(cmp.Or(r.link.interval, lobby.ReportInterval), MinReport), MaxReport)
	if r.cfg.StaleAfter > 0 {
		pause = min(pause, max(r.cfg.StaleAfter/3, ReportPause))
	}
	return pause
}

// announced passes an announcement of the lobby on to the people.
func (r *Room) announced(args amf.Args) (amf.Value, error) {
	if text := line(args.At(0), lobby.MaxAnnouncement); text != "" {
		r.notify(text)
	}
	return amf.Null{}, nil
}

// status is the report to the lobby. It counts the table of people, never differences.
func (r *Room) status() lobby.Status {
	now := time.Now()
	s := lobby.Status{
		Epoch: r.link.epoch, Seq: r.link.seq,
		Title: r.settings.Title, Topic: r.settings.Topic, Tags: r.settings.Tags,
		Streams: r.names(), Capacity: r.cfg.MaxUsers, Locked: r.settings.Locked, Unlisted: r.settings.Unlisted, Restarting: r.link.restarting,
		Node: r.cfg.Node, RTMP: r.cfg.PublicRTMP + "/room/" + r.name, HTTP: r.cfg.PublicHTTP + "/room/" + r.name,
	}
	r.people.count(&s)
	s.Live = len(s.Streams) > 0 // also while a publisher is waited for
	if s.Publishers > 0 {
		r.activity.hold(heatPublish, now)
	}
	s.Activity, s.MessagesPerMinute, s.LastActive = r.activity.level(now), r.activity.perMinute(now), ms(r.activity.last)
	return s
}

// ms returns t as it travels: in milliseconds since 1970.
func ms(t time.Time) float64 { return float64(t.UnixMilli()) }
