package server

import (
	"math/rand/v2"
	"slices"

	"foyer/server/amf"
	"foyer/server/sharedobject"
)

// Limits of what clients may do with shared objects, beside those of package
// sharedobject. They do not hold for the application.
const (
	MaxObjects        = 64       // in use by one client
	MaxCreatedObjects = 256      // made by the clients of one instance
	MaxCreatedBytes   = 16 << 20 // in the slots of those together, names included
)

// codeTooMuch answers what would exceed MaxCreatedBytes.
const codeTooMuch = "SharedObject.TooMuchData"

// objectKey is how FlashCom tells shared objects apart: a persistent and a
// temporary one of the same name are two.
type objectKey struct {
	name       string
	persistent bool
}

// object is a shared object of an instance.
type object struct {
	*sharedobject.Object[*Client]
	held    bool           // by the application, for the life of the instance
	touched bool           // in Instance.touched
	sizes   map[string]int // of the slots, while only clients know the object
}

// SharedObject is SharedObject.get: the instance's own handle, made if need
// be. An object that the application holds lives as long as the instance.
// What one turn of the instance changes reaches a subscriber as one message.
// Instance goroutine only.
func (in *Instance) SharedObject(name string, persistent bool) *sharedobject.Object[*Client] {
	key := objectKey{name, persistent}
	o := in.objects[key]
	if o == nil {
		o = in.makeObject(key)
	} else if !o.held {
		in.created--
		in.shrink(o)
	}
	if !o.held {
		o.held = true
		in.held = append(in.held, o)
	}
	return o.Object
}

// makeObject makes an object whose first version is above that of any earlier
// life of it, so that nobody takes it for the old one: within this instance by
// counting, across restarts by the clock.
func (in *Instance) makeObject(key objectKey) *object {
	// Any number will do but one near those of an earlier life: a client that
	// comes back with an old version would be taken to have missed only a little.
	first := max(rand.Uint32()>>1, in.version+1)
	o := &object{Object: sharedobject.New[*Client](key.name, key.persistent, first)}
	if in.objects == nil {
		in.objects = make(map[objectKey]*object)
	}
	in.objects[key] = o
	if key.persistent {
		in.log.Info("persistent shared object is kept in memory only", "object", key.name)
	}
	return o
}

// serveSharedObject takes what a client asks for.
func (in *Instance) serveSharedObject(c *Client, m *sharedobject.Message) {
	if in.broken || c.state != clientAccepted {
		return
	}
	for _, e := range m.Events {
		switch e.Type {
		case sharedobject.Use:
			in.use(c, m)
		case sharedobject.Release:
			in.release(c, objectKey{m.Name, m.Persistent})
		default:
			in.change(c, m, e)
		}
	}
}

// use subscribes a client, unless one of the reasons below is against it.
func (in *Instance) use(c *Client, m *sharedobject.Message) {
	key := objectKey{m.Name, m.Persistent}
	o := in.objects[key]
	other := in.objects[objectKey{m.Name, !m.Persistent}]
	switch {
	case other != nil && other.held && (o == nil || !o.held):
		c.refuseObject(m, sharedobject.CodeBadPersistence)
	case !in.canRead(c, o, m):
		c.refuseObject(m, sharedobject.CodeNoReadAccess)
	case o == nil && (in.created >= MaxCreatedObjects || !sharedobject.ValidName(m.Name)),
		len(c.objects) >= MaxObjects && !slices.Contains(c.objects, o):
		c.refuseObject(m, sharedobject.CodeObjectCreationFailed)
	default:
		if o == nil {
			o = in.makeObject(key)
			in.created++
		}
		if !slices.Contains(c.objects, o) {
			c.objects = append(c.objects, o)
		}
		o.Use(c, m.Version)
		in.touch(o)
	}
}

func (in *Instance) canRead(c *Client, o *object, m *sharedobject.Message) bool {
	if in.sharer == nil {
		return o != nil && o.held
	}
	return in.sharer.CanRead(c, m.Name, m.Persistent)
}

