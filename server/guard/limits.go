package guard

import (
	"net/netip"
	"time"
)

// Limits are what an address, and the process, may have. Each limit that is 0
// is none: the zero value limits nothing.
type Limits struct {
	Exempt  []netip.Prefix // of operators: the limits for addresses do not apply to them
	Proxies []netip.Prefix // trusted proxies: they are believed about their clients, and their own sockets count for the process only

	Connections int // all open sockets, including those that this process has opened
	Reserve     int // those of Connections that are kept for addresses of Exempt

	AddressConnections int // connections of one address at a time, and requests while they run
	AddressRate        int // new connections of one address: so many at once, and as many in each minute
	AddressRooms       int // rooms that one address has opened and that still run
}

// Defaults of the limits for an address.
const (
	DefaultAddressConnections = 100
	DefaultAddressRate        = 300
	DefaultAddressRooms       = 5
)

// MaxKnown is how many addresses are remembered at a time. Those that have
// nothing and have been quiet are forgotten first. When that many all have
// something, further ones are limited only as the whole process is.
const MaxKnown = 65536

// socketsPerConnection is how many sockets an address may have open for each
// connection of AddressConnections: a page needs six more to load itself, few
// of which stay open for long.
const socketsPerConnection = 4

// When a refused peer may try again.
const (
	retryConnection = 10 * time.Second
	retryRoom       = 30 * time.Second
)

// The reasons of refusals.
const (
	tooManyConnections = "Too many connections from your address."
	tooManyRooms       = "You have opened too many rooms."
	full               = "The server has too many connections at the moment."
)
