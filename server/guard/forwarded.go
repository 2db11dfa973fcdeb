package guard

import (
	"net/netip"
	"strings"
)

// maxHops is how many trusted proxies, one behind the other, are looked
// through.
const maxHops = 64

// A Forwarded is the part of a request's header that tells the way it came.
type Forwarded struct {
	For   []string // the lines of X-Forwarded-For
	RFC   []string // the lines of Forwarded (RFC 7239), looked at when there are none of the other
	Proto []string // the lines of X-Forwarded-Proto
}

// Client returns the address that a request really comes from, if its
// connection comes from peer (according to its PROXY header), and the scheme of
// its browser: "https", "http", or "" when nobody has said. Only the word of
// trusted proxies counts: the client is the last address in the header that is
// none of theirs. An element that is no address makes all elements before it
// worthless; then the client is the last good one.
func (g *Guard) Client(peer netip.AddrPort, f Forwarded) (client netip.AddrPort, proto string) {
	client = peer
	if !g.Trusted(peer.Addr()) {
		return client, ""
	}
	lines, read := f.For, func(element string) string { return element }
	if len(lines) == 0 {
		lines, read = f.RFC, func(element string) string { return parameter(element, "for") }
	}
	var of string // the element that tells of the client
	for range maxHops {
		element, rest := cutLast(lines)
		ap, ok := node(read(element))
		if !ok {
			break
		}
		client, of, lines = ap, element, rest
		if len(lines) == 0 || !g.Trusted(client.Addr()) {
			break
		}
	}
	if len(f.Proto) > 0 {
		proto, _, _ = strings.Cut(f.Proto[0], ",")
	} else {
		proto = parameter(of, "proto")
	}
	return client, strings.ToLower(strings.Trim(proto, " \t"))
}

// cutLast takes the last element off a list that is written in several lines,
// separated by commas. It reads from the right: the last element is the last
// proxy's, whatever a client has written before it.
func cutLast(lines []string) (element string, rest []string) {
	if len(lines) == 0 {
		return "", nil
	}
	last := len(lines) - 1
	line, quoted := lines[last], false
	for i := len(line) - 1; i >= 0; i-- {
		switch line[i] {
		case '"':
			if before := line[:i]; (len(before)-len(strings.TrimRight(before, `\`)))%2 == 0 {
				quoted = !quoted
			}
		case ',':
			if !quoted {
				return line[i+1:], append(lines[:last:last], line[:i])
			}
		}
	}
	return line, lines[:last]
}

// parameter is the value of a parameter in an element of Forwarded (RFC 7239
// §4).
func parameter(element, name string) string {
	for element != "" {
		pair := element
		if i := indexUnquoted(element, ';'); i >= 0 {
			pair, element = element[:i], element[i+1:]
		} else {
			element = ""
		}
		key, value, ok := strings.Cut(strings.Trim(pair, " \t"), "=")
		if !ok || !strings.EqualFold(key, name) {
			continue
		}
		if unquoted, ok := strings.CutPrefix(value, `"`); ok {
			value = strings.TrimSuffix(unquoted, `"`)
		}
		return value
	}
	return ""
}

func indexUnquoted(s string, c byte) int {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && quoted:
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == c && !quoted:
			return i
		}
	}
	return -1
}

// node parses an address as headers have it, with or without a port: 192.0.2.1,
// 192.0.2.1:80, 2001:db8::1, [2001:db8::1], [2001:db8::1]:80.
func node(s string) (netip.AddrPort, bool) {
	s = strings.Trim(s, " \t")
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return plain(ap), true
	}
	if inner, ok := strings.CutPrefix(s, "["); ok {
		if s, ok = strings.CutSuffix(inner, "]"); !ok {
			return netip.AddrPort{}, false
		}
	}
	addr, err := netip.ParseAddr(s)
	return plain(netip.AddrPortFrom(addr, 0)), err == nil
}
