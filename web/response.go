package web

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/gzhttp"

	"foyer/server/amf"
	"foyer/server/guard"
)

// What a request costs the allowance of its address, [guard.AnswerRate].
const (
	// dynamicCost is the least for a page or an answer of the API, which are made
	// for each request. Their bytes count, too.
	dynamicCost = 4 << 10
	// staticCost is all that anything else costs. An HLS player asks ten times a
	// second, and hundreds of them may share an address.
	staticCost = 256
)

// isDynamic reports whether the answer to a path is made for each request. What is
// not is there already, or takes long and has limits of its own.
func isDynamic(path string) bool {
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
	if listenerOf(r) != public {
		return nil
	}
	cost := staticCost
	if isDynamic(r.URL.Path) {
		cost = dynamicCost
	}
	return h.guard.Ask(clientAddr(r), cost)
}

// answer serves a request. What is made for it is compressed, and charged for
// its bytes when they are known.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request) {
	if !isDynamic(r.URL.Path) {
		h.mux.ServeHTTP(w, r)
		return
	}
	var sent atomic.Uint64
	defer func() {
		if listenerOf(r) == public {
			h.guard.Answered(clientAddr(r), int(sent.Load())-dynamicCost)
		}
	}()
	h.compressed(&countingWriter{w, &sent}, r)
}

// packing compresses what f answers with JSON or HTML of more than 1 KiB, for
// those who ask for it. It is done for each answer, so it has to be fast.
func compressed(f http.Handler) http.HandlerFunc {
	wrap, err := gzhttp.NewWrapper(
		gzhttp.ContentTypes([]string{"application/json", "application/problem+json", "text/html"}),
		gzhttp.CompressionLevel(gzip.BestSpeed), gzhttp.EnableZstd(false),
	)
	if err != nil {
		panic(err)
	}
	return wrap(f)
}

// writeCacheable is [writeJSON] for what a client may keep and ask for again: it is
// told when what it has is still right. The answer is as it was when news is:
// that leaves out what changes without telling anything.
func writeCacheable(w http.ResponseWriter, r *http.Request, answer, news amf.Value) {
	sum := sha256.Sum256(appendValue(nil, news))
	tag := `"` + hex.EncodeToString(sum[:12]) + `"`
	w.Header().Set("ETag", "W/"+tag)
	w.Header().Set("Cache-Control", "no-cache")
	if matchesETag(r, tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(append(appendValue(nil, answer), '\n'))
}

// matchesETag reports whether a client has what is tagged so: RFC 9110 §13.1.2.
func matchesETag(r *http.Request, tag string) bool {
	for _, line := range r.Header.Values("If-None-Match") {
		for has := range strings.SplitSeq(line, ",") {
			if has = strings.TrimSpace(has); has == "*" || strings.TrimPrefix(has, "W/") == tag {
				return true
			}
		}
	}
	return false
}

func writeJSON(w http.ResponseWriter, v amf.Value) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Write(append(appendValue(nil, v), '\n'))
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	io.WriteString(w, text+"\n")
}

// countingWriter counts the bytes of an answer.
type countingWriter struct {
	http.ResponseWriter
	sent *atomic.Uint64
}

func (c *countingWriter) Write(b []byte) (int, error) {
	n, err := c.ResponseWriter.Write(b)
	c.sent.Add(uint64(n))
	return n, err
}

// Unwrap is for an [http.ResponseController].
func (c *countingWriter) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// patientWriter gives each write its own time: a large file takes longer than a
// request may.
type patientWriter struct {
	http.ResponseWriter
	control *http.ResponseController
}

func (p *patientWriter) Write(b []byte) (int, error) {
	p.control.SetWriteDeadline(time.Now().Add(liveWrite))
	return p.ResponseWriter.Write(b)
}

// contentPolicy lets pages load what this server serves, and nothing else:
// no inline script or style, no frame around them, no form to elsewhere.
// 'self' covers the WebSocket of the same host (CSP 3 §6.7.2.8).
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"font-src 'self'; connect-src 'self'; media-src 'self' blob:; manifest-src 'self'; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// strictTransport has a browser use https only for a year, at all ports of this
// host. Of other hosts, those below it too, it says nothing.
const strictTransport = "max-age=31536000"

// strictHeaders go with every answer.
func strictHeaders(h http.Header, r *http.Request) {
	if isHTTPS(r) {
		h.Set("Strict-Transport-Security", strictTransport)
	}
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
}
