package room

import (
	"strings"
	"time"

	"foyer/server"
	"foyer/server/amf"
	"foyer/server/guard"
)

// OnDrain tells the lobby and the people that the server restarts. Clients that the
// server itself can ask to come back need no call.
func (r *Room) OnDrain(retryAfter time.Duration) {
	r.link.restarting = true
	r.report()
	push := &server.Push{Method: "restarting", Args: []amf.Value{
		amf.Object{{Name: "retryAfter", Value: amf.Number(retryAfter.Milliseconds())}},
	}}
	for _, p := range r.people.list {
		if !p.client.Reconnects() {
			p.client.Push(push)
		}
	}
}

// move is move(room), for moderators: it sends the audience to another room.
// Publishers and moderators stay.
func (r *Room) move(from *server.Client, args amf.Args) (amf.Value, error) {
	other, _ := amf.AsString(args.At(0))
	switch {
	case !ValidName(other):
		return nil, fail("Room name is not valid.", 0)
	case strings.EqualFold(other, r.name):
		return nil, fail("This is the room "+other+" already.", 0)
	}
	by := "The operator"
	if p := personOf(from); p != nil {
		by = p.nick
	}
	text := by + " sends everybody to the room " + other + "."
	r.notify(text)
	for _, p := range r.people.list {
		if p.role == roleModerator || len(p.publishing) > 0 {
			continue
		}
		uri := r.addressOf(p.client, other)
		p.client.Push(&server.Push{Method: "moved", Args: []amf.Value{amf.Object{
			{Name: "room", Value: amf.String(other)}, {Name: "by", Value: amf.String(by)}, {Name: "url", Value: amf.String(uri)},
		}}})
		if p.via() == "rtmp" {
			p.client.Reconnect(uri, text, 0)
		}
	}
	return amf.Null{}, nil
}

// addressOf returns the address of another room, written as the client wrote that of
// this one: it may know the server by another name.
func (r *Room) addressOf(c *server.Client, other string) string {
	uri, _, _ := strings.Cut(c.URI(), "?")
	uri = strings.TrimRight(uri, "/")
	if i := strings.LastIndexByte(uri, '/'); i > 0 && strings.EqualFold(uri[i+1:], r.name) && strings.Contains(uri[:i], "://") {
		return uri[:i+1] + other
	}
	return guard.SeenFrom(r.cfg.PublicRTMP+"/room/"+other, guard.HostOf(c.URI()))
}
