package guard

import (
	"cmp"
	"maps"
	"net/netip"
	"sync"
	"time"
)

// A Place is something that an address has until Leave is called. The zero
// Place is nothing. Do not copy one that is in use.
type Place struct {
	addr *address  // nil: nothing
	kind placeKind // guarded by addr.of.mu
}

type placeKind uint8

const (
	ofConnection placeKind = iota // a connection or a request, including one that is being refused
	ofNode                        // a connection that has proved to belong to this site
	ofRoom
	ofSocket
	ofNobody // it has been left
)

// Leave gives the place back. Only the first call has an effect.
func (p *Place) Leave() {
	if p.addr != nil {
		p.addr.of.mu.Lock()
		p.becomeLocked(ofNobody)
		p.addr.of.mu.Unlock()
	}
}

// Vouch says that the connection belongs to this site: another node, or a room
// of another server. It does not count any more. As long as it is there, the
// address is always answered (see Refusal.Drop).
func (p *Place) Vouch() {
	if p.addr == nil {
		return
	}
	p.addr.of.mu.Lock()
	defer p.addr.of.mu.Unlock()
	if p.kind == ofConnection {
		p.becomeLocked(ofNode)
	}
}

func (p *Place) becomeLocked(kind placeKind) {
	if p.kind != ofNobody {
		p.addr.has[p.kind]--
	}
	if p.kind = kind; kind != ofNobody {
		p.addr.has[kind]++
	}
}

// Enter counts a new connection of addr: RTMP, a WebSocket, a stream over HTTP.
// The place must be left in any case: a connection that is refused has one too,
// until it has been told. The caller reports a refusal, by Refuse, when the
// connection is really refused.
func (g *Guard) Enter(addr netip.Addr) (Place, *Refusal) {
	l := g.limits.Load()
	if l == nil || Contains(l.Exempt, addr) {
		return Place{}, nil
	}
	if l.Connections > 0 && g.sockets.Load() > l.sockets(false) {
		return Place{}, noSocket()
	}
	t := &g.addresses
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.nowLocked()
	a := t.getLocked(addr, now)
	if a == nil {
		return Place{}, nil
	}
	have, most := int(a.has[ofConnection]), l.AddressConnections
	var r *Refusal
	if most > 0 && have >= most {
		r = &Refusal{Limit: "address-connections", Reason: tooManyConnections, RetryAfter: retryConnection}
	} else if wait := a.entered.take(now, l.AddressRate); wait > 0 {
		r = &Refusal{Limit: "address-rate", Reason: tooManyConnections, RetryAfter: wait}
	}
	if r != nil && a.has[ofNode] == 0 && (most > 0 && have >= 2*most || a.refused.take(now, l.AddressRate) > 0) {
		r.Drop = true
		return Place{}, r
	}
	a.has[ofConnection]++
	return Place{addr: a}, r
}

// Request counts a request of addr that is not a connection of its own, while
// it runs. A request that is refused has no place. The caller reports a
// refusal, as with Enter.
func (g *Guard) Request(addr netip.Addr) (Place, *Refusal) {
	l := g.limits.Load()
	if l == nil {
		return Place{}, nil
	}
	return g.hold(addr, l, ofConnection, l.AddressConnections,
		Refusal{Limit: "address-connections", Reason: tooManyConnections, RetryAfter: time.Second})
}

// OpenRoom counts a room that addr opens, until it ends. A room that is refused
// has no place. The caller reports a refusal, as with Enter.
func (g *Guard) OpenRoom(addr netip.Addr) (Place, *Refusal) {
	l := g.limits.Load()
	if l == nil {
		return Place{}, nil
	}
	return g.hold(addr, l, ofRoom, l.AddressRooms,
		Refusal{Limit: "address-rooms", Reason: tooManyRooms, RetryAfter: retryRoom})
}

