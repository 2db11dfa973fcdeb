package web

import (
	"errors"
	"net/http"

	"foyer/lobby"
	"foyer/server/amf"
	"foyer/server/rtmp"
)

// apiIngest is /api/v1/rooms/NAME/ingest: what the room's method ingest
// answers (stream). It starts no room.
func (h *Handler) apiIngest(w http.ResponseWriter, r *http.Request) {
	var args []amf.Value
	if stream := r.URL.Query().Get("stream"); stream != "" {
		args = append(args, amf.String(stream))
	}
	h.askRoom(w, r, "ingest", args...)
}

// apiRelease is DELETE /api/v1/rooms/NAME/streams/STREAM: its publisher has to
// stop.
func (h *Handler) apiRelease(w http.ResponseWriter, r *http.Request) {
	if h.forOperators(w, r) {
		h.askRoom(w, r, "release", amf.String(r.PathValue("stream")))
	}
}

// askRoom answers with what a method of the room answers, or with 204 for
// nothing. All that a room refuses here is a stream that is not there.
func (h *Handler) askRoom(w http.ResponseWriter, r *http.Request, method string, args ...amf.Value) {
	name := r.PathValue("name")
	if !lobby.ValidName(name) {
		problem(w, http.StatusNotFound, notRunningHere)
		return
	}
	answer, err := h.call(r.Context(), roomInstances+name, method, args...)
	if refusal, ok := errors.AsType[*rtmp.StatusError](err); ok && refusal.Code == rtmp.CodeCallFailed {
		problem(w, http.StatusNotFound, refusal.Description)
		return
	}
	if err != nil {
		h.callProblem(w, err, notRunningHere)
		return
	}
	if _, nothing := answer.(amf.Null); nothing {
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusNoContent)
		return
	}
	writeJSON(w, answer)
}

// apiKey is /api/v1/rooms/NAME/key: what to type into an encoder, also for a
// room that is not running yet.
func (h *Handler) apiKey(w http.ResponseWriter, r *http.Request) {
	if !h.forOperators(w, r) {
		return
	}
	name := r.PathValue("name")
	app, _, _ := h.cfg.Host.Resolve(roomInstances + name)
	if !lobby.ValidName(name) || app != "room" || h.cfg.StreamKey == nil {
		problem(w, http.StatusNotFound, "Nobody can publish into a room of this name on this server.")
		return
	}
	if entry, _ := h.entry(r.Context(), name, true); entry != nil && h.isElsewhere(*entry) {
		problem(w, http.StatusNotFound, "The room is on another server: "+entry.HTTP+".")
		return
	}
	writeJSON(w, amf.Object{
		{Name: "server", Value: amf.String(h.roomAddress(r, name))},
		{Name: "key", Value: amf.String("live?key=" + h.cfg.StreamKey(name))},
	})
}
