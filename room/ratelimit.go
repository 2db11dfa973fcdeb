package room

import (
	"net/netip"
	"time"

	"foyer/server"
	"foyer/server/guard"
)

// Burst messages may come at once, then one every Refill: from one address, and
// from everybody together.
const (
	Burst      = 5
	Refill     = time.Second
	RoomBurst  = 50
	RoomRefill = time.Second / 50
)

const (
	// NewTime is how long somebody with a nick is new. Who is new starts with
	// one message instead of Burst.
	NewTime = 10 * time.Second
	// ArrivalRefill is how often an address that comes again and again makes a
	// room look busier, beyond Burst.
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
	talking     = rate{Burst, Refill} // and changing the nick
	roomTalking = rate{RoomBurst, RoomRefill}
	arriving    = rate{Burst, ArrivalRefill}
)

// bucket is the allowance that somebody has left. The zero value is full.
type bucket struct {
	spent float64 // of the burst
	at    time.Time
}

// wait returns how long the next one has to wait: zero when it may come now.
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

// take is for one that came.
func (p *bucket) take(now time.Time, a rate) {
	p.wait(now, a)
	p.spent++
}

// give takes one back: it has not come.
func (p *bucket) give() { p.spent = max(0, p.spent-1) }

// source is what an address has spent in this room, whoever comes from there.
type source struct {
	speech, renames, arrivals bucket
	spoke                     time.Time // the last of those who have left
}

// rested reports whether s is as good as new. slow is how long somebody who
// has spoken is silent.
func (s *source) rested(now time.Time, slow time.Duration) bool {
	s.speech.wait(now, talking)
	s.renames.wait(now, talking)
	s.arrivals.wait(now, arriving)
	return s.speech.spent+s.renames.spent+s.arrivals.spent == 0 && !s.spoke.Add(slow).After(now)
}

// sources are those of a room that are not rested, and some that are.
type sources struct {
	all   map[netip.Prefix]*source
	sweep int // when there are so many, those that are rested are forgotten
}

// of returns the source of an address, which is new when it was not known.
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

// forget makes room. When all are busy, some of them lose what they have spent:
// a room with so many addresses in it has other limits.
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

// limits are what of the allowances of the room is spent.
type limits struct {
	sources        // by addresses
	room    bucket // by everybody together
}

// arrived begins the allowances of somebody with a nick who has come, or come
// back to a place that he had.
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
			return // the lobby has seen this address come
		}
		s.arrivals.take(now, arriving)
	}
	r.activity.warm(heatArrival, now)
}

// parted keeps of p what holds for the next one from his address.
func (r *Room) parted(p *person, now time.Time) {
	if p.spoke.Add(r.settings.slow()).After(now) && !r.free(p.client) {
		if s := r.sourceOf(p.client, now); p.spoke.After(s.spoke) {
			s.spoke = p.spoke
		}
	}
}

// renaming is how fast p changes his nick.
func (r *Room) renaming(p *person, now time.Time) *bucket {
	if r.free(p.client) {
		return &p.renames
	}
	return &r.sourceOf(p.client, now).renames
}

// free reports whether the limits for addresses leave a client alone. It has
// the allowances of its own connection then.
func (r *Room) free(c *server.Client) bool {
	g := r.in.Guard()
	return !g.Limiting() || g.Exempt(c.IP())
}

// sourceOf is where a client comes from.
func (r *Room) sourceOf(c *server.Client, now time.Time) *source {
	return r.limits.of(c.IP(), now, r.settings.slow())
}

// talk spends what a message of p costs, or says which limit is in its way and
// for how long.
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

// takeBack gives p back what something that he said at now has cost. He had
// spoken before at spoke.
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

// tooFast refuses what a limit leaves no room for at the moment.
func (r *Room) tooFast(c *server.Client, limit, reason string, wait time.Duration) error {
	r.in.Guard().Refuse(c.IP(), &guard.Refusal{Limit: limit, Reason: reason, RetryAfter: wait}, "instance", r.in.Name())
	return fail(reason, wait)
}
