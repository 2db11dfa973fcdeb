package web

import (
	"fmt"
	"math"
	"strconv"
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
	Past  string // the part of the last ten minutes of which nothing is known, as an SVG path; "" if all is known
	Line  string // the trend
	Area  string // the area under it
	At    time.Time
}

// A trend is drawn over time, from ten minutes ago on the left to now on the right. Its
// height is activity.
const (
	sparkWidth, sparkHeight = 120, 30
	sparkFloor, sparkTop    = 28, 2
	sparkStub               = 2 // a part of the past that is narrower is not drawn
	sparkSpan               = lobby.TrendLength * lobby.TrendStep
)

func newCard(e lobby.Entry, href string, trends lobby.Trends, now time.Time) Card {
	c := Card{Entry: e, Href: href, Trend: trends.Rooms[e.Name], At: now}
	if c.Trend == "" {
		c.Past = fmt.Sprintf("M0 %dH%d", sparkFloor, sparkWidth)
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
	if x, _ := strconv.ParseFloat(start, 64); x > sparkStub {
		c.Past = fmt.Sprintf("M0 %dH%s", sparkFloor, start)
	}
	c.Line = "M" + line
	c.Area = fmt.Sprintf("M%sL%d %dH%sZ", line, sparkWidth, sparkHeight, start)
	return c
}

func point(age time.Duration, activity float64) string {
	x := max(0, min(1, 1-float64(age)/float64(sparkSpan)))
	return fmt.Sprintf("%.1f %.1f", x*sparkWidth, sparkFloor-activity*(sparkFloor-sparkTop))
}

// newFor is how long a room counts as new.
const newFor = 10 * time.Minute

// New reports whether the room has been listed for less than newFor.
func (c Card) New() bool {
	return c.State != lobby.StateStale && !c.At.IsZero() && c.At.Sub(time.UnixMilli(int64(c.Since))) < newFor
}

// Life says in words how lively the room is.
func (c Card) Life() string {
	if c.State == lobby.StateStale {
		return "Out of touch"
	}
	mood := c.mood()
	if rate := int(math.Round(c.MessagesPerMinute)); rate > 0 {
		return mood + ", " + count(rate, "message", "messages") + " a minute"
	}
	if mood != "Silent" && mood != "Quiet" || c.At.IsZero() {
		return mood
	}
	if c.New() && mood == "Silent" {
		return "Opened " + ago(c.At.Sub(time.UnixMilli(int64(c.Since))))
	}
	if minutes := int(c.At.Sub(time.UnixMilli(int64(c.LastActive))) / time.Minute); c.LastActive > 0 && minutes > 0 && minutes < 60 {
		return mood + " for " + count(minutes, "minute", "minutes")
	}
	return mood
}

func (c Card) mood() string {
	switch {
	case c.Activity < 0.02:
		return "Silent"
	case c.Activity < 0.2:
		return "Quiet"
	case c.Activity < 0.5:
		return "Talking"
	case c.Activity < 0.8:
		return "Lively"
	}
	return "Buzzing"
}

func ago(d time.Duration) string {
	if d < time.Minute {
		return "just now"
	}
	return count(int(d/time.Minute), "minute", "minutes") + " ago"
}

// Watching says how many people watch a broadcast; "" if nobody does.
func (c Card) Watching() string {
	if !c.Live || c.Viewers == 0 {
		return ""
	}
	return fmt.Sprintf("%d watching", c.Viewers)
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
