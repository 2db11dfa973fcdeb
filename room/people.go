package room

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"foyer/server"
	"foyer/server/amf"
)

// MaxNick is the length of a nick, in code points.
const MaxNick = 32

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

	speech     pace      // how fast he may talk
	renames    pace      // and change his nick
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
	now, key := time.Now(), fold(n.nick)
	ghost := r.nicks[key]
	if !n.mark.isOf(ghost) {
		ghost = nil
	}
	if n.role != roleModerator && ghost == nil {
		if err := r.refusal(n, client, now); err != nil {
			return err
		}
	}
	if r.nicks[key] != ghost {
		return reject("Nickname is already in use.", 0)
	}
	p := &person{nick: n.nick, role: n.role, mark: n.mark}
	if ghost != nil {
		r.replace(ghost, p)
	} else {
		r.lastUser++
		p.id = "u" + strconv.Itoa(r.lastUser)
	}
	if s, ok := r.mutes.find(key, client.IP(), now); ok {
		p.mutedUntil = s.Until
	}
	r.nicks[key] = p
	r.hasReturned(p.mark)
	r.enter(client, p)
	r.users.Set(p.id, p.slot())
	r.activity.warm(heatArrival, now)
	return nil
}

// takeBack gives p the time back that something he said at now has cost him. He
// had spoken before at spoke.
func (p *person) takeBack(now, spoke time.Time) {
	p.speech.give()
	if p.spoke.Equal(now) {
		p.spoke = spoke
	}
}

// leave takes p out of the table.
func (r *Room) leave(p *person) {
	r.readNoMore(p.client)
	p.client.Data = nil
	r.people = slices.DeleteFunc(r.people, func(q *person) bool { return q == p })
	if p.nick != "" {
		delete(r.nicks, fold(p.nick))
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
	nick, wrong := parseNick(args.At(0))
	if wrong != "" {
		return nil, fail(wrong, 0)
	}
	now, key := time.Now(), fold(nick)
	if other := r.nicks[key]; other != nil && other != p {
		return nil, fail("Nickname is already in use.", 0)
	}
	if r.bans.findNick(key, now) && p.role != roleModerator {
		return nil, fail("Nickname is banned.", 0)
	}
	if wait := p.renames.wait(now); wait > 0 {
		return nil, fail("You change your nick too fast.", wait)
	}
	p.renames.take(now)
	delete(r.nicks, fold(p.nick))
	p.nick, r.nicks[key] = nick, p
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
func parseNick(v amf.Value) (nick, wrong string) {
	nick, ok := amf.AsString(v)
	if !ok {
		return "", "Nickname must be a string."
	}
	nick = strings.TrimSpace(nick)
	switch n := utf8.RuneCountInString(nick); {
	case n > MaxNick:
		return "", fmt.Sprintf("Nickname is longer than %d characters.", MaxNick)
	case strings.ContainsFunc(nick, hidden) || !utf8.ValidString(nick):
		return "", "Nickname has control or invisible characters."
	case fold(nick) == "":
		return "", "Nickname is empty."
	}
	return nick, ""
}

// hidden reports whether r does something to the text around it instead of
// being seen: control characters, line ends, marks that turn the direction of
// writing, and characters without width. The two joiners are left: scripts and
// emoji are written with them.
func hidden(r rune) bool {
	return !joiner(r) && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Cs, unicode.Co)
}

func joiner(r rune) bool { return r == '\u200c' || r == '\u200d' }

// fold returns what has to be unique of a nick: it has no upper and lower case
// (by Unicode's simple folding, as in strings.EqualFold), no joiners, and one
// space where there are several. Accents count, and how they are composed.
func fold(nick string) string {
	folded := strings.Map(func(r rune) rune {
		if joiner(r) {
			return -1
		}
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return least
	}, nick)
	return strings.Join(strings.Fields(folded), " ")
}
