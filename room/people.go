package room

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"foyer/lobby"
	"foyer/room/nick"
	"foyer/server"
	"foyer/server/amf"
	"foyer/server/sharedobject"
)

// MaxNick is the length of a nick, in code points.
const MaxNick = nick.Max

// Values of a user's role.
const (
	roleUser      = "user"
	roleModerator = "moderator"
)

// person is a client of the room. Without a nick he is a spectator, or an
// encoder.
type person struct {
	client *server.Client
	id     string // of a user: the slot in the shared object "users"
	nick   string
	role   string
	proof  proof // by which he is known again
	since  time.Time

	speech     bucket    // how fast he may talk: while he is new, or when no limit for addresses holds for him
	renames    bucket    // and change his nick, in that case
	spoke      time.Time // last
	mutedUntil time.Time
	playing    map[string]int      // streams he plays, and how often
	publishing map[string]*monitor // streams he publishes, and how they are doing
}

// personOf returns who the client is in the room: nil for one who was thrown
// out, and for the process itself.
func personOf(c *server.Client) *person {
	p, _ := c.Data.(*person)
	return p
}

// slot is p in the shared object "users".
func (p *person) slot() amf.Object {
	return amf.Object{
		{Name: "nick", Value: amf.String(p.nick)}, {Name: "role", Value: amf.String(p.role)},
		{Name: "since", Value: amf.Number(ms(p.since))}, {Name: "via", Value: amf.String(p.via())},
	}
}

// value is p in an answer: the slot, and its id.
func (p *person) value() amf.Object {
	return append(amf.Object{{Name: "id", Value: amf.String(p.id)}}, p.slot()...)
}

// via says how p came.
func (p *person) via() string {
	if strings.HasPrefix(p.client.Protocol(), "ws") {
		return "web"
	}
	return "rtmp"
}

// parseNick returns v as a nick, or what is wrong with it.
func parseNick(v amf.Value) (name, wrong string) {
	name, ok := amf.AsString(v)
	if !ok {
		return "", "Nickname must be a string."
	}
	return nick.Parse(name)
}

// people is the table of everybody who is in.
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

// seat gives p, whose nick looks so, a place among the users. Nobody else there
// looks like it.
func (ps *people) seat(p *person, look nick.Look) {
	ps.users++
	for _, reading := range look {
		ps.nicks[reading] = p
	}
	ps.object.Set(p.id, p.slot())
}

// unseat takes the place away again.
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

// alike returns the users who could be taken for somebody of that look, the one
// who has the nick itself first.
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

// values returns the users as the method users answers them.
func (ps *people) values() amf.StrictArray {
	list := amf.StrictArray{}
	for _, p := range ps.list {
		if p.nick != "" {
			list = append(list, p.value())
		}
	}
	return list
}

// count counts them for the lobby.
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

// tell calls a method of everybody who is in. It is encoded once for all.
func (ps *people) tell(method string, args ...amf.Value) {
	push := &server.Push{Method: method, Args: args}
	for _, p := range ps.list {
		p.client.Push(push)
	}
}

// notify tells everybody who is in something that no user said.
func (r *Room) notify(text string) {
	r.people.tell("notice", amf.Object{{Name: "text", Value: amf.String(text)}})
}
