package lobby

import (
	"foyer/server"
	"foyer/server/amf"
)

// Sums are figures of all rooms on the list.
type Sums struct {
	Live, Stale                            int // rooms
	Users, Spectators, Viewers, Publishers int // of all rooms
	Present                                int // users of live rooms: nobody knows who is in a stale one
	MessagesPerMinute                      float64
}

// members lists what travels.
func (s *Sums) members() []member {
	return []member{
		{"live", &s.Live}, {"stale", &s.Stale}, {"users", &s.Users}, {"spectators", &s.Spectators}, {"viewers", &s.Viewers},
		{"publishers", &s.Publishers}, {"present", &s.Present}, {"messagesPerMinute", &s.MessagesPerMinute},
	}
}

// ParseSums reads an answer of the method sums.
func ParseSums(v amf.Value) (Sums, error) {
	var s Sums
	err := parse("sums", v, s.members())
	return s, err
}

// sums answers this process alone. The argument says whether unlisted rooms count.
func (l *Lobby) sums(from *server.Client, args amf.Args) (amf.Value, error) {
	if !from.Local() {
		return nil, server.Fail("Not allowed.")
	}
	unlisted, _ := args.At(0).(amf.Bool)
	var s Sums
	for _, r := range l.all() {
		if r.status.Unlisted && !bool(unlisted) {
			continue
		}
		if r.state == StateLive {
			s.Live++
			s.Present += r.status.Users
		} else {
			s.Stale++
		}
		s.Users += r.status.Users
		s.Spectators += r.status.Spectators
		s.Viewers += r.status.Viewers
		s.Publishers += r.status.Publishers
		s.MessagesPerMinute += r.status.MessagesPerMinute
	}
	return object(s.members()), nil
}
