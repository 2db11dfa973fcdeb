package lobby

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"strings"

	"foyer/server"
	"foyer/server/amf"
	"foyer/server/guard"
	"foyer/server/rtmp"
)

// Bounds of resume, in bytes. A shorter one could be guessed.
const (
	MinResume = 16
	MaxResume = 256
)

// operator is the Data of a client that showed the admin token.
type operator struct{}

func isOperator(c *server.Client) bool {
	_, ok := c.Data.(operator)
	return ok
}

// Password returns the own password of a room, for a lobby with that secret. It is good
// for this room, in upper or lower case, and for no other.
func Password(secret, room string) string {
	m := hmac.New(sha256.New, []byte(secret))
	m.Write([]byte("room:" + server.Fold(room)))
	return strings.ToLower(base32.StdEncoding.EncodeToString(m.Sum(nil)[:20]))
}

// newcomer is what an authenticated room says about itself when it connects.
type newcomer struct {
	name, node string
	epoch      float64
	resume     string
	unlisted   bool
	nodeRTMP   string // where other servers reach its own
	own        bool   // it knows only its own password
}

func parseNewcomer(name string, v amf.Value) newcomer {
	n := newcomer{name: name}
	node, _ := amf.AsString(amf.Lookup(v, "node"))
	n.node = text(node, MaxNode)
	n.epoch, _ = amf.AsNumber(amf.Lookup(v, "epoch"))
	n.unlisted, _ = amf.AsBool(amf.Lookup(v, "unlisted"))
	nodeRTMP, _ := amf.AsString(amf.Lookup(v, "nodeRtmp"))
	n.nodeRTMP = address(nodeRTMP, "rtmp")
	if resume, _ := amf.AsString(amf.Lookup(v, "resume")); MinResume <= len(resume) && len(resume) <= MaxResume {
		n.resume = resume
	}
	return n
}

// authenticate checks who the client is. It returns what lets it in or says no,
// and whether the credential was right.
func (l *Lobby) authenticate(client *server.Client, args amf.Args) (admit func() error, right bool) {
	userName, _ := amf.AsString(args.At(0))
	password, _ := amf.AsString(args.At(1))
	own := l.cfg.Secret != "" && ValidName(userName) && guard.Same(password, Password(l.cfg.Secret, userName))
	switch {
	case userName == "admin" && guard.Same(password, l.cfg.AdminToken):
		return func() error { client.Data = operator{}; return nil }, true
	case !own && !guard.Same(password, l.cfg.Secret):
		l.log.Warn("room connection refused", "client", client.ID(), "remote", client.IP(), "agent", client.Agent(),
			"room", text(userName, MaxName), "err", "Invalid room connection attempt.")
		return func() error { return server.Reject("Invalid room connection attempt.") }, false
	case !ValidName(userName):
		return func() error { return server.Reject("Room name is not valid.") }, true
	}
	n := parseNewcomer(userName, args.At(2))
	n.own = own
	return func() error { return l.join(client, n) }, true
}

// OnPublish lets a room, and nobody else, publish a picture of itself. The public name
// is that of the room, whatever the encoder calls it. So an encoder that knows the
// password can be a room.
func (l *Lobby) OnPublish(client *server.Client, _, _ string) (public string, takeover bool, err error) {
	r, ok := client.Data.(*room)
	if !ok || l.roomList[r.key] != client {
		return "", false, &rtmp.StatusError{Level: "error", Code: "NetStream.Publish.BadName", Description: "Not allowed: only rooms publish in the lobby."}
	}
	return r.name, true, nil
}

// OnUnpublish does nothing: a room stays without a picture.
func (l *Lobby) OnUnpublish(*server.Client, string) {}
