package web

import (
	"context"
	"net/http"
	"time"

	"foyer/server/guard"
)

// A door is where a request came in.
type door int

const (
	public  door = iota // where the pages are
	admin               // the listener for operators, who show who they are
	control             // the control socket: whoever can open it is the operator
)

// doorKey is where the door is in a request's context.
type doorKey struct{}

// doorOf is where the request came in.
func doorOf(r *http.Request) door {
	d, _ := r.Context().Value(doorKey{}).(door)
	return d
}

// Admin is the handler of a listener of its own for operators. It answers what
// the other does as well, and with [Config.Apart] what that does not.
func (h *Handler) Admin() http.Handler { return h.behind(admin) }

// Control is the handler of a socket that only operators can open: they need no
// token there.
func (h *Handler) Control() http.Handler { return h.behind(control) }

// behind is the handler for one of the doors.
func (h *Handler) behind(d door) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), doorKey{}, d)))
	})
}

// operate serves a path that is of use for operators only.
func (h *Handler) operate(method, path string, f http.HandlerFunc) {
	serve := only(method, f)
	h.mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
		if h.cfg.Apart && doorOf(r) == public {
			notFound(w, r)
			return
		}
		serve(w, r)
	})
}

// debug is operate for paths that the address of the pages never answers.
func (h *Handler) debug(path string, f http.HandlerFunc) {
	h.mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
		if doorOf(r) == public {
			notFound(w, r)
			return
		}
		if h.forWatchers(w, r) {
			rc := http.NewResponseController(w)
			rc.SetReadDeadline(time.Time{}) // a profile takes as long as it is to
			rc.SetWriteDeadline(time.Time{})
			f(w, r)
		}
	})
}

// forWatchers reports whether the request may see the figures of the process,
// and answers it if not: an operator may, and an address of Config.MetricsFrom
// that does not only bring somebody else.
func (h *Handler) forWatchers(w http.ResponseWriter, r *http.Request) bool {
	if h.isOperator(r) || !isBrought(r) && guard.Contains(h.cfg.MetricsFrom, clientAddr(r)) {
		return true
	}
	problem(w, http.StatusForbidden, "Figures are for operators: send the admin token as a bearer, or name the address "+clientAddr(r).String()+" in --metrics-from.")
	return false
}

// isBrought reports whether a proxy that is not trusted has passed the request
// on, so that its address may be that of anybody.
func isBrought(r *http.Request) bool {
	return !visitorOf(r).named && (r.Header.Get("X-Forwarded-For") != "" || r.Header.Get("Forwarded") != "")
}
