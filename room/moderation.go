package room

import (
	"fmt"
	"net/netip"
	"time"

	"foyer/room/nick"
	"foyer/server/amf"
	"foyer/server/rtmp"
)

// Bounds of what moderators decide.
const (
	MaxReason    = 200                  // code points
	MaxSentence  = 365 * 24 * time.Hour // of a ban or a mute
	MaxSentences = 1000                 // bans of a room, and as many mutes; the one that ends first goes first
)

// kick is kick(nick, reason).
func (r *Room) kick(args amf.Args) error {
	p, err := r.people.named(args.At(0))
	if err != nil {
		return err
	}
	reason := line(args.At(1), MaxReason)
	r.expel(p, reject(withReason("You were kicked", reason), 0))
	r.notify(withReason(p.nick+" was kicked", reason))
	if r.settings.Locked {
		r.save(func(error) {}) // they are no member any more
	}
	return nil
}

// ban is ban(nick, seconds, reason), also for somebody who is not here; 0 seconds end
// a ban.
func (r *Room) ban(args amf.Args) error {
	name, wrong := parseNick(args.At(0))
	if wrong != "" {
		return fail(wrong, 0)
	}
	d, err := seconds(args.At(1), MaxSentence)
	if err != nil {
		return err
	}
	now, look := time.Now(), nick.LookOf(name)
	r.doors.Bans.lift(look, netip.Prefix{})
	if d == 0 {
		return nil
	}
	s := sentence{Nick: name, Until: now.Add(d), Reason: line(args.At(2), MaxReason), look: look}
	p := r.people.find(name)
	if p != nil {
		s.Addr = personal(p.client.Person())
	}
	r.doors.Bans.add(s, now)
	if p != nil {
		r.expel(p, s.refuse(now))
		r.notify(withReason(p.nick+" was banned", s.Reason))
	}
	return nil
}

// mute is mute(nick, seconds); 0 seconds end it.
func (r *Room) mute(args amf.Args) error {
	p, err := r.people.named(args.At(0))
	if err != nil {
		return err
	}
	d, err := seconds(args.At(1), MaxSentence)
	if err != nil {
		return err
	}
	now, look := time.Now(), nick.LookOf(p.nick)
	addr := personal(p.client.Person())
	r.doors.Mutes.lift(look, addr) // also those from when they had another nick
	p.mutedUntil = now.Add(d)
	if d == 0 {
		r.notify(p.nick + " may talk again.")
		return nil
	}
	r.doors.Mutes.add(sentence{Nick: p.nick, Addr: addr, Until: p.mutedUntil, look: look}, now)
	r.notify(fmt.Sprintf("%s is muted for %s.", p.nick, d))
	return nil
}

// expel throws p out: at once, as everybody else sees it. The code of why is Rejected,
// which keeps programs from coming back by themselves.
func (r *Room) expel(p *person, why *rtmp.StatusError) {
	r.leave(p)
	p.client.Close(why)
}

// withReason makes a sentence for people, with the reason if there is one.
func withReason(what, reason string) string {
	if reason == "" {
		return what + "."
	}
	return what + ": " + reason
}
