package room

import (
	"time"

	"foyer/server"
	"foyer/server/amf"
	"foyer/server/rtmp"
)

// say stores what a user says and tells everybody who is in, him too. Nobody
// hears what could not be stored.
func (r *Room) say(from *server.Client, args amf.Args) (amf.Value, error) {
	p := personOf(from)
	if p == nil || p.nick == "" {
		return nil, fail("Not allowed. Join with a nick to talk.", 0)
	}
	text, wrong := parseText(args.At(0))
	if wrong != "" {
		return nil, fail(wrong, 0)
	}
	now := time.Now()
	if reason, wait := r.silence(p, now); wait > 0 {
		return nil, fail(reason, wait)
	}
	switch limit, wait := r.talk(p, now); {
	case wait == 0:
	case limit == limitRoomTalk:
		return nil, r.tooFast(from, limit, "Too much is being said in this room.", wait)
	default:
		return nil, r.tooFast(from, limit, "You talk too fast.", wait)
	}
	spoke := p.spoke
	p.spoke = now
	m := message{At: now.UnixMilli(), User: speaker{p.id, p.nick, p.role}, Text: text}
	answer := r.in.Later()
	r.spoken(func(err error) {
		if err != nil {
			r.takeBack(p, now, spoke)
			answer(nil, notStored())
			return
		}
		r.store.Append(func(id uint64) []byte { return m.as(id).data() }, func(id uint64, err error) {
			heard := r.in.Post(func() {
				if r.appended(m.as(id), err); err != nil {
					r.takeBack(p, now, spoke)
				}
				answer(stored(id, err))
			})
			if !heard { // the room has stopped
				answer(stored(id, err))
			}
		})
	})
	return nil, server.ErrPending
}

// stored answers say. Who keeps the chat cannot always tell that a message is
// not stored: its answer may be what was lost.
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

// appended hears what became of a message.
func (r *Room) appended(m message, err error) {
	if err != nil {
		if !r.unstored {
			r.log.Error("chat not stored", "err", err)
		}
		r.unstored = true
		return
	}
	if r.unstored {
		r.log.Info("chat stored again")
	}
	r.unstored = false
	r.said(m)
}

// said tells everybody what is stored.
func (r *Room) said(m message) {
	if !r.chat.add(m) {
		return
	}
	r.trim()
	r.activity.message(time.Now())
	r.people.tell("message", m.value())
	r.changed()
}

// silence is what moderators have p wait for before he says something, and how
// long.
func (r *Room) silence(p *person, now time.Time) (reason string, wait time.Duration) {
	if wait = p.mutedUntil.Sub(now); wait > 0 {
		return "You are muted.", wait
	}
	if wait = p.spoke.Add(r.settings.slow()).Sub(now); r.settings.slow() > 0 && wait > 0 && p.role != roleModerator {
		return "Slow mode: " + every(r.settings.slow()), wait
	}
	return "", 0
}
