package room

import (
	"slices"
	"time"

	"foyer/room/nick"
	"foyer/server"
	"foyer/server/amf"
	"foyer/server/guard"
	"foyer/server/rtmp"
)

// newcomer is somebody who wants to come in with a nick.
type newcomer struct {
	nick, role string
	proof      proof
}

// moderatorComes checks a credential. After wrong ones from an address, its answers
// are delayed, and those to right credentials too.
func (r *Room) moderatorComes(client *server.Client, n newcomer, credential amf.Value) error {
	n.role = roleModerator
	admit := func() error { return r.join(client, n) }
	token, _ := amf.AsString(credential)
	right := guard.Same(token, r.cfg.AdminToken)
	if !right {
		r.log.Warn("moderator refused", "client", client.ID(), "remote", client.IP(), "err", "wrong credential")
		admit = func() error { return reject("Credential is not valid.", 0) }
	}
	wait := r.in.Guard().Shown(client.IP(), right, "for", "moderator")
	return r.in.AdmitAfter(client, wait, admit)
}

// enter puts p into the table, for now as a spectator.
func (r *Room) enter(client *server.Client, p *person) {
	p.client = client
	if p.since.IsZero() {
		p.since = time.Now()
	}
	client.Data = p
	r.people.list = append(r.people.list, p)
	r.changed()
}

// join lets a newcomer in, if the room and its moderators allow it.
func (r *Room) join(client *server.Client, n newcomer) error {
	now, look := time.Now(), nick.LookOf(n.nick)
	others, old := r.people.alike(look), (*person)(nil)
	if i := slices.IndexFunc(others, n.proof.isOf); i >= 0 {
		old = others[i]
		others = slices.Delete(others, i, i+1)
	}
	if n.role != roleModerator && old == nil {
		if err := r.refusal(n, look, client, now); err != nil {
			return err
		}
	}
	if len(others) > 0 {
		return reject("Nickname is already in use.", 0)
	}
	p := &person{nick: n.nick, role: n.role, proof: n.proof}
	if old != nil {
		r.replace(old, p)
	} else {
		p.id = r.people.newID()
	}
	if s, ok := r.doors.Mutes.find(look, client.Person(), now); ok {
		p.mutedUntil = s.Until
	}
	r.enter(client, p)
	r.people.seat(p, look)
	if r.doors.Members.remove(p.proof) {
		r.saveSoon()
	}
	r.arrived(p, old != nil, now)
	return nil
}

// refusal says why a newcomer who is no moderator may not come in.
func (r *Room) refusal(n newcomer, look nick.Look, client *server.Client, now time.Time) error {
	if r.cfg.Reserved.Has(n.nick) {
		return reject("Nickname is reserved.", 0)
	}
	if s, ok := r.doors.Bans.find(look, client.Person(), now); ok {
		return s.refuse(now)
	}
	if r.settings.Locked && !r.doors.Members.has(n.proof, now) {
		return reject("Room is locked.", 0)
	}
	if r.people.users >= r.cfg.MaxUsers {
		return reject("Room is full.", 0)
	}
	return nil
}

// leave takes p out of the room.
func (r *Room) leave(p *person) {
	r.forgetPages(p.client)
	p.client.Data = nil
	r.people.remove(p)
	if p.nick != "" {
		r.parted(p, time.Now())
	}
	if len(p.publishing) > 0 {
		r.showStreams()
		r.showHealth()
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
	others := slices.DeleteFunc(r.people.alike(look), func(other *person) bool { return other == p })
	switch free := p.role == roleModerator; {
	case !free && r.cfg.Reserved.Has(name) && !look.Same(nick.LookOf(p.nick)):
		return nil, fail("Nickname is reserved.", 0)
	case len(others) > 0:
		return nil, fail("Nickname is already in use.", 0)
	case !free && r.doors.Bans.findNick(look, now):
		return nil, fail("Nickname is banned.", 0)
	}
	renames := r.renaming(p, now)
	if wait := renames.wait(now, talking); wait > 0 {
		return nil, r.tooFast(from, limitTalk, "You change your nick too fast.", wait)
	}
	renames.take(now, talking)
	r.people.rename(p, name, look)
	return p.value(), nil
}

// listUsers is the method users.
func (r *Room) listUsers(*server.Client, amf.Args) (amf.Value, error) {
	return r.people.values(), nil
}

// none reports whether an argument is missing, null or undefined.
func none(v amf.Value) bool {
	switch v.(type) {
	case nil, amf.Null, amf.Undefined:
		return true
	}
	return false
}

// reject makes the refusal of a connection, and says when to try again.
func reject(reason string, retryAfter time.Duration) *rtmp.StatusError {
	return refusedFor(server.Reject(reason), retryAfter)
}

// fail makes the refusal of a call, and says when to try again.
func fail(reason string, retryAfter time.Duration) *rtmp.StatusError {
	return refusedFor(server.Fail(reason), retryAfter)
}
