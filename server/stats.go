package server

import "maps"

// Stats are figures of a host, read from its live state.
type Stats struct {
	Instances                        map[string]int            // by application
	Clients                          map[string]map[string]int // by application, protocol ("rtmp", "rtmps", "ws", "wss")
	OfNodes                          map[string]int            // by application: those of Clients that are connections of other nodes, each for one client there
	Accepted, Rejected, Disconnected map[string]uint64         // by application; totals
	Calls, BytesIn, BytesOut         uint64                    // totals; bytes of RTMP
}

// protocols are those that clients are counted by; the last one stands for all
// others.
var protocols = [...]string{"rtmp", "rtmps", "ws", "wss", "other"}

func (a *application) count(c *Client, n int64) {
	i := 0
	for i < len(protocols)-1 && protocols[i] != c.Protocol() {
		i++
	}
	a.clients[i].Add(n)
	if c.req.node != fromVisitor {
		a.ofNodes.Add(n)
	}
}

// Stats returns the figures.
func (h *Host) Stats() Stats {
	h.mu.Lock()
	apps := maps.Clone(h.apps)
	s := Stats{Instances: make(map[string]int)}
	for name := range apps {
		s.Instances[name] = 0
	}
	for _, in := range h.instances {
		s.Instances[in.app.name]++
	}
	h.mu.Unlock()

	s.Clients, s.OfNodes = make(map[string]map[string]int), make(map[string]int)
	s.Accepted, s.Rejected, s.Disconnected = make(map[string]uint64), make(map[string]uint64), make(map[string]uint64)
	for name, a := range apps {
		s.Clients[name] = make(map[string]int)
		for i := range a.clients {
			if n := int(a.clients[i].Load()); n > 0 || i < len(protocols)-1 {
				s.Clients[name][protocols[i]] = n
			}
		}
		s.OfNodes[name] = int(a.ofNodes.Load())
		s.Accepted[name] = a.accepted.Load()
		s.Rejected[name] = a.rejected.Load()
		s.Disconnected[name] = a.disconnected.Load()
	}
	s.Calls = h.calls.Load()
	s.BytesIn, s.BytesOut = h.sessions.bytes()
	return s
}
