package room

import (
	"encoding/base64"
	"fmt"
	"slices"
	"time"
)

const (
	// ReturnTime is how long somebody who was in a locked room may come back.
	ReturnTime = 10 * time.Minute
	// MaxInsiders is how many of them a room remembers; who left first is
	// forgotten first.
	MaxInsiders = 1000
)

// insider is a user of a locked room. He has no name here: his mark is enough.
type insider struct {
	Mark  mark      `json:"mark"`
	Until time.Time `json:"until,omitzero"` // he may come back; zero while he is in
}

// MarshalText makes m a short string of JSON.
func (m mark) MarshalText() ([]byte, error) {
	return base64.RawStdEncoding.AppendEncode(nil, m[:]), nil
}

// UnmarshalText is the inverse of MarshalText.
func (m *mark) UnmarshalText(text []byte) error {
	data, err := base64.RawStdEncoding.DecodeString(string(text))
	if err != nil || len(data) != len(m) {
		return fmt.Errorf("room: a mark of %d characters", len(text))
	}
	copy(m[:], data)
	return nil
}

// insiders are those who left a locked room lately and those who are in, of
// whom a room that starts again finds nobody.
func (r *Room) insiders(now time.Time) []insider {
	if !r.locked {
		return nil
	}
	r.dropLeft(now)
	list := slices.Clone(r.left)
	for _, p := range r.people.list {
		if p.role == roleUser && p.mark != (mark{}) { // moderators come in anyway
			list = append(list, insider{Mark: p.mark})
		}
	}
	return list[max(0, len(list)-MaxInsiders):]
}

// restoreInsiders lets those who were in come back.
func (r *Room) restoreInsiders(list []insider, now time.Time) {
	for _, i := range list {
		if i.Until.IsZero() {
			i.Until = now.Add(ReturnTime)
		}
		r.left = append(r.left, i)
	}
}

// hasLeft remembers who left a locked room by himself, or lost his connection.
func (r *Room) hasLeft(p *person, now time.Time) {
	if !r.locked || p.role != roleUser || p.mark == (mark{}) {
		return
	}
	r.left = append(r.left, insider{p.mark, now.Add(ReturnTime)})
	r.left = slices.Delete(r.left, 0, max(0, len(r.left)-MaxInsiders))
	r.saveSoon()
}

// wasIn reports whether somebody with this mark left a locked room lately.
func (r *Room) wasIn(m mark, now time.Time) bool {
	r.dropLeft(now)
	return m != mark{} && slices.ContainsFunc(r.left, func(i insider) bool { return i.Mark == m })
}

// hasReturned lets nobody else come in for him.
func (r *Room) hasReturned(m mark) {
	if i := slices.IndexFunc(r.left, func(i insider) bool { return i.Mark == m }); i >= 0 {
		r.left = slices.Delete(r.left, i, i+1)
		r.saveSoon()
	}
}

func (r *Room) dropLeft(now time.Time) {
	r.left = slices.DeleteFunc(r.left, func(i insider) bool { return !i.Until.After(now) })
}
