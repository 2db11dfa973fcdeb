package client_test

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"

	"foyer/client"
	"foyer/server/amf"
	"foyer/server/rtmp"
	"foyer/server/sharedobject"

	"github.com/google/go-cmp/cmp"
)

// diary collects sync lists, a word for each entry. Only the connection's
// goroutine writes it; synctest.Wait lets the test read.
type diary []string

func (d *diary) sync(list []sharedobject.Sync) {
	for _, s := range list {
		w := s.Code
		if s.Slot != "" {
			w += ":" + s.Slot
		}
		if s.Status != "" {
			w += ":" + s.Status
		}
		*d = append(*d, w)
	}
}

func (d *diary) expect(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	if !slices.Equal(*d, want) {
		t.Errorf("got %v, want %v", *d, want)
	}
	*d = nil
}

func use(t *testing.T, nc *client.NetConnection, name string, d *diary) *client.SharedObject {
	t.Helper()
	so, err := nc.SharedObject(name, false, d.sync)
	if err != nil {
		t.Fatal(err)
	}
	return so
}

func TestSharedObject(t *testing.T) {
	for _, encoding := range []int{0, 3} {
		synctest.Test(t, func(t *testing.T) { testSharedObject(t, client.Options{ObjectEncoding: encoding}) })
	}
}

func testSharedObject(t *testing.T, o client.Options) {
	s := newServer()
	s.own("rooms", func(o *sharedobject.Object[*peer]) { o.Set("blue", amf.Number(1)) })
	ann, bob := s.connect(t, o), s.connect(t, o)
	var da, db diary
	sa := use(t, ann, "rooms", &da)
	da.expect(t, "clear", "change:blue")
	sb := use(t, bob, "rooms", &db)
	db.expect(t, "clear", "change:blue")
	if _, err := ann.SharedObject("rooms", false, nil); err != client.ErrInUse {
		t.Errorf("used twice: %v", err)
	}

	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	must(sa.Set("red", amf.Object{{Name: "users", Value: amf.Number(3)}}))
	must(sa.Set("readonly", amf.Number(3)))
	synctest.Wait()
	must(sb.Set("blue", amf.Null{}))
	da.expect(t, "success:red", "reject:readonly:SharedObject.NoWriteAccess", "delete:blue")
	db.expect(t, "change:red", "delete:blue")
	for _, so := range []*client.SharedObject{sa, sb} {
		want := map[string]amf.Value{"red": amf.Object{{Name: "users", Value: amf.Number(3)}}}
		if diff := cmp.Diff(want, so.Slots()); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
		if _, ok := so.Get("blue"); ok {
			t.Error("blue is still there")
		}
	}
	clear(sa.Slots()) // a copy
	if v, ok := sa.Get("red"); !ok || v == nil {
		t.Error("red has gone")
	}

	var mu sync.Mutex
	var sent []string
	for i, so := range []*client.SharedObject{sa, sb} {
		so.OnSend(func(method string, args amf.Args) {
			mu.Lock()
			defer mu.Unlock()
			sent = append(sent, fmt.Sprint(i, method, args))
		})
	}
	must(sb.Send("say", amf.String("hi"), amf.Number(2)))
	synctest.Wait()
	slices.Sort(sent)
	if want := []string{"0say[hi 2]", "1say[hi 2]"}; !slices.Equal(sent, want) {
		t.Errorf("sent %v, want %v", sent, want)
	}

	must(sa.Clear())
	da.expect(t, "clear")
	db.expect(t, "clear")

	// Gone and back: a snapshot again.
	must(sb.Close())
	if err := sb.Set("x", amf.Number(1)); err == nil {
		t.Error("set after close")
	}
	must(sa.Set("x", amf.Number(2)))
	da.expect(t, "success:x")
	db.expect(t)
	use(t, bob, "rooms", &db)
	db.expect(t, "clear", "change:x")
	ann.Close()
	bob.Close()
	s.wg.Wait()
	if err := sa.Set("x", amf.Number(1)); !errors.Is(err, rtmp.ErrClosed) {
		t.Errorf("set after the connection's close: %v", err)
	}
	if _, err := ann.SharedObject("other", false, nil); !errors.Is(err, rtmp.ErrClosed) {
		t.Errorf("use after the connection's close: %v", err)
	}
}

func TestNoReadAccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		nc := s.connect(t, client.Options{})
		var d diary
		so := use(t, nc, "secret", &d)
		d.expect(t, "status:SharedObject.NoReadAccess")
		if n := len(so.Slots()); n != 0 {
			t.Errorf("%d slots", n)
		}
		nc.Close()
		s.wg.Wait()
	})
}

// The persistent object with the same name is another one.
func TestPersistence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		nc := s.connect(t, client.Options{})
		var dt, dp diary
		temporary := use(t, nc, "x", &dt)
		persistent, err := nc.SharedObject("x", true, dp.sync)
		if err != nil {
			t.Fatal(err)
		}
		if err := persistent.Set("a", amf.Number(1)); err != nil {
			t.Error(err)
		}
		dt.expect(t, "clear")
		dp.expect(t, "clear", "success:a")
		if _, ok := temporary.Get("a"); ok {
			t.Error("the two are one")
		}
		nc.Close()
		s.wg.Wait()
	})
}

// Many goroutines set slots at once, and the replica holds the same as the
// server.
func TestConcurrentSets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		nc := s.connect(t, client.Options{})
		var d diary
		so := use(t, nc, "x", &d)
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for j := range 50 {
					if err := so.Set(strconv.Itoa(j%3), amf.Number(100*i+j)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		synctest.Wait()
		want := map[string]amf.Value{}
		s.own("x", func(o *sharedobject.Object[*peer]) {
			for _, name := range o.Slots() {
				want[name], _ = o.Value(name)
			}
		})
		if diff := cmp.Diff(want, so.Slots()); diff != "" || len(want) != 3 {
			t.Errorf("-server +replica\n%s", diff)
		}
		nc.Close()
		s.wg.Wait()
	})
}
