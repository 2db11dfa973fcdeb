package web

import (
	"fmt"
	"math"
	"strings"
	"time"

	"foyer/lobby"
)

// A Card is a room on the lobby page. It says the same as card.js, for browsers that run
// no script.
type Card struct {
	lobby.Entry
	Href  string // "./room/NAME", or the address of the room on another server
	Trend string // its recent activity, as the lobby's method trends encodes it
	Line  string // the trend as an SVG path; "" if nothing is known
	Area  string // the area under the line
}

// A trend is drawn over time, from ten minutes ago on the left to now on the right. Its
// height is activity.
const (
	sparkWidth, sparkHeight = 120, 30
	sparkFloor, sparkTop    = 28, 2
	sparkSpan               = lobby.TrendLength * lobby.TrendStep
)

func newCard(e lobby.Entry, href string, trends lobby.Trends, now time.Time) Card {
	c := Card{Entry: e, Href: href, Trend: trends.Rooms[e.Name]}
	if c.Trend == "" {
		return c
	}
	age := now.Sub(time.UnixMilli(int64(trends.At)))
	step := time.Duration(trends.Step) * time.Millisecond
	var points []string
	for i := range len(c.Trend) {
		points = append(points, point(age+time.Duration(len(c.Trend)-1-i)*step, lobby.Activity(c.Trend[i])))
	}
	line := strings.Join(append(points, point(0, e.Activity)), "L")
	start, _, _ := strings.Cut(points[0], " ")
	c.Line = "M" + line
	c.Area = fmt.Sprintf("M%sL%d %dH%sZ", line, sparkWidth, sparkHeight, start)
	return c
}

func point(age time.Duration, activity float64) string {
	x := max(0, min(1, 1-float64(age)/float64(sparkSpan)))
	return fmt.Sprintf("%.1f %.1f", x*sparkWidth, sparkFloor-activity*(sparkFloor-sparkTop))
}

// Life says in words how lively the room is.
func (c Card) Life() string {
	if c.State == lobby.StateStale {
		return "connection lost"
	}
	var word string
	switch {
	case c.Activity < 0.02:
		word = "silent"
	case c.Activity < 0.2:
		word = "quiet"
	case c.Activity < 0.5:
		word = "talking"
	case c.Activity < 0.8:
		word = "lively"
	default:
		word = "buzzing"
	}
	if rate := int(math.Round(c.MessagesPerMinute)); rate > 0 {
		return word + ", " + count(rate, "message", "messages") + " a minute"
	}
	return word
}

// Also says who else is in the room.
func (c Card) Also() string {
	var parts []string
	if c.Viewers > 0 {
		parts = append(parts, count(c.Viewers, "viewer", "viewers"))
	}
	if c.Spectators > 0 {
		parts = append(parts, count(c.Spectators, "spectator", "spectators"))
	}
	if c.Capacity > 0 && c.Capacity < 1000 {
		parts = append(parts, fmt.Sprintf("%d/%d", c.Users, c.Capacity))
	}
	return strings.Join(parts, " · ")
}

// Full reports whether nobody else can join.
func (c Card) Full() bool { return c.Capacity > 0 && c.Users >= c.Capacity }

// headline says how many people are in how many rooms.
func headline(s lobby.Sums) string {
	if s.Live == 0 {
		return "Nobody is here yet"
	}
	return count(s.Present, "person", "people") + " in " + count(s.Live, "room", "rooms")
}

func count(n int, one, many string) string {
	if n == 1 {
		many = one
	}
	return fmt.Sprintf("%d %s", n, many)
}
