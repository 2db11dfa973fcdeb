package web

import (
	"net/http"

	"foyer/lobby"
	"foyer/server/amf"
)

// apiForget is DELETE /api/v1/rooms/NAME/state: a room that does not start
// because its state cannot be read starts as new. A state that can be read stays.
func (h *Handler) apiForget(w http.ResponseWriter, r *http.Request) {
	if !h.mayOperate(w, r) {
		return
	}
	name := r.PathValue("name")
	if !lobby.ValidName(name) || h.cfg.Forget == nil {
		problem(w, http.StatusNotFound, "Nothing is kept of this room.")
		return
	}
	aside, err := h.cfg.Forget(r.Context(), name)
	switch {
	case err != nil:
		h.log.Error("room state not dropped", "room", name, "err", err)
		problem(w, http.StatusInternalServerError, "The state could not be dropped; the server's log says why.")
	case aside == "":
		problem(w, http.StatusConflict, "What is kept of this room can be read, or there is nothing: nothing was done.")
	default:
		h.log.Warn("room state dropped", "room", name, "copy", aside, "remote", r.RemoteAddr)
		writeJSON(w, amf.Object{{Name: "copy", Value: amf.String(aside)}})
	}
}
