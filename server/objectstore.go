package server

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"foyer/server/sharedobject"
)

// ObjectStore keeps the persistent shared objects of instances. Its methods
// may be called from any goroutine.
type ObjectStore interface {
	// LoadObjects returns what is stored of an instance, by object, and since
	// when. It blocks.
	LoadObjects(ctx context.Context, instance string) (objects map[string][]byte, since map[string]time.Time, err error)
	// SaveObject stores an object; nil data forgets it. It does not block. Of
	// one object, saves are done in order, and the newest may stand for those
	// that wait. done runs once, on any goroutine, and may save again: with nil
	// when this or something newer is stored and stays so.
	SaveObject(instance, object string, data []byte, done func(error))
}

// Quota is an ObjectStore that bounds what all objects take together.
type Quota interface {
	// TakesObjects reports whether clients may store so many bytes more.
	TakesObjects(bytes int) bool
}

// keepUsed is how old what is stored of an object in use may be: it is stored
// again then, because a store may forget what has long been unused.
const keepUsed = 24 * time.Hour

const (
	// loadTimeout is how long an instance waits for its objects when it starts.
	loadTimeout = 10 * time.Second
	// retrySave is how long an object whose save failed waits for the next one,
	// unless a client asks for something before.
	retrySave = 5 * time.Second
)

// versionObject is the name under which the store has the version that
// objects made anew must start above, because others were forgotten. No client
// may use the name.
const versionObject = "~version"

var errSnapshotTooLarge = fmt.Errorf("server: shared object of more than %d bytes", sharedobject.MaxSnapshot)

// record is what the store has of a persistent object.
type record struct {
	data  []byte
	since time.Time // stored
	bytes int       // in its slots
	bad   bool      // it cannot be read, so nobody may use it, let alone write over it
}

// durable is what a persistent object has when there is a store. While a save
// is on, requests wait in queue: what is told is stored.
type durable struct {
	stored    []byte // a snapshot of what the store has
	saving    bool
	unsure    bool // a save failed: the store may have more than stored, until one succeeds
	emptied   bool // the store came back empty while this save was on
	postponed bool // until retry runs, or a client asks for something
	retry     *time.Timer
	queue     []waiting
}

// waiting is a message that came while a save was on; without one the client
// has left.
type waiting struct {
	c       *Client
	m       *sharedobject.Message
	allowed []bool // by event
}

// loadObjects reads what is stored of the instance. It blocks, so it runs
// before anybody is in.
func (in *Instance) loadObjects() error {
	if in.host.Objects == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(in.starting, loadTimeout)
	defer cancel()
	all, since, err := in.host.Objects.LoadObjects(ctx, in.name)
	if err != nil {
		return fmt.Errorf("loading shared objects: %w: %w", errUnreachable, err)
	}
	in.records = make(map[string]*record, len(all))
	for name, data := range all {
		if name == versionObject {
			if len(data) == 4 {
				in.version = binary.BigEndian.Uint32(data)
			}
			in.noted = data
			continue
		}
		rec := &record{data: data, since: since[name], bytes: len(data)}
		if o, err := sharedobject.Restore[*Client](name, data); err != nil {
			in.log.Error("stored shared object cannot be read", "object", name, "err", err)
			rec.bad = true
		} else {
			rec.bytes = o.Bytes()
		}
		in.records[name] = rec
		in.created++
		in.bytes += rec.bytes
	}
	return nil
}

// recall returns what is stored of an object; nil when nothing is.
func (in *Instance) recall(key objectKey) *record {
	if !key.persistent {
		return nil
	}
	return in.records[key.name]
}

// keepObject makes a persistent object durable.
func (in *Instance) keepObject(o *object, rec *record) {
	switch {
	case in.host.Objects == nil:
		in.log.Info("persistent shared object is kept in memory only", "object", o.Name())
		return
	case rec != nil && rec.bad:
		return // said when it was loaded
	}
	o.Store()
	o.durable = &durable{stored: o.Snapshot()}
	in.used(o)
}

// used stores an object that is in use again, as it is stored, when that was
// long ago. What is stored of it may be gone already.
func (in *Instance) used(o *object) {
	rec := in.records[o.Name()]
	if rec == nil || rec.bad || o.busy() || time.Since(rec.since) < keepUsed {
		return
	}
	rec.since = time.Now()
	in.storeRaw(o.Name(), rec.data)
}

// KeepUsed has all instances store again what is in use and was stored long
// ago. It does not wait for that. A store that forgets what is unused wants it
// once a day.
func (h *Host) KeepUsed() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, in := range h.instances {
		in.post(func() {
			for _, o := range in.objects {
				if o.durable != nil && !in.lost {
					in.used(o)
				}
			}
		})
	}
}

// saving reports whether requests have to wait.
func (o *object) saving() bool { return o.durable != nil && o.durable.saving }

// busy reports whether memory has something that the store has not.
func (o *object) busy() bool {
	d := o.durable
	return d != nil && (d.saving || d.unsure || o.Changed())
}

// enqueue lets a message wait until the save is done. What the client may do is
// decided now.
func (in *Instance) enqueue(o *object, c *Client, m *sharedobject.Message) {
	allowed := make([]bool, len(m.Events))
	for i, e := range m.Events {
		allowed[i] = e.Type != sharedobject.Use && e.Type != sharedobject.Release && in.canWrite(c, m, e)
	}
	o.durable.queue = append(o.durable.queue, waiting{c, m, allowed})
}

