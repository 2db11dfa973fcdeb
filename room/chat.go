package room

import (
	"time"

	"foyer/lobby"
	"foyer/server"
	"foyer/server/amf"
	"foyer/server/rtmp"
)

// chat is what is said in the room.
type chat struct {
	history            // its newest messages
	epoch    int64     // milliseconds: when the history began, which a restart does not end
	speakers speakers  // whose ids may be in it
	pages    pageReads // lookups of older messages in the store
	once     once      // what was said under keys
	unstored bool      // the last message could not be stored
}

// idBlock is by how much the ids of users advance when a room starts again, so that
// nobody gets the id of somebody who has spoken.
const idBlock = 100

// speakers are the users whose ids may be in the chat. A new id is stored as such
// before its user speaks, so that after a kill nobody else gets it.
type speakers struct {
	most    int           // no user with a higher number has said anything
	stored  int           // the same, as it is stored together with the epoch; 0: it is not
	waiting []func(error) // messages that wait for that
}

// begin continues with the stored history. If nothing is left of it, a new history
// begins: the chat that somebody may remember is gone.
func (c *chat) begin(epoch int64, users int, now float64) {
	c.epoch, c.speakers = epoch, speakers{most: users, stored: users}
	if epoch == 0 || users > 0 && c.last == 0 {
		c.epoch, c.speakers.stored = int64(now), 0
	}
}

// say stores a message and then tells everybody in the room, its author too. Nobody
// hears a message that could not be stored.
func (r *Room) say(from *server.Client, args amf.Args) (amf.Value, error) {
	p := personOf(from)
	if p == nil || p.nick == "" {
		return nil, fail("Not allowed. Join with a nick to talk.", 0)
	}
	text, wrong := parseText(args.At(0))
	if wrong != "" {
		return nil, fail(wrong, 0)
	}
	mark, wrong := p.markOf(args.At(1))
	if wrong != "" {
		return nil, fail(wrong, 0)
	}
	now := time.Now()
	id, before := r.chat.once.find(mark, now)
	switch {
	case id > 0:
		return stored(uint64(id), nil)
	case before != nil && len(before.answers) > 0: // it is on its way
		before.answers = append(before.answers, r.in.Later())
		return nil, server.ErrPending
	}
	if err := r.mayTalk(p, now); err != nil {
		return nil, err
	}
	spoke, m := p.spoke, message{At: now.UnixMilli(), User: speaker{p.id, p.nick, p.role}, Text: text, Mark: mark}
	p.spoke = now
	s, answer := r.chat.once.begin(mark, before, now, r.in.Later())
	unsaid := func() { r.takeBack(p, now, spoke) }
	r.admitSpeaker(func(err error) {
		if err != nil {
			unsaid()
			answer(nil, notStored())
			return
		}
		r.append(m, s, unsaid, answer)
	})
	return nil, server.ErrPending
}

// mayTalk takes a message of p out of its allowances, or refuses it.
func (r *Room) mayTalk(p *person, now time.Time) error {
	if reason, wait := r.silence(p, now); wait > 0 {
		return fail(reason, wait)
	}
	switch limit, wait := r.talk(p, now); {
	case wait == 0:
		return nil
	case limit == limitRoomTalk:
		return r.tooFast(p.client, limit, "Too much is being said in this room.", wait)
	default:
		return r.tooFast(p.client, limit, "You talk too fast.", wait)
	}
}

// append stores a message and answers, unless the store turns out to have it from
// before. unsaid is for one that was not said this time. s is nil if it has no key.
func (r *Room) append(m message, s *saying, unsaid func(), answer func(amf.Value, error)) {
	known := false // the store has it
	data := func(id uint64) []byte {
		if known = s != nil && s.stored.Load(); known {
			return nil
		}
		return m.as(id).data()
	}
	r.store.Append(data, func(id uint64, err error) {
		heard := r.in.Post(func() {
			if err != nil {
				unsaid()
			}
			if !known {
				r.appended(m.as(id), err)
			} else if said, _ := r.chat.once.find(m.Mark, time.Now()); said > 0 {
				id, err = uint64(said), nil
			}
			answer(stored(id, err))
		})
		if !heard { // the room has stopped
			answer(stored(id, err))
		}
	})
}

