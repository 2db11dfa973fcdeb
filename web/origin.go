package web

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"foyer/server/guard"
)

// Access decides which pages may connect, and by which names this server may be
// addressed. It can change while the server runs ([Handler.SetAccess]).
type Access struct {
	// Origins are the origins whose pages may open WebSockets and read the API, such as
	// "https://example.org". Pages of the requested host always may.
	Origins []string
	// Hosts are the names, with a port or for any port, that requests may address; none:
	// all.
	Hosts []string
}

// SetAccess replaces the Access. It leaves out origins and hosts that are not valid: see
// CheckOrigin and CheckHost.
func (h *Handler) SetAccess(a Access) {
	var clean Access
	for _, text := range a.Origins {
		if origin, err := CheckOrigin(text); err == nil {
			clean.Origins = append(clean.Origins, origin)
		}
	}
	for _, text := range a.Hosts {
		if name, port, err := CheckHost(text); err == nil {
			clean.Hosts = append(clean.Hosts, hostPort(name, port))
		}
	}
	h.access.Store(&clean)
}

// CheckOrigin returns an origin in the form in which origins are compared, or an error
// that says why it is not valid.
func CheckOrigin(text string) (string, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme == "" || u.Hostname() == "" || strings.Contains(u.Host, "*"):
		return "", errors.New("an origin has a scheme and a host, as in https://example.org")
	case u.User != nil || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return "", errors.New("an origin ends after its host and port, as in https://example.org:8443")
	}
	return strings.ToLower(u.Scheme) + "://" + withPort(u.Host, u.Scheme), nil
}

// CheckHost splits the text of a Host header, in which the port is optional. Its error
// says why the text is not valid.
func CheckHost(text string) (name, port string, err error) {
	if addr, err := netip.ParseAddr(text); err == nil {
		return addr.String(), "", nil
	}
	u, err := url.Parse("//" + text)
	if err != nil || u.Host != text || u.Hostname() == "" {
		return "", "", errors.New("a host is a name or an address, with a port or without")
	}
	return strings.ToLower(strings.TrimSuffix(u.Hostname(), ".")), u.Port(), nil
}

// hostPort joins a name and a port, as in [Access.Hosts].
func hostPort(name, port string) string {
	if port == "" {
		return name
	}
	return net.JoinHostPort(name, port)
}

// mayConnect reports whether pages of an origin may use this server under the requested
// host: they come from that host, or the settings name their origin.
func (h *Handler) mayConnect(origin, host string) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || u.User != nil {
		return false
	}
	if withPort(u.Host, u.Scheme) == withPort(host, u.Scheme) {
		return true
	}
	return h.isNamed(origin)
}

// isNamed reports whether the settings name the origin of an address.
func (h *Handler) isNamed(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	origin, err := CheckOrigin(u.Scheme + "://" + u.Host)
	return err == nil && slices.Contains(h.access.Load().Origins, origin)
}

// withPort adds the default port of the scheme if there is none.
func withPort(host, scheme string) string {
	u := url.URL{Host: strings.ToLower(host)}
	port := u.Port()
	if port == "" && strings.EqualFold(scheme, "https") {
		port = "443"
	} else if port == "" {
		port = "80"
	}
	return u.Hostname() + ":" + port
}

// isOriginAllowed reports whether a request comes from a page that may connect, or from
// a program, which names no origin. It answers any other request.
func (h *Handler) isOriginAllowed(w http.ResponseWriter, r *http.Request) bool {
	origins := r.Header.Values("Origin")
	if len(origins) == 0 || len(origins) == 1 && h.mayConnect(origins[0], r.Host) {
		return true
	}
	origin, host := printable(origins[0]), printable(r.Host)
	no := &guard.Refusal{Limit: "origin", Reason: originRefusal(origin), About: origin + " " + host}
	h.guard.Refuse(clientAddr(r), no, "origin", origin, "host", host)
	problem(w, http.StatusForbidden, no.Reason)
	return false
}

// originRefusal says what is wrong with an origin.
func originRefusal(origin string) string {
	return fmt.Sprintf("This server does not let pages of %s connect. Its operator can allow it with --public-http or --origins.", origin)
}

// maxPrintable is how many bytes of a header are shown.
const maxPrintable = 256

// printable returns the text of a header in a form that may stand in a log or a page.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return -1
		}
		return r
	}, s[:min(len(s), maxPrintable)])
	if s == "" {
		return "(none)"
	}
	return s
}

// isHostAllowed reports whether a request addresses one of the names of this server, and
// answers it if not. Otherwise a foreign name could be made to lead here, and its pages
// would count as ours. Health checks and operators may use an IP address.
func (h *Handler) isHostAllowed(w http.ResponseWriter, r *http.Request) bool {
	hosts := h.access.Load().Hosts
	if len(hosts) == 0 {
		return true
	}
	asked := visitorOf(r).asked // a page of a foreign name could write X-Forwarded-Host
	name, port, err := CheckHost(asked)
	if err == nil && (slices.Contains(hosts, name) || slices.Contains(hosts, hostPort(name, port))) {
		return true
	}
	_, noAddr := netip.ParseAddr(name)
	direct := r.URL.Path == "/healthz" || r.URL.Path == "/readyz" || listenerOf(r) == admin
	if direct && (noAddr == nil || asked == "" || name == "localhost") {
		return true
	}
	host := printable(asked)
	no := &guard.Refusal{Limit: "host", Reason: "This server does not answer for " + host + ". Its operator can allow it with --allowed-hosts.", About: host}
	h.guard.Refuse(clientAddr(r), no, "host", host)
	problem(w, http.StatusMisdirectedRequest, no.Reason)
	return false
}

// cors lets pages of allowed origins read the API, and reports whether it has answered
// the request.
func (h *Handler) cors(w http.ResponseWriter, r *http.Request) (answered bool) {
	w.Header().Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if origin == "" || len(r.Header.Values("Origin")) > 1 || !h.mayConnect(origin, r.Host) {
		return false
	}
	w.Header().Set("Access-Control-Allow-Origin", origin)
	w.Header().Set("Access-Control-Expose-Headers", "ETag, Link, Location, Retry-After, WWW-Authenticate")
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	w.Header().Set("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE")
	w.Header().Set("Access-Control-Allow-Headers", "Authorization, Content-Type, If-Match, If-None-Match")
	w.Header().Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return true
}
