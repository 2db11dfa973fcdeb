package room

import (
	"crypto/sha256"
	"crypto/subtle"
	"time"

	"foyer/server"
	"foyer/server/amf"
	"foyer/server/rtmp"
)

// refusal is why a newcomer who is no moderator may not come in.
func (r *Room) refusal(n newcomer, client *server.Client, now time.Time) error {
	if s, ok := r.bans.find(fold(n.nick), client.IP(), now); ok {
		return s.refuse(now)
	}
	if r.locked && !r.wasIn(n.mark, now) {
		return reject("Room is locked.", 0)
	}
	if len(r.nicks) >= r.cfg.MaxUsers {
		return reject("Room is full.", 0)
	}
	return nil
}

// moderatorComes checks the credential of somebody who has one. Answers to an
// address from where wrong ones came wait, the right ones too.
func (r *Room) moderatorComes(client *server.Client, n newcomer, credential amf.Value) error {
	n.role = roleModerator
	wait := r.cfg.Failures.Wait(client.IP(), time.Now())
	admit := func() error { return r.join(client, n) }
	if token, _ := amf.AsString(credential); !same(token, r.cfg.AdminToken) {
		r.cfg.Failures.Failed(client.IP(), time.Now())
		r.log.Warn("moderator refused", "client", client.ID(), "remote", client.IP(), "err", "wrong credential")
		admit = func() error { return reject("Credential is not valid.", 0) }
	}
	if wait > 0 {
		return r.later(client, wait, admit)
	}
	return admit()
}

// later leaves a client pending and runs admit after the wait.
func (r *Room) later(client *server.Client, wait time.Duration, admit func() error) error {
	waiting := new(byte)
	client.Data = waiting
	r.in.After(wait, func() {
		if client.Data != waiting {
			return // he left
		}
		client.Data = nil
		if err := admit(); err != nil {
			r.in.Reject(client, err)
			return
		}
		r.in.Accept(client)
	})
	return server.ErrPending
}

// none reports whether an argument stands for nothing.
func none(v amf.Value) bool {
	switch v.(type) {
	case nil, amf.Null, amf.Undefined:
		return true
	}
	return false
}

// same compares secrets in a time that tells nothing about them. Nothing is
// the same as no secret.
func same(given, secret string) bool {
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(secret))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1 && secret != ""
}

// reject is why somebody may not come in, and when it makes sense to try again.
func reject(reason string, retryAfter time.Duration) *rtmp.StatusError {
	e := server.Reject(reason)
	e.Application = because(reason, retryAfter)
	return e
}

// fail is why a method did nothing, and when it makes sense to try again.
func fail(reason string, retryAfter time.Duration) *rtmp.StatusError {
	e := server.Fail(reason)
	e.Application = because(reason, retryAfter)
	return e
}

func because(reason string, retryAfter time.Duration) amf.Object {
	return amf.Object{
		{Name: "reason", Value: amf.String(reason)},
		{Name: "retryAfter", Value: amf.Number((retryAfter + time.Millisecond - 1).Milliseconds())},
	}
}
