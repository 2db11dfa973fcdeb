package server

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"foyer/server/amf"
	"foyer/server/rtmp"
	"foyer/server/sharedobject"
)

var errDiskFull = errors.New("disk is full")

// fakeStore is a slow ObjectStore that fails on demand.
type fakeStore struct {
	delay func() time.Duration // of a save; nil: none
	fail  func() error         // of a save; nil: none
	lies  func() bool          // whether what fails is stored all the same; nil: never

	mu    sync.Mutex
	data  map[string][]byte // by instance and object
	line  map[string][]func()
	saves int
	loads error
	since map[string]time.Time // by object: what LoadObjects says of all instances
	dead  bool                 // nothing is stored or answered any more
}

func (s *fakeStore) LoadObjects(_ context.Context, instance string) (map[string][]byte, map[string]time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string][]byte{}
	for key, data := range s.data {
		if object, ok := strings.CutPrefix(key, instance+"|"); ok {
			all[object] = slices.Clone(data)
		}
	}
	return all, maps.Clone(s.since), s.loads
}

func (s *fakeStore) SaveObject(instance, object string, data []byte, done func(error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.saves++
	key := instance + "|" + object
	var wait time.Duration
	if s.delay != nil {
		wait = s.delay()
	}
	var err error
	if s.fail != nil {
		err = s.fail()
	}
	stored := err == nil || s.lies != nil && s.lies()
	if s.data == nil {
		s.data = map[string][]byte{}
	}
	if s.line == nil {
		s.line = map[string][]func(){}
	}
	s.line[key] = append(s.line[key], func() {
		time.Sleep(wait)
		s.mu.Lock()
		if stored && !s.dead {
			if s.data[key] = slices.Clone(data); data == nil {
				delete(s.data, key)
			}
		}
		s.mu.Unlock()
		done(err)
	})
	if len(s.line[key]) == 1 {
		go s.work(key)
	}
}

func (s *fakeStore) work(key string) {
	for {
		s.mu.Lock()
		next := s.line[key][0]
		s.mu.Unlock()
		next()
		s.mu.Lock()
		s.line[key] = s.line[key][1:]
		over := len(s.line[key]) == 0
		s.mu.Unlock()
		if over {
			return
		}
	}
}

// crash returns the objects that are left when the process dies now.
func (s *fakeStore) crash() *fakeStore {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead = true
	return &fakeStore{delay: s.delay, fail: s.fail, lies: s.lies, data: maps.Clone(s.data)}
}

func (s *fakeStore) objects() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.data))
}

func fixed[T any](v T) func() T { return func() T { return v } }

// storing is a host of sharingApp that stores.
func storing(t *testing.T, s *fakeStore) (*Host, *sharingApp) {
	a := newSharingApp()
	h := newHost(t, func() Application { return a })
	h.Objects = s
	return h, a
}

func askKept(name string, events ...sharedobject.Event) *sharedobject.Message {
	return &sharedobject.Message{Name: name, Persistent: true, Events: events}
}

func back(name string, version uint32) *sharedobject.Message {
	m := use(name, true)
	m.Version = version
	return m
}

// version is the version in the last message of a peer. The message stays
// there.
func (p *fakePeer) version() uint32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pushed[len(p.pushed)-1].SharedObject.Version
}

// TestObjectsAreKept over a restart, with their versions: a client that comes
// back is told the difference.
func TestObjectsAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{}
		h, _ := storing(t, s)
		c, p := join(t, h)
		c.ServeSharedObject(use("public/x", true))
		c.ServeSharedObject(askKept("public/x", set("a", amf.Number(1)), set("b", amf.Number(2)), set("c", amf.Number(3))))
		synctest.Wait()
		old := p.version()
		c.ServeSharedObject(askKept("public/x", set("b", amf.Number(4)), set("c", amf.Null{})))
		synctest.Wait()
		stopHost(h)

		h, _ = storing(t, s.crash())
		c, p = join(t, h)
		c.ServeSharedObject(back("public/x", old))
		expect(t, "who comes back", p, "public/x, useSuccess, change b, remove c")
		c2, p2 := join(t, h)
		c2.ServeSharedObject(back("public/x", 0))
		expect(t, "who is new", p2, "public/x, useSuccess, clear, change a, change b")
		c3, p3 := join(t, h)
		c3.ServeSharedObject(back("public/x", old+1000))
		expect(t, "who comes from the future", p3, "public/x, useSuccess, clear, change a, change b")
		stopHost(h)
	})
}

