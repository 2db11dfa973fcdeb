package room

import (
	"net/netip"
	"time"

	"foyer/server"
	"foyer/server/guard"
)

// Burst messages may come at once, then one every Refill: from one address, and, with
// bounds of their own, from everybody together.
const (
	Burst      = 5
	Refill     = time.Second
	RoomBurst  = 50
	RoomRefill = time.Second / 50
)

const (
	// NewTime is how long a user is new. New users start with one message instead
	// of Burst.
	NewTime = 10 * time.Second
	// ArrivalRefill is how often arrivals from one address make a room look busier,
	// after Burst of them.
	ArrivalRefill = 10 * time.Second
	// MaxSources is how many addresses a room remembers.
	MaxSources = 4096
)

// rate is how often something may be done: burst times at once, then once every
// refill.
type rate struct {
	burst  float64
	refill time.Duration
}

var (
	talking     = rate{Burst, Refill} // also for changing the nick
	roomTalking = rate{RoomBurst, RoomRefill}
	arriving    = rate{Burst, ArrivalRefill}
)

// bucket is the allowance that somebody has left. The zero value is full.
type bucket struct {
	spent float64 // of the burst
	at    time.Time
}

// wait returns how long the next one has to wait: zero if it may come now.
func (p *bucket) wait(now time.Time, a rate) time.Duration {
	if p.spent > 0 {
		p.spent = max(0, p.spent-now.Sub(p.at).Seconds()/a.refill.Seconds())
	}
	p.at = now
	if over := p.spent + 1 - a.burst; over > 1e-9 {
		return time.Duration(over * float64(a.refill))
	}
	return 0
}

// take counts one that came.
func (p *bucket) take(now time.Time, a rate) {
	p.wait(now, a)
	p.spent++
}

// give takes that back: it did not come after all.
func (p *bucket) give() { p.spent = max(0, p.spent-1) }

// source is the allowance that all clients of an address share in this room.
type source struct {
	speech, renames, arrivals bucket
	spoke                     time.Time // when anyone who has left spoke last
}

// rested reports whether s is as good as new. slow is how long users are silent after
// they have spoken.
func (s *source) rested(now time.Time, slow time.Duration) bool {
	s.speech.wait(now, talking)
	s.renames.wait(now, talking)
	s.arrivals.wait(now, arriving)
	return s.speech.spent+s.renames.spent+s.arrivals.spent == 0 && !s.spoke.Add(slow).After(now)
}

// sources are all sources that are not rested, and some that are.
type sources struct {
	all   map[netip.Prefix]*source
	sweep int // at so many, those that are rested are forgotten
}

// of returns the source of an address, or makes one.
func (ss *sources) of(addr netip.Addr, now time.Time, slow time.Duration) *source {
	key := guard.Source(addr)
	s := ss.all[key]
	if s != nil {
		return s
	}
	if len(ss.all) >= ss.sweep {
		ss.forget(now, slow)
	}
	s = new(source)
	ss.all[key] = s
	return s
}

// forget makes room for new sources. When none is rested, some start afresh: in a
// room with so many addresses, other limits hold first.
func (ss *sources) forget(now time.Time, slow time.Duration) {
	if ss.all == nil {
		ss.all = make(map[netip.Prefix]*source)
	}
	for key, s := range ss.all {
		if s.rested(now, slow) {
			delete(ss.all, key)
		}
	}
	for key := range ss.all {
		if len(ss.all) < MaxSources {
			break
		}
		delete(ss.all, key)
	}
	ss.sweep = min(max(16, 2*len(ss.all)), MaxSources)
}

// limits are the allowances for talking in the room.
type limits struct {
	sources        // by addresses
	room    bucket // by everybody together
}

// arrived sets the allowances of a user who has come. back says that they have returned
// to their own place.
func (r *Room) arrived(p *person, back bool, now time.Time) {
	if !r.free(p.client) {
		s := r.sourceOf(p.client, now)
		if !back {
			p.speech = bucket{Burst - 1, now}
		}
		if s.spoke.After(p.spoke) {
			p.spoke = s.spoke
		}
		if s.arrivals.wait(now, arriving) > 0 {
			return // the room does not look busier
		}
		s.arrivals.take(now, arriving)
	}
	r.activity.warm(heatArrival, now)
}

// parted keeps what p leaves to the next client of its address: the silence of slow mode.
func (r *Room) parted(p *person, now time.Time) {
	if p.spoke.Add(r.settings.slow()).After(now) && !r.free(p.client) {
		if s := r.sourceOf(p.client, now); p.spoke.After(s.spoke) {
			s.spoke = p.spoke
		}
	}
}

// renaming returns the bucket for p to change its nick.
func (r *Room) renaming(p *person, now time.Time) *bucket {
	if r.free(p.client) {
		return &p.renames
	}
	return &r.sourceOf(p.client, now).renames
}

// free reports whether the limits for addresses do not apply to a client. It has
// allowances of its own then.
func (r *Room) free(c *server.Client) bool {
	g := r.in.Guard()
	return !g.Limiting() || g.Exempt(c.IP())
}

// sourceOf returns the source of a client.
func (r *Room) sourceOf(c *server.Client, now time.Time) *source {
	return r.limits.of(c.IP(), now, r.settings.slow())
}

// talk takes a message of p out of its allowances, or says which limit is in the way
// and for how long.
func (r *Room) talk(p *person, now time.Time) (limit string, wait time.Duration) {
	if r.free(p.client) {
		if wait = p.speech.wait(now, talking); wait == 0 {
			p.speech.take(now, talking)
		}
		return limitTalk, wait
	}
	s := r.sourceOf(p.client, now)
	wait = s.speech.wait(now, talking)
	if now.Sub(p.since) < NewTime {
		wait = max(wait, p.speech.wait(now, talking))
	}
	if wait > 0 {
		return limitTalk, wait
	}
	if wait = r.limits.room.wait(now, roomTalking); wait > 0 {
		return limitRoomTalk, wait
	}
	p.speech.take(now, talking)
	s.speech.take(now, talking)
	r.limits.room.take(now, roomTalking)
	return "", 0
}

// takeBack undoes talk for a message of p that came at now and was not said. The one
// before was said at spoke.
func (r *Room) takeBack(p *person, now, spoke time.Time) {
	p.speech.give()
	if !r.free(p.client) {
		r.sourceOf(p.client, now).speech.give()
		r.limits.room.give()
	}
	if p.spoke.Equal(now) {
		p.spoke = spoke
	}
}

// Names of limits, as in foyer_refused_total.
const (
	limitTalk     = "talk"
	limitRoomTalk = "room-talk"
)

// tooFast refuses a call that came too soon for a limit.
func (r *Room) tooFast(c *server.Client, limit, reason string, wait time.Duration) error {
	r.in.Guard().Refuse(c.IP(), &guard.Refusal{Limit: limit, Reason: reason, RetryAfter: wait}, "instance", r.in.Name())
	return fail(reason, wait)
}
