package web

import (
	"context"
	"net/http"
)

// A door is where a request came in.
type door int

const (
	public  door = iota // where the pages are
	control             // the control socket: whoever can open it is the operator
)

// doorKey is where the door is in a request's context.
type doorKey struct{}

// doorOf is where the request came in.
func doorOf(r *http.Request) door {
	d, _ := r.Context().Value(doorKey{}).(door)
	return d
}

// Control is the handler of a socket that only operators can open: they need no
// token there.
func (h *Handler) Control() http.Handler { return h.behind(control) }

// behind is the handler for one of the doors.
func (h *Handler) behind(d door) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), doorKey{}, d)))
	})
}
