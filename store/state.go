package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A saver stores values under keys, each as a whole. While one value of a key
// is being stored, only the newest waits.
type saver struct {
	// set by Open
	store  *Store
	ctx    context.Context // of everything that is being stored; ends when close stops waiting
	cancel context.CancelFunc

	mu     sync.Mutex
	keys   map[string]*saving
	closed bool
}

// saving is a key whose value is being stored.
type saving struct {
	data    []byte // nil: delete it
	done    []func(error)
	waiting bool
	idle    chan struct{} // closed when nothing waits any more
	fence   *fence        // of the last caller of save; nil: there are no other nodes
}

// save stores data under the subject of a key, if the fence lets it through.
func (s *saver) save(f *fence, subject string, data []byte, done func(error)) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		done(ErrClosed)
		return
	}
	defer s.mu.Unlock()
	if s.keys == nil {
		s.keys = make(map[string]*saving)
	}
	k := s.keys[subject]
	if k == nil {
		k = &saving{idle: make(chan struct{})}
		s.keys[subject] = k
		s.store.wg.Go(func() { s.run(subject, k) })
	}
	k.data, k.waiting, k.fence = data, true, f
	k.done = append(k.done, done)
}

// run stores the values of a key, and ends when none waits. save starts it,
// close waits for it.
func (s *saver) run(subject string, k *saving) {
	for {
		s.mu.Lock()
		if !k.waiting {
			delete(s.keys, subject)
			close(k.idle)
			s.mu.Unlock()
			return
		}
		data, done, f := k.data, k.done, k.fence
		k.done, k.waiting = nil, false
		s.mu.Unlock()
		ctx, cancel := context.WithTimeout(s.ctx, s.store.cfg.patience)
		err := s.store.put(ctx, f, subject, data)
		cancel()
		finish := func(err error) {
			for _, f := range done {
				f(err)
			}
		}
		if err != nil {
			finish(err)
			continue
		}
		s.store.flushed(finish)
	}
}

// awaitSaved waits until nothing is being stored under a key.
func (s *saver) awaitSaved(subject string) {
	s.mu.Lock()
	k := s.keys[subject]
	s.mu.Unlock()
	if k != nil {
		select {
		case <-k.idle:
		case <-time.After(closeTimeout):
		}
	}
	s.store.awaitFlush()
}

// close refuses further values, and waits a little for those that are being
// stored.
func (s *saver) close() {
	defer time.AfterFunc(closeTimeout, s.cancel).Stop()
	s.mu.Lock()
	s.closed = true
	var keys []string
	for key := range s.keys {
		keys = append(keys, key)
	}
	s.mu.Unlock()
	for _, key := range keys {
		s.awaitSaved(key)
	}
}

// put stores data under the subject of a key; nil deletes it.
func (s *Store) put(ctx context.Context, f *fence, subject string, data []byte) error {
	m := nats.NewMsg(subject)
	m.Data = data
	if f == nil {
		if data == nil {
			return s.purge(ctx, subject, 0)
		}
		_, err := s.publish(ctx, m)
		return err
	}
	if data == nil { // a purged key would leave nothing that refuses a late writer
		m.Header.Set("KV-Operation", "DEL")
	}
	return f.put(ctx, m)
}

// purge removes everything stored under the subject of a key or of a room's
// chat, except from the sequence keep on if that is not 0.
func (s *Store) purge(ctx context.Context, subject string, keep uint64) error {
	stream := chatStream
	if key, ok := strings.CutPrefix(subject, "$KV."); ok {
		bucket, _, _ := strings.Cut(key, ".")
		stream = "KV_" + bucket
	}
	request := map[string]any{"filter": subject}
	if keep != 0 {
		request["seq"] = keep
	}
	var answer struct{}
	return s.api(ctx, "STREAM.PURGE."+stream, request, &answer)
}

// DropState deletes the state of a room that is not open, if look returns nil
// for it. The chat stays. It blocks.
func (s *Store) DropState(ctx context.Context, room string, look func(state []byte) error) error {
	p, err := s.roomPart(ctx, room)
	if err != nil {
		return err
	}
	subject := kv(roomsBucket, "state", p)
	m, err := s.lastOf(ctx, "KV_"+roomsBucket, subject)
	if err != nil {
		return fmt.Errorf("reading the state of room %s: %w", room, err)
	}
	if m == nil {
		return look(nil)
	}
	if err := look(m.data); err != nil {
		return err
	}
	if err := s.purge(ctx, subject, m.seq+1); err != nil {
		return fmt.Errorf("deleting the state of room %s: %w", room, err)
	}
	s.awaitFlush()
	return nil
}

// RoomState returns the stored state of a room, whether it is open or not; nil
// for a new room. It blocks.
func (s *Store) RoomState(ctx context.Context, room string) ([]byte, error) {
	p, err := s.roomPart(ctx, room)
	if err != nil {
		return nil, err
	}
	state, err := s.value(ctx, roomsBucket, "state", p)
	if err != nil {
		return nil, fmt.Errorf("reading the state of room %s: %w", room, err)
	}
	return state, nil
}