// TestNothingIsToldThatIsNotStored: during a save everybody waits, and
// everything that came in the meantime is one save.
func TestNothingIsToldThatIsNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{delay: fixed(time.Second)}
		h, _ := storing(t, s)
		ann, annPeer := join(t, h)
		bob, bobPeer := join(t, h)
		ann.ServeSharedObject(use("public/x", true))
		bob.ServeSharedObject(use("public/x", true))
		expect(t, "ann", annPeer, "public/x, useSuccess, clear")
		expect(t, "bob", bobPeer, "public/x, useSuccess, clear")
		ann.ServeSharedObject(askKept("public/x", set("a", amf.Number(1))))
		expect(t, "ann", annPeer)
		for i := range 5 {
			bob.ServeSharedObject(askKept("public/x", set("b", amf.Number(i))))
		}
		ann.ServeSharedObject(askKept("public/x", sharedobject.Event{Type: sharedobject.SendMessage, Method: "ring"}))
		late, latePeer := join(t, h)
		late.ServeSharedObject(use("public/x", true))
		ann.ServeSharedObject(askKept("public/x", sharedobject.Event{Type: sharedobject.Release}))
		time.Sleep(999 * time.Millisecond)
		expect(t, "ann", annPeer)
		expect(t, "bob", bobPeer)
		time.Sleep(time.Millisecond)
		expect(t, "ann", annPeer, "public/x, success a")
		expect(t, "bob", bobPeer, "public/x, change a")
		expect(t, "late", latePeer)
		time.Sleep(time.Second)
		expect(t, "ann", annPeer)
		expect(t, "bob", bobPeer, "public/x, success b, success b, success b, success b, success b, send ring")
		expect(t, "late", latePeer, "public/x, useSuccess, clear, change a, change b")
		if s.saves != 2 {
			t.Errorf("%d saves", s.saves)
		}
		// Temporary objects never wait.
		ann.ServeSharedObject(use("public/x", false))
		expect(t, "ann", annPeer, "public/x, useSuccess, clear")
		ann.ServeSharedObject(ask("public/x", set("a", amf.Number(1))))
		expect(t, "ann", annPeer, "public/x, success a")
		stopHost(h)
	})
}

// TestObjectIsUsedAnewAfterASave: during a save its last user leaves the object
// and somebody else comes.
func TestObjectIsUsedAnewAfterASave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{delay: fixed(time.Second)}
		h, _ := storing(t, s)
		ann, annPeer := join(t, h)
		bob, bobPeer := join(t, h)
		ann.ServeSharedObject(use("public/x", true))
		expect(t, "ann", annPeer, "public/x, useSuccess, clear")
		ann.ServeSharedObject(askKept("public/x", set("a", amf.Number(1))))
		synctest.Wait()
		ann.ServeSharedObject(askKept("public/x", sharedobject.Event{Type: sharedobject.Release}))
		synctest.Wait()
		bob.ServeSharedObject(use("public/x", true))
		time.Sleep(time.Second)
		expect(t, "ann", annPeer, "public/x, success a")
		expect(t, "bob", bobPeer, "public/x, useSuccess, clear, change a")
		bob.ServeSharedObject(askKept("public/x", set("a", amf.Number(2))))
		time.Sleep(time.Second)
		expect(t, "bob", bobPeer, "public/x, success a")
		stopHost(h)
	})
}

