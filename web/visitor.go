package web

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"foyer/server/guard"
)

// A visitor is the true source of a request, whatever proxies are in between.
type visitor struct {
	listener listener
	addr     netip.AddrPort
	named    bool   // a trusted proxy has named addr
	https    bool   // the browser speaks https, to us or to a trusted proxy
	operator bool   // showed the admin token; set by authenticate
	prefix   string // the path that a trusted proxy has taken off; it has no slash at the end
	asked    string // the Host of the request, whatever a proxy says that the browser sent
}

type visitorKey struct{}

type connKey struct{}

// ConnContext is for an [http.Server]. By it, requests know whether a trusted proxy has
// named the address of their connection.
func ConnContext(ctx context.Context, nc net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, nc)
}

// visitorOf returns the source of a request. Nothing else uses r.RemoteAddr or r.TLS to
// decide something.
func visitorOf(r *http.Request) *visitor {
	if v, ok := r.Context().Value(visitorKey{}).(*visitor); ok {
		return v
	}
	addr, _ := netip.ParseAddrPort(r.RemoteAddr)
	v := &visitor{addr: netip.AddrPortFrom(addr.Addr().Unmap().WithZone(""), addr.Port()), https: r.TLS != nil}
	if nc, ok := r.Context().Value(connKey{}).(net.Conn); ok {
		v.named = guard.Named(nc)
	}
	return v
}

// isHTTPS reports whether the browser speaks https.
func isHTTPS(r *http.Request) bool { return visitorOf(r).https }

// clientAddr returns the address from which a request comes.
func clientAddr(r *http.Request) netip.Addr { return visitorOf(r).addr.Addr() }

// locate finds the source of a request, and returns a request that knows it. Its
// RemoteAddr is that of the source as well, for logs, and its Host is what the browser
// asked for, if a trusted proxy says so (X-Forwarded-Host).
func (h *Handler) locate(r *http.Request, l listener) *http.Request {
	v := visitorOf(r)
	v.listener = l
	peer := v.addr
	client, proto := h.guard.Client(peer, guard.Forwarded{
		For: r.Header.Values("X-Forwarded-For"), RFC: r.Header.Values("Forwarded"), Proto: r.Header.Values("X-Forwarded-Proto"),
	})
	v.addr, v.named = client, v.named || client != peer
	if proto != "" {
		v.https = proto == "https"
	}
	h.noticeProxy(r, peer.Addr())
	if v.asked = r.Host; l == control {
		v.asked = "localhost" // a request by the control socket names no host
	}
	r = r.WithContext(context.WithValue(r.Context(), visitorKey{}, v))
	if v.addr.IsValid() {
		r.RemoteAddr = v.addr.String()
	}
	if r.Host = v.asked; h.guard.Trusted(peer.Addr()) {
		v.forwarded(r)
	}
	return r
}

// forwarded takes what a trusted proxy says about the address in the browser.
func (v *visitor) forwarded(r *http.Request) {
	host, _, _ := strings.Cut(r.Header.Get("X-Forwarded-Host"), ",")
	if host = strings.TrimSpace(host); guard.Hostname(host) != "" {
		r.Host = host
	}
	prefix, _, _ := strings.Cut(r.Header.Get("X-Forwarded-Prefix"), ",")
	if prefix = strings.TrimRight(strings.TrimSpace(prefix), "/"); forwardedPrefix.MatchString(prefix) {
		v.prefix = prefix
	}
}

// hostname returns the name or address by which the browser knows this server: text that
// can stand in an address. A browser that names none is on this machine.
func hostname(r *http.Request) string { return cmp.Or(guard.Hostname(r.Host), "localhost") }

// noticeProxy warns, once, of a proxy in front of this server that no setting names:
// then all clients seem to have its address.
func (h *Handler) noticeProxy(r *http.Request, peer netip.Addr) {
	if h.proxyNoticed.Load() || len(h.guard.Limits().Proxies) > 0 || r.Header.Get("X-Forwarded-For") == "" || !guard.Private(peer) {
		return
	}
	if h.proxyNoticed.CompareAndSwap(false, true) {
		h.log.Warn("proxy not trusted: its clients all count as one address; name it with --trusted-proxies", "remote", peer)
	}
}
