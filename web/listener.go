package web

import (
	"net/http"
	"time"

	"foyer/server/guard"
)

// A listener is the server's socket by which a request came in.
type listener int

const (
	public  listener = iota // serves the pages
	admin                   // is for operators, who show the admin token
	control                 // the control socket: anyone who can open it is an operator
)

// listenerOf returns the listener by which a request came in.
func listenerOf(r *http.Request) listener { return visitorOf(r).listener }

// Admin returns the handler of the listener for operators. It serves all that the
// public one does and, with [Config.Apart], all that the public one does not.
func (h *Handler) Admin() http.Handler { return h.servedAt(admin) }

// Control returns the handler of the control socket. Only operators can open it, so
// they need no token there.
func (h *Handler) Control() http.Handler { return h.servedAt(control) }

// servedAt returns the handler of a listener.
func (h *Handler) servedAt(l listener) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.serve(w, r, l) })
}

// operate serves a path that is for operators only.
func (h *Handler) operate(methods, path string, f http.HandlerFunc) {
	h.apart(methods, path, func(w http.ResponseWriter, r *http.Request) {
		if h.mayOperate(w, r) {
			f(w, r)
		}
	})
}

// apart serves a path that [Config.Apart] takes away from the public listener.
func (h *Handler) apart(methods, path string, f http.HandlerFunc) {
	serve := only(methods, f)
	h.mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
		if h.cfg.Apart && listenerOf(r) == public {
			notFound(w, r)
			return
		}
		serve(w, r)
	})
}

// debug serves a path that the public listener never serves.
func (h *Handler) debug(path string, f http.HandlerFunc) {
	h.mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
		if listenerOf(r) == public {
			notFound(w, r)
			return
		}
		if h.mayReadFigures(w, r) {
			rc := http.NewResponseController(w)
			rc.SetReadDeadline(time.Time{}) // a profile may take longer than a request
			rc.SetWriteDeadline(time.Time{})
			f(w, r)
		}
	})
}

// mayReadFigures reports whether a request may see the figures of the process, and
// answers it if not. Operators may, and clients at an address of Config.MetricsFrom
// whose requests do not come from further away through a proxy.
func (h *Handler) mayReadFigures(w http.ResponseWriter, r *http.Request) bool {
	if h.isOperator(r) || !isForwarded(r) && guard.Contains(h.cfg.MetricsFrom, clientAddr(r)) {
		return true
	}
	problem(w, http.StatusForbidden, "Only operators can see these figures. Send the admin token as a bearer token, or add the address "+clientAddr(r).String()+" to --metrics-from.")
	return false
}

// isForwarded reports whether an untrusted proxy has passed the request on. Then anybody
// may have sent it.
func isForwarded(r *http.Request) bool {
	return !visitorOf(r).named && (r.Header.Get("X-Forwarded-For") != "" || r.Header.Get("Forwarded") != "")
}
