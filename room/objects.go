package room

import (
	"strings"
	"time"
	"unicode/utf8"

	"foyer/server"
	"foyer/server/amf"
)

// MaxObjectName is how long the name of an object that users make may be, in bytes.
const MaxObjectName = 128

// show brings the shared object "room" up to date: only changes travel.
func (r *Room) show() {
	r.object.Set("title", amf.String(r.settings.Title))
	r.object.Set("topic", amf.String(r.settings.Topic))
	r.object.Set("slow", amf.Number(r.settings.slow().Seconds()))
	r.object.Set("locked", amf.Bool(r.settings.Locked))
	if r.cfg.Recorder != nil {
		r.object.Set("recording", amf.Bool(r.cfg.Recorder.Recorded(r.name)))
	}
	if k := r.settings.Retention; k != (retention{}) {
		r.object.Set("keep", amf.Object{{Name: "count", Value: amf.Number(k.Count)}, {Name: "days", Value: amf.Number(k.Days)}})
	} else {
		r.object.Remove("keep")
	}
	r.showStreams()
}

// CanRead lets everybody in the room use the room's own objects, and make and use open
// ones.
func (r *Room) CanRead(client *server.Client, object string, persistent bool) bool {
	if personOf(client) == nil {
		return false
	}
	return !persistent && (object == ObjectUsers || object == ObjectRoom) || open(object)
}

// CanWrite lets users write open objects, as long as they may talk: a send reaches
// everybody, as a message does.
func (r *Room) CanWrite(client *server.Client, object, slot string) bool {
	p := personOf(client)
	return p != nil && p.nick != "" && open(object) && !p.mutedUntil.After(time.Now())
}

// open reports whether the object is one that users make.
func open(object string) bool {
	name, ok := strings.CutPrefix(object, ObjectsOpen)
	return ok && name != "" && len(object) <= MaxObjectName && utf8.ValidString(name) && !strings.ContainsFunc(name, hidden)
}
