package room

import (
	"math"
	"time"
)

// How much heat an event adds to a room.
const (
	heatMessage = 1
	heatArrival = 2  // of a user
	heatPublish = 15 // also the least heat while something is being published
)

// The heat halves every coolingTime; halfHeat is where the activity is 0.5.
const (
	coolingTime = 2 * time.Minute
	halfHeat    = 30
)

// activity is how much happens in a room. Each event adds heat, which cools
// all the time: heat(t) = heat · 2^(-t/2 min). The activity is
// heat / (heat + 30), in hundredths. Ten messages a minute make 0.5 of it in the
// long run, one a second 0.85: livelier rooms can still be told apart. After some
// twenty minutes without any event it is 0.
type activity struct {
	last   time.Time // of the last event
	heat   float64
	at     time.Time // when the heat was that
	said   [60]int   // messages of the last minute, by second
	second int64     // the newest one of said
}

// warm adds the heat of an event.
func (a *activity) warm(heat float64, now time.Time) {
	a.cool(now)
	a.heat += heat
	a.last = now
}

// hold keeps the heat from falling below a value.
func (a *activity) hold(heat float64, now time.Time) {
	a.cool(now)
	a.heat = max(a.heat, heat)
}

// message counts a message.
func (a *activity) message(now time.Time) {
	a.warm(heatMessage, now)
	a.turn(now)
	a.said[a.second%60]++
}

// level returns the activity.
func (a *activity) level(now time.Time) float64 {
	a.cool(now)
	return math.Round(100*a.heat/(a.heat+halfHeat)) / 100
}

// perMinute returns how many messages came in the last minute.
func (a *activity) perMinute(now time.Time) float64 {
	a.turn(now)
	n := 0
	for _, said := range a.said {
		n += said
	}
	return float64(n)
}

func (a *activity) cool(now time.Time) {
	if t := now.Sub(a.at); t > 0 {
		a.heat *= math.Exp2(-t.Seconds() / coolingTime.Seconds())
		a.at = now
	}
}

// turn empties the seconds that are a minute old.
func (a *activity) turn(now time.Time) {
	second := now.Unix()
	for s := max(a.second+1, second-59); s <= second; s++ {
		a.said[s%60] = 0
	}
	a.second = max(a.second, second)
}
