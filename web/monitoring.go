package web

import (
	"io"
	"net/http"
)

// healthz is 200 while the process is alive, and 503 with the reason when only
// starting it again can help.
func (h *Handler) healthz(w http.ResponseWriter, _ *http.Request) {
	if h.cfg.Lost != nil {
		if err := h.cfg.Lost(); err != nil {
			plain(w, http.StatusServiceUnavailable, "not healthy: "+err.Error())
			return
		}
	}
	plain(w, http.StatusOK, "ok")
}

// readyz is 200 while this process can serve, else 503 with the reason.
func (h *Handler) readyz(w http.ResponseWriter, _ *http.Request) {
	if h.cfg.Ready != nil {
		if err := h.cfg.Ready(); err != nil {
			w.Header().Set("Retry-After", "1")
			plain(w, http.StatusServiceUnavailable, "not ready: "+err.Error())
			return
		}
	}
	plain(w, http.StatusOK, "ready")
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	io.WriteString(w, text+"\n")
}
