package room

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"foyer/room/nick"
	"foyer/server"
	"foyer/server/amf"
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
	mark   mark // by which he is known again
	since  time.Time

	speech     pace      // how fast he may talk: while he is new, or when no limit for addresses holds for him
	renames    pace      // and change his nick, in that case
	spoke      time.Time // last
	mutedUntil time.Time
	playing    map[string]int     // streams he plays, and how often
	publishing map[string]*ingest // streams he publishes, and how they are doing
}

// newcomer is who wants to come in with a nick.
type newcomer struct {
	nick, role string
	mark       mark
}

// personOf returns who the client is in the room: nil for one who was thrown
// out, and for the process itself.
func personOf(c *server.Client) *person {
	p, _ := c.Data.(*person)
	return p
}

// enter puts p into the table, a spectator as he is.
func (r *Room) enter(client *server.Client, p *person) {
	p.client = client
	if p.since.IsZero() {
		p.since = time.Now()
	}
	client.Data = p
	r.people = append(r.people, p)
	r.changed()
}

// join lets somebody with a nick in, if the room and the moderators allow it.
func (r *Room) join(client *server.Client, n newcomer) error {
	now, look := time.Now(), nick.LookOf(n.nick)
	others, ghost := r.alike(look), (*person)(nil)
	if i := slices.IndexFunc(others, n.mark.isOf); i >= 0 {
		ghost = others[i]
		others = slices.Delete(others, i, i+1)
	}
	if n.role != roleModerator && ghost == nil {
		if err := r.refusal(n, look, client, now); err != nil {
			return err
		}
	}
	if len(others) > 0 {
		return reject("Nickname is already in use.", 0)
	}
	p := &person{nick: n.nick, role: n.role, mark: n.mark}
	if ghost != nil {
		r.replace(ghost, p)
	} else {
		r.lastUser++
		p.id = "u" + strconv.Itoa(r.lastUser)
	}
	if s, ok := r.mutes.find(look, client.Person(), now); ok {
		p.mutedUntil = s.Until
	}
	r.seat(p, look)
	r.hasReturned(p.mark)
	r.enter(client, p)
	r.users.Set(p.id, p.slot())
	r.arrived(p, ghost != nil, now)
	return nil
}

// leave takes p out of the table.
func (r *Room) leave(p *person) {
	r.readNoMore(p.client)
	p.client.Data = nil
	r.people = slices.DeleteFunc(r.people, func(q *person) bool { return q == p })
	if p.nick != "" {
		r.unseat(p)
		r.parted(p, time.Now())
		r.users.Remove(p.id)
	}
	if len(p.publishing) > 0 {
		r.showStreams()
		r.look()
	}
	r.changed()
}

// rename is the method nick.
func (r *Room) rename(from *server.Client, args amf.Args) (amf.Value, error) {
	p := personOf(from)
	if p == nil || p.nick == "" {
		return nil, fail("Not allowed. Join with a nick first.", 0)
	}
	name, wrong := parseNick(args.At(0))
	if wrong != "" {
		return nil, fail(wrong, 0)
	}
	now, look := time.Now(), nick.LookOf(name)
	others := slices.DeleteFunc(r.alike(look), func(other *person) bool { return other == p })
	switch free := p.role == roleModerator; {
	case !free && r.cfg.Reserved.Has(name) && !look.Same(nick.LookOf(p.nick)):
		return nil, fail("Nickname is reserved.", 0)
	case len(others) > 0:
		return nil, fail("Nickname is already in use.", 0)
	case !free && r.bans.findNick(look, now):
		return nil, fail("Nickname is banned.", 0)
	}
	renames := r.renaming(p, now)
	if wait := renames.wait(now, talking); wait > 0 {
		return nil, r.tooFast(from, limitTalk, "You change your nick too fast.", wait)
	}
	renames.take(now, talking)
	r.unseat(p)
	p.nick = name
	r.seat(p, look)
	r.users.Set(p.id, p.slot())
	return p.value(), nil
}

// listUsers is the method users.
func (r *Room) listUsers(*server.Client, amf.Args) (amf.Value, error) {
	list := amf.StrictArray{}
	for _, p := range r.people {
		if p.nick != "" {
			list = append(list, p.value())
		}
	}
	return list, nil
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

// alike returns the users who could be taken for somebody of that look: those
// who have the nick itself first.
func (r *Room) alike(look nick.Look) (those []*person) {
	for _, reading := range look {
		if p := r.nicks[reading]; p != nil && !slices.Contains(those, p) {
			those = append(those, p)
		}
	}
	return those
}

// seat puts p, whose nick looks so, into the table of nicks. Nobody else there
// looks like it.
func (r *Room) seat(p *person, look nick.Look) {
	r.seated++
	for _, reading := range look {
		r.nicks[reading] = p
	}
}

// unseat takes p out again.
func (r *Room) unseat(p *person) {
	r.seated--
	for _, reading := range nick.LookOf(p.nick) {
		delete(r.nicks, reading)
	}
}
