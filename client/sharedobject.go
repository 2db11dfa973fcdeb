package client

import (
	"maps"
	"sync"

	"foyer/server/amf"
	"foyer/server/rtmp"
	"foyer/server/sharedobject"
)

// A SharedObject is this program's copy of a remote shared object. Its methods
// are safe for concurrent use.
type SharedObject struct {
	// set by NetConnection.SharedObject
	nc     *NetConnection
	key    key
	onSync func([]sharedobject.Sync)

	// guarded by mu
	mu      sync.Mutex
	replica sharedobject.Replica
	onSend  func(method string, args amf.Args)
	queue   []sharedobject.Event // to be sent, in the order that the replica knows
	sending bool                 // a goroutine is emptying queue
	closed  bool
}

// SharedObject connects to a remote shared object, without waiting for the
// server. The server's first answer is a sync list that begins with a clear, or
// a status such as SharedObject.NoReadAccess. A large object comes in several
// messages. onSync, if not nil, runs after each message that changed or refused
// something. A connection can have an object only once at a time. The error is
// ErrInUse, or the reason for which the connection ended.
func (nc *NetConnection) SharedObject(name string, persistent bool, onSync func([]sharedobject.Sync)) (*SharedObject, error) {
	so := &SharedObject{nc: nc, key: key{name, persistent}, onSync: onSync}
	nc.mu.Lock()
	if nc.objects[so.key] != nil {
		nc.mu.Unlock()
		return nil, ErrInUse
	}
	nc.objects[so.key] = so
	nc.mu.Unlock()
	if err := so.send(sharedobject.Event{Type: sharedobject.Use}); err != nil {
		so.forget()
		return nil, err
	}
	return so, nil
}

// OnSend sets the function that runs when the server or a user, including this
// one, calls Send.
func (so *SharedObject) OnSend(f func(method string, args amf.Args)) {
	so.mu.Lock()
	defer so.mu.Unlock()
	so.onSend = f
}

// Get returns the value of a slot.
func (so *SharedObject) Get(slot string) (amf.Value, bool) {
	so.mu.Lock()
	defer so.mu.Unlock()
	v, ok := so.replica.Slots[slot]
	return v, ok
}

// Slots returns a copy of the slots.
func (so *SharedObject) Slots() map[string]amf.Value {
	so.mu.Lock()
	defer so.mu.Unlock()
	slots := make(map[string]amf.Value, len(so.replica.Slots))
	maps.Copy(slots, so.replica.Slots)
	return slots
}

// Complete reports whether the whole object has arrived. A large object comes
// in several messages, of which only the last one has a version.
func (so *SharedObject) Complete() bool {
	so.mu.Lock()
	defer so.mu.Unlock()
	return so.replica.Version != 0
}

// Set asks the server to put v into a slot; null or undefined removes it. Get
// shows the new value when the server has agreed.
func (so *SharedObject) Set(slot string, v amf.Value) error {
	return so.send(sharedobject.Event{Type: sharedobject.RequestChange, Slot: slot, Value: v})
}

// Clear asks the server to remove all slots.
func (so *SharedObject) Clear() error {
	return so.send(sharedobject.Event{Type: sharedobject.RequestClear})
}

// Send asks the server to call method on all users, including this one.
func (so *SharedObject) Send(method string, args ...amf.Value) error {
	return so.send(sharedobject.Event{Type: sharedobject.SendMessage, Method: method, Args: args})
}

// Close leaves the object. Its last state stays readable.
func (so *SharedObject) Close() error {
	err := so.send(sharedobject.Event{Type: sharedobject.Release})
	so.forget()
	return err
}

func (so *SharedObject) forget() {
	so.nc.mu.Lock()
	if so.nc.objects[so.key] == so {
		delete(so.nc.objects, so.key)
	}
	so.nc.mu.Unlock()
	so.mu.Lock()
	so.closed = true
	so.mu.Unlock()
}

// send sends a request. The replica must know requests in the order in which
// they go out, so they are queued, and one goroutine at a time sends.
func (so *SharedObject) send(e sharedobject.Event) error {
	so.mu.Lock()
	if so.closed {
		so.mu.Unlock()
		return rtmp.ErrClosed
	}
	if e.Type != sharedobject.Release {
		so.replica.Request(e)
	}
	so.queue = append(so.queue, e)
	if so.sending {
		so.mu.Unlock()
		return so.nc.session.Err()
	}
	so.sending = true
	for len(so.queue) > 0 {
		m := sharedobject.Message{Name: so.key.name, Persistent: so.key.persistent, Version: so.replica.Version, Events: so.queue}
		so.queue = nil
		so.mu.Unlock()
		so.nc.sendSharedObject(&m)
		so.mu.Lock()
	}
	so.sending = false
	so.mu.Unlock()
	return so.nc.session.Err()
}

// sendSharedObject sends m. If that fails, Err returns why.
func (nc *NetConnection) sendSharedObject(m *sharedobject.Message) {
	amf3 := nc.session.ObjectEncoding() == 3
	t := rtmp.TypeSharedObjectAMF0
	if amf3 {
		t = rtmp.TypeSharedObjectAMF3
	}
	_ = nc.session.Send(rtmp.Pack(rtmp.Message{Type: t, Payload: m.Append(nil, amf3)}))
}

// apply runs on the session's goroutine.
func (so *SharedObject) apply(m *sharedobject.Message) {
	so.mu.Lock()
	list := so.replica.Apply(m)
	onSend := so.onSend
	so.mu.Unlock()
	if onSend != nil {
		for _, e := range m.Events {
			if e.Type == sharedobject.SendMessage {
				onSend(e.Method, decode(e.Args))
			}
		}
	}
	if so.onSync != nil && len(list) > 0 {
		so.onSync(list)
	}
}

// decode returns args with raw values decoded.
func decode(args amf.Args) amf.Args {
	decoded := make(amf.Args, len(args))
	for i, v := range args {
		decoded[i] = v
		if raw, ok := v.(amf.Raw); ok {
			if d, err := amf.Parse(raw); err == nil {
				decoded[i] = d
			}
		}
	}
	return decoded
}
