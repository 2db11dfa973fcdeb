package web

import (
	"context"
	"net/http"
	"strings"

	"foyer/server/guard"
)

// operatorKey marks the context of a request that showed the admin token.
type operatorKey struct{}

// bearer is the token that a request shows, if any. Other kinds of
// Authorization are not for us: a proxy may ask for a password of its own.
func bearer(r *http.Request) (token string, ok bool) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimSpace(token), strings.EqualFold(scheme, "Bearer")
}

// authenticate looks at the credential of a request, once, for all handlers: the
// request it returns says of itself who asks. It reports false when it has
// answered, because too many wrong ones came from that address lately: then a
// credential is not looked at, right or wrong. Requests without one pass.
func (h *Handler) authenticate(w http.ResponseWriter, r *http.Request) (*http.Request, bool) {
	token, ok := bearer(r)
	if !ok || listenerOf(r) == control {
		return r, true
	}
	addr := clientAddr(r)
	if wait := h.guard.Barred(addr); wait > 0 {
		tooManyRequests(w, h.guard.Refuse(addr, &guard.Refusal{
			Limit: guard.LimitCredentials, RetryAfter: wait,
			Reason: "Too many wrong credentials came from your address.",
		}, "path", clip(r.URL.Path)))
		return r, false
	}
	if !guard.Same(token, h.cfg.AdminToken) {
		h.guard.Failed(addr, "for", "operator", "path", clip(r.URL.Path))
		return r, true
	}
	return r.WithContext(context.WithValue(r.Context(), operatorKey{}, true)), true
}

// isOperator reports whether the request showed the admin token, or came in
// where only operators can.
func (h *Handler) isOperator(r *http.Request) bool {
	return listenerOf(r) == control || r.Context().Value(operatorKey{}) != nil
}
