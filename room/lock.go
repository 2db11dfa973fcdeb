package room

import (
	"encoding/base64"
	"fmt"
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

// MarshalText writes m as a short string of JSON.
func (m proof) MarshalText() ([]byte, error) {
	return base64.RawStdEncoding.AppendEncode(nil, m[:]), nil
}

// UnmarshalText is the inverse of MarshalText.
func (m *proof) UnmarshalText(text []byte) error {
	data, err := base64.RawStdEncoding.DecodeString(string(text))
	if err != nil || len(data) != len(m) {
		return fmt.Errorf("room: a proof of %d characters", len(text))
	}
	copy(m[:], data)
	return nil
}

// membersOf returns the people who left a locked room lately and those who are in:
// a room that starts again finds nobody in it.
func (r *Room) membersOf(now time.Time) []member {
	if !r.settings.Locked {
		return nil
	}
	r.dropMembers(now)
	list := slices.Clone(r.members)
	for _, p := range r.people.list {
		if p.role == roleUser && p.proof != (proof{}) { // moderators come in anyway
			list = append(list, member{Proof: p.proof})
		}
	}
	return list[max(0, len(list)-MaxMembers):]
}

// restoreMembers lets the people who were in come back.
func (r *Room) restoreMembers(list []member, now time.Time) {
	for _, i := range list {
		if i.Until.IsZero() {
			i.Until = now.Add(ReturnTime)
		}
		r.members = append(r.members, i)
	}
}

// memberLeft remembers a user who left a locked room or lost the connection to it.
func (r *Room) memberLeft(p *person, now time.Time) {
	if !r.settings.Locked || p.role != roleUser || p.proof == (proof{}) {
		return
	}
	r.members = append(r.members, member{p.proof, now.Add(ReturnTime)})
	r.members = slices.Delete(r.members, 0, max(0, len(r.members)-MaxMembers))
	r.saveSoon()
}

// isMember reports whether somebody with this proof left a locked room lately.
func (r *Room) isMember(m proof, now time.Time) bool {
	r.dropMembers(now)
	return m != proof{} && slices.ContainsFunc(r.members, func(i member) bool { return i.Proof == m })
}

// memberReturned forgets a member who is in again: nobody else may use their place.
func (r *Room) memberReturned(m proof) {
	if i := slices.IndexFunc(r.members, func(i member) bool { return i.Proof == m }); i >= 0 {
		r.members = slices.Delete(r.members, i, i+1)
		r.saveSoon()
	}
}

func (r *Room) dropMembers(now time.Time) {
	r.members = slices.DeleteFunc(r.members, func(i member) bool { return !i.Until.After(now) })
}
