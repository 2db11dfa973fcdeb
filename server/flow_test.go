package server

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"foyer/server/amf"
	"foyer/server/backlog"
	"foyer/server/guard"
	"foyer/server/rtmp"
	"foyer/server/sharedobject"
)

// stuck is the rate of a line that carries nothing.
const stuck = -1

// line is a connection that carries so many bytes a second; 0 is no limit.
type line struct {
	net.Conn
	rate   atomic.Int64
	closed chan struct{}
	once   sync.Once
}

func (l *line) Read(p []byte) (int, error) {
	if l.rate.Load() == stuck {
		<-l.closed
	}
	n, err := l.Conn.Read(p)
	if rate := l.rate.Load(); rate > 0 {
		time.Sleep(time.Duration(n) * time.Second / time.Duration(rate))
	}
	return n, err
}

func (l *line) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Conn.Close()
}

// sharer is a client program that uses shared objects.
type sharer struct {
	*caller
	mu       sync.Mutex
	replicas map[string]*sharedobject.Replica
	events   int // changes that came
	sends    []string
}

func (s *sharer) ServeSharedObject(m rtmp.Message) {
	so, err := sharedobject.Parse(m.Payload, m.Type == rtmp.TypeSharedObjectAMF3)
	if err != nil {
		panic(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.replicas[so.Name]
	if r == nil {
		r = new(sharedobject.Replica)
		s.replicas[so.Name] = r
	}
	s.events += len(so.Events)
	for _, e := range so.Events {
		if e.Type == sharedobject.SendMessage {
			s.sends = append(s.sends, e.Method)
		}
	}
	r.Apply(so)
}

func (s *sharer) ServeCall(k *rtmp.Call) { s.caller.ServeCall(k) }

// sharerAt dials a host over a line of that many bytes a second.
func sharerAt(t *testing.T, n *network, host string, rate int64) *sharer {
	t.Helper()
	s := &sharer{caller: &caller{ended: make(chan error, 1)}, replicas: make(map[string]*sharedobject.Replica)}
	l := &line{closed: make(chan struct{})}
	dial := func(ctx context.Context, network, addr string) (nc net.Conn, err error) {
		l.Conn, err = n.Dial(ctx, network, addr)
		return l, err
	}
	var err error
	s.Session, _, err = rtmp.Dial(t.Context(), "rtmp://"+host+"/app/x", &rtmp.ConnectRequest{FlashVer: agent}, rtmp.DialOptions{Handler: s, Dial: dial})
	if err != nil {
		t.Fatal(err)
	}
	l.rate.Store(rate)
	go func() { s.ended <- s.Run(context.Background()) }()
	t.Cleanup(func() { s.Close(rtmp.ErrClosed); <-s.Done() })
	synctest.Wait()
	return s
}

func (s *sharer) ask(m *sharedobject.Message) {
	s.Send(rtmp.Pack(rtmp.Message{Type: rtmp.TypeSharedObjectAMF0, Payload: m.Append(nil, false)}))
}

// fill writes n slots of 15 KiB.
func (s *sharer) fill(name string, from, n int) {
	for i := range n {
		s.ask(ask(name, set(fmt.Sprint(i), amf.String(fmt.Sprint(from, " ", strings.Repeat("x", 15<<10))))))
	}
}

// slots is the content of a replica: the first word of each slot.
func (s *sharer) slots(name string) map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[string]string)
	if r := s.replicas[name]; r != nil {
		for slot, v := range r.Slots {
			text, _ := amf.AsString(v)
			all[slot], _, _ = strings.Cut(text, " ")
		}
	}
	return all
}

// TestOthersWriteMuch: three clients write 480 kB each, again and again. A
// client that reads stays, at whatever speed, and has the latest in the end. A
// slow one is not told of values that have been replaced.
func TestOthersWriteMuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n network
		a := newSharingApp()
		h := newHost(t, func() Application { return a })
		stop := serve(t, &n, "here", h)
		var writers, readers []*sharer
		for range 3 {
			writers = append(writers, sharerAt(t, &n, "here", 0))
		}
		for _, rate := range []int64{8e3, 10e6 / 8, 48e6 / 8} {
			readers = append(readers, sharerAt(t, &n, "here", rate))
		}
		for _, s := range slices.Concat(writers, readers) {
			for i := range writers {
				s.ask(use(fmt.Sprint("public/", i), false))
			}
		}
		synctest.Wait()
		for round := range 10 {
			for i, w := range writers {
				w.fill(fmt.Sprint("public/", i), round, 31)
			}
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		for i, r := range readers {
			if err := r.Err(); err != nil {
				t.Errorf("reader %d has gone: %v", i, err)
			}
			for o := range writers {
				name := fmt.Sprint("public/", o)
				want := make(map[string]string)
				for slot := range 31 {
					want[fmt.Sprint(slot)] = "9"
				}
				if diff := cmp.Diff(want, r.slots(name)); diff != "" {
					t.Errorf("reader %d of %s: -want +got\n%s", i, name, diff)
				}
			}
		}
		if slow, quick := readers[0].events, readers[2].events; slow > quick/2 {
			t.Errorf("the slow reader was told of %d changes, the quick one of %d", slow, quick)
		}
		stop()
	})
}

