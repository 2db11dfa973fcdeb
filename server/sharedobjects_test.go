package server

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"foyer/server/amf"
	"foyer/server/rtmp"
	"foyer/server/sharedobject"
)

// sharingApp holds "rooms" and lets clients write below public/.
type sharingApp struct{ testApp }

func newSharingApp() *sharingApp {
	a := new(sharingApp)
	a.start = func(in *Instance) error {
		in.SharedObject("rooms", false).Set("blue", amf.Number(1))
		return nil
	}
	return a
}

func (a *sharingApp) CanRead(_ *Client, object string, _ bool) bool {
	return object == "rooms" || strings.HasPrefix(object, "public/")
}

func (a *sharingApp) CanWrite(_ *Client, object, slot string) bool {
	return strings.HasPrefix(object, "public/")
}

// heard is everything that a peer was told of shared objects since the last
// time, a line a message: "rooms UseSuccess Clear Change blue".
func (p *fakePeer) heard() (lines []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.pushed {
		if m.SharedObject == nil {
			continue
		}
		line := []string{m.SharedObject.Name}
		for _, e := range m.SharedObject.Events {
			word := e.Type.String()
			for _, detail := range []string{e.Slot, e.Method, e.Code} {
				if detail != "" {
					word += " " + detail
				}
			}
			line = append(line, word)
		}
		lines = append(lines, strings.Join(line, ", "))
	}
	p.pushed = nil
	return lines
}

func use(name string, persistent bool) *sharedobject.Message {
	return &sharedobject.Message{Name: name, Persistent: persistent, Events: []sharedobject.Event{{Type: sharedobject.Use}}}
}

func ask(name string, events ...sharedobject.Event) *sharedobject.Message {
	return &sharedobject.Message{Name: name, Events: events}
}

func set(slot string, v amf.Value) sharedobject.Event {
	return sharedobject.Event{Type: sharedobject.RequestChange, Slot: slot, Value: v}
}

// expect compares everything that a peer has heard.
func expect(t *testing.T, who string, p *fakePeer, want ...string) {
	t.Helper()
	synctest.Wait()
	if got := p.heard(); !slices.Equal(got, want) {
		t.Errorf("%s heard %q, want %q", who, got, want)
	}
}

func TestSharedObjects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newSharingApp()
		h := newHost(t, func() Application { return a })
		ann, annPeer := join(t, h)
		bob, bobPeer := join(t, h)

		ann.ServeSharedObject(use("rooms", false))
		expect(t, "ann", annPeer, "rooms, useSuccess, clear, change blue")
		bob.ServeSharedObject(use("rooms", false))
		expect(t, "bob", bobPeer, "rooms, useSuccess, clear, change blue")
		expect(t, "ann", annPeer)

		// One turn is one message.
		a.in.Post(func() {
			o := a.in.SharedObject("rooms", false)
			o.Set("red", amf.Number(2))
			o.Set("blue", amf.Number(3))
			o.Remove("red")
			o.Send("ring")
		})
		both := "rooms, change red, change blue, remove red, send ring"
		synctest.Wait()
		if x, y := annPeer.pushed[0], bobPeer.pushed[0]; x != y {
			t.Error("two pushes for two subscribers")
		}
		expect(t, "ann", annPeer, both)
		expect(t, "bob", bobPeer, both)

		// Written to by a client.
		ann.ServeSharedObject(use("public/x", false))
		bob.ServeSharedObject(use("public/x", false))
		expect(t, "ann", annPeer, "public/x, useSuccess, clear")
		expect(t, "bob", bobPeer, "public/x, useSuccess, clear")
		ann.ServeSharedObject(ask("public/x", set("a", amf.Number(1)), set("b", amf.Number(2))))
		expect(t, "ann", annPeer, "public/x, success a, success b")
		expect(t, "bob", bobPeer, "public/x, change a, change b")

		ann.ServeSharedObject(ask("public/x", sharedobject.Event{Type: sharedobject.Release}))
		bob.ServeSharedObject(ask("public/x", sharedobject.Event{Type: sharedobject.RequestRemove, Slot: "a"}))
		expect(t, "ann", annPeer)
		expect(t, "bob", bobPeer, "public/x, remove a")
		stopHost(h)
	})
}

func TestSharedObjectRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newSharingApp()
		h := newHost(t, func() Application { return a })
		c, p := join(t, h)
		for _, tt := range []struct {
			m    *sharedobject.Message
			want string
		}{
			{use("users", false), "users, status SharedObject.NoReadAccess"},
			{use("rooms", true), "rooms, status SharedObject.BadPersistence"},
			{use("public/a b", false), "public/a b, status SharedObject.ObjectCreationFailed"},
			{ask("rooms", set("a", amf.Number(1))), "rooms, status SharedObject.NoWriteAccess"}, // without use
			{ask("public/x", set("a", amf.Number(1))), "public/x, status SharedObject.NoWriteAccess"},
			{use("rooms", false), "rooms, useSuccess, clear, change blue"},
			{ask("rooms", set("a", amf.Number(1))), "rooms, status SharedObject.NoWriteAccess"},
			{ask("rooms", sharedobject.Event{Type: sharedobject.SendMessage, Method: "x"}), "rooms, status SharedObject.NoWriteAccess"},
			{ask("rooms", sharedobject.Event{Type: sharedobject.RequestClear}), "rooms, status SharedObject.NoWriteAccess"},
		} {
			c.ServeSharedObject(tt.m)
			expect(t, "the client", p, tt.want)
		}
		stopHost(h)
	})
}

