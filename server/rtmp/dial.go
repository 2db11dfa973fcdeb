package rtmp

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"strings"

	"foyer/server/amf"
)

// An Address is the address of an application instance.
type Address struct {
	TLS  bool
	Host string // host:port to dial
	App  string // "room/blue", with "?query" if it has one: the app of connect
	URL  string // the whole address, without slashes at the end: the tcUrl of connect
}

// An AddressError says why an address cannot be connected to.
type AddressError struct{ URI, Reason string }

func (e *AddressError) Error() string {
	return fmt.Sprintf("rtmp: address %q: %s", e.URI, e.Reason)
}

// ParseURI reads the absolute rtmp:// or rtmps:// address of an application
// instance. Relative addresses (rtmp:/app) and tunnels (rtmpt, http) only mean
// something to a movie in a browser, and are an *AddressError.
func ParseURI(uri string) (*Address, error) {
	fail := func(reason string) (*Address, error) { return nil, &AddressError{uri, reason} }
	scheme, rest, ok := strings.Cut(uri, ":")
	if !ok {
		return fail("not an absolute rtmp:// address")
	}
	scheme = strings.ToLower(scheme)
	switch scheme {
	case "rtmp", "rtmps":
	case "rtmpt", "rtmpte", "rtmpts", "http", "https":
		return fail("HTTP tunnelling is not available here")
	default:
		return fail(scheme + " is not rtmp or rtmps")
	}
	if !strings.HasPrefix(rest, "//") {
		return fail("relative address: there must be a host name")
	}
	u, err := url.Parse(uri)
	if err != nil {
		return fail(err.Error())
	}
	if u.Hostname() == "" {
		return fail("there must be a host name")
	}
	a := &Address{TLS: scheme == "rtmps"}
	port := u.Port()
	if port == "" {
		port = map[bool]string{false: "1935", true: "443"}[a.TLS]
	}
	a.Host = net.JoinHostPort(u.Hostname(), port)
	a.App = strings.Trim(u.Path, "/")
	if u.RawQuery != "" {
		a.App += "?" + u.RawQuery
	}
	a.URL = scheme + "://" + u.Host + "/" + a.App
	return a, nil
}

// DialOptions are optional.
type DialOptions struct {
	Config  *Config
	Handler Handler                                                           // nil: every call is answered with MethodNotFound
	Dial    func(ctx context.Context, network, addr string) (net.Conn, error) // nil: a net.Dialer
	TLS     *tls.Config                                                       // for rtmps; nil means the host's name and the system's certificates
}

// Dial opens a connection to an absolute rtmp:// or rtmps:// address, and does
// the handshake and connect. It fills in App and TCURL from uri when they are
// empty, without changing r; r may be nil. The caller runs the Session. Errors:
// *AddressError, *StatusError when the server refused, ErrTimeout, ErrClosed, or
// the network's own.
func Dial(ctx context.Context, uri string, r *ConnectRequest, o DialOptions) (*Session, amf.Object, error) {
	a, err := ParseURI(uri)
	if err != nil {
		return nil, nil, err
	}
	req := ConnectRequest{}
	if r != nil {
		req = *r
	}
	req.App = cmp.Or(req.App, a.App)
	req.TCURL = cmp.Or(req.TCURL, a.URL)
	ctx2, cancel := context.WithTimeoutCause(ctx, o.Config.WithDefaults().HandshakeTimeout, ErrTimeout)
	defer cancel()
	nc, err := o.open(ctx2, a)
	if err != nil {
		return nil, nil, err // it names the address
	}
	c, err := NewClientConn(ctx2, nc, o.Config)
	if err != nil {
		return nil, nil, fmt.Errorf("handshake with %s: %w", a.Host, err)
	}
	info, err := Connect(ctx2, c, &req)
	if err != nil {
		return nil, nil, fmt.Errorf("connecting to %s: %w", a.URL, err)
	}
	encoding := 0
	if n, _ := amf.AsNumber(amf.Lookup(info, "objectEncoding")); n == 3 && req.ObjectEncoding == 3 {
		encoding = 3
	}
	return NewSession(c, o.Handler, encoding), info, nil
}

// open opens the transport.
func (o *DialOptions) open(ctx context.Context, a *Address) (net.Conn, error) {
	dial := o.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	nc, err := dial(ctx, "tcp", a.Host)
	if err != nil || !a.TLS {
		return nc, err
	}
	cfg := o.TLS.Clone()
	if cfg == nil {
		cfg = &tls.Config{}
	}
	if cfg.ServerName == "" {
		cfg.ServerName, _, _ = net.SplitHostPort(a.Host)
	}
	tc := tls.Client(nc, cfg)
	if err := tc.HandshakeContext(ctx); err != nil {
		nc.Close()
		return nil, err
	}
	return tc, nil
}
