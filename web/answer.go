package web

import (
	"net/http"
	"strings"
	"sync/atomic"

	"foyer/server/guard"
)

// What a request costs the allowance of its address, [guard.AnswerRate].
const (
	// madeCost is the least for a page or an answer of the API, which are made
	// for each request. Their bytes count, too.
	madeCost = 4 << 10
	// fileCost is all that anything else costs. An HLS player asks ten times a
	// second, and hundreds of them may share an address.
	fileCost = 256
)

// isMade reports whether the answer to a path is made for each request. What is
// not is there already, or takes long and has limits of its own.
func isMade(path string) bool {
	for _, prefix := range []string{"/assets/", "/live/", "/recordings/"} {
		if strings.HasPrefix(path, prefix) {
			return false
		}
	}
	switch path {
	case "/healthz", "/readyz", "/api/v1/backup":
		return false
	}
	return true
}

// charge takes what a request costs at least from the allowance of its address.
// Operators at a listener of their own have no such limit.
func (h *Handler) charge(r *http.Request) *guard.Refusal {
	if doorOf(r) != public {
		return nil
	}
	cost := fileCost
	if isMade(r.URL.Path) {
		cost = madeCost
	}
	return h.guard.Ask(clientAddr(r), cost)
}

// answer serves a request. What is made for it is charged for its bytes when
// they are known.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request) {
	if !isMade(r.URL.Path) {
		h.mux.ServeHTTP(w, r)
		return
	}
	var sent atomic.Uint64
	defer func() {
		if doorOf(r) == public {
			h.guard.Answered(clientAddr(r), int(sent.Load())-madeCost)
		}
	}()
	h.mux.ServeHTTP(&counting{w, &sent}, r)
}
