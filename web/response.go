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

// Costs of a request, which are charged to its address ([guard.AnswerRate]).
const (
	// dynamicCost is the least that a page or an answer of the API costs, which are made
	// for each request. If it is longer, its bytes count.
	dynamicCost = 4 << 10
	// staticCost is the cost of any other answer. An HLS player sends ten requests a
	// second, and hundreds of them may share an address.
	staticCost = 256
)

// isDynamic reports whether the answer to a path is made for each request. Any other
// answer is there already, or takes long and has limits of its own.
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

// charge takes the least cost of a request from the allowance of its address. At the
// listeners for operators there is no such limit.
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

// answer serves a request. It compresses dynamic answers, and charges for their bytes
// afterwards.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request) {
	if isTidied(w, r) {
		return
	}
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

// compressed compresses the answers of f that are JSON or HTML of more than 1 KiB, for
// clients that accept it. It compresses each answer again, so it has to be fast.
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

// writeCacheable is [writeJSON] for an answer that a client may keep. The client asks
// again, and is told if its copy is still current. The copy is current while news is the
// same: news leaves out members of the answer that change without telling anything.
func writeCacheable(w http.ResponseWriter, r *http.Request, answer, news amf.Value) {
	tag := etag(appendValue(nil, news))
	w.Header().Set("ETag", "W/"+tag)
	w.Header().Set("Cache-Control", "no-cache")
	if matchesETag(r, tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(append(appendValue(nil, answer), '\n'))
}

// etag returns a tag that is the same for the same content, at every node.
func etag(content []byte) string {
	sum := sha256.Sum256(content)
	return `"` + hex.EncodeToString(sum[:12]) + `"`
}

// matchesETag reports whether the client has a copy with that tag (RFC 9110 §13.1.2).
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

// patientWriter gives each write time of its own, because a large file takes longer than
// a request may.
type patientWriter struct {
	http.ResponseWriter
	control *http.ResponseController
}

func (p *patientWriter) Write(b []byte) (int, error) {
	p.control.SetWriteDeadline(time.Now().Add(liveWrite))
	return p.ResponseWriter.Write(b)
}

// contentPolicy lets pages load only what this server serves. It forbids inline scripts
// and styles, frames around pages, and forms to other hosts. 'self' covers the WebSocket
// of the same host (CSP 3 §6.7.2.8).
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"font-src 'self'; connect-src 'self'; media-src 'self' blob:; manifest-src 'self'; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// strictTransport makes browsers use only https for a year, at all ports of this host.
// It says nothing about other hosts, not even those below this one.
const strictTransport = "max-age=31536000"

// strictHeaders sets the headers of every answer.
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
