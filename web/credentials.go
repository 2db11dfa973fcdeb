package web

import (
	"net/http"
	"strings"

	"foyer/server/guard"
)

// bearer returns the token of a request, if it has one. Another kind of Authorization is
// not for us: a proxy may ask for a password of its own.
func bearer(r *http.Request) (token string, ok bool) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimSpace(token), strings.EqualFold(scheme, "Bearer")
}

// authenticate looks at the credential of a request, once for all handlers, and notes
// whether it is an operator's. After too many wrong credentials from an address, it
// refuses every request from there that has one, right or wrong, and reports false.
// Requests without a credential pass.
func (h *Handler) authenticate(w http.ResponseWriter, r *http.Request) bool {
	token, ok := bearer(r)
	if !ok {
		return true
	}
	addr := clientAddr(r)
	if wait := h.guard.Barred(addr); wait > 0 {
		tooManyRequests(w, h.guard.Refuse(addr, &guard.Refusal{
			Limit: guard.LimitCredentials, RetryAfter: wait,
			Reason: "Too many wrong credentials came from your address.",
		}, "path", clip(r.URL.Path)))
		return false
	}
	if visitorOf(r).operator = guard.Same(token, h.cfg.AdminToken); !visitorOf(r).operator {
		h.guard.Failed(addr, "for", "operator", "path", clip(r.URL.Path))
	}
	return true
}

// isOperator reports whether the request showed the admin token, or came by the control
// socket.
func (h *Handler) isOperator(r *http.Request) bool {
	return listenerOf(r) == control || visitorOf(r).operator
}
