package server

import (
	"math/rand/v2"
	"slices"
	"time"

	"foyer/server/amf"
	"foyer/server/backlog"
	"foyer/server/guard"
	"foyer/server/sharedobject"
)

// Limits of what clients may do with shared objects, in addition to those of
// package sharedobject. They do not apply to the application.
const (
	MaxObjects        = 64        // in use by one client
	MaxCreatedObjects = 256       // made by the clients of one instance, including those that are only stored
	MaxObjectBytes    = 512 << 10 // in the slots of one of those, names included: a newcomer gets it all at once
	MaxCreatedBytes   = 16 << 20  // in the slots of those together
)

// codeTooMuch answers a request that would exceed MaxObjectBytes or
// MaxCreatedBytes.
const codeTooMuch = "SharedObject.TooMuchData"

// objectKey tells shared objects apart as FlashCom does: a persistent and a
// temporary one of the same name are two.
type objectKey struct {
	name       string
	persistent bool
}

// objects are the shared objects of an instance, and belong to its goroutine.
type objects struct {
	in     *Instance
	sharer Sharer // nil: the application is none

	byKey   map[objectKey]*object
	held    []*object          // those that the application holds
	touched []*object          // those that clients changed in this turn
	records map[string]*record // what is stored of persistent ones
	noted   []byte             // what is stored as versionObject
	created int                // how many of the objects clients made
	bytes   int                // how much clients wrote into those
	version uint32             // above every version of an object that is gone
}

// object is a shared object of an instance.
type object struct {
	*sharedobject.Object[*Client]
	held    bool     // by the application, for the life of the instance
	touched bool     // in objects.touched
	counted bool     // in objects.created, and bytes in objects.bytes
	bytes   int      // in the slots
	durable *durable // nil: it is not stored

	owes  debt      // for requests, of all clients
	line  []*Client // they wait until it is less, in this order
	timed bool      // the line advances by itself
}

// SharedObject is SharedObject.get: the instance's own handle, made if need be.
// An object that the application holds lives as long as the instance. All
// changes of one turn of the instance reach a subscriber as one message; those
// of a persistent object once they are stored, however long that takes.
// Instance goroutine only.
func (in *Instance) SharedObject(name string, persistent bool) *sharedobject.Object[*Client] {
	s, key := &in.objects, objectKey{name, persistent}
	o := s.byKey[key]
	if o == nil {
		o = s.make(key)
	}
	if !o.held {
		s.uncount(o)
		o.held = true
		s.held = append(s.held, o)
	}
	return o.Object
}

// make makes an object as it was stored. If it was not stored, its first
// version is above every version of any earlier object of that name, so that
// nobody takes it for that one: within this instance by counting, across
// restarts by chance.
func (s *objects) make(key objectKey) *object {
	o := new(object)
	rec := s.recall(key)
	if rec != nil {
		o.counted, o.bytes = true, rec.bytes
		o.Object, _ = sharedobject.Restore[*Client](key.name, rec.data) // nil when it is bad
	}
	if o.Object == nil {
		// Any number will do that is not near those of an earlier life. Near
		// them, a client that comes back with an old version would seem to have
		// missed only a little.
		first := max(rand.Uint32()>>1, s.version+1)
		o.Object = sharedobject.New[*Client](key.name, key.persistent, first)
	}
	if s.byKey == nil {
		s.byKey = make(map[objectKey]*object)
	}
	s.byKey[key] = o
	if key.persistent {
		s.keep(o, rec)
	}
	return o
}

// count counts an object as one that clients made.
func (s *objects) count(o *object) {
	if !o.counted {
		o.counted = true
		s.created++
	}
}

func (s *objects) uncount(o *object) {
	if o.counted {
		o.counted = false
		s.created--
		s.bytes -= o.bytes
		o.bytes = 0
	}
}

// take takes a request of a client, now or when it is its turn.
func (s *objects) take(c *Client, m *sharedobject.Message) {
	if c.parked == nil && s.mayWrite(c, m) == 0 {
		s.serve(c, m)
		return
	}
	c.park(func(last bool) time.Duration {
		if wait := s.mayWrite(c, m); wait != 0 {
			if last { // as if it had not been read
				c.calls.give()
				return 0
			}
			return wait
		}
		s.serve(c, m)
		return 0
	})
}

