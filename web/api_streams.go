package web

import (
	"context"
	"errors"
	"net/http"
	"time"

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
	if h.mayOperate(w, r) {
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
// room that is not running yet. POST makes another key, the old one is void; a
// room that does not run is started for it.
func (h *Handler) apiKey(w http.ResponseWriter, r *http.Request) {
	const allow = "GET, HEAD, POST"
	renew := r.Method == http.MethodPost
	if !renew && r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", allow)
		problem(w, http.StatusMethodNotAllowed, "Here one can only "+allow+".")
		return
	}
	if !h.keyOfRoom(w, r) || renew && !h.newKey(w, r) {
		return
	}
	name := r.PathValue("name")
	key, generation, err := h.cfg.StreamKey(r.Context(), name)
	if err != nil {
		h.log.Error("stream key not found", "room", name, "err", err)
		w.Header().Set("Retry-After", "1")
		problem(w, http.StatusServiceUnavailable, "The key cannot be found out at the moment; the server's log says why.")
		return
	}
	answer := amf.Object{
		{Name: "server", Value: amf.String(h.roomAddress(r, name))},
		{Name: "key", Value: amf.String("live?key=" + key)},
	}
	if generation > 0 {
		answer = append(answer, amf.Field{Name: "generation", Value: amf.Number(generation)})
	}
	writeJSON(w, answer)
}

// newKeyTimeout is how long a room may take to start and to store a new key.
const newKeyTimeout = 20 * time.Second

// newKey has the room make another key, and answers if that fails.
func (h *Handler) newKey(w http.ResponseWriter, r *http.Request) bool {
	ctx, cancel := context.WithTimeout(r.Context(), newKeyTimeout)
	defer cancel()
	_, err := h.cfg.Host.CallOrStart(ctx, roomInstances+r.PathValue("name"), "newKey")
	if refusal, ok := errors.AsType[*rtmp.StatusError](err); ok {
		w.Header().Set("Retry-After", "2")
		problem(w, http.StatusServiceUnavailable, refusal.Description)
		return false
	}
	if err != nil {
		h.callProblem(w, err, notRunningHere)
		return false
	}
	return true
}

// keyOfRoom reports whether an operator asks for a room that may be published
// into on this server, and answers if not.
func (h *Handler) keyOfRoom(w http.ResponseWriter, r *http.Request) bool {
	if !h.mayOperate(w, r) {
		return false
	}
	name := r.PathValue("name")
	app, _, _ := h.cfg.Host.Resolve(roomInstances + name)
	if !lobby.ValidName(name) || app != "room" || h.cfg.StreamKey == nil {
		problem(w, http.StatusNotFound, "Nobody can publish into a room of this name on this server.")
		return false
	}
	if entry, _ := h.entry(r.Context(), name, true); entry != nil && h.isElsewhere(*entry) {
		problem(w, http.StatusNotFound, "The room is on another server: "+entry.HTTP+".")
		return false
	}
	return true
}
