package store

import (
	"bufio"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// endings end the connection of a store for good, or the server at its other
// end.
var endings = []struct {
	name string
	end  func(t *testing.T, c *Store)
}{
	{"closed behind its back", func(_ *testing.T, c *Store) { c.nc().Close() }},
	{"a line that is too long", func(_ *testing.T, c *Store) { _ = c.nc().Publish(strings.Repeat("x", 5000), nil) }},
	{"a message that is too long", func(t *testing.T, c *Store) {
		// As if the server's limits had been lowered in the meantime.
		if err := c.nc().Publish("x", make([]byte, c.nc().MaxPayload())); err != nil {
			t.Error(err)
		}
		c.nc().Close()
	}},
}

// A connection that is closed for good is opened again: messages are stored,
// and subscriptions work.
func TestClosedConnection(t *testing.T) {
	for _, engine := range []string{"embedded", "external"} {
		for _, e := range endings {
			t.Run(engine+"/"+e.name, func(t *testing.T) {
				t.Parallel()
				c := start
				if engine == "external" {
					c = func(t *testing.T, dir string) *Store { return join(t, startNATS(t, dir, "").ClientURL()) }
				}
				checkRevival(t, c(t, t.TempDir()), e.end)
			})
		}
	}
	t.Run("embedded/the engine is shut down", func(t *testing.T) {
		t.Parallel()
		checkRevival(t, start(t, t.TempDir()), func(_ *testing.T, c *Store) {
			c.mu.Lock()
			engine := c.engine
			c.mu.Unlock()
			stopNATS(engine)
		})
	})
}

func checkRevival(t *testing.T, c *Store, end func(*testing.T, *Store)) {
	t.Helper()
	heard := make(chan string, 16)
	stop, err := c.Subscribe("news", func(data []byte) { heard <- string(data) })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	r := open(t, c, "blue")
	mustSay(t, r, 1, 3)
	for round := range 3 {
		end(t, c)
		last := uint64(3 + 2*round)
		eventually(t, "what is said is stored", func() bool {
			id, err := say(r, "hi")
			return err == nil && id == last+1
		})
		mustSay(t, r, last+2, last+2)
		eventually(t, "the readiness", func() bool { return c.Ready() == nil })
		if err := c.Lost(); err != nil {
			t.Error(err)
		}
		if err := c.Publish("news", []byte("hello")); err != nil {
			t.Fatal(err)
		}
		if got := <-heard; got != "hello" {
			t.Errorf("heard %q", got)
		}
	}
	if c.cluster == nil {
		return
	}
	eventually(t, "it can claim", func() bool {
		_, err := c.Claim(within(t, time.Second), "room/blue", func() {})
		return err == nil
	})
}

// A store that cannot be opened again is lost, and says so, until it comes back
// after all.
func TestLost(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "store")
	c, err := Open(t.Context(), Config{Dir: dir, Node: "test", Sync: Second, lost: time.Millisecond, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.mu.Lock()
	engine := c.engine
	c.mu.Unlock()
	aside := dir + "-aside"
	if err := os.Rename(dir, aside); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir, nil, 0o600); err != nil { // no folder can be made there
		t.Fatal(err)
	}
	stopNATS(engine)
	eventually(t, "the store is lost", func() bool { return c.Lost() != nil && c.Ready() != nil })
	t.Log(c.Lost())
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(aside, dir); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is there again", func() bool { return c.Lost() == nil && c.Ready() == nil })
	mustSay(t, open(t, c, "blue"), 1, 1)
}

// The error about a NATS that cannot be used says which one can.
func TestUnfitNATS(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]string{
		"version 2.10.29: foyer needs 2.11": fakeNATS(t, "2.10.29"),
		"version 1.4.1: foyer needs 2.11":   fakeNATS(t, "1.4.1"),
		"has no JetStream":                  forgetfulNATS(t),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := join(t, url)
			eventually(t, name, func() bool { return c.Ready() != nil && strings.Contains(c.Ready().Error(), name) })
			t.Log(c.Ready())
			if err := c.Lost(); err != nil {
				t.Error(err)
			}
			if err := c.RestoreAll(t.Context(), nil); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("restoring: %v", err)
			}
		})
	}
}

// fakeNATS is a server that says it has a version, and answers pings.
func fakeNATS(t *testing.T, version string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() { // until ln is closed
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { conn.Close() })
			go func() { // until conn is closed
				fmt.Fprintf(conn, "INFO {\"server_id\":\"FAKE\",\"version\":%q,\"proto\":1,\"headers\":true,\"max_payload\":1048576}\r\n", version)
				for in := bufio.NewScanner(conn); in.Scan(); {
					if strings.HasPrefix(in.Text(), "PING") {
						fmt.Fprint(conn, "PONG\r\n")
					}
				}
			}()
		}
	}()
	return "nats://" + ln.Addr().String()
}

// forgetfulNATS is a server without JetStream.
func forgetfulNATS(t *testing.T) string {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	go s.Start() // until the test's end, which waits
	t.Cleanup(func() { stopNATS(s) })
	if !s.ReadyForConnections(hang) {
		t.Fatal("NATS did not start")
	}
	return s.ClientURL()
}

func TestOlder(t *testing.T) {
	for version, want := range map[string]bool{
		"2.11.0": false, "2.10.29": true, "2.9": true, "1.99.0": true, "2.15.2": false, "3.0.0": false, "v2.10.0": true,
		"2.11.0-beta.1": false, "": false, "dev": false, "10.0.0": false,
	} {
		if got := older(version, oldestNATS); got != want {
			t.Errorf("%q is older: %v", version, got)
		}
	}
}
