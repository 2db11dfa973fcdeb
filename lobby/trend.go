package lobby

import (
	"math"
	"slices"
	"strings"
	"time"

	"foyer/server"
	"foyer/server/amf"
)

// How far back the lobby remembers the activity of rooms: ten minutes.
const (
	TrendStep   = 10 * time.Second // between two samples
	TrendLength = 60               // samples at most
)

// levels are the characters of samples, for activities from 0 to 1.
const levels = "0123456789abcdefghijklmnopqrstuvwxyz"

// Trends are the answer of the method trends: how active rooms have been.
type Trends struct {
	At    float64           // time of the newest samples
	Step  float64           // ms between two
	Rooms map[string]string // by name: a character a sample, oldest first
}

// ParseTrends reads the answer of the method trends. Texts that are no trend are left out.
func ParseTrends(v amf.Value) Trends {
	t := Trends{Rooms: make(map[string]string)}
	at, _ := amf.AsNumber(amf.Lookup(v, "at"))
	step, _ := amf.AsNumber(amf.Lookup(v, "step"))
	t.At, t.Step = whole(at, MaxWhole), whole(step, MaxWhole)
	rooms, _ := amf.Lookup(v, "rooms").(amf.Object)
	for _, f := range rooms {
		if s, ok := f.Value.(amf.String); ok && validTrend(string(s)) {
			t.Rooms[f.Name] = string(s)
		}
	}
	return t
}

func validTrend(s string) bool {
	for i := range len(s) {
		if level(s[i]) < 0 {
			return false
		}
	}
	return len(s) <= TrendLength
}

// Activity returns what a character of a trend stands for, 0 to 1.
func Activity(sample byte) float64 {
	return float64(max(level(sample), 0)) / float64(len(levels)-1)
}

func level(sample byte) int {
	switch {
	case '0' <= sample && sample <= '9':
		return int(sample - '0')
	case 'a' <= sample && sample <= 'z':
		return int(sample-'a') + 10
	}
	return -1
}

// samples are the moments when the activity of rooms is noted.
type samples struct {
	timer *time.Timer // of the next; nil while no room is listed
	last  time.Time
}

// startSampling begins to note activities, unless that has begun already.
func (l *Lobby) startSampling() {
	if l.samples.timer == nil {
		l.samples.timer = l.in.After(TrendStep, l.sample)
	}
}

// sample notes how active all rooms are, and does so again a step later as long as there
// are rooms. A stale room counts with its last report.
func (l *Lobby) sample() {
	l.samples.timer = nil
	if len(l.listed)+len(l.nodes.rooms) == 0 {
		return
	}
	l.samples.last = time.Now()
	for _, r := range l.all() {
		r.trend += string(levels[int(math.Round(r.status.Activity*float64(len(levels)-1)))])
		r.trend = r.trend[max(0, len(r.trend)-TrendLength):]
	}
	l.samples.timer = l.in.After(TrendStep, l.sample)
}

// trends answers how active rooms have been: those that the method rooms answers without
// a query.
func (l *Lobby) trends(from *server.Client, _ amf.Args) (amf.Value, error) {
	found := l.find(query{sort: "activity"}, isOperator(from))
	found = found[:min(len(found), MaxAnswer)]
	slices.SortFunc(found, func(a, b *room) int { return strings.Compare(a.name, b.name) })
	rooms := make(amf.Object, 0, len(found))
	for _, r := range found {
		if r.trend != "" {
			rooms = append(rooms, amf.Field{Name: r.name, Value: amf.String(r.trend)})
		}
	}
	var at amf.Number
	if !l.samples.last.IsZero() {
		at = amf.Number(l.samples.last.UnixMilli())
	}
	return amf.Object{
		{Name: "at", Value: at}, {Name: "step", Value: amf.Number(TrendStep.Milliseconds())}, {Name: "rooms", Value: rooms},
	}, nil
}