// TestSharedObjectsWithoutSharer: clients may read what the application holds.
func TestSharedObjectsWithoutSharer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, same(&testApp{start: func(in *Instance) error {
			in.SharedObject("rooms", false)
			return nil
		}}))
		c, p := join(t, h)
		c.ServeSharedObject(use("rooms", false))
		expect(t, "the client", p, "rooms, useSuccess, clear")
		c.ServeSharedObject(ask("rooms", set("a", amf.Number(1))))
		expect(t, "the client", p, "rooms, status SharedObject.NoWriteAccess")
		c.ServeSharedObject(use("mine", false))
		expect(t, "the client", p, "mine, status SharedObject.NoReadAccess")
		stopHost(h)
	})
}

// TestSharedObjectNamespaces: persistent and temporary are two objects.
func TestSharedObjectNamespaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newSharingApp()
		h := newHost(t, func() Application { return a })
		c, p := join(t, h)
		c.ServeSharedObject(use("public/x", true))
		c.ServeSharedObject(use("public/x", false))
		c.ServeSharedObject(ask("public/x", set("a", amf.Number(1))))
		synctest.Wait()
		p.heard()
		a.in.Post(func() {
			if n := a.in.objects.byKey[objectKey{"public/x", true}].Len(); n != 0 {
				t.Errorf("%d slots in the persistent one", n)
			}
			if n := a.in.objects.byKey[objectKey{"public/x", false}].Len(); n != 1 {
				t.Errorf("%d slots in the temporary one", n)
			}
		})
		synctest.Wait()
		stopHost(h)
	})
}

// TestTemporaryObjectDies with its last user. A client that comes back with the
// old version does not take the next object of that name for it.
func TestTemporaryObjectDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newSharingApp()
		h := newHost(t, func() Application { return a })
		h.Idle = time.Hour
		c, _ := join(t, h)
		c.ServeSharedObject(use("public/x", false))
		for i := range 100 { // more versions than seconds
			c.ServeSharedObject(ask("public/x", set("a", amf.Number(i))))
			synctest.Wait()
		}
		var old uint32
		a.in.Post(func() { old = a.in.objects.byKey[objectKey{"public/x", false}].Version() })
		synctest.Wait()
		c.Leave(rtmp.ErrClosed)
		synctest.Wait()
		a.in.Post(func() {
			if n := len(a.in.objects.byKey); n != 1 || a.in.objects.created != 0 || a.in.objects.bytes != 0 {
				t.Errorf("%d objects, %d created, %d bytes", n, a.in.objects.created, a.in.objects.bytes)
			}
		})
		c, p := join(t, h)
		m := use("public/x", false)
		m.Version = old
		c.ServeSharedObject(m)
		synctest.Wait()
		if v := p.pushed[0].SharedObject.Version; v <= old {
			t.Errorf("new life at version %d, old one ended at %d", v, old)
		}
		expect(t, "who came back", p, "public/x, useSuccess, clear")
		stopHost(h)
	})
}

// TestObjectAfterRestart makes the same object in two processes, a moment
// apart. A subscriber of the first one must not seem to have missed only a
// little of the second.
func TestObjectAfterRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var versions [2]uint32
		for i := range versions {
			a := newSharingApp()
			h := newHost(t, func() Application { return a })
			c, p := join(t, h)
			c.ServeSharedObject(use("public/x", false))
			synctest.Wait()
			versions[i] = p.pushed[0].SharedObject.Version
			stopHost(h)
		}
		if d := versions[1] - versions[0]; d+1000 < 2000 {
			t.Errorf("versions start at %d and %d", versions[0], versions[1])
		}
	})
}

// TestMaxCreatedBytes: and so are all objects that clients made.
func TestMaxCreatedBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newSharingApp()
		h := newHost(t, func() Application { return a })
		c, p := join(t, h)
		big := amf.String(strings.Repeat("x", sharedobject.MaxValue-3))
		each := sharedobject.MaxValue + len("0000")
		perObject := MaxObjectBytes / each
		for i := range MaxCreatedBytes / each {
			name := fmt.Sprint("public/", i/perObject)
			if i%perObject == 0 {
				c.ServeSharedObject(use(name, false))
			}
			c.ServeSharedObject(ask(name, set(fmt.Sprintf("%04d", i), big)))
		}
		c.ServeSharedObject(use("public/x", false))
		synctest.Wait()
		p.heard()
		c.ServeSharedObject(ask("public/x", set("9999", big)))
		expect(t, "the client", p, "public/x, status SharedObject.TooMuchData")
		if got := h.guard().Refused(); got["objects-room"]+got["objects-object"] != 1 {
			t.Errorf("counted %v", got)
		}
		stopHost(h)
	})
}