// mayWrite returns 0 if a client may write to the object of m now. Otherwise it
// puts the client in line, where each writes in turn, and returns byTurn.
func (s *objects) mayWrite(c *Client, m *sharedobject.Message) time.Duration {
	o := s.byKey[objectKey{m.Name, m.Persistent}]
	if o == nil || !writes(m) {
		return 0
	}
	if p := c.parked; p != nil && p.turn == o {
		p.turn = nil
		return 0
	}
	wait := o.owes.wait(requests, time.Now())
	switch {
	case len(o.line) == 0 && wait == 0:
		return 0
	case len(o.line) == 0:
		c.slowed(&o.owes, "objects-object", "This shared object is being written to too fast.", wait)
		s.advanceAfter(wait, o)
	}
	if !slices.Contains(o.line, c) {
		o.line = append(o.line, c)
	}
	return byTurn
}

// advanceAfter lets the clients in line write after a while.
func (s *objects) advanceAfter(wait time.Duration, o *object) {
	if o.timed {
		return
	}
	o.timed = true
	s.in.After(wait, func() {
		o.timed = false
		s.advance(o)
	})
}

// advance lets the clients in line write, one message each.
func (s *objects) advance(o *object) {
	for len(o.line) > 0 {
		if wait := o.owes.wait(requests, time.Now()); wait > 0 {
			s.advanceAfter(wait, o)
			return
		}
		c := o.line[0]
		rest := o.line[1:]
		if o.line = rest; len(rest) == 0 {
			o.line = nil
		}
		if c.parked != nil {
			c.parked.turn = o
			c.resume()
		}
	}
}

// writes reports whether m asks for a change.
func writes(m *sharedobject.Message) bool {
	return slices.ContainsFunc(m.Events, func(e sharedobject.Event) bool {
		return e.Type != sharedobject.Use && e.Type != sharedobject.Release
	})
}

// serve does what a client asks for. The client gets its credit back then, or
// when a save is done for which the request has to wait.
func (s *objects) serve(c *Client, m *sharedobject.Message) {
	waits := false
	defer func() {
		if !waits {
			c.calls.give()
		}
	}()
	if s.in.broken() || c.state != clientAccepted || c.req.node == forStream {
		return
	}
	o := s.byKey[objectKey{m.Name, m.Persistent}]
	switch {
	case s.in.tunnel != nil:
		s.in.tunnel.sharedObject(c, m)
	case o != nil && o.saving():
		s.enqueue(o, c, m)
		waits = true
	default:
		s.obey(c, m, nil)
	}
}

// obey does what a client asks for. allowed is nil when that is still to be
// decided. A client that has left by then is told nothing.
func (s *objects) obey(c *Client, m *sharedobject.Message, allowed []bool) {
	if o := s.byKey[objectKey{m.Name, m.Persistent}]; o != nil && o.durable != nil {
		o.durable.postponed = false
	}
	for i, e := range m.Events {
		switch {
		case e.Type == sharedobject.Release:
			s.release(c, objectKey{m.Name, m.Persistent})
		case e.Type != sharedobject.Use:
			s.change(c, m, e, allowed != nil && allowed[i] || allowed == nil && s.canWrite(c, m, e))
		case c.state == clientAccepted:
			s.use(c, m)
		}
	}
}

func (s *objects) canWrite(c *Client, m *sharedobject.Message, e sharedobject.Event) bool {
	return s.sharer != nil && s.sharer.CanWrite(c, m.Name, e.Slot)
}