// stored answers say. After an error the message may have been stored all the same:
// perhaps only the answer of the store was lost.
func stored(id uint64, err error) (amf.Value, error) {
	if err != nil {
		e := notStored()
		e.Application = append(e.Application.(amf.Object), amf.Field{Name: "perhaps", Value: amf.Bool(true)})
		return nil, e
	}
	return amf.Object{{Name: "id", Value: amf.Number(id)}}, nil
}

func notStored() *rtmp.StatusError {
	return fail("Messages cannot be stored at the moment.", StoreRetry)
}

// appended hears whether a message was stored.
func (r *Room) appended(m message, err error) {
	if err != nil {
		if !r.chat.unstored {
			r.log.Error("chat not stored", "err", err)
		}
		r.chat.unstored = true
		return
	}
	if r.chat.unstored {
		r.log.Info("chat stored again")
	}
	r.chat.unstored = false
	r.said(m)
}

// said tells everybody a message that is stored.
func (r *Room) said(m message) {
	r.chat.once.add(m)
	if !r.chat.add(m) {
		return
	}
	r.trim()
	r.activity.message(time.Now())
	r.people.tell("message", m.value())
	r.changed()
}

// silence returns the reason why moderators keep p from talking now, and for how long
// they do.
func (r *Room) silence(p *person, now time.Time) (reason string, wait time.Duration) {
	if wait = p.mutedUntil.Sub(now); wait > 0 {
		return "You are muted.", wait
	}
	if wait = p.spoke.Add(r.settings.slow()).Sub(now); r.settings.slow() > 0 && wait > 0 && p.role != roleModerator {
		return "Slow mode: " + every(r.settings.slow()), wait
	}
	return "", 0
}

// remove is remove(id). As soon as the message is gone from the store, people who have
// it are told.
func (r *Room) remove(_ *server.Client, args amf.Args) (amf.Value, error) {
	n, ok := amf.AsNumber(args.At(0))
	id := int64(clampNumber(n, lobby.MaxWhole))
	if !ok || float64(id) != n || id < 1 || id > r.chat.last {
		return nil, noMessage()
	}
	answer := r.in.Later()
	r.store.Remove(uint64(id), func(found bool, err error) {
		if !r.in.Post(func() { answer(r.removed(id, found, err)) }) {
			answer(nil, errLeft)
		}
	})
	return nil, server.ErrPending
}

// removed hears whether the store has removed a message.
func (r *Room) removed(id int64, found bool, err error) (amf.Value, error) {
	if err != nil {
		r.log.Error("message not removed", "err", err)
		return nil, fail("The message cannot be removed at the moment.", StoreRetry)
	}
	if !r.chat.remove(id) && !found {
		return nil, noMessage()
	}
	if r.chat.pages.on > 0 {
		r.chat.pages.removed = append(r.chat.pages.removed, id)
	}
	r.people.tell("removed", amf.Number(id))
	return amf.Null{}, nil
}

func noMessage() error { return fail("There is no such message.", 0) }

// admitSpeaker calls f when the state says that there is a chat, since when, and which
// ids may be in it: otherwise a kill after the first message would begin another
// history. f runs at once, except for the first message, and now and then when there
// are new people. It gets an error if the state could not be stored.
func (r *Room) admitSpeaker(f func(error)) {
	s := &r.chat.speakers
	if r.people.last <= s.stored && len(s.waiting) == 0 {
		f(nil)
		return
	}
	if s.waiting = append(s.waiting, f); len(s.waiting) > 1 {
		return // in order
	}
	if r.people.last > s.most {
		s.most = r.people.last + idBlock
	}
	most := s.most
	r.save(func(err error) { r.in.Post(func() { s.wereStored(most, err) }) })
}

// wereStored lets the messages go that have waited: users up to that number are
// stored now, unless there was an error.
func (s *speakers) wereStored(most int, err error) {
	if err == nil {
		s.stored = most
	}
	waiting := s.waiting
	s.waiting = nil
	for _, f := range waiting {
		f(err)
	}
}