// TestRequestRate: a client that asks for much waits, and then continues as
// fast as the others can take it.
func TestRequestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newSharingApp()
		h := newHost(t, func() Application { return a })
		c, _ := join(t, h)
		c.ServeSharedObject(use("public/x", false))
		write := func(n int) time.Duration {
			began := time.Now()
			for i := range n {
				c.ServeSharedObject(ask("public/x", set("a", amf.Raw(amf.Append(nil, amf.String(strings.Repeat("x", 1<<10)+fmt.Sprint(i)))))))
			}
			return time.Since(began)
		}
		if d := write(MaxRequestBurst >> 10 * 9 / 10); d != 0 {
			t.Errorf("a burst took %v", d)
		}
		if d := write(10 * MaxRequestRate >> 10); d < 8*time.Second || d > 12*time.Second {
			t.Errorf("ten seconds' worth took %v", d)
		}
		time.Sleep(time.Minute)
		if d := write(100); d != 0 {
			t.Errorf("after a rest: %v", d)
		}
		stopHost(h)
	})
}

func TestSharedObjectLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newSharingApp()
		h := newHost(t, func() Application { return a })
		var last *fakePeer
		var c *Client
		for i := range MaxCreatedObjects + 1 {
			if i%(MaxObjects-1) == 0 {
				c, last = join(t, h)
			}
			c.ServeSharedObject(use(fmt.Sprint("public/", i), false))
		}
		synctest.Wait()
		got := last.heard()
		if want := fmt.Sprintf("public/%d, status SharedObject.ObjectCreationFailed", MaxCreatedObjects); !slices.Contains(got, want) || len(got) != 5 {
			t.Errorf("got %q, want %q", got, want)
		}
		c, p := join(t, h)
		for i := range MaxObjects + 1 {
			c.ServeSharedObject(use(fmt.Sprint("public/", i), false))
		}
		synctest.Wait()
		got = p.heard()
		if want := fmt.Sprintf("public/%d, status SharedObject.ObjectCreationFailed", MaxObjects); len(got) != MaxObjects+1 || !slices.Contains(got, want) {
			t.Errorf("%d answers, want %q in %q", len(got), want, got)
		}
		stopHost(h)
	})
}

// TestMaxObjectBytes: the writes of all clients into an object are bounded
// together, and a removal makes room.
func TestMaxObjectBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newSharingApp()
		h := newHost(t, func() Application { return a })
		c, p := join(t, h)
		c.ServeSharedObject(use("public/x", false))
		big := amf.String(strings.Repeat("x", sharedobject.MaxValue-3))
		each := sharedobject.MaxValue + len("0000")
		fit := MaxObjectBytes / each
		for i := range fit {
			c.ServeSharedObject(ask("public/x", set(fmt.Sprintf("%04d", i), big)))
		}
		synctest.Wait()
		p.heard()
		c.ServeSharedObject(ask("public/x", set("9999", big)))
		expect(t, "the client", p, "public/x, status SharedObject.TooMuchData")
		if got := h.guard().Refused(); got["objects-room"]+got["objects-object"] != 1 {
			t.Errorf("counted %v", got)
		}
		c.ServeSharedObject(ask("public/x", set("0000", big))) // the same again
		expect(t, "the client", p, "public/x, success 0000")
		time.Sleep(time.Minute)                                                         // the rate is not meant here
		c.ServeSharedObject(ask("public/x", set("0000", amf.Null{}), set("9999", big))) // one turn
		expect(t, "the client", p, "public/x, remove 0000, success 9999")
		c.ServeSharedObject(ask("public/x", sharedobject.Event{Type: sharedobject.RequestClear}))
		synctest.Wait()
		a.in.Post(func() {
			if a.in.objects.bytes != 0 {
				t.Errorf("%d bytes after clear", a.in.objects.bytes)
			}
		})
		stopHost(h)
	})
}

// TestSharedObjectsOverRTMP: the same, on the wire.
func TestSharedObjectsOverRTMP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n network
		a := newSharingApp()
		h := newHost(t, func() Application { return a })
		stop := serve(t, &n, "here", h)
		c := mustDial(t, &n, "rtmp://here/app/x")
		c.Send(rtmp.Pack(rtmp.Message{Type: rtmp.TypeSharedObjectAMF0, Payload: use("rooms", false).Append(nil, false)}))
		synctest.Wait()
		if len(c.objects) != 1 {
			t.Fatalf("%d messages", len(c.objects))
		}
		m, err := sharedobject.Parse(c.objects[0].Payload, false)
		if err != nil || m.Name != "rooms" || len(m.Events) != 3 || m.Events[2].Slot != "blue" {
			t.Errorf("got %+v, %v", m, err)
		}
		// One that is cut short ends its connection.
		c.Send(rtmp.Pack(rtmp.Message{Type: rtmp.TypeSharedObjectAMF0, Payload: []byte{0, 9, 'x'}}))
		<-c.ended
		stop()
	})
}
