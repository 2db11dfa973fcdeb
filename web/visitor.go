package web

import (
	"context"
	"net"
	"net/http"
	"net/netip"

	"foyer/server/guard"
)

// A visitor is where a request really comes from, whatever proxies are between.
type visitor struct {
	addr  netip.AddrPort
	named bool // a trusted proxy has named addr
	https bool // the browser speaks it, to us or to a trusted proxy
}

type visitorKey struct{}

type connKey struct{}

// ConnContext is for an [http.Server]: it has requests know whether the address
// of their connection is what a trusted proxy has named.
func ConnContext(ctx context.Context, nc net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, nc)
}

// visitorOf is where a request comes from. Nothing else looks at r.RemoteAddr
// and r.TLS to decide something.
func visitorOf(r *http.Request) visitor {
	if v, ok := r.Context().Value(visitorKey{}).(visitor); ok {
		return v
	}
	addr, _ := netip.ParseAddrPort(r.RemoteAddr)
	v := visitor{addr: netip.AddrPortFrom(addr.Addr().Unmap().WithZone(""), addr.Port()), https: r.TLS != nil}
	if nc, ok := r.Context().Value(connKey{}).(net.Conn); ok {
		v.named = guard.Named(nc)
	}
	return v
}

// isHTTPS reports whether the browser speaks https.
func isHTTPS(r *http.Request) bool { return visitorOf(r).https }

// clientAddr is the address that a request comes from.
func clientAddr(r *http.Request) netip.Addr { return visitorOf(r).addr.Addr() }

// meet finds out where a request comes from. RemoteAddr of what it returns says
// it too, for logs.
func (h *Handler) locate(r *http.Request) *http.Request {
	v := visitorOf(r)
	peer := v.addr
	client, proto := h.guard.Client(peer, guard.Forwarded{
		For: r.Header.Values("X-Forwarded-For"), RFC: r.Header.Values("Forwarded"), Proto: r.Header.Values("X-Forwarded-Proto"),
	})
	v.addr, v.named = client, v.named || client != peer
	if proto != "" {
		v.https = proto == "https"
	}
	h.noticeProxy(r, peer.Addr())
	r = r.WithContext(context.WithValue(r.Context(), visitorKey{}, v))
	if v.addr.IsValid() {
		r.RemoteAddr = v.addr.String()
	}
	return r
}

// noticeProxy warns, once, that a proxy seems to be in front of which nobody
// has told us: then all people have its address.
func (h *Handler) noticeProxy(r *http.Request, peer netip.Addr) {
	if h.proxyNoticed.Load() || len(h.guard.Limits().Proxies) > 0 || r.Header.Get("X-Forwarded-For") == "" || !guard.Private(peer) {
		return
	}
	if h.proxyNoticed.CompareAndSwap(false, true) {
		h.log.Warn("proxy not trusted: its clients all count as one address. Name its address with --trusted-proxies", "remote", peer)
	}
}