// TestWaitingIsBounded: a client that waits for saves does so with its credits.
func TestWaitingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{delay: fixed(time.Second)}
		h, a := storing(t, s)
		c, p := join(t, h)
		c.ServeSharedObject(use("public/x", true))
		var served atomic.Int32
		go func() {
			for i := range 3 * MaxCalls {
				c.ServeSharedObject(askKept("public/x", set("a", amf.Number(i))))
				served.Add(1)
			}
		}()
		synctest.Wait()
		a.in.Post(func() {
			if n := len(a.in.objects.byKey[objectKey{"public/x", true}].durable.queue); n > MaxCalls {
				t.Errorf("%d wait", n)
			}
		})
		synctest.Wait()
		if n := served.Load(); n > 2*MaxCalls { // some were served before the save
			t.Errorf("%d were taken", n)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n := served.Load(); n != 3*MaxCalls {
			t.Errorf("only %d were taken in the end", n)
		}
		p.heard()
		stopHost(h)
	})
}

// TestSaveFails: the change is taken back, its writer hears why, and nobody
// else hears of it.
func TestSaveFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{}
		h, a := storing(t, s)
		ann, annPeer := join(t, h)
		bob, bobPeer := join(t, h)
		ann.ServeSharedObject(use("public/x", true))
		bob.ServeSharedObject(use("public/x", true))
		expect(t, "ann", annPeer, "public/x, useSuccess, clear")
		ann.ServeSharedObject(askKept("public/x", set("a", amf.Number(1))))
		expect(t, "ann", annPeer, "public/x, success a")
		before := bobPeer.version()
		bobPeer.heard()

		s.fail = fixed(errDiskFull)
		ring := sharedobject.Event{Type: sharedobject.SendMessage, Method: "ring"}
		ann.ServeSharedObject(askKept("public/x", set("a", amf.Number(2)), set("b", amf.Number(2)), ring))
		expect(t, "ann", annPeer, "public/x, status SharedObject.Flush.Failed, status SharedObject.Flush.Failed, send ring")
		expect(t, "bob", bobPeer, "public/x, send ring")
		ann.ServeSharedObject(askKept("public/x", sharedobject.Event{Type: sharedobject.RequestClear}))
		expect(t, "ann", annPeer, "public/x, status SharedObject.Flush.Failed")
		a.in.Post(func() {
			o := a.in.objects.byKey[objectKey{"public/x", true}]
			if v, _ := o.Value("a"); v != amf.Number(1) || o.Len() != 1 || o.Version() != before || a.in.objects.bytes != o.Bytes() {
				t.Errorf("a is %v of %d slots at version %d, %d bytes counted, %d there", v, o.Len(), o.Version(), a.in.objects.bytes, o.Bytes())
			}
		})
		synctest.Wait()

		s.fail = nil
		bob.ServeSharedObject(askKept("public/x", set("a", amf.Number(3))))
		synctest.Wait()
		if v := annPeer.version(); v <= before+2 {
			t.Errorf("version %d has been used for what was not stored; it was %d before", v, before)
		}
		expect(t, "ann", annPeer, "public/x, change a")
		expect(t, "bob", bobPeer, "public/x, success a")
		stopHost(h)
	})
}

// TestRefusedIsNotStored: a save that failed may have been done all the same. A
// change that was refused does not come back: the store is overwritten when it
// works.
func TestRefusedIsNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{fail: fixed(errDiskFull), lies: fixed(true)}
		h, a := storing(t, s)
		c, p := join(t, h)
		c.ServeSharedObject(use("public/x", true))
		expect(t, "the client", p, "public/x, useSuccess, clear")
		c.ServeSharedObject(askKept("public/x", set("a", amf.Number(1))))
		expect(t, "the client", p, "public/x, status SharedObject.Flush.Failed")
		c.Leave(rtmp.ErrClosed)
		_, _ = join(t, h) // the instance stays
		synctest.Wait()
		if n := len(s.objects()); n != 1 {
			t.Fatalf("%d objects are stored", n)
		}
		s.mu.Lock()
		s.fail = nil
		s.mu.Unlock()
		time.Sleep(retrySave)
		synctest.Wait()
		if all := s.objects(); !slices.Equal(all, []string{"app/x|" + versionObject}) {
			t.Errorf("%q are stored", all)
		}
		a.in.Post(func() {
			if len(a.in.objects.byKey) != 1 || a.in.objects.created != 0 {
				t.Errorf("%d objects, %d created", len(a.in.objects.byKey), a.in.objects.created)
			}
		})
		synctest.Wait()
		stopHost(h)
	})
}

