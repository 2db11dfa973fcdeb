package web

import (
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strings"

	"foyer/server/guard"
)

// A proxy may put this server below a path that it takes off every request. So each
// address of this server that leaves it is relative to that of the request, or has the
// path in front that a trusted proxy names.

// forwardedPrefix is the form of X-Forwarded-Prefix: one that begins with two slashes
// would lead to another host.
var forwardedPrefix = regexp.MustCompile(`^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*$`)

// toRoot returns the way from the address of a request to /. It is relative unless a
// proxy has named it: proxies may change an address, as nginx does with an encoded slash.
func toRoot(r *http.Request) string {
	if prefix := visitorOf(r).prefix; prefix != "" {
		return prefix + "/"
	}
	depth, segments := 0, strings.Split(r.URL.EscapedPath(), "/")
	for _, s := range segments[1:max(1, len(segments)-1)] {
		switch strings.ReplaceAll(strings.ToLower(s), "%2e", ".") {
		case ".":
		case "..":
			depth = max(0, depth-1)
		default:
			depth++
		}
	}
	return "./" + strings.Repeat("../", depth)
}

// underHost returns an address of this server for programs, which take it to be one of
// the requested host: path, behind what a proxy or the settings say is in front of it.
func (h *Handler) underHost(r *http.Request, path string) string {
	if prefix := visitorOf(r).prefix; prefix != "" {
		return prefix + path
	}
	public, err := url.Parse(h.cfg.PublicHTTP)
	if err != nil || guard.Hostname(public.Host) != guard.Hostname(r.Host) {
		return path
	}
	return strings.TrimRight(public.EscapedPath(), "/") + path
}

// isTidied redirects a request whose path has doubled slashes or dots to the address
// without them, and reports whether it did. A mux would redirect to the root of the host.
func isTidied(w http.ResponseWriter, r *http.Request) bool {
	asked := r.URL.EscapedPath()
	tidy := path.Clean("/" + asked)
	if strings.HasSuffix(asked, "/") && tidy != "/" {
		tidy += "/"
	}
	if tidy == asked || asked == "" {
		return false
	}
	if r.URL.RawQuery != "" {
		tidy += "?" + r.URL.RawQuery
	}
	redirect(w, toRoot(r)+tidy[1:], http.StatusPermanentRedirect)
	return true
}

// to redirects to a path of this server, without a slash in front.
func to(path string, status int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { redirect(w, toRoot(r)+path, status) }
}

// redirect sends a browser to an address, which may be relative to the one it requested.
// http.Redirect would make it one below the root of this server.
func redirect(w http.ResponseWriter, location string, status int) {
	w.Header().Set("Location", location)
	w.WriteHeader(status)
}
