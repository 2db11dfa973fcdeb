package store

import (
	"context"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// hang is how long a test waits before it gives up.
const hang = time.Minute

// hurried is a pace for tests. A busy machine may be late by some two seconds
// before a lease ends.
var hurried = pace{
	lease: 3 * time.Second, renew: 300 * time.Millisecond, grace: 3 * time.Second,
	live: 3500 * time.Millisecond, refresh: 500 * time.Millisecond, gap: 50 * time.Millisecond,
}

// external is a NATS outside the nodes.
type external struct {
	t      *testing.T
	dir    string
	addr   string
	engine *server.Server
}

func startExternal(t *testing.T) *external {
	t.Helper()
	e := &external{t: t, dir: t.TempDir()}
	e.start()
	t.Cleanup(e.stop)
	return e
}

// start starts it, at the same address as before.
func (e *external) start() {
	e.t.Helper()
	e.engine = runNATS(e.t, e.dir, e.addr)
	e.addr = e.engine.Addr().String()
}

func (e *external) stop() {
	stopNATS(e.engine)
}

// restart loses everything in memory, and with empty the files, too.
func (e *external) restart(empty bool) {
	e.t.Helper()
	e.stop()
	if empty {
		e.dir = e.t.TempDir()
	}
	e.start()
}

// node opens a node, over a cable when there is one.
func (e *external) node(name string, cables ...*cable) *Store {
	e.t.Helper()
	return e.nodeAt(&hurried, name, cables...)
}

func (e *external) nodeAt(p *pace, name string, cables ...*cable) *Store {
	e.t.Helper()
	addr := e.addr
	for _, c := range cables {
		addr = c.ln.Addr().String()
	}
	c, err := Open(e.t.Context(), Config{
		URL: "nats://" + addr, Node: name, RTMP: "rtmp://" + name + ":1935", pace: p,
		Log: slog.New(slog.NewTextHandler(e.t.Output(), nil)).With("node", name),
	})
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { c.Close() })
	return c
}

// A cable is a connection that can be cut: open connections break, and new ones
// are refused until it is mended.
type cable struct {
	ln net.Listener
	to string

	mu   sync.Mutex
	cut  bool
	open map[net.Conn]bool
	jobs sync.WaitGroup
}

func (e *external) cable() *cable {
	e.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		e.t.Fatal(err)
	}
	c := &cable{ln: ln, to: e.addr, open: make(map[net.Conn]bool)}
	c.jobs.Go(c.serve)
	e.t.Cleanup(func() {
		ln.Close()
		c.setCut(true)
		c.jobs.Wait()
	})
	return c
}

func (c *cable) serve() {
	for {
		from, err := c.ln.Accept()
		if err != nil {
			return
		}
		to, err := net.Dial("tcp", c.to)
		c.mu.Lock()
		if c.cut || err != nil {
			c.mu.Unlock()
			from.Close()
			if to != nil {
				to.Close()
			}
			continue
		}
		for _, pair := range [][2]net.Conn{{from, to}, {to, from}} {
			c.open[pair[0]] = true
			c.jobs.Go(func() {
				io.Copy(pair[0], pair[1])
				pair[0].Close()
				pair[1].Close()
			})
		}
		c.mu.Unlock()
	}
}

func (c *cable) setCut(cut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = cut
	if cut {
		for conn := range c.open {
			conn.Close()
		}
		clear(c.open)
	}
}

// eventually waits for something to become true.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(hang); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
