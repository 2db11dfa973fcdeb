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

// load reads what is stored of the instance. It blocks, so it runs
// before anybody is in.
func (s *objects) load() error {
	if s.in.host.Objects == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(s.in.life.starting, loadTimeout)
	defer cancel()
	all, since, err := s.in.host.Objects.LoadObjects(ctx, s.in.name)
	if err != nil {
		return fmt.Errorf("loading shared objects: %w: %w", errUnreachable, err)
	}
	s.records = make(map[string]*record, len(all))
	for name, data := range all {
		if name == versionObject {
			if len(data) == 4 {
				s.version = binary.BigEndian.Uint32(data)
			}
			s.noted = data
			continue
		}
		rec := &record{data: data, since: since[name], bytes: len(data)}
		if o, err := sharedobject.Restore[*Client](name, data); err != nil {
			s.in.log.Error("stored shared object cannot be read", "object", name, "err", err)
			rec.bad = true
		} else {
			rec.bytes = o.Bytes()
		}
		s.records[name] = rec
		s.created++
		s.bytes += rec.bytes
	}
	return nil
}

// recall returns what is stored of an object; nil when nothing is.
func (s *objects) recall(key objectKey) *record {
	if !key.persistent {
		return nil
	}
	return s.records[key.name]
}

// keep makes a persistent object durable.
func (s *objects) keep(o *object, rec *record) {
	switch {
	case s.in.host.Objects == nil:
		s.in.log.Info("persistent shared object is kept in memory only", "object", o.Name())
		return
	case rec != nil && rec.bad:
		return // said when it was loaded
	}
	o.Store()
	o.durable = &durable{stored: o.Snapshot()}
	s.refresh(o)
}

// refresh stores an object that is in use again, as it is stored, when that was
// long ago. What is stored of it may be gone already.
func (s *objects) refresh(o *object) {
	rec := s.records[o.Name()]
	if rec == nil || rec.bad || o.busy() || time.Since(rec.since) < keepUsed {
		return
	}
	rec.since = time.Now()
	s.storeRaw(o.Name(), rec.data)
}

// KeepUsed has all instances store again what is in use and was stored long
// ago. It does not wait for that. A store that forgets what is unused wants it
// once a day.
func (h *Host) KeepUsed() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, in := range h.instances {
		in.post(in.objects.keepUsed)
	}
}