// use subscribes a client, unless there is a reason against it.
func (s *objects) use(c *Client, m *sharedobject.Message) {
	key := objectKey{m.Name, m.Persistent}
	o, rec := s.byKey[key], s.recall(key)
	other := s.byKey[objectKey{m.Name, !m.Persistent}]
	switch {
	case other != nil && other.held && (o == nil || !o.held):
		c.refuseObject(m, sharedobject.CodeBadPersistence)
	case !s.canRead(c, o, m):
		c.refuseObject(m, sharedobject.CodeNoReadAccess)
	case o == nil && rec == nil && !sharedobject.ValidName(m.Name), rec != nil && rec.bad && (o == nil || !o.held):
		c.refuseObject(m, sharedobject.CodeObjectCreationFailed)
	case o == nil && rec == nil && s.created >= MaxCreatedObjects:
		c.refused("objects-room", "There are too many shared objects here.", 0)
		c.refuseObject(m, sharedobject.CodeObjectCreationFailed)
	case len(c.objects) >= MaxObjects && !slices.Contains(c.objects, o):
		c.refused("objects-client", "You are using too many shared objects.", 0)
		c.refuseObject(m, sharedobject.CodeObjectCreationFailed)
	default:
		if o == nil {
			o = s.make(key)
			s.count(o)
		}
		if !slices.Contains(c.objects, o) {
			c.objects = append(c.objects, o)
		}
		o.Use(c, m.Version)
		s.touch(o)
	}
}

func (s *objects) canRead(c *Client, o *object, m *sharedobject.Message) bool {
	if s.sharer == nil {
		return o != nil && o.held
	}
	return s.sharer.CanRead(c, m.Name, m.Persistent)
}

// change takes a request to change an object. The client must be using the
// object.
func (s *objects) change(c *Client, m *sharedobject.Message, e sharedobject.Event, allowed bool) {
	o := s.byKey[objectKey{m.Name, m.Persistent}]
	if o == nil || !o.Subscribed(c) {
		c.refuseObject(m, sharedobject.CodeNoWriteAccess)
		return
	}
	s.touch(o)
	if allowed {
		if r := s.fits(o, e); r != nil {
			s.in.Guard().Refuse(c.IP(), r, "instance", s.in.name)
			o.Refuse(c, codeTooMuch)
			return
		}
	}
	if err := o.Request(c, e, allowed); err != nil {
		s.in.log.Debug("shared object request refused", "client", c.ID(), "object", m.Name, "err", err)
		return
	}
	o.owes.take(requests, float32(weighEvent(&e)), time.Now())
	s.resize(o)
}

// weigh encodes the values in m, once for everybody who will get them, and
// returns how much it writes.
func weigh(m *sharedobject.Message) (bytes int) {
	for i := range m.Events {
		e := &m.Events[i]
		if e.Type == sharedobject.RequestChange {
			e.Value = encoded(e.Value)
		}
		for k, v := range e.Args {
			e.Args[k] = encoded(v)
		}
		bytes += weighEvent(e)
	}
	return bytes
}

// weighEvent is weigh for an event that is already encoded.
func weighEvent(e *sharedobject.Event) (bytes int) {
	for _, v := range e.Args {
		raw, _ := v.(amf.Raw)
		bytes += len(raw)
	}
	return bytes + requestCost + size(*e) + len(e.Method)
}

func encoded(v amf.Value) amf.Value {
	if raw, ok := v.(amf.Raw); ok {
		return raw
	}
	return amf.Raw(amf.Append(nil, v))
}

// These refuse a write for which there is no room. To try again does not help.
var (
	fullObject = &guard.Refusal{Limit: "objects-object", Reason: "The shared object is full."}
	fullRoom   = &guard.Refusal{Limit: "objects-room", Reason: "The shared objects of this room are full."}
	fullServer = &guard.Refusal{Limit: "objects-server", Reason: "The shared objects of this server are full."}
)

// fits returns the refusal if there is no room for e, or nil.
func (s *objects) fits(o *object, e sharedobject.Event) *guard.Refusal {
	if o.held || e.Type != sharedobject.RequestChange {
		return nil
	}
	more := size(e) - o.SlotBytes(e.Slot)
	quota, bounded := s.in.host.Objects.(Quota)
	switch {
	case o.bytes+more > MaxObjectBytes:
		return fullObject
	case s.bytes+more > MaxCreatedBytes:
		return fullRoom
	case o.durable != nil && more > 0 && bounded && !quota.TakesObjects(more):
		return fullServer
	}
	return nil
}

