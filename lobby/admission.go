package lobby

import (
	"crypto/sha256"
	"crypto/subtle"
	"time"

	"foyer/server"
	"foyer/server/amf"
)

// operator marks the Data of a client who showed the admin token.
type operator struct{}

func isOperator(c *server.Client) bool {
	_, ok := c.Data.(operator)
	return ok
}

// authenticate checks who the client is and returns what lets it in or says no.
func (l *Lobby) authenticate(client *server.Client, args amf.Args) (admit func() error) {
	userName, _ := amf.AsString(args.At(0))
	password, _ := amf.AsString(args.At(1))
	switch {
	case userName == "admin" && same(password, l.cfg.AdminToken):
		return func() error { client.Data = operator{}; return nil }
	case !same(password, l.cfg.Secret):
		l.cfg.Failures.Failed(client.IP(), time.Now())
		l.log.Warn("room connection refused", "client", client.ID(), "remote", client.IP(), "agent", client.Agent(),
			"room", text(userName, MaxName), "err", "Invalid room connection attempt.")
		return func() error { return server.Reject("Invalid room connection attempt.") }
	case !ValidName(userName):
		return func() error { return server.Reject("Room name is not valid.") }
	}
	node, _ := amf.AsString(amf.Lookup(args.At(2), "node"))
	epoch, _ := amf.AsNumber(amf.Lookup(args.At(2), "epoch"))
	return func() error { return l.join(client, userName, text(node, MaxNode), epoch) }
}

// later leaves a client pending and runs admit after the wait.
func (l *Lobby) later(client *server.Client, wait time.Duration, admit func() error) error {
	waiting := new(byte)
	client.Data = waiting
	l.in.After(wait, func() {
		if client.Data != waiting {
			return // he left
		}
		client.Data = nil
		if err := admit(); err != nil {
			l.in.Reject(client, err)
			return
		}
		l.in.Accept(client)
	})
	return server.ErrPending
}

// same compares secrets in a time that tells nothing about them, their length
// included. Nothing is the same as no secret.
func same(given, secret string) bool {
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(secret))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1 && secret != ""
}