// TestApplicationsOwnAreStored: changes by the application are told when they
// are stored. Storing them is tried again until it succeeds, at the latest when
// the instance stops.
func TestApplicationsOwnAreStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{delay: fixed(time.Second)}
		h, a := storing(t, s)
		a.start = func(in *Instance) error {
			in.SharedObject("rooms", true).Set("start", amf.Number(1))
			return nil
		}
		var o *sharedobject.Object[*Client]
		do := func(f func()) { a.in.Post(f); synctest.Wait() }
		c, p := join(t, h)
		c.ServeSharedObject(use("rooms", true))
		expect(t, "the client", p)
		time.Sleep(time.Second)
		expect(t, "the client", p, "rooms, useSuccess, clear, change start")

		s.fail = fixed(errDiskFull)
		do(func() { o = a.in.SharedObject("rooms", true); o.Set("a", amf.Number(1)); o.Set("b", amf.Number(1)) })
		do(func() { o.Set("a", amf.Number(2)); o.Remove("b"); o.Send("ring") }) // while it is being stored
		time.Sleep(time.Second)
		expect(t, "the client", p, "rooms, send ring")
		do(func() {
			if v, _ := o.Value("a"); v != amf.Number(2) {
				t.Errorf("the application reads %v", v)
			}
			o.Set("c", amf.Number(1))
		})
		time.Sleep(time.Minute)
		expect(t, "the client", p)
		s.mu.Lock()
		s.fail = nil
		s.mu.Unlock()
		time.Sleep(retrySave + 2*time.Second)
		expect(t, "the client", p, "rooms, change a, change c")

		a.stop = func() { o.Set("end", amf.Number(1)) }
		stopHost(h)
		h, a = storing(t, s.crash())
		var slots []string
		a.start = func(in *Instance) error {
			slots = in.SharedObject("rooms", true).Slots()
			return nil
		}
		_, _ = join(t, h)
		if want := []string{"start", "a", "c", "end"}; !slices.Equal(slots, want) {
			t.Errorf("slots %q, want %q", slots, want)
		}
		stopHost(h)
	})
}

// TestIdleObjectComesBack: an object that nobody uses is not in memory, but it
// counts, and it is there when it is used again, without asking the store.
func TestIdleObjectComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{delay: fixed(time.Second)}
		h, a := storing(t, s)
		stay, _ := join(t, h)
		c, p := join(t, h)
		c.ServeSharedObject(use("public/x", true))
		c.ServeSharedObject(askKept("public/x", set("a", amf.Number(1))))
		c.Leave(rtmp.ErrClosed) // while it is being stored
		in := func(objects, created, bytes int) {
			t.Helper()
			synctest.Wait()
			a.in.Post(func() {
				if len(a.in.objects.byKey) != objects || a.in.objects.created != created || a.in.objects.bytes != bytes {
					t.Errorf("%d objects, %d created, %d bytes, want %d, %d, %d", len(a.in.objects.byKey), a.in.objects.created, a.in.objects.bytes, objects, created, bytes)
				}
			})
			synctest.Wait()
		}
		in(2, 1, 10)
		time.Sleep(time.Second)
		in(1, 1, 10)
		p.heard()
		s.loads = errDiskFull // nobody asks again
		stay.ServeSharedObject(use("public/x", true))
		in(2, 1, 10)
		stay.ServeSharedObject(askKept("public/x", sharedobject.Event{Type: sharedobject.RequestClear}))
		time.Sleep(3 * time.Second)
		in(2, 1, 0)
		stay.ServeSharedObject(askKept("public/x", sharedobject.Event{Type: sharedobject.Release}))
		in(1, 0, 0)
		stopHost(h)
	})
}