func (s *objects) keepUsed() {
	for _, o := range s.byKey {
		if o.durable != nil && s.in.life.claim != claimLost {
			s.refresh(o)
		}
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
func (s *objects) enqueue(o *object, c *Client, m *sharedobject.Message) {
	allowed := make([]bool, len(m.Events))
	for i, e := range m.Events {
		allowed[i] = e.Type != sharedobject.Use && e.Type != sharedobject.Release && s.canWrite(c, m, e)
	}
	o.durable.queue = append(o.durable.queue, waiting{c, m, allowed})
}

// flushDurable tells what needs no store, and begins to store what does.
func (s *objects) flushDurable(o *object) {
	d := o.durable
	switch {
	case d.saving:
	case !o.Changed():
		o.flush()
	case !d.postponed:
		s.save(o)
	}
}

// save stores an object as it is now.
func (s *objects) save(o *object) {
	data := o.Hold()
	empty := o.Len() == 0
	o.durable.saving = true
	s.store(o, data, empty, func(err error) {
		s.in.post(func() { s.saved(o, data, empty, err) })
	})
}

// store hands a snapshot to the store. The instance ends no sooner than done.
func (s *objects) store(o *object, data []byte, empty bool, done func(error)) {
	s.in.wg.Add(1)
	finish := func(err error) {
		defer s.in.wg.Done()
		done(err)
	}
	save := s.in.host.Objects.SaveObject
	switch name := o.Name(); {
	case len(data) > sharedobject.MaxSnapshot:
		finish(errSnapshotTooLarge)
	case !empty:
		save(s.in.name, name, data, finish)
	case s.records[name] == nil && !o.durable.unsure:
		finish(nil) // it was not there
	default:
		// What is forgotten leaves its version, so that the next object of
		// that name is not taken for it.
		s.version = max(s.version, o.Version())
		s.noted = binary.BigEndian.AppendUint32(nil, s.version)
		save(s.in.name, versionObject, s.noted, func(err error) {
			if err != nil {
				finish(err)
				return
			}
			save(s.in.name, name, nil, finish)
		})
	}
}

// saved ends a save: what is stored is told. What is not is taken back, so that
// memory is what is stored, and whoever asked for it hears
// SharedObject.Flush.Failed; what the application changed is made and stored
// again until that succeeds. Then what has been waiting is done.
func (s *objects) saved(o *object, data []byte, empty bool, err error) {
	d := o.durable
	d.saving = false
	if err != nil {
		s.takeBack(o, err)
	} else {
		if d.unsure {
			s.in.log.Info("shared object is stored again", "object", o.Name())
		}
		d.stored, d.unsure = data, false
		d.postpone(nil)
		if delete(s.records, o.Name()); !empty {
			s.records[o.Name()] = &record{data: data, since: time.Now()}
		}
		o.flush()
		if d.emptied { // that may have gone into what is lost
			d.emptied = false
			s.save(o)
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
		s.obey(w.c, w.m, w.allowed)
		w.c.calls.give()
	}
	s.touch(o)
	s.discard(o)
}

// takeBack is what follows a save that failed.
func (s *objects) takeBack(o *object, err error) {
	d := o.durable
	if !d.unsure {
		s.in.log.Error("shared object is not stored", "object", o.Name(), "err", err)
	}
	d.unsure = true
	if err := o.Rollback(d.stored, sharedobject.CodeFlushFailed); err != nil {
		panic(err) // our own snapshot
	}
	o.flush()
	o.Redo()
	s.resize(o)
	d.postpone(s.in.After(retrySave, func() { s.retry(o) }))
}

// postpone lets an object wait for retry, or with nil no longer.
func (d *durable) postpone(retry *time.Timer) {
	if d.retry != nil {
		d.retry.Stop()
	}
	d.postponed, d.retry = retry != nil, retry
}

// retry stores an object again: the store may have what was taken back.
func (s *objects) retry(o *object) {
	d := o.durable
	if d.postponed = false; d.unsure && !d.saving {
		s.save(o)
	}
}

// StoreAgain has all instances store their persistent objects again, as they
// are: the store came back empty. It does not wait for that.
func (h *Host) StoreAgain() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, in := range h.instances {
		in.post(in.objects.storeAgain)
	}
}

// storeAgain stores what the store should have. Requests wait as for any save,
// and what fails is tried again as any save is.
func (s *objects) storeAgain() {
	if s.in.life.claim == claimLost {
		return // they are another's
	}
	for _, o := range s.byKey {
		if o.saving() {
			o.durable.emptied = true
		}
	}
	if s.noted != nil {
		s.storeRaw(versionObject, s.noted)
	}
	for name, rec := range s.records {
		if rec.bad {
			s.storeRaw(name, rec.data)
			continue
		}
		key := objectKey{name, true}
		o := s.byKey[key]
		if o == nil {
			o = s.make(key)
		}
		if !o.saving() {
			s.save(o)
		}
	}
}

// storeRaw stores what no object stands for.
func (s *objects) storeRaw(name string, data []byte) {
	s.in.wg.Add(1)
	s.in.host.Objects.SaveObject(s.in.name, name, data, func(err error) {
		defer s.in.wg.Done()
		if err != nil {
			s.in.log.Error("shared object is not stored", "object", name, "err", err)
		}
	})
}

// saveRest is the last chance of what is not known to be stored when the
// instance ends. No save is on.
func (s *objects) saveRest() {
	for _, o := range s.byKey {
		if !o.busy() {
			continue
		}
		s.store(o, o.Snapshot(), o.Len() == 0, func(err error) {
			if err != nil {
				s.in.log.Error("shared object is not stored", "object", o.Name(), "err", err)
			}
		})
	}
}