// Exists reports whether anything is stored of a room: its state, or a message.
// A room that was only opened leaves nothing. Exists blocks until ctx ends at
// the latest.
func (s *Store) Exists(ctx context.Context, room string) (bool, error) {
	p, err := s.roomPart(ctx, room)
	if err != nil {
		return false, fmt.Errorf("looking for room %s: %w", room, err)
	}
	state, err := s.value(ctx, roomsBucket, "state", p)
	if state != nil || err != nil {
		return state != nil, err
	}
	m, err := s.lastOf(ctx, chatStream, subject(chatSubject, p))
	if err != nil {
		return false, fmt.Errorf("looking for room %s: %w", room, err)
	}
	return m != nil && m.header.Get(headerID) != "", nil
}

// ChangeRoomState replaces the state of a room that is not open anywhere by
// what change makes of it. It returns when that is stored.
func (s *Store) ChangeRoomState(ctx context.Context, room string, change func(state []byte) ([]byte, error)) error {
	p, err := s.roomPart(ctx, room)
	if err != nil {
		return err
	}
	state, err := s.RoomState(ctx, room)
	if err == nil {
		state, err = change(state)
	}
	if err != nil {
		return err
	}
	if err := s.put(ctx, nil, kv(roomsBucket, "state", p), state); err != nil {
		return fmt.Errorf("storing the state of room %s: %w", room, err)
	}
	s.awaitFlush()
	return nil
}

// ownerKey is the key of the fence of an instance's objects: key makes it of no
// name.
const ownerKey part = "=owner"

// LoadObjects returns the stored objects of an instance, by name, and when each
// was stored. If this node has claimed the instance, no other node can save its
// objects from then on. It blocks.
func (s *Store) LoadObjects(ctx context.Context, instance string) (objects map[string][]byte, since map[string]time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	err = s.retried(ctx, func() (err error) {
		objects, since, err = s.loadObjects(ctx, instance)
		return err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("loading the objects of %s: %w", instance, err)
	}
	return objects, since, nil
}

// loadObjects tries once.
func (s *Store) loadObjects(ctx context.Context, instance string) (objects map[string][]byte, since map[string]time.Time, err error) {
	if _, err := s.readSpellings(ctx); err != nil {
		return nil, nil, err
	}
	if err := s.fenceObjects(ctx, instance); err != nil {
		return nil, nil, err
	}
	bucket, err := timed(ctx, func(ctx context.Context) (jetstream.KeyValue, error) { return s.js().KeyValue(ctx, objectsBucket) })
	if err != nil {
		return nil, nil, err
	}
	all, err := bucket.Watch(ctx, string(s.objectsPart(instance))+".*")
	if err != nil {
		return nil, nil, err
	}
	defer all.Stop()
	objects, since = make(map[string][]byte), make(map[string]time.Time)
	for {
		select {
		case e := <-all.Updates():
			if e == nil { // the end
				if len(objects) > 0 {
					s.cluster.noteKept(instance)
				}
				return objects, since, nil
			}
			_, object, _ := strings.Cut(e.Key(), ".")
			switch {
			case part(object) == ownerKey:
			case e.Operation() == jetstream.KeyValuePut:
				objects[unkey(part(object))], since[unkey(part(object))] = e.Value(), e.Created()
			default: // deleted: remove what marks that
				if err := s.purge(ctx, "$KV."+objectsBucket+"."+e.Key(), e.Revision()+1); err != nil {
					return nil, nil, err
				}
			}
		case <-time.After(tryTimeout):
			return nil, nil, errors.New("NATS does not answer")
		case <-ctx.Done():
			return nil, nil, context.Cause(ctx)
		}
	}
}

// fenceObjects raises the fence of an instance's objects, if this node has
// claimed it.
func (s *Store) fenceObjects(ctx context.Context, instance string) error {
	if s.cluster == nil {
		return nil
	}
	o := s.cluster.ownership(instance)
	if o == nil {
		return nil
	}
	f, err := s.newFence(ctx, objectsBucket, kv(objectsBucket, s.objectsPart(instance), "*"), kv(objectsBucket, s.objectsPart(instance), ownerKey))
	if err == nil {
		o.objects.Store(f)
	}
	return err
}

// SaveObject stores an object of an instance; nil data deletes it. It does not
// block. While one value is being stored, only the newest waits; every done is
// called. Where there are other nodes, only the owner of an instance saves its
// objects.
func (s *Store) SaveObject(instance, object string, data []byte, done func(error)) {
	k := key(object)
	if isHashed(k) { // the name could not be read back
		done(fmt.Errorf("store: the name of an object of %d bytes is too long to be kept", len(object)))
		return
	}
	var f *fence
	if s.cluster != nil {
		if o := s.cluster.ownership(instance); o != nil {
			f = o.objects.Load()
		}
		if f == nil {
			done(ErrElsewhere)
			return
		}
		s.cluster.noteKept(instance)
	}
	s.saves.save(f, kv(objectsBucket, s.objectsPart(instance), k), data, done)
}

// awaitFlush waits until everything that is stored has been flushed.
func (s *Store) awaitFlush() {
	done := make(chan struct{})
	s.flushed(func(error) { close(done) })
	select {
	case <-done:
	case <-time.After(closeTimeout):
	}
}
