package web

import (
	"compress/gzip"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/klauspost/compress/gzhttp"

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

// answer serves a request. What is made for it is compressed, and charged for
// its bytes when they are known.
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
	h.packed(&counting{w, &sent}, r)
}

// packing compresses what f answers with JSON or HTML of more than 1 KiB, for
// those who ask for it. It is done for each answer, so it has to be fast.
func packing(f http.Handler) http.HandlerFunc {
	wrap, err := gzhttp.NewWrapper(
		gzhttp.ContentTypes([]string{"application/json", "application/problem+json", "text/html"}),
		gzhttp.CompressionLevel(gzip.BestSpeed), gzhttp.EnableZstd(false),
	)
	if err != nil {
		panic(err)
	}
	return wrap(f)
}
