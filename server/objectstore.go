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
	// LoadObjects returns the stored objects of an instance by name, and since
	// when each has been stored. It blocks.
	LoadObjects(ctx context.Context, instance string) (objects map[string][]byte, since map[string]time.Time, err error)
	// SaveObject stores an object; nil data deletes it. It does not block.
	// Saves of one object are done in order, and the newest may replace those
	// that still wait. done runs once, on any goroutine, and may save again.
	// Its error is nil when this save or a newer one is stored for good.
	SaveObject(instance, object string, data []byte, done func(error))
}

// Quota is an ObjectStore with a bound for all objects together.
type Quota interface {
	// TakesObjects reports whether clients may store so many bytes more.
	TakesObjects(bytes int) bool
}

// keepUsed is how old the stored copy of an object in use may get. Then it is
// stored again, because a store may delete objects that nobody has used for
// long.
const keepUsed = 24 * time.Hour

const (
	// loadTimeout is how long an instance waits for its objects when it starts.
	loadTimeout = 10 * time.Second
	// retrySave is how long an object waits after a failed save for the next
	// one, unless a client asks for something sooner.
	retrySave = 5 * time.Second
)

// versionObject is the name under which the store has a version that new
// objects must start above, since others were deleted. No client may use the
// name.
const versionObject = "~version"

var errSnapshotTooLarge = fmt.Errorf("server: shared object of more than %d bytes", sharedobject.MaxSnapshot)

// record is what the store has of a persistent object.
type record struct {
	data  []byte
	since time.Time // stored
	bytes int       // in its slots
	bad   bool      // it cannot be read, so nobody may use it or write over it
}

// durable is the part of a persistent object that exists only with a store.
// During a save, requests wait in queue: subscribers are told only of stored
// changes.
type durable struct {
	stored    []byte // a snapshot of what the store has
	saving    bool
	unsure    bool // a save failed: the store may have more than stored, until one succeeds
	emptied   bool // the store came back empty during this save
	postponed bool // until retry runs, or a client asks for something
	retry     *time.Timer
	queue     []waiting
}

// waiting is a message that came during a save. Without one the client has
// left.
type waiting struct {
	c       *Client
	m       *sharedobject.Message
	allowed []bool // by event
}

// load reads the stored objects of the instance. It blocks, so it runs before
// anybody is in.
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

// recall returns the record of a stored object, or nil.
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
		return // load has logged it
	}
	o.Store()
	o.durable = &durable{stored: o.Snapshot()}
	s.refresh(o)
}

// refresh stores an object that is in use again, as it is stored, if that was
// long ago. The store may have deleted it by now.
func (s *objects) refresh(o *object) {
	rec := s.records[o.Name()]
	if rec == nil || rec.bad || o.busy() || time.Since(rec.since) < keepUsed {
		return
	}
	rec.since = time.Now()
	s.storeRaw(o.Name(), rec.data)
}

// KeepUsed lets all instances store again the objects that are in use and were
// stored long ago, and does not wait for that. It should be called once a day
// if the store deletes unused objects.
func (h *Host) KeepUsed() {
	for _, in := range h.all() {
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

// busy reports whether something in memory is not stored.
func (o *object) busy() bool {
	d := o.durable
	return d != nil && (d.saving || d.unsure || o.Changed())
}

// enqueue lets a message wait until the save is done. The client's rights are
// decided now.
func (s *objects) enqueue(o *object, c *Client, m *sharedobject.Message) {
	allowed := make([]bool, len(m.Events))
	for i, e := range m.Events {
		allowed[i] = e.Type != sharedobject.Use && e.Type != sharedobject.Release && s.canWrite(c, m, e)
	}
	o.durable.queue = append(o.durable.queue, waiting{c, m, allowed})
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

// store hands a snapshot to the store. The instance does not end before done.
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
		// An object that is deleted leaves its version behind, so that the next
		// one of that name is not taken for it.
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

// saved ends a save. If it succeeded, subscribers are told of the changes. If
// not, they are taken back, so that memory matches the store, and their writers
// hear SharedObject.Flush.Failed; changes by the application are made and
// stored again until that succeeds. Then the messages that have been waiting
// are served.
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
		if d.emptied { // this save may have gone into the lost store
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

// takeBack takes back the changes of a save that failed.
func (s *objects) takeBack(o *object, err error) {
	d := o.durable
	if !d.unsure {
		s.in.log.Error("shared object is not stored", "object", o.Name(), "err", err)
	}
	d.unsure = true
	if err := o.Rollback(d.stored, sharedobject.CodeFlushFailed); err != nil {
		panic(err) // it is our own snapshot
	}
	o.flush()
	o.Redo()
	s.resize(o)
	d.postpone(s.in.After(retrySave, func() { s.retry(o) }))
}

// postpone lets an object wait for retry, or no longer when that is nil.
func (d *durable) postpone(retry *time.Timer) {
	if d.retry != nil {
		d.retry.Stop()
	}
	d.postponed, d.retry = retry != nil, retry
}

// retry stores an object again: the store may have the changes that were taken
// back.
func (s *objects) retry(o *object) {
	d := o.durable
	if d.postponed = false; d.unsure && !d.saving {
		s.save(o)
	}
}

// StoreAgain lets all instances store their persistent objects again, as they
// are, because the store came back empty. It does not wait for that.
func (h *Host) StoreAgain() {
	for _, in := range h.all() {
		in.post(in.objects.storeAgain)
	}
}

// storeAgain stores everything that the store should have. Requests wait and
// failures are retried as with any save.
func (s *objects) storeAgain() {
	if s.in.life.claim == claimLost {
		return // the objects belong to another node
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

// storeRaw stores data that is not an object in memory.
func (s *objects) storeRaw(name string, data []byte) {
	s.in.wg.Add(1)
	s.in.host.Objects.SaveObject(s.in.name, name, data, func(err error) {
		defer s.in.wg.Done()
		if err != nil {
			s.in.log.Error("shared object is not stored", "object", name, "err", err)
		}
	})
}

// saveRest is the last chance to store what may not be stored when the instance
// ends. No save is running.
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