// hold gives addr one more place of a kind, unless it has the most already.
func (g *Guard) hold(addr netip.Addr, l *Limits, kind placeKind, most int, no Refusal) (Place, *Refusal) {
	if Contains(l.Exempt, addr) {
		return Place{}, nil
	}
	t := &g.addresses
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.getLocked(addr, t.nowLocked())
	switch {
	case a == nil:
		return Place{}, nil
	case most > 0 && int(a.has[kind]) >= most:
		return Place{}, &no
	}
	a.has[kind]++
	return Place{a, kind}, nil
}

// Known is how many addresses are remembered, without those that have nothing
// and have been quiet.
func (g *Guard) Known() int {
	t := &g.addresses
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forgetLocked(t.nowLocked())
	return len(t.known)
}

// addresses is what each address has. The zero value is ready.
type addresses struct {
	mu    sync.Mutex // guards what follows; a leaf
	known map[netip.Prefix]*address
	clean int       // with so many known, the quiet ones are forgotten
	next  moment    // not before that
	base  time.Time // the beginning of moments
	most  int       // 0: MaxKnown
}

// An address is everything that is known of one. With its place in the map it
// takes some hundred bytes.
type address struct {
	of       *addresses
	has      [ofNobody]int32
	entered  pace // new connections
	refused  pace // new connections that were refused with an answer
	answered pace // bytes of answers by HTTP
}

// nothing reports whether an address has nothing.
func (a *address) nothing() bool { return a.has == [ofNobody]int32{} }

// The quiet addresses are forgotten when there are minKnown at least, and once
// in forgetEvery at most.
const (
	minKnown    = 1024
	forgetEvery = 100 * time.Millisecond
)

// moment is the time since base: half as large as a time.Time, and as
// monotonic.
type moment time.Duration

func (t *addresses) nowLocked() moment {
	now := time.Now()
	if t.base.IsZero() {
		t.base = now
	}
	return moment(now.Sub(t.base))
}

func (t *addresses) limit() int { return cmp.Or(t.most, MaxKnown) }

// getLocked returns the address of addr, or nil when no more can be known.
func (t *addresses) getLocked(addr netip.Addr, now moment) *address {
	key := Source(addr)
	if a := t.known[key]; a != nil {
		return a
	}
	if t.known == nil {
		t.known = make(map[netip.Prefix]*address)
	}
	if len(t.known) >= max(t.clean, minKnown) && now >= t.next {
		t.forgetLocked(now)
		t.makeRoomLocked()
		t.clean, t.next = min(2*len(t.known), t.limit()), now+moment(forgetEvery)
	}
	if len(t.known) >= t.limit() {
		return nil
	}
	a := &address{of: t}
	t.known[key] = a
	return a
}

// forgetLocked forgets the addresses that have nothing and have been quiet for
// so long that all their allowances are full again.
func (t *addresses) forgetLocked(now moment) {
	maps.DeleteFunc(t.known, func(_ netip.Prefix, a *address) bool {
		return a.nothing() && a.entered.full(now) && a.refused.full(now) && a.answered.full(now)
	})
}

// makeRoomLocked forgets a quarter when there are too many, from those that
// have nothing now.
func (t *addresses) makeRoomLocked() {
	for key, a := range t.known {
		if len(t.known) <= t.limit()*3/4 {
			return
		}
		if a.nothing() {
			delete(t.known, key)
		}
	}
}

// A pace is how often something has been done lately, as the moment when all of
// it may be done at once again (the generic cell rate algorithm: one number).
type pace moment

func (p pace) full(now moment) bool { return moment(p) <= now }

// take does it once, or returns how long that has to wait. It may be done
// perMinute times at once, and as often in each minute, evenly. 0: any number.
func (p *pace) take(now moment, perMinute int) (wait time.Duration) {
	if perMinute <= 0 {
		return 0
	}
	each := moment(time.Minute) / moment(perMinute)
	next := max(moment(*p), now) + each
	if over := next - now - moment(perMinute)*each; over > 0 {
		return time.Duration(over)
	}
	*p = pace(next)
	return 0
}
