package web

import (
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"foyer/server/amf"
	"foyer/server/guard"
)

// strippedHandshake tells people why a WebSocket of theirs does not open when the
// request of a browser came without Upgrade. Unless told otherwise, nginx forwards it
// so.
const strippedHandshake = "A proxy in front of this server does not let WebSockets through. Its operator has to make it pass on the headers Upgrade and Connection."

// Stripped handshakes are remembered for strippedFor, from at most maxStripped addresses.
const (
	strippedFor = time.Minute
	maxStripped = 256
)

// strippedHandshakes remembers the addresses whose handshakes came without
// Upgrade. The zero value is ready.
type strippedHandshakes struct {
	mu   sync.Mutex
	last map[netip.Prefix]time.Time // guarded by mu
}

// note remembers addr. It reports true when no other was remembered.
func (s *strippedHandshakes) note(addr netip.Addr) (first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for key, at := range s.last {
		if now.Sub(at) >= strippedFor || len(s.last) >= maxStripped {
			delete(s.last, key)
		}
	}
	if s.last == nil {
		s.last = make(map[netip.Prefix]time.Time)
	}
	first = len(s.last) == 0
	s.last[guard.Source(addr)] = now
	return first
}

// has reports whether addr is remembered.
func (s *strippedHandshakes) has(addr netip.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.last[guard.Source(addr)]
	return ok && time.Since(at) < strippedFor
}

// isStripped reports whether a handshake has lost its Upgrade on the way, and
// remembers its address if so.
func (b *bridge) isStripped(r *http.Request) bool {
	if websocket.IsWebSocketUpgrade(r) || r.Header.Get("Sec-WebSocket-Key") == "" {
		return false
	}
	if b.stripped.note(clientAddr(r)) {
		b.log.Warn("websocket handshake without Upgrade: a proxy in front of this server does not pass it on", "remote", r.RemoteAddr)
	}
	return true
}

// apiReach is /api/v1/reach?origin=…: it says why a page of that origin cannot open
// a WebSocket here. A browser tells its pages nothing about that.
func (h *Handler) apiReach(w http.ResponseWriter, r *http.Request) {
	var why []string
	if origin := r.URL.Query().Get("origin"); origin != "" && !h.mayConnect(origin, r.Host) {
		why = append(why, originRefusal(printable(origin)))
	}
	if h.bridge.stripped.has(clientAddr(r)) {
		why = append(why, strippedHandshake)
	}
	writeJSON(w, amf.Object{{Name: "why", Value: amf.String(strings.Join(why, " "))}})
}
