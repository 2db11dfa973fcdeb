package guard

import (
	"net/netip"
	"slices"
)

// Source is the part of an address that counts as one: an IPv4 address, or the
// /64 of an IPv6 one, since whoever has one address of it has all of them. The
// invalid address is a source like any other.
func Source(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	p, _ := addr.Prefix(bits)
	return p
}

// Contains reports whether addr is in one of the prefixes.
func Contains(prefixes []netip.Prefix, addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// shared is the range that carriers use inside their networks (RFC 6598).
var shared = netip.MustParsePrefix("100.64.0.0/10")

// Private reports whether addr is of no use to tell people apart on the
// internet: a loopback, private, link-local or shared address.
func Private(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	return addr.IsLoopback() || addr.IsPrivate() || addr.IsLinkLocalUnicast() || shared.Contains(addr)
}