// TestForgottenObject: an object without slots is not stored, but its version
// is, and the next one of that name starts above it.
func TestForgottenObject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{}
		h, _ := storing(t, s)
		c, p := join(t, h)
		c.ServeSharedObject(use("public/x", true))
		c.ServeSharedObject(askKept("public/x", set("a", amf.Number(1))))
		synctest.Wait()
		c.ServeSharedObject(askKept("public/x", sharedobject.Event{Type: sharedobject.RequestRemove, Slot: "a"}))
		synctest.Wait()
		old := p.version()
		stopHost(h)
		if all := s.objects(); !slices.Equal(all, []string{"app/x|" + versionObject}) {
			t.Errorf("%q are stored", all)
		}
		h, a := storing(t, s.crash())
		c, p = join(t, h)
		c.ServeSharedObject(back("public/x", old))
		synctest.Wait()
		if v := p.version(); v <= old {
			t.Errorf("version %d after %d", v, old)
		}
		expect(t, "the client", p, "public/x, useSuccess, clear")
		a.in.Post(func() {
			if a.in.objects.created != 1 {
				t.Errorf("%d created", a.in.objects.created)
			}
		})
		synctest.Wait()
		stopHost(h)
	})
}

// TestStoredObjectsCount against the limits of objects that clients may make.
func TestStoredObjectsCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := sharedobject.New[*Client]("", true, 7)
		o.Set("a", amf.Number(1))
		s := &fakeStore{data: map[string][]byte{}}
		for i := range MaxCreatedObjects {
			s.data[fmt.Sprint("app/x|public/", i)] = o.Snapshot()
		}
		h, a := storing(t, s)
		a.start = func(in *Instance) error {
			if in.objects.bytes != MaxCreatedObjects*10 {
				t.Errorf("%d bytes", in.objects.bytes)
			}
			return nil
		}
		c, p := join(t, h)
		c.ServeSharedObject(use("public/new", true))
		expect(t, "the client", p, "public/new, status SharedObject.ObjectCreationFailed")
		c.ServeSharedObject(use("public/7", true))
		expect(t, "the client", p, "public/7, useSuccess, clear, change a")
		c.ServeSharedObject(askKept("public/7", sharedobject.Event{Type: sharedobject.RequestClear},
			sharedobject.Event{Type: sharedobject.Release})) // makes room
		synctest.Wait()
		p.heard()
		c.ServeSharedObject(use("public/new", true))
		expect(t, "the client", p, "public/new, useSuccess, clear")
		stopHost(h)
	})
}

// TestStoredObjectIsBad: an object that cannot be read is neither used nor
// overwritten.
func TestStoredObjectIsBad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{data: map[string][]byte{"app/x|public/x": {99}, "app/x|mine": {99}}}
		h, a := storing(t, s)
		a.start = func(in *Instance) error { in.SharedObject("mine", true).Set("a", amf.Number(1)); return nil }
		c, p := join(t, h)
		c.ServeSharedObject(use("public/x", true))
		expect(t, "the client", p, "public/x, status SharedObject.ObjectCreationFailed")
		stopHost(h)
		if s.saves != 0 {
			t.Errorf("%d saves", s.saves)
		}
	})
}

// TestObjectsCannotBeLoaded: the instance does not start, and does so when they
// can.
func TestObjectsCannotBeLoaded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{loads: errDiskFull}
		h, _ := storing(t, s)
		if _, err := h.Connect(t.Context(), new(fakePeer), Request{Path: "app/x"}); err == nil {
			t.Error("the instance started")
		}
		s.loads = nil
		_, _ = join(t, h)
		stopHost(h)
	})
}

// stuckStore does not answer.
type stuckStore struct{ ObjectStore }

func (stuckStore) LoadObjects(ctx context.Context, _ string) (map[string][]byte, map[string]time.Time, error) {
	<-ctx.Done()
	return nil, nil, context.Cause(ctx)
}

// TestStopGivesUpLoading: a host that stops does not wait for a store that does
// not answer.
func TestStopGivesUpLoading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, same(new(testApp)))
		h.Objects = stuckStore{}
		var arrival sync.WaitGroup
		arrival.Go(func() {
			if _, err := h.Connect(t.Context(), new(fakePeer), Request{Path: "app/x", Protocol: "ws"}); err == nil {
				t.Error("somebody was let in")
			}
		})
		synctest.Wait()
		began := time.Now()
		stopHost(h)
		if d := time.Since(began); d > 0 {
			t.Errorf("it took %v", d)
		}
		arrival.Wait()
	})
}