// TestManyLargeObjects: a newcomer that uses eight objects of 480 kB gets them
// one by one, as it reads.
func TestManyLargeObjects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const objects = 8
		var n network
		a := newSharingApp()
		h := newHost(t, func() Application { return a })
		stop := serve(t, &n, "here", h)
		w := sharerAt(t, &n, "here", 0)
		for i := range objects {
			name := fmt.Sprint("public/", i)
			w.ask(use(name, false))
			w.fill(name, 1, 31)
		}
		time.Sleep(2 * time.Minute)
		for _, rate := range []int64{16e3, 10e6 / 8, 48e6 / 8} {
			r := sharerAt(t, &n, "here", rate)
			most := 0
			for i := range objects {
				r.ask(use(fmt.Sprint("public/", i), false))
			}
			for range 600 {
				time.Sleep(time.Second)
				most = max(most, h.Outboxes().Used())
			}
			if err := r.Err(); err != nil {
				t.Errorf("at %d: %v", rate, err)
			}
			for i := range objects {
				if got := len(r.slots(fmt.Sprint("public/", i))); got != 31 {
					t.Errorf("at %d: %d slots of object %d", rate, got, i)
				}
			}
			if most > MaxObjectBytes+100<<10 {
				t.Errorf("at %d: %d bytes waited", rate, most)
			}
			r.Close(nil)
		}
		stop()
	})
}

// TestBombObjectReaders: a thousand clients do not read, while the object that
// they use changes all the time. They hold no more than the object, and then
// are let go.
func TestBombObjectReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const readers = 1000
		var n network
		a := newSharingApp()
		h := newHost(t, func() Application { return a })
		h.Log = nil
		stop := serve(t, &n, "here", h)
		w := sharerAt(t, &n, "here", 0)
		w.ask(use("public/x", false))
		for range readers {
			sharerAt(t, &n, "here", stuck).ask(use("public/x", false))
		}
		most := 0
		for i := range 40 {
			w.fill("public/x", i, 5)
			time.Sleep(time.Second / 2)
			most = max(most, h.Outboxes().Used())
		}
		if most > backlog.MaxStep+MaxObjectBytes+readers*1000 {
			t.Errorf("%d bytes waited", most)
		}
		if got := h.Stats().Clients["app"]["rtmp"]; got != 1 {
			t.Errorf("%d clients are still there", got)
		}
		if w.Err() != nil || h.Outboxes().Used() != 0 {
			t.Errorf("the writer: %v; %d bytes wait", w.Err(), h.Outboxes().Used())
		}
		stop()
	})
}

// TestEventsWhileBehind: events for everybody keep their order, and only a
// client that is far behind misses any. It always hears the answers to its own
// requests.
func TestEventsWhileBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n network
		a := newSharingApp()
		h := newHost(t, func() Application { return a })
		stop := serve(t, &n, "here", h)
		w, r := sharerAt(t, &n, "here", 0), sharerAt(t, &n, "here", 20e3)
		for _, s := range []*sharer{w, r} {
			s.ask(use("public/x", false))
		}
		synctest.Wait()
		for i := range 200 {
			w.ask(ask("public/x", sharedobject.Event{Type: sharedobject.SendMessage, Method: fmt.Sprint("m", i),
				Args: amf.Args{amf.String(strings.Repeat("x", 12<<10))}}))
		}
		time.Sleep(20 * time.Second)
		r.ask(ask("public/x", sharedobject.Event{Type: sharedobject.SendMessage, Method: "own"}))
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if len(w.sends) != 201 {
			t.Errorf("the quick one heard %d", len(w.sends))
		}
		i := 0
		for _, m := range w.sends {
			if i < len(r.sends) && r.sends[i] == m {
				i++
			}
		}
		if i != len(r.sends) || i < backlog.MaxMore/(12<<10) || i > 180 || !slices.Contains(r.sends, "own") {
			t.Errorf("the slow one heard %d, %d of them in order: %q", len(r.sends), i, r.sends)
		}
		stop()
	})
}

