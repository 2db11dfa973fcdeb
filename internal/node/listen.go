package node

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"time"

	"foyer/certs"
	"foyer/internal/folder"
	"foyer/server/rtmp"
	"foyer/web"
)

// Limits of a connection to the web side. Of HTTP/2, requests that are broken off
// count until their handlers have ended, and four times maxStreams that wait for
// a handler end the connection (net/http: ENHANCE_YOUR_CALM).
const (
	maxHeader    = 64 << 10         // bytes of a request's header
	maxAhead     = 64 << 10         // bytes of bodies that nobody has read, HTTP/2
	maxFrame     = 16 << 10         // bytes of a frame, HTTP/2
	maxStreams   = 100              // requests at a time, HTTP/2
	quietStreams = 30 * time.Second // without a sign of life there is a ping, HTTP/2
	lostStreams  = 15 * time.Second // without an answer to it, or when nothing can be written, the end
)

// listen opens the listeners that the settings ask for.
func (n *Node) listen(ctx context.Context) (err error) {
	s := n.settings
	// Sessions have pings of their own; the kernel's would cost a system call each.
	sessions, requests := net.ListenConfig{KeepAlive: -1}, net.ListenConfig{}
	for _, l := range []struct {
		flag, addr string
		listen     *net.ListenConfig
		to         *net.Listener
	}{{"--rtmp", s.RTMP, &sessions, &n.rtmp}, {"--rtmps", s.RTMPS, &sessions, &n.rtmps}, {"--http", s.HTTP, &requests, &n.http}, {"--admin", s.Admin, &requests, &n.admin}} {
		if l.addr == "" {
			continue
		}
		ln, err := l.listen.Listen(ctx, "tcp", l.addr)
		if err != nil {
			return cannotListen(l.flag, l.addr, err)
		}
		if l.flag != "--admin" {
			ln = n.guard.Listen(ln)
		}
		*l.to = n.guard.ListenProxied(ln)
	}
	return n.secure()
}

// secure puts TLS on the listeners, where there is a certificate or there will
// be one. HTTP/2 needs a *tls.Conn to be accepted: other listeners go inside of
// these, never around them.
func (n *Node) secure() (err error) {
	s := n.settings
	var get func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// A browser speaks HTTP/2 for everything but WebSockets, which take their
	// connection over: it opens one of HTTP/1.1 for each.
	web := []string{"h2", "http/1.1"}
	switch {
	case s.TLSCert != "":
		if n.cert, err = certs.Open(s.TLSCert, s.TLSKey); err != nil {
			return withHint(err)
		}
		get = n.cert.Get
	case len(s.TLSAuto) > 0:
		n.auto, err = certs.NewAuto(certs.AutoConfig{
			Hosts: s.TLSAuto, Dir: filepath.Join(s.Data, folder.ACME), Directory: s.ACMEDirectory, Roots: s.ACMECA,
			Listener: n.http.Addr(), Log: n.log,
		})
		if err != nil {
			return err
		}
		get, web = n.auto.Get, append(web, certs.ChallengeProtocol)
	default:
		return nil
	}
	n.http = tls.NewListener(n.http, &tls.Config{GetCertificate: get, NextProtos: web})
	if n.rtmps != nil {
		n.rtmps = tls.NewListener(n.rtmps, &tls.Config{GetCertificate: get})
	}
	return nil
}

// server answers requests with h.
func (n *Node) server(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ConnContext:       web.ConnContext,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    maxHeader,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams, MaxReadFrameSize: maxFrame,
			MaxReceiveBufferPerConnection: maxAhead, MaxReceiveBufferPerStream: maxAhead,
			SendPingTimeout: quietStreams, PingTimeout: lostStreams, WriteByteTimeout: lostStreams,
		},
		ErrorLog: slog.NewLogLogger(n.log.Handler(), slog.LevelDebug),
	}
}

// A listener is an open one, with the protocol that is spoken there.
type listener struct {
	proto string // "rtmp", "rtmps", "http", "admin", protoControl
	net.Listener
}

// serve answers what comes to a listener until it is closed or ctx ends.
func (n *Node) serve(ctx context.Context, ln listener) error {
	if s := n.web[ln.proto]; s != nil {
		return ignore(s.Serve(ln), http.ErrServerClosed)
	}
	return ignore(n.host.Serve(ctx, ln.Listener), context.Canceled, net.ErrClosed, rtmp.ErrClosed)
}

// listeners are the open ones.
func (n *Node) listeners() []listener {
	all := []listener{{"rtmp", n.rtmp}, {"rtmps", n.rtmps}, {"http", n.http}, {"admin", n.admin}, {protoControl, n.control}}
	return slices.DeleteFunc(all, func(ln listener) bool { return ln.Listener == nil })
}
