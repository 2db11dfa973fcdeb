package server

import (
	"bytes"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"foyer/server/amf"
	"foyer/server/sharedobject"
)

// empty makes the store lose everything.
func (s *fakeStore) empty() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.data)
	s.saves = 0
}

// TestStoreCameBackEmpty: objects in use, idle ones, those that cannot be read
// and the note of deleted ones are all stored again, once and as they were. A
// client that comes back after the next start is told the difference.
func TestStoreCameBackEmpty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{data: map[string][]byte{"app/x|bad": []byte("what?")}}
		h, a := storing(t, s)
		c, p := join(t, h)
		release := sharedobject.Event{Type: sharedobject.Release}
		c.ServeSharedObject(use("public/idle", true))
		c.ServeSharedObject(askKept("public/idle", set("a", amf.Number(1)), set("b", amf.Number(1))))
		synctest.Wait()
		seen := p.version()
		c.ServeSharedObject(askKept("public/idle", set("a", amf.Null{})))
		c.ServeSharedObject(askKept("public/idle", release))
		c.ServeSharedObject(use("public/gone", true))
		c.ServeSharedObject(askKept("public/gone", set("a", amf.Number(1))))
		synctest.Wait()
		c.ServeSharedObject(askKept("public/gone", sharedobject.Event{Type: sharedobject.RequestClear}))
		c.ServeSharedObject(use("public/x", true))
		c.ServeSharedObject(askKept("public/x", set("a", amf.Number(1))))
		synctest.Wait()
		want := maps.Clone(s.data)
		p.heard()

		s.empty()
		h.StoreAgain()
		synctest.Wait()
		expect(t, "who uses them", p)
		if !maps.EqualFunc(s.data, want, bytes.Equal) || s.saves != len(want) || len(want) != 4 {
			t.Errorf("%d saves: %q\nwant %q", s.saves, s.data, want)
		}
		a.in.Post(func() {
			if a.in.objects.byKey[objectKey{"public/idle", true}] != nil || a.in.objects.created != 4 || a.in.objects.bytes != 10+10+len("what?") {
				t.Errorf("%d objects, %d created, %d bytes", len(a.in.objects.byKey), a.in.objects.created, a.in.objects.bytes)
			}
		})
		synctest.Wait()
		stopHost(h)
		h, _ = storing(t, s.crash())
		c, p = join(t, h)
		c.ServeSharedObject(back("public/idle", seen))
		expect(t, "who comes back", p, "public/idle, useSuccess, remove a")
		stopHost(h)
	})
}

// TestChangedWhileStoredAgain: a change that is made in the meantime, or was
// being stored when the store was emptied, is there once. Saves that fail are
// tried again.
func TestChangedWhileStoredAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{delay: fixed(time.Second)}
		h, _ := storing(t, s)
		c, p := join(t, h)
		c.ServeSharedObject(use("public/x", true))
		expect(t, "the client", p, "public/x, useSuccess, clear")
		c.ServeSharedObject(askKept("public/x", set("a", amf.Number(1))))
		time.Sleep(time.Second)
		expect(t, "the client", p, "public/x, success a")
		slots := func(step string, want ...string) {
			t.Helper()
			synctest.Wait()
			s.mu.Lock()
			defer s.mu.Unlock()
			o, err := sharedobject.Restore[*Client]("public/x", s.data["app/x|public/x"])
			if err != nil || !slices.Equal(o.Slots(), want) {
				t.Errorf("%s: stored %v, %v; want %q", step, o, err, want)
			}
		}
		s.empty()
		h.StoreAgain()
		synctest.Wait()
		c.ServeSharedObject(askKept("public/x", set("b", amf.Number(1))))
		expect(t, "the client", p) // while it is being stored again
		time.Sleep(time.Second)
		slots("stored again", "a")
		time.Sleep(time.Second)
		expect(t, "the client", p, "public/x, success b")
		slots("changed meanwhile", "a", "b")
		if s.saves != 2 {
			t.Errorf("%d saves", s.saves)
		}

		c.ServeSharedObject(askKept("public/x", set("c", amf.Number(1))))
		synctest.Wait()
		h.StoreAgain()
		time.Sleep(time.Second)
		expect(t, "the client", p, "public/x, success c")
		s.empty() // that went into what is lost
		time.Sleep(time.Second)
		slots("was being stored", "a", "b", "c")
		expect(t, "the client", p)

		s.mu.Lock()
		s.fail = fixed(errDiskFull)
		s.mu.Unlock()
		s.empty()
		h.StoreAgain()
		time.Sleep(2 * time.Second)
		s.mu.Lock()
		s.fail = nil
		s.mu.Unlock()
		time.Sleep(retrySave)
		synctest.Wait()
		slots("tried again", "a", "b", "c")
		expect(t, "the client", p)
		stopHost(h)
	})
}
