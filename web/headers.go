package web

import "net/http"

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
