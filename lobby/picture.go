package lobby

import (
	"foyer/server"
	"foyer/server/rtmp"
)

// OnPublish lets a room, and nobody else, publish a picture of itself: its
// public name is the room's, whatever the encoder calls it. So an encoder that
// knows the password can be a room.
func (l *Lobby) OnPublish(client *server.Client, _, _ string) (public string, takeover bool, err error) {
	r, ok := client.Data.(*room)
	if !ok || l.roomList[r.key] != client {
		return "", false, &rtmp.StatusError{Level: "error", Code: "NetStream.Publish.BadName", Description: "Not allowed: only rooms publish in the lobby."}
	}
	return r.name, true, nil
}

// OnUnpublish has nothing to do: the link of a room is more than its picture.
func (l *Lobby) OnUnpublish(*server.Client, string) {}