// flushDurable tells what needs no store, and begins to store what does.
func (in *Instance) flushDurable(o *object) {
	d := o.durable
	switch {
	case d.saving:
	case !o.Changed():
		o.flush()
	case !d.postponed:
		in.save(o)
	}
}

// save stores an object as it is now.
func (in *Instance) save(o *object) {
	data := o.Hold()
	empty := o.Len() == 0
	o.durable.saving = true
	in.store(o, data, empty, func(err error) {
		in.post(func() { in.saved(o, data, empty, err) })
	})
}

// store hands a snapshot to the store. The instance ends no sooner than done.
func (in *Instance) store(o *object, data []byte, empty bool, done func(error)) {
	in.wg.Add(1)
	finish := func(err error) {
		defer in.wg.Done()
		done(err)
	}
	save := in.host.Objects.SaveObject
	switch name := o.Name(); {
	case len(data) > sharedobject.MaxSnapshot:
		finish(errSnapshotTooLarge)
	case !empty:
		save(in.name, name, data, finish)
	case in.records[name] == nil && !o.durable.unsure:
		finish(nil) // it was not there
	default:
		// What is forgotten leaves its version, so that the next object of
		// that name is not taken for it.
		in.version = max(in.version, o.Version())
		in.noted = binary.BigEndian.AppendUint32(nil, in.version)
		save(in.name, versionObject, in.noted, func(err error) {
			if err != nil {
				finish(err)
				return
			}
			save(in.name, name, nil, finish)
		})
	}
}

// saved ends a save: what is stored is told. What is not is taken back, so that
// memory is what is stored, and whoever asked for it hears
// SharedObject.Flush.Failed; what the application changed is made and stored
// again until that succeeds. Then what has been waiting is done.
func (in *Instance) saved(o *object, data []byte, empty bool, err error) {
	d := o.durable
	d.saving = false
	if err != nil {
		in.takeBack(o, err)
	} else {
		if d.unsure {
			in.log.Info("shared object is stored again", "object", o.Name())
		}
		d.stored, d.unsure = data, false
		d.postpone(nil)
		if delete(in.records, o.Name()); !empty {
			in.records[o.Name()] = &record{data: data, since: time.Now()}
		}
		o.flush()
		if d.emptied { // that may have gone into what is lost
			d.emptied = false
			in.save(o)
			return
		}
	}
	d.emptied = false
	queue := d.queue
	d.queue = nil
	for _, w := range queue {
		if w.m == nil {
			o.Release(w.c)
			continue
		}
		in.obey(w.c, w.m, w.allowed)
		w.c.calls.give()
	}
	in.touch(o)
	in.discard(o)
}

// takeBack is what follows a save that failed.
func (in *Instance) takeBack(o *object, err error) {
	d := o.durable
	if !d.unsure {
		in.log.Error("shared object is not stored", "object", o.Name(), "err", err)
	}
	d.unsure = true
	if err := o.Rollback(d.stored, sharedobject.CodeFlushFailed); err != nil {
		panic(err) // our own snapshot
	}
	o.flush()
	o.Redo()
	in.resize(o)
	d.postpone(in.After(retrySave, func() { in.retry(o) }))
}

// postpone lets an object wait for retry, or with nil no longer.
func (d *durable) postpone(retry *time.Timer) {
	if d.retry != nil {
		d.retry.Stop()
	}
	d.postponed, d.retry = retry != nil, retry
}

// retry stores an object again: the store may have what was taken back.
func (in *Instance) retry(o *object) {
	d := o.durable
	if d.postponed = false; d.unsure && !d.saving {
		in.save(o)
	}
}

// StoreAgain has all instances store their persistent objects again, as they
// are: the store came back empty. It does not wait for that.
func (h *Host) StoreAgain() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, in := range h.instances {
		in.post(in.storeAgain)
	}
}

// storeAgain stores what the store should have. Requests wait as for any save,
// and what fails is tried again as any save is.
func (in *Instance) storeAgain() {
	if in.lost {
		return // they are another's
	}
	for _, o := range in.objects {
		if o.saving() {
			o.durable.emptied = true
		}
	}
	if in.noted != nil {
		in.storeRaw(versionObject, in.noted)
	}
	for name, rec := range in.records {
		if rec.bad {
			in.storeRaw(name, rec.data)
			continue
		}
		key := objectKey{name, true}
		o := in.objects[key]
		if o == nil {
			o = in.makeObject(key)
		}
		if !o.saving() {
			in.save(o)
		}
	}
}

// storeRaw stores what no object stands for.
func (in *Instance) storeRaw(name string, data []byte) {
	in.wg.Add(1)
	in.host.Objects.SaveObject(in.name, name, data, func(err error) {
		defer in.wg.Done()
		if err != nil {
			in.log.Error("shared object is not stored", "object", name, "err", err)
		}
	})
}

// saveRest is the last chance of what is not known to be stored when the
// instance ends. No save is on.
func (in *Instance) saveRest() {
	for _, o := range in.objects {
		if !o.busy() {
			continue
		}
		in.store(o, o.Snapshot(), o.Len() == 0, func(err error) {
			if err != nil {
				in.log.Error("shared object is not stored", "object", o.Name(), "err", err)
			}
		})
	}
}
