package lobby

import (
	"foyer/server"
	"foyer/server/amf"
	"foyer/server/guard"
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
	case userName == "admin" && guard.Same(password, l.cfg.AdminToken):
		return func() error { client.Data = operator{}; return nil }
	case !guard.Same(password, l.cfg.Secret):
		l.in.Guard().Failed(client.IP())
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