// TestSnapshotTooLarge: a snapshot that could not be read back is not stored.
func TestSnapshotTooLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{}
		h, a := storing(t, s)
		c, p := join(t, h)
		a.in.Post(func() {
			o := a.in.SharedObject("rooms", true)
			for i := range sharedobject.MaxSnapshot/sharedobject.MaxValue + 1 {
				o.Set(fmt.Sprint(i), amf.String(strings.Repeat("x", sharedobject.MaxValue)))
			}
		})
		c.ServeSharedObject(use("rooms", true))
		expect(t, "the client", p, "rooms, useSuccess, clear")
		stopHost(h)
		if s.saves != 0 {
			t.Errorf("%d saves", s.saves)
		}
	})
}

// A limitedStore takes so many bytes of objects.
type limitedStore struct {
	*fakeStore
	left int
}

func (s *limitedStore) TakesObjects(bytes int) bool {
	if s.left -= bytes; s.left < 0 {
		s.left += bytes
		return false
	}
	return true
}

// TestQuota: a write for which the store has no room is refused to the client
// that asked, counted, and changes nothing. One that replaces a value needs
// only the difference, and one to a temporary object needs none.
func TestQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &limitedStore{&fakeStore{}, 1000}
		h, _ := storing(t, nil)
		h.Objects = s
		c, p := join(t, h)
		c.ServeSharedObject(use("public/x", true))
		c.ServeSharedObject(use("public/y", false))
		long := amf.String(strings.Repeat("x", 900))
		c.ServeSharedObject(askKept("public/x", set("a", long)))
		c.ServeSharedObject(askKept("public/x", set("a", long)))
		synctest.Wait()
		p.heard()
		c.ServeSharedObject(askKept("public/x", set("b", long)))
		expect(t, "too much", p, "public/x, status SharedObject.TooMuchData")
		c.ServeSharedObject(ask("public/y", set("b", long)))
		expect(t, "in memory", p, "public/y, success b")
		c.ServeSharedObject(askKept("public/x", set("a", amf.Number(1))))
		expect(t, "less", p, "public/x, success a")
		if got := h.guard().Refused(); got["objects-server"] != 1 || len(got) != 1 {
			t.Errorf("counted %v", got)
		}
		stopHost(h)
	})
}

// TestUsedObjectsAreStoredAgain: objects in use are stored again once a day, so
// that a store that deletes unused ones keeps them. Unused objects are not.
func TestUsedObjectsAreStoredAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{}
		h, _ := storing(t, s)
		c, _ := join(t, h)
		for _, name := range []string{"public/used", "public/young", "public/unused"} {
			c.ServeSharedObject(use(name, true))
			c.ServeSharedObject(askKept(name, set("a", amf.Number(1))))
		}
		synctest.Wait()
		stopHost(h)
		s = s.crash()
		s.since = map[string]time.Time{"public/used": time.Now().Add(-keepUsed), "public/young": time.Now().Add(-keepUsed + time.Hour)}
		h, _ = storing(t, s)
		c, _ = join(t, h)
		saves := func(what string, want int) {
			t.Helper()
			synctest.Wait()
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.saves != want {
				t.Errorf("%s: %d saves, want %d", what, s.saves, want)
			}
		}
		c.ServeSharedObject(use("public/used", true))
		c.ServeSharedObject(use("public/young", true))
		saves("used first", 1)
		h.KeepUsed()
		saves("on the same day", 1)
		c.ServeSharedObject(askKept("public/used", sharedobject.Event{Type: sharedobject.Release}))
		c.ServeSharedObject(use("public/used", true))
		saves("used again", 1)
		time.Sleep(2 * time.Hour)
		h.KeepUsed()
		saves("the young one is a day old", 2)
		time.Sleep(keepUsed)
		h.KeepUsed()
		saves("the next day", 4)
		stopHost(h)
	})
}
