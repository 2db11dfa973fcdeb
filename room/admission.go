package room

import (
	"time"

	"foyer/room/nick"
	"foyer/server"
	"foyer/server/amf"
	"foyer/server/guard"
	"foyer/server/rtmp"
)

// refusal is why a newcomer who is no moderator may not come in.
func (r *Room) refusal(n newcomer, look nick.Look, client *server.Client, now time.Time) error {
	if r.cfg.Reserved.Has(n.nick) {
		return reject("Nickname is reserved.", 0)
	}
	if s, ok := r.bans.find(look, client.Person(), now); ok {
		return s.refuse(now)
	}
	if r.locked && !r.wasIn(n.mark, now) {
		return reject("Room is locked.", 0)
	}
	if r.seated >= r.cfg.MaxUsers {
		return reject("Room is full.", 0)
	}
	return nil
}

// moderatorComes checks the credential of somebody who has one. Answers to an
// address from where wrong ones came wait, the right ones too.
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

// none reports whether an argument stands for nothing.
func none(v amf.Value) bool {
	switch v.(type) {
	case nil, amf.Null, amf.Undefined:
		return true
	}
	return false
}

// reject is why somebody may not come in, and when it makes sense to try again.
func reject(reason string, retryAfter time.Duration) *rtmp.StatusError {
	e := server.Reject(reason)
	e.Application = server.Because(reason, retryAfter)
	return e
}

// fail is why a method did nothing, and when it makes sense to try again.
func fail(reason string, retryAfter time.Duration) *rtmp.StatusError {
	e := server.Fail(reason)
	e.Application = server.Because(reason, retryAfter)
	return e
}
