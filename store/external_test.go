package store

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
)

var asides atomic.Uint32

// aside returns an address for servers that are stopped and started again. On
// an address that others use, too, their port could be taken in between. Linux
// has all of 127/8.
func aside() (host string) {
	pid := os.Getpid()
	host = fmt.Sprintf("127.%d.%d.%d", 128|pid>>8&127, pid&255, 1+asides.Add(1)%254)
	ln, err := net.Listen("tcp", host+":0")
	if err != nil {
		return "127.0.0.1"
	}
	ln.Close()
	return host
}

// startNATS runs a NATS at that address, "" for any, until the test ends.
func startNATS(t testing.TB, dir, addr string) *server.Server {
	t.Helper()
	s := runNATS(t, dir, addr)
	t.Cleanup(func() { stopNATS(s) })
	return s
}

// runNATS runs a NATS until stopNATS.
func runNATS(t testing.TB, dir, addr string) *server.Server {
	t.Helper()
	host, port := aside(), server.RANDOM_PORT
	if addr != "" {
		at := netip.MustParseAddrPort(addr)
		host, port = at.Addr().String(), int(at.Port())
	}
	s, err := server.NewServer(&server.Options{Host: host, Port: port, JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	go s.Start()
	if !s.ReadyForConnections(hang) {
		t.Fatal("NATS did not start")
	}
	return s
}

func stopNATS(s *server.Server) {
	s.Shutdown()
	s.WaitForShutdown()
}

// join opens a store at an external NATS.
func join(t *testing.T, url string) *Store {
	t.Helper()
	c, err := Open(t.Context(), Config{
		URL: url, Node: "test", patience: 4 * time.Second, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// When NATS goes away and comes back, with its data or without, rooms continue
// without being opened again.
func TestNATSAway(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	nats := startNATS(t, dir, "")
	addr := nats.Addr().String()
	c := join(t, nats.ClientURL())
	r := open(t, c, "blue")
	mustSay(t, r, 1, 3)
	saved := make(chan error, 1)
	r.Save([]byte("state"), func(err error) { saved <- err })
	if err := <-saved; err != nil {
		t.Fatal(err)
	}
	stopNATS(nats)
	said := time.Now()
	if id, err := say(r, "hi"); err == nil || id != 0 || time.Since(said) > hang {
		t.Errorf("NATS away: got %d, %v after %v", id, err, time.Since(said))
	} else {
		t.Log(err)
	}
	eventually(t, "the readiness to end", func() bool { return c.Ready() != nil })
	nats = startNATS(t, dir, addr)
	eventually(t, "the readiness", func() bool { return c.Ready() == nil })
	mustSay(t, r, 4, 5)
	checkPage(t, r, 0, -1, 50, []uint64{1, 2, 3, 4, 5}, true, false)

	stopNATS(nats)
	eventually(t, "the readiness to end", func() bool { return c.Ready() != nil })
	startNATS(t, t.TempDir(), addr)
	eventually(t, "the readiness", func() bool { return c.Ready() == nil })
	mustSay(t, r, 6, 7)
	checkPage(t, r, 0, -1, 50, []uint64{6, 7}, false, false)
	checkPage(t, r, 5, -1, 50, []uint64{6, 7}, true, false)
	r.Close()
	r = open(t, c, "blue")
	if string(r.State()) != "state" || r.Last() != 7 {
		t.Errorf("opened again: %q, last %d", r.State(), r.Last())
	}
	mustSay(t, r, 8, 8)
}

// TestCameBackEmpty: every node finds out that NATS has come back empty, not
// only the node that makes the streams again. Everything that it saves again is
// stored once, although the sequences begin again; a node that does not own an
// instance saves nothing.
func TestCameBackEmpty(t *testing.T) {
	t.Parallel()
	nats := startNATS(t, t.TempDir(), "")
	addr := nats.Addr().String()
	nodes := []*Store{join(t, nats.ClientURL()), join(t, nats.ClientURL())}
	rooms := []string{"blue", "red"}
	for i, c := range nodes {
		claim(t, c, "room/"+rooms[i])
		r := open(t, c, rooms[i])
		if err := save(r, "state of "+rooms[i]); err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.LoadObjects(t.Context(), "room/"+rooms[i]); err != nil {
			t.Fatal(err)
		}
		for _, value := range []string{"1", "2", "3"} {
			if err := saveObject(c, "room/"+rooms[i], "score", value); err != nil {
				t.Fatal(err)
			}
		}
	}
	stopNATS(nats)
	dir := t.TempDir()
	nats = startNATS(t, dir, addr)
	for i, c := range nodes {
		select {
		case <-c.Emptied():
		case <-time.After(startTimeout):
			t.Fatalf("the node of %s does not know", rooms[i])
		}
		for range 2 { // several may have been told: the last one counts
			if err := saveObject(c, "room/"+rooms[i], "score", "3"); err != nil {
				t.Errorf("%s: %v", rooms[i], err)
			}
		}
		if err := saveObject(c, "room/"+rooms[1-i], "score", "mine"); !errors.Is(err, ErrElsewhere) {
			t.Errorf("saved for the room of another: %v", err)
		}
	}
	for i, c := range nodes {
		eventually(t, "the claim is back", func() bool { return c.Owns("room/" + rooms[i]) })
		objects, _, err := c.LoadObjects(t.Context(), "room/"+rooms[i])
		if err != nil || len(objects) != 1 || string(objects["score"]) != "3" {
			t.Errorf("%s has %q, %v", rooms[i], objects, err)
		}
		eventually(t, "the state is there", func() bool {
			state, err := c.value(t.Context(), roomsBucket, "state", token(rooms[i]))
			return err == nil && string(state) == "state of "+rooms[i]
		})
		if len(c.Emptied()) > 0 {
			t.Error("it came back empty once")
		}
	}
	// Away and back with its data is not empty.
	stopNATS(nats)
	eventually(t, "the readiness to end", func() bool { return nodes[0].Ready() != nil })
	startNATS(t, dir, addr)
	eventually(t, "the readiness", func() bool { return nodes[0].Ready() == nil })
	if len(nodes[0].Emptied()) > 0 {
		t.Error("it had not lost anything")
	}
}

// A node that still believes it owns a room cannot write once another has
// opened it.
func TestElsewhere(t *testing.T) {
	t.Parallel()
	nats := startNATS(t, t.TempDir(), "")
	a, b := join(t, nats.ClientURL()), join(t, nats.ClientURL())
	old := open(t, a, "blue")
	mustSay(t, old, 1, 3)
	r := open(t, b, "blue")
	if _, err := say(old, "late"); !errors.Is(err, ErrElsewhere) {
		t.Errorf("the former owner wrote: %v", err)
	}
	removed := make(chan error, 1)
	old.Remove(2, func(_ bool, err error) { removed <- err })
	if err := <-removed; !errors.Is(err, ErrElsewhere) {
		t.Errorf("the former owner removed: %v", err)
	}
	mustSay(t, r, 4, 5)
	checkPage(t, r, 0, -1, 50, []uint64{1, 2, 3, 4, 5}, true, false)
	if _, err := say(old, "late"); !errors.Is(err, ErrElsewhere) {
		t.Errorf("the former owner wrote: %v", err)
	}
	r.Close()
	r = open(t, a, "blue") // back again
	mustSay(t, r, 6, 6)
	checkPage(t, r, 0, -1, 50, []uint64{1, 2, 3, 4, 5, 6}, true, false)
}

// A deaf proxy stands between a client and a server, and drops the server's
// answers for some time.
type deafProxy struct {
	mu    sync.Mutex
	conns []net.Conn
	deaf  bool
}

func (p *deafProxy) serve(ln net.Listener, to string) {
	for {
		client, err := ln.Accept()
		if err != nil {
			return
		}
		upstream, err := net.Dial("tcp", to)
		if err != nil {
			client.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, client, upstream)
		p.mu.Unlock()
		go func() {
			io.Copy(upstream, client)
			upstream.Close()
		}()
		go func() {
			for buf := make([]byte, 1<<16); ; {
				n, err := upstream.Read(buf)
				p.mu.Lock()
				deaf := p.deaf
				p.mu.Unlock()
				if err != nil {
					client.Close()
					return
				}
				if !deaf {
					client.Write(buf[:n])
				}
			}
		}()
	}
}

// set makes it deaf, or cuts all connections and hears again.
func (p *deafProxy) set(deaf bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deaf = deaf
	if !deaf {
		for _, c := range p.conns {
			c.Close()
		}
		p.conns = nil
	}
}

// A message whose answer was lost was reported as failed. It is found, and
// keeps its id.
func TestAnswerLost(t *testing.T) {
	t.Parallel()
	nats := startNATS(t, t.TempDir(), "")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var p deafProxy
	go p.serve(ln, nats.Addr().String())
	t.Cleanup(func() { ln.Close(); p.set(false) })
	c := join(t, "nats://"+ln.Addr().String())
	found := make(chan string, 10)
	r, err := c.OpenRoom(t.Context(), "blue", func(m []byte) { found <- string(m) })
	if err != nil {
		t.Fatal(err)
	}
	mustSay(t, r, 1, 2)
	p.set(true)
	for _, text := range []string{"lost", "too"} {
		if id, err := say(r, text); err == nil {
			t.Errorf("got %d", id)
		} else {
			t.Log(err)
		}
	}
	p.set(false)
	select {
	case m := <-found: // by itself, when NATS is back
		if m != "3 lost" {
			t.Errorf("found %q", m)
		}
	case <-time.After(hang):
		t.Fatal("the first message was not found by itself")
	}
	again := make(chan error, 1)
	r.Append(func(uint64) []byte { return nil }, func(_ uint64, err error) { again <- err }) // it need not be stored again
	if err := <-again; err == nil {
		t.Error("nothing was stored as a message")
	}
	mustSay(t, r, 4, 5)
	checkPage(t, r, 0, -1, 50, []uint64{1, 2, 3, 4, 5}, true, false)
	if len(found) != 0 {
		t.Errorf("found %q, too", <-found)
	}
}

// A room that keeps less than others does not affect them.
func TestLimit(t *testing.T) {
	c := start(t, t.TempDir())
	r, other := open(t, c, "blue"), open(t, c, "red")
	r.Limit(5, 0)
	mustSay(t, r, 1, 40)
	mustSay(t, other, 1, 8)
	checkPage(t, r, 0, -1, 50, []uint64{36, 37, 38, 39, 40}, false, false)
	checkPage(t, other, 0, -1, 50, []uint64{1, 2, 3, 4, 5, 6, 7, 8}, true, false)
	r.Limit(2, 0)
	remove(t, r, 38, false) // in its turn: the limit holds
	r.Close()
	r = open(t, c, "blue")
	if got := idsOf(t, r.Newest()); !slices.Equal(got, []uint64{39, 40}) {
		t.Errorf("in the store: %v", got)
	}
	r.Limit(0, 0)
	mustSay(t, r, 41, 43)
	checkPage(t, r, 38, -1, 50, []uint64{39, 40, 41, 42, 43}, true, false)
}

// A leading server that hears from too few others can store nothing, whatever
// it says.
func TestMajority(t *testing.T) {
	for _, c := range []struct {
		silent, others int
		well           bool
	}{{0, 0, true}, {0, 2, true}, {1, 2, true}, {2, 2, false}, {2, 4, true}, {3, 4, false}} {
		g := &jetstream.ClusterInfo{Leader: "nats1"}
		for i := range c.others {
			r := &jetstream.PeerInfo{Active: time.Second}
			if i < c.silent {
				r.Active = time.Minute
			}
			g.Replicas = append(g.Replicas, r)
		}
		if err := majority(g); (err == nil) != c.well {
			t.Errorf("%d of %d others are silent: %v", c.silent, c.others, err)
		}
	}
	if err := majority(nil); err != nil {
		t.Errorf("one server: %v", err)
	}
}
