package netconnection

import (
	"net/url"
	"time"

	"foyer/server/amf"
	"foyer/server/rtmp"
)

// MaxRetryAfter is the longest that a server can make a connection stay away.
const MaxRetryAfter = time.Minute

// Reconnect is what a server says when it asks to connect anew, because it
// stops, or because somebody is wanted elsewhere (Enhanced RTMP v2,
// "NetConnection.Connect.ReconnectRequest").
type Reconnect struct {
	URI         string        // where to; the address of now unless the server gave another one
	RetryAfter  time.Duration // not before this time has passed; at most MaxRetryAfter
	Description string
}

// reconnect reads the request of a server that was dialed at uri.
func reconnect(uri string, info *rtmp.StatusError) Reconnect {
	r := Reconnect{URI: uri, Description: info.Description}
	for _, f := range info.Extra {
		if f.Name == "tcUrl" {
			s, _ := amf.AsString(f.Value)
			r.URI = follow(uri, s)
		}
	}
	if n, _ := amf.AsNumber(amf.Lookup(info.Application, "retryAfter")); n > 0 {
		r.RetryAfter = time.Duration(min(n, float64(MaxRetryAfter.Milliseconds())) * float64(time.Millisecond))
	}
	return r
}

// follow resolves a tcUrl, which may be relative. One that is no address, or
// that would give up encryption, changes nothing.
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
