package room

import (
	"time"

	"foyer/server"
	"foyer/server/amf"
)

// OnDrain tells the people that the server restarts: those whom the server
// itself cannot ask to come back, in a call.
func (r *Room) OnDrain(retryAfter time.Duration) {
	push := &server.Push{Method: "restarting", Args: []amf.Value{
		amf.Object{{Name: "retryAfter", Value: amf.Number(retryAfter.Milliseconds())}},
	}}
	for _, p := range r.people {
		if !p.client.Reconnects() {
			p.client.Push(push)
		}
	}
}