// change takes a request to change an object, which the client must be using.
func (in *Instance) change(c *Client, m *sharedobject.Message, e sharedobject.Event) {
	o := in.objects[objectKey{m.Name, m.Persistent}]
	if o == nil || !o.Subscribed(c) {
		c.refuseObject(m, sharedobject.CodeNoWriteAccess)
		return
	}
	allowed := in.sharer != nil && in.sharer.CanWrite(c, m.Name, e.Slot)
	if e.Type == sharedobject.RequestChange {
		e.Value = amf.Raw(amf.Append(nil, e.Value)) // once, and of a known size
	}
	in.touch(o)
	if allowed && !in.fits(o, e) {
		o.Refuse(c, codeTooMuch)
		return
	}
	if err := o.Request(c, e, allowed); err != nil {
		in.log.Debug("shared object request refused", "client", c.ID(), "object", m.Name, "err", err)
		return
	}
	in.resize(o, e)
}

// fits reports whether there is room for what e writes.
func (in *Instance) fits(o *object, e sharedobject.Event) bool {
	return o.held || e.Type != sharedobject.RequestChange ||
		in.bytes-o.sizes[e.Slot]+size(e) <= MaxCreatedBytes
}

func size(e sharedobject.Event) int {
	v, _ := e.Value.(amf.Raw)
	return len(e.Slot) + len(v)
}

// resize keeps count of what clients have written.
func (in *Instance) resize(o *object, e sharedobject.Event) {
	switch {
	case o.held || e.Type == sharedobject.SendMessage:
		return
	case e.Type == sharedobject.RequestClear || e.Type == sharedobject.Clear:
		in.shrink(o)
		return
	}
	if o.sizes == nil {
		o.sizes = make(map[string]int)
	}
	in.bytes -= o.sizes[e.Slot]
	delete(o.sizes, e.Slot)
	if _, there := o.Value(e.Slot); there {
		o.sizes[e.Slot] = size(e)
		in.bytes += size(e)
	}
}

// shrink forgets what an object has been counted for.
func (in *Instance) shrink(o *object) {
	for _, n := range o.sizes {
		in.bytes -= n
	}
	o.sizes = nil
}

// refuseObject tells a client, and it alone, that it may not.
func (c *Client) refuseObject(m *sharedobject.Message, code string) {
	c.Push(&Push{SharedObject: sharedobject.Refusal(m.Name, m.Persistent, code)})
}

// release ends a client's use of an object.
func (in *Instance) release(c *Client, key objectKey) {
	o := in.objects[key]
	i := slices.Index(c.objects, o)
	if i < 0 {
		return
	}
	c.objects = slices.Delete(c.objects, i, i+1)
	o.Release(c)
	in.discard(o)
}

func (in *Instance) releaseAll(c *Client) {
	for _, o := range c.objects {
		o.Release(c)
		in.discard(o)
	}
	c.objects = nil
}

// discard ends an object with its last user, unless the application holds it.
func (in *Instance) discard(o *object) {
	if o.held || o.Subscribers() > 0 {
		return
	}
	in.version = max(in.version, o.Version())
	in.created--
	in.shrink(o)
	delete(in.objects, objectKey{o.Name(), o.Persistent()})
}

// touch remembers that a client may have changed an object.
func (in *Instance) touch(o *object) {
	if !o.held && !o.touched {
		o.touched = true
		in.touched = append(in.touched, o)
	}
}

// flush tells subscribers what has changed since the last time. What several
// are told alike is one Push, so that it is encoded once.
func (in *Instance) flush() {
	for _, o := range in.held {
		o.flush()
	}
	for i, o := range in.touched {
		o.touched = false
		o.flush()
		in.touched[i] = nil
	}
	in.touched = in.touched[:0]
}

func (o *object) flush() {
	if !o.Dirty() {
		return
	}
	pushes := make(map[*sharedobject.Message]*Push)
	o.Flush(func(c *Client, m *sharedobject.Message) {
		p := pushes[m]
		if p == nil {
			p = &Push{SharedObject: m}
			pushes[m] = p
		}
		c.Push(p)
	})
}
