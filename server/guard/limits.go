package guard

import (
	"net/netip"
	"time"
)

// Limits are what an address, and the process, may have. The zero value
// limits nothing, and each limit that is 0 is none.
type Limits struct {
	Exempt  []netip.Prefix // addresses that the limits for addresses leave alone; operators
	Proxies []netip.Prefix // trusted proxies: what they say of whom they bring is believed, and their own sockets count for the process only

	Connections int // all sockets that are open, those that this process has opened included
	Reserve     int // of Connections, those that only addresses of Exempt get

	AddressConnections int // of one address at a time: connections, and requests while they run
	AddressRate        int // new connections of one address: so many at once, and in each minute
	AddressRooms       int // rooms that one address opened and that still run
}

// Defaults of the limits for an address.
const (
	DefaultAddressConnections = 100
	DefaultAddressRate        = 300
	DefaultAddressRooms       = 5
)

// MaxKnown is how many addresses are remembered at a time. Those that have
// nothing and were quiet are forgotten first; with so many that all have
// something, further ones are limited only as the process is.
const MaxKnown = 65536

// socketsPerConnection is how many sockets an address may have open for each
// connection of AddressConnections: a page has six more to load itself with,
// few of which are open for long.
const socketsPerConnection = 4

// What a refusal says about the next try.
const (
	retryConnection = 10 * time.Second
	retryRoom       = 30 * time.Second
)

// What a refusal says.
const (
	tooManyConnections = "Too many connections from your address."
	tooManyRooms       = "You have opened too many rooms."
	full               = "The server has too many connections at the moment."
)
