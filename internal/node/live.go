package node

import "errors"

// These methods may be called while a node runs, from [Config.Reread].

// SetLimits sets how much strangers may have. Connections and rooms beyond a lower
// limit stay until they end by themselves.
func (n *Node) SetLimits(l *LimitSettings) {
	limits := n.guard.Limits()
	connections, enough := l.connections(descriptors())
	if !enough {
		n.log.Warn("fewer connections than --max-connections: raise the limit of open files", "connections", connections)
	}
	limits.Connections, limits.Reserve = connections, min(connections/reserveShare, maxReserve)
	limits.AddressConnections, limits.AddressRate, limits.AddressRooms = l.AddressConnections, l.AddressRate, l.AddressRooms
	limits.Exempt = l.Exempt
	n.guard.Set(limits)
	n.host.SetMaxInstances(l.MaxRooms)
	n.openRooms.Store(&l.OpenRooms)
}

// SetReservedNicks sets the nicks that need the admin token.
func (n *Node) SetReservedNicks(nicks []string) { n.reserved.Set(nicks) }

// SetMaxBitrate sets how fast a broadcast may be; 0 is no limit.
func (n *Node) SetMaxBitrate(rate Bitrate) { n.host.SetMaxBitrate(int64(rate)) }

// SetStore sets how much may be kept.
func (n *Node) SetStore(s *StoreSettings) { n.store.SetLimits(s.reserve(), int64(s.MaxObjects)) }

// SetAddresses sets which proxies are trusted, whose pages may connect and which
// hosts may be asked for. The public address needs a new start.
func (n *Node) SetAddresses(s *Settings) {
	n.trustProxies(s)
	fresh := *s
	fresh.PublicHTTP = n.settings.PublicHTTP
	n.pages.SetAccess(fresh.access())
}

// trustProxies tells the guard whose word counts.
func (n *Node) trustProxies(s *Settings) {
	limits := n.guard.Limits()
	limits.Proxies = s.TrustedProxies
	n.guard.Set(limits)
}

// SetCertificate takes the certificate from other files from now on, if there is
// one in them.
func (n *Node) SetCertificate(cert, key string) error {
	if n.cert == nil || cert == "" {
		return errors.New("TLS begins and ends with a start of the server only")
	}
	return n.cert.Use(cert, key)
}