// countingApp counts the writes that it allows.
type countingApp struct {
	*sharingApp
	writes map[string]int // by slot
}

func (a *countingApp) CanWrite(c *Client, object, slot string) bool {
	a.writes[slot]++
	return a.sharingApp.CanWrite(c, object, slot)
}

// TestObjectAllowance: the writes of all clients to one object are bounded
// together, and each has its turn. Nobody else waits, and nobody is ended.
func TestObjectAllowance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &countingApp{newSharingApp(), make(map[string]int)}
		a.methods = map[string]Method{"echo": func(*Client, amf.Args) (amf.Value, error) { return nil, nil }}
		h := newHost(t, func() Application { return a })
		h.Guard = new(guard.Guard)
		const greedy = 10
		var writing sync.WaitGroup
		over := make(chan struct{})
		write := func(i int, c *Client, pause time.Duration) {
			for {
				select {
				case <-over:
					return
				default:
				}
				c.ServeSharedObject(ask("public/x", set(fmt.Sprint(i), amf.String(fmt.Sprint(time.Now().UnixNano(), strings.Repeat("x", 8<<10))))))
				time.Sleep(pause)
			}
		}
		for i := range greedy + 1 {
			c, _ := join(t, h)
			c.ServeSharedObject(use("public/x", false))
			pause := time.Duration(0)
			if i == greedy { // the modest one
				pause = 5 * time.Second
			}
			writing.Go(func() { write(i, c, pause) })
		}
		other, p := join(t, h)
		const seconds = 120
		for range seconds {
			time.Sleep(time.Second)
			began := time.Now()
			answered := make(chan error, 1) // it comes once
			other.ServeCall("echo", nil, func(_ amf.Value, err error) { answered <- err })
			<-answered
			other.ServeSharedObject(use("public/y", false))
			other.ServeSharedObject(ask("public/y", set("a", amf.Number(1))))
			if d := time.Since(began); d != 0 {
				t.Fatalf("somebody else waited for %v", d)
			}
		}
		synctest.Wait()
		if got := p.heard(); len(got) < seconds {
			t.Errorf("%d answers about another object", len(got))
		}
		total := -a.writes["a"]
		for _, n := range a.writes {
			total += n
		}
		most := (MaxRequestBurst+seconds*MaxRequestRate)/(8<<10) + 1
		if total > most || total < most*9/10 {
			t.Errorf("%d messages were taken, want up to %d", total, most)
		}
		if got := a.writes[fmt.Sprint(greedy)]; got < seconds/5*9/10 {
			t.Errorf("the modest one wrote %d times in %d s, all: %v", got, seconds, a.writes)
		}
		if n := h.Guard.Refused()["objects-object"]; n == 0 || n > 10 {
			t.Errorf("counted %d times", n)
		}
		close(over)
		stopHost(h)
		writing.Wait()
	})
}

// TestAnswersAreCharged: a short call with a long answer, in a loop.
func TestAnswersAreCharged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 250e3
		var n network
		served := 0
		app := &testApp{methods: map[string]Method{
			"rooms": func(*Client, amf.Args) (amf.Value, error) {
				served++
				return amf.Raw(amf.Append(nil, amf.String(strings.Repeat("x", size)))), nil
			},
			"order": func(_ *Client, args amf.Args) (amf.Value, error) { return args.At(0), nil },
		}}
		h := newHost(t, same(app))
		h.Guard = new(guard.Guard)
		stop := serve(t, &n, "here", h)
		c := sharerAt(t, &n, "here", 0)
		answered := 0
		for range 1000 {
			c.Request("rooms", nil, func(amf.Value, error) { answered++ })
		}
		const seconds = 60
		time.Sleep(seconds * time.Second)
		synctest.Wait()
		if most := (MaxAnswerBurst+seconds*MaxAnswerRate)/size + 2; served > int(most) || served < int(most)-4 || answered != served {
			t.Errorf("%d calls were served in %d s, %d answered, want about %v", served, seconds, answered, most)
		}
		if n := h.Guard.Refused()["answers"]; n != 1 {
			t.Errorf("counted %d times", n)
		}
		// Others do not wait, and those exempt never do.
		d := sharerAt(t, &n, "here", 0)
		began := time.Now()
		if _, err := d.Call(t.Context(), "rooms"); err != nil || time.Since(began) != 0 {
			t.Errorf("another: %v after %v", err, time.Since(began))
		}
		h.Guard.Set(guard.Limits{Exempt: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
		free, err := h.Connect(t.Context(), new(fakePeer), Request{Path: "app/x", Addr: netip.MustParseAddrPort("127.0.0.1:1")})
		if err != nil {
			t.Fatal(err)
		}
		for range 1000 {
			free.ServeCall("rooms", nil, func(amf.Value, error) { free.Answered(size) })
		}
		if time.Since(began) != 0 {
			t.Errorf("an exempt one waited for %v", time.Since(began))
		}
		stop()
	})
}

