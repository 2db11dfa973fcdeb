package room

import (
	"slices"
	"time"
)

const (
	// ReturnTime is how long anyone who was in a locked room may come back.
	ReturnTime = 10 * time.Minute
	// MaxMembers is how many of them a room remembers; the first to leave is the
	// first to be forgotten.
	MaxMembers = 1000
)

// member is a user of a locked room. No nick is stored: the proof is enough.
type member struct {
	Proof proof     `json:"mark"`
	Until time.Time `json:"until,omitzero"` // they may come back; zero while they are in
}

// members are people who may come back, in the order in which they left.
type members []member

// add remembers somebody who leaves.
func (ms *members) add(m member) {
	*ms = append(*ms, m)
	*ms = slices.Delete(*ms, 0, max(0, len(*ms)-MaxMembers))
}

// has reports whether somebody with this proof left lately.
func (ms *members) has(who proof, now time.Time) bool {
	ms.drop(now)
	return who != proof{} && slices.ContainsFunc(*ms, func(m member) bool { return m.Proof == who })
}

// remove forgets somebody who is in again, so that nobody else can use the place.
// It reports whether there was one.
func (ms *members) remove(who proof) bool {
	i := slices.IndexFunc(*ms, func(m member) bool { return m.Proof == who })
	if i < 0 {
		return false
	}
	*ms = slices.Delete(*ms, i, i+1)
	return true
}

// drop forgets members who stayed away too long.
func (ms *members) drop(now time.Time) {
	*ms = slices.DeleteFunc(*ms, func(m member) bool { return !m.Until.After(now) })
}

// with returns ms and the users who are in, as they are stored: a room that
// starts again finds nobody in it.
func (ms members) with(in []*person) members {
	all := slices.Clone(ms)
	for _, p := range in {
		if p.remembered() {
			all = append(all, member{Proof: p.proof})
		}
	}
	return all[max(0, len(all)-MaxMembers):]
}

// remembered reports whether p may come back to a locked room by a proof.
// Moderators need none.
func (p *person) remembered() bool { return p.role == roleUser && p.proof != (proof{}) }

// rememberMember lets p come back to the locked room, after it left or lost its
// connection.
func (r *Room) rememberMember(p *person) {
	if r.settings.Locked && p.remembered() {
		r.doors.Members.add(member{p.proof, time.Now().Add(ReturnTime)})
		r.saveSoon()
	}
}
