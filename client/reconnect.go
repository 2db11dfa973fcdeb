package client

import (
	"errors"
	"net/url"
	"time"

	"foyer/server/amf"
	"foyer/server/rtmp"
)

// maxRedirects is how many servers in a row may redirect a connection.
const maxRedirects = 3

// MaxRetryAfter is the longest time for which a server can make a connection
// stay away.
const MaxRetryAfter = time.Minute

// Reconnect is a server's request to connect again, because the server stops,
// or because the client should go elsewhere (Enhanced RTMP v2,
// "NetConnection.Connect.ReconnectRequest").
type Reconnect struct {
	URI         string        // where to: the address that Dial was given, unless the server names another one
	RetryAfter  time.Duration // how long to wait before; at most MaxRetryAfter
	Description string
}

// reconnect reads the request of the server. A connection that was led to another server
// begins again where it began: the room may have moved.
func (nc *NetConnection) reconnect(info *rtmp.StatusError) Reconnect {
	r := Reconnect{URI: nc.asked, Description: info.Description}
	for _, f := range info.Extra {
		if f.Name == "tcUrl" {
			s, _ := amf.AsString(f.Value)
			if to := follow(nc.uri, s); to != nc.uri {
				r.URI = to
			}
		}
	}
	if n, _ := amf.AsNumber(amf.Lookup(info.Application, "retryAfter")); n > 0 {
		r.RetryAfter = time.Duration(min(n, float64(MaxRetryAfter.Milliseconds())) * float64(time.Millisecond))
	}
	return r
}

// redirected reports whether a server refused the connection because it should
// go to another one, and returns that address.
func (nc *NetConnection) redirected(err error) bool {
	refusal, ok := errors.AsType[*rtmp.StatusError](err)
	if !ok {
		return false
	}
	for _, f := range refusal.Extra {
		if code, _ := amf.AsNumber(amf.Lookup(f.Value, "code")); f.Name != "ex" || code != 302 {
			continue
		}
		to, _ := amf.AsString(amf.Lookup(f.Value, "redirect"))
		was := nc.uri
		nc.uri = follow(was, to)
		return nc.uri != was
	}
	return false
}

// follow resolves a tcUrl, which may be relative. A tcUrl that is no address,
// or would give up encryption, changes nothing.
func follow(uri, tcURL string) string {
	base, err := url.Parse(uri)
	if err != nil || tcURL == "" {
		return uri
	}
	ref, err := url.Parse(tcURL)
	if err != nil {
		return uri
	}
	next := base.ResolveReference(ref).String()
	to, err := rtmp.ParseURI(next)
	if from, e := rtmp.ParseURI(uri); err != nil || to.App == "" || e == nil && from.TLS && !to.TLS {
		return uri
	}
	return next
}