// TestCallsCost: calls with short answers are bounded in number. While they
// wait they keep their order with everything else.
func TestCallsCost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newSharingApp()
		next := 0
		a.methods = map[string]Method{"n": func(_ *Client, args amf.Args) (amf.Value, error) {
			if args[0] != amf.Value(amf.Number(next)) {
				t.Errorf("got %v, want %d", args[0], next)
			}
			next++
			return nil, nil
		}}
		h := newHost(t, func() Application { return a })
		c, p := join(t, h)
		c.ServeSharedObject(use("public/x", false))
		const burst, more = MaxAnswerBurst / callCost, 10 * MaxAnswerRate / callCost
		began := time.Now()
		for i := range burst + more {
			c.ServeCall("n", amf.Args{amf.Number(i)}, func(amf.Value, error) {})
			if i%100 == 0 {
				c.ServeSharedObject(ask("public/x", set("a", amf.Number(i))))
			}
			if i == burst*9/10 && time.Since(began) != 0 {
				t.Errorf("%d calls took %v", i, time.Since(began))
			}
		}
		if d := time.Since(began); d < 9*time.Second || d > 11*time.Second {
			t.Errorf("%d more took %v", more, d)
		}
		c.Leave(rtmp.ErrClosed) // what waits comes first
		synctest.Wait()
		if next != burst+more {
			t.Errorf("%d calls were served", next)
		}
		if got := p.heard(); !slices.Contains(got, "public/x, success a") {
			t.Errorf("heard %q", got)
		}
		stopHost(h)
	})
}

// TestSlowReaderAtAnotherNode: when a client is slow, the messages of the owner
// do not pile up at the node that the client has come to.
func TestSlowReaderAtAnotherNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, "a", "b")
		defer s.close()
		w := sharerAt(t, &s.net, "a", 0)
		// The front reads nothing while its client is behind, and the owner ends a
		// connection of which nothing is read for backlog.Patience: a client at
		// another node has to read its longest message in that time.
		r := sharerAt(t, &s.net, "b", 32e3)
		for _, c := range []*sharer{w, r} {
			c.ask(use("free", false))
		}
		synctest.Wait()
		for round := range 10 {
			w.fill("free", round, 31)
		}
		most := 0
		for range 10 * 60 {
			time.Sleep(time.Second)
			most = max(most, s.hosts["b"].Outboxes().Used())
		}
		synctest.Wait()
		if got := r.slots("free"); r.Err() != nil || len(got) != 31 || got["30"] != "9" {
			t.Errorf("%v; the reader has %v", r.Err(), got)
		}
		if most > backlog.MaxStep+256<<10 {
			t.Errorf("%d bytes waited at the front", most)
		}
		if r.events > w.events*3/4 {
			t.Errorf("the slow reader was told of %d changes, the other one of %d", r.events, w.events)
		}
	})
}

// TestCallsOfAnAddressCost: however many clients an address has, together they
// may ask as much as the address may.
func TestCallsOfAnAddressCost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const clients, calls = 30, 4000 // fewer than each of them may ask at once
		a := newSharingApp()
		served := 0
		a.methods = map[string]Method{"n": func(*Client, amf.Args) (amf.Value, error) { served++; return nil, nil }}
		h := newHost(t, func() Application { return a })
		h.Guard = new(guard.Guard)
		h.Guard.Set(guard.Limits{})
		began := time.Now()
		var asking sync.WaitGroup
		for range clients {
			c, _ := join(t, h)
			asking.Go(func() {
				for range calls {
					c.ServeCall("n", nil, func(amf.Value, error) {})
				}
			})
		}
		asking.Wait()
		synctest.Wait()
		want := time.Duration(clients*calls*callCost-guard.AnswerBurst) * time.Second / guard.AnswerRate
		if d := time.Since(began); d < want*9/10 || d > want*11/10 {
			t.Errorf("%d calls took %v, want %v", clients*calls, d, want)
		}
		stopHost(h)
		if served != clients*calls {
			t.Errorf("%d calls were served, want %d", served, clients*calls)
		}
	})
}
