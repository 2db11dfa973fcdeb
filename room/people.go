package room

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"foyer/lobby"
	"foyer/room/ingest"
	"foyer/room/nick"
	"foyer/server"
	"foyer/server/amf"
	"foyer/server/sharedobject"
)

// MaxNick is how long a nick may be, in code points.
const MaxNick = nick.Max

// Values of a user's role.
const (
	roleUser      = "user"
	roleModerator = "moderator"
)

// person is a client of the room: a user with a nick, or a spectator or an encoder
// without one.
type person struct {
	client *server.Client
	id     string // of a user: the slot in the shared object "users"
	nick   string
	role   string
	proof  proof // by which they are known when they return
	since  time.Time

	speech     bucket    // how fast they may talk: while they are new, or where the limits for addresses do not apply
	renames    bucket    // how fast they may change their nick, in the latter case
	spoke      time.Time // last
	mutedUntil time.Time
	playing    map[string]int             // streams that they play, and how often
	publishing map[string]*ingest.Monitor // streams that they publish, and how these are doing
}

// personOf returns the client's entry in the table: nil for one that was thrown
// out, and for this process itself.
func personOf(c *server.Client) *person {
	p, _ := c.Data.(*person)
	return p
}

// slot returns p as a slot of the shared object "users".
func (p *person) slot() amf.Object {
	return amf.Object{
		{Name: "nick", Value: amf.String(p.nick)}, {Name: "role", Value: amf.String(p.role)},
		{Name: "since", Value: amf.Number(ms(p.since))}, {Name: "via", Value: amf.String(p.via())},
	}
}

// value returns p as it stands in an answer: the slot, and its id.
func (p *person) value() amf.Object {
	return append(amf.Object{{Name: "id", Value: amf.String(p.id)}}, p.slot()...)
}

// via says how p is connected.
func (p *person) via() string {
	if strings.HasPrefix(p.client.Protocol(), "ws") {
		return "web"
	}
	return "rtmp"
}

// parseNick reads a nick, or says what is wrong with it.
func parseNick(v amf.Value) (name, wrong string) {
	name, ok := amf.AsString(v)
	if !ok {
		return "", "Nickname must be a string."
	}
	return nick.Parse(name)
}

// people is the table of everybody in the room.
type people struct {
	list   []*person                            // in order of arrival
	nicks  map[string]*person                   // those who have a nick, by each reading of its look
	users  int                                  // how many those are
	last   int                                  // the number in the id of the newest user
	object *sharedobject.Object[*server.Client] // "users"
}

func newPeople() people { return people{nicks: make(map[string]*person)} }

// newID returns the id of one more user.
func (ps *people) newID() string {
	ps.last++
	return "u" + strconv.Itoa(ps.last)
}

// seat gives p a place among the users. look is that of its nick, and no other user
// has anything in common with it.
func (ps *people) seat(p *person, look nick.Look) {
	ps.users++
	for _, reading := range look {
		ps.nicks[reading] = p
	}
	ps.object.Set(p.id, p.slot())
}

// unseat takes that place away.
func (ps *people) unseat(p *person) {
	ps.users--
	for _, reading := range nick.LookOf(p.nick) {
		delete(ps.nicks, reading)
	}
}

// rename gives p another nick.
func (ps *people) rename(p *person, name string, look nick.Look) {
	ps.unseat(p)
	p.nick = name
	ps.seat(p, look)
}

// remove takes p out of the table.
func (ps *people) remove(p *person) {
	ps.list = slices.DeleteFunc(ps.list, func(q *person) bool { return q == p })
	if p.nick != "" {
		ps.unseat(p)
		ps.object.Remove(p.id)
	}
}

// alike returns the users whose nicks could be taken for one of that look; if one of
// them has that very nick, it comes first.
func (ps *people) alike(look nick.Look) (those []*person) {
	for _, reading := range look {
		if p := ps.nicks[reading]; p != nil && !slices.Contains(those, p) {
			those = append(those, p)
		}
	}
	return those
}

// find returns the user of that nick, or the one whose nick looks most like it.
func (ps *people) find(name string) *person {
	if those := ps.alike(nick.LookOf(name)); len(those) > 0 {
		return those[0]
	}
	return nil
}

// named returns the user of the nick that a caller gave.
func (ps *people) named(v amf.Value) (*person, error) {
	if name, wrong := parseNick(v); wrong == "" {
		if p := ps.find(name); p != nil {
			return p, nil
		}
	}
	return nil, fail("Nobody here has this nick.", 0)
}

// values returns the users as the method users answers.
func (ps *people) values() amf.StrictArray {
	list := amf.StrictArray{}
	for _, p := range ps.list {
		if p.nick != "" {
			list = append(list, p.value())
		}
	}
	return list
}

// count adds up for the lobby what people are doing.
func (ps *people) count(s *lobby.Status) {
	for _, p := range ps.list {
		if p.nick != "" {
			s.Users++
		} else if len(p.playing) == 0 && len(p.publishing) == 0 {
			s.Spectators++
		}
		if len(p.playing) > 0 {
			s.Viewers++
		}
		if len(p.publishing) > 0 {
			s.Publishers++
		}
	}
}

// tell calls a method of everybody in the room. The call is encoded once for all.
func (ps *people) tell(method string, args ...amf.Value) {
	push := &server.Push{Method: method, Args: args}
	for _, p := range ps.list {
		p.client.Push(push)
	}
}

// notify tells everybody in the room something that no user said.
func (r *Room) notify(text string) {
	r.people.tell("notice", amf.Object{{Name: "text", Value: amf.String(text)}})
}