func size(e sharedobject.Event) int {
	v, _ := e.Value.(amf.Raw)
	return len(e.Slot) + len(v)
}

// resize counts again what clients have written into an object.
func (s *objects) resize(o *object) {
	if o.counted {
		s.bytes += o.Bytes() - o.bytes
		o.bytes = o.Bytes()
	}
}

// lag is how far behind the client is. A client that is behind catches up
// later.
func (c *Client) lag() backlog.Level {
	p, ok := c.peer.(Pacer)
	if !ok {
		return backlog.InStep
	}
	level := p.Level()
	if level != backlog.InStep {
		c.catchUpLater(p)
	}
	return level
}

func (c *Client) catchUpLater(p Pacer) {
	if !c.late {
		c.late = true
		p.WhenInStep(func() { c.in.post(c.catchUp) })
	}
}

// catchUp tells a client that is in step again the latest of one of its
// objects. The next object follows when the client has read that.
func (c *Client) catchUp() {
	c.late = false
	if c.state != clientAccepted || c.lag() != backlog.InStep {
		return
	}
	i := slices.IndexFunc(c.objects, func(o *object) bool { return o.Lagging(c) })
	if i < 0 {
		return
	}
	o := c.objects[i]
	c.objects = append(slices.Delete(c.objects, i, i+1), o) // the others come first next time
	o.CatchUp(c)
	c.in.objects.touch(o)
	c.catchUpLater(c.peer.(Pacer)) // after this turn
}

// refuseObject tells this client alone that it may not do something.
func (c *Client) refuseObject(m *sharedobject.Message, code string) {
	c.Push(&Push{SharedObject: sharedobject.Refusal(m.Name, m.Persistent, code)})
}

// release ends a client's use of an object.
func (s *objects) release(c *Client, key objectKey) {
	o := s.byKey[key]
	i := slices.Index(c.objects, o)
	if i < 0 {
		return
	}
	c.objects = slices.Delete(c.objects, i, i+1)
	o.Release(c)
	s.discard(o)
}

func (s *objects) releaseAll(c *Client) {
	for _, o := range c.objects {
		if o.saving() {
			o.durable.queue = append(o.durable.queue, waiting{c: c}) // behind its own requests
			continue
		}
		o.Release(c)
		s.discard(o)
	}
	c.objects = nil
}

// discard ends an object with its last user, unless the application holds it.
// An object that is stored still counts, and comes back when it is used again.
func (s *objects) discard(o *object) {
	key := objectKey{o.Name(), o.Persistent()}
	if o.held || o.Subscribers() > 0 || o.busy() || s.byKey[key] != o {
		return // in the last case it has ended already, and there is a new one
	}
	s.version = max(s.version, o.Version())
	if rec := s.recall(key); rec != nil {
		rec.bytes = o.bytes
	} else {
		s.uncount(o)
	}
	delete(s.byKey, key)
}

// touch remembers that a client may have changed an object.
func (s *objects) touch(o *object) {
	if !o.held && !o.touched {
		o.touched = true
		s.touched = append(s.touched, o)
	}
}

// flush tells subscribers everything that has changed since the last time. A
// change that several are told alike is one Push, so that it is encoded once.
func (s *objects) flush() {
	for _, o := range s.held {
		s.flushOne(o)
	}
	for i, o := range s.touched {
		o.touched = false
		s.flushOne(o)
		s.touched[i] = nil
	}
	s.touched = s.touched[:0]
}

// flushOne tells subscribers of changes that need no store, and starts to store
// the others.
func (s *objects) flushOne(o *object) {
	switch {
	case !o.Dirty(), o.saving():
	case o.durable == nil, !o.Changed():
		o.flush()
	case !o.durable.postponed:
		s.save(o)
	}
}

func (o *object) flush() {
	pushes := make(map[*sharedobject.Message]*Push)
	o.FlushPaced((*Client).lag, func(c *Client, m *sharedobject.Message) {
		p := pushes[m]
		if p == nil {
			p = &Push{SharedObject: m}
			pushes[m] = p
		}
		c.Push(p)
	})
}
