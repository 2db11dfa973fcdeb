package guard

import (
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
)

// SeenFrom returns an address for anyone who came to this site by host: the text of a
// Host header, with a port or without. One that says localhost would lead them to their
// own machine, so it gets that host, and keeps its port. A host that is neither a name
// nor an address changes nothing.
func SeenFrom(address, host string) string {
	_, rest, _ := strings.Cut(address, "://")
	if !local.MatchString(rest) {
		return address
	}
	u, err := url.Parse(address)
	name := Hostname(host)
	if err != nil || name == "" {
		return address
	}
	switch port := u.Port(); {
	case port != "":
		u.Host = net.JoinHostPort(name, port)
	case strings.Contains(name, ":"):
		u.Host = "[" + name + "]"
	default:
		u.Host = name
	}
	return u.String()
}

// local is the beginning of an address, behind its scheme, that leads to the machine of
// whoever uses it.
var local = regexp.MustCompile(`^(?i:localhost\.?|127\.0\.0\.1|0\.0\.0\.0|\[::1?\])(:[0-9]*)?(/|$)`)

// maxHostname is how long a name may be, in bytes (RFC 1035 §2.3.4).
const maxHostname = 253

// plainName is the form of a name. In it nothing can be mistaken for markup or for
// another part of an address.
var plainName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_.])?$`)

// Hostname returns the name or the address in the text of a Host header, without port
// and brackets; "" if it has none.
func Hostname(host string) string {
	if h, port, err := net.SplitHostPort(host); err == nil {
		if strings.Trim(port, "0123456789") != "" {
			return ""
		}
		host = h
	} else if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		host = host[1 : len(host)-1]
	}
	if addr, err := netip.ParseAddr(host); err == nil && addr.Zone() == "" {
		return addr.String()
	}
	if len(host) > maxHostname || !plainName.MatchString(host) {
		return ""
	}
	return host
}

// HostOf returns the host of an address, as in "rtmp://host:1935/lobby", for
// [SeenFrom]; "" if it has none.
func HostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}
