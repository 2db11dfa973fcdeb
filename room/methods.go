package room

import (
	"foyer/server"
	"foyer/server/amf"
)

// Methods are what clients may call.
func (r *Room) Methods() map[string]server.Method {
	return map[string]server.Method{
		"say":     r.say,
		"history": r.historyOf,
		"users":   r.listUsers,
		"nick":    r.rename,
		"ingest":  r.ingestOf,
		"release": r.moderated(r.release),
		"topic":   r.decided(r.setTopic),
		"kick":    r.moderated(r.kick),
		"ban":     r.decided(r.ban),
		"mute":    r.decided(r.mute),
		"keep":    r.decided(r.setRetention),
		"remove":  r.moderators(r.remove),
		"slow":    r.decided(r.setSlow),
		"lock":    r.switched(r.setLock),
		"record":  r.switched(r.setRecord),
		"title":   r.decided(r.setTitle),
		"tags":    r.decided(r.setTags),
		"unlist":  r.switched(r.setUnlisted),
		"move":    r.moderators(r.move),
		"newKey":  r.renewKey,
	}
}

// moderated makes a method of m, for moderators and for this process itself.
func (r *Room) moderated(m func(amf.Args) error) server.Method {
	return r.moderators(func(_ *server.Client, args amf.Args) (amf.Value, error) {
		return amf.Null{}, m(args)
	})
}

// decided is moderated for an m that changes the state of the room. The change
// holds at once; the call is answered when it is stored.
func (r *Room) decided(m func(amf.Args) error) server.Method {
	return r.moderators(func(_ *server.Client, args amf.Args) (amf.Value, error) {
		if err := m(args); err != nil {
			return nil, err
		}
		return r.saved()
	})
}

// switched is decided for an m whose argument switches something on or off.
func (r *Room) switched(m func(on bool) error) server.Method {
	return r.decided(func(args amf.Args) error {
		on, ok := amf.AsBool(args.At(0))
		if !ok {
			return fail("The argument must be true or false.", 0)
		}
		return m(on)
	})
}

// moderators lets only moderators call m, and this process itself.
func (r *Room) moderators(m server.Method) server.Method {
	return func(from *server.Client, args amf.Args) (amf.Value, error) {
		if p := personOf(from); !from.Local() && (p == nil || p.role != roleModerator) {
			return nil, fail("Not allowed.", 0)
		}
		return m(from, args)
	}
}
