package site

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"foyer/internal/folder"
)

// dark is how long a viewer may be without pictures while a node restarts.
const dark = 8 * time.Second

// noticed is when a front notices that a node leaves: it asks now and then.
const noticed = time.Second

// TestRollingRestart: three nodes restart one after the other while people
// talk and watch, through a front. No message is lost or doubled, and nobody
// is long without pictures, with or without ReconnectRequest.
func TestRollingRestart(t *testing.T) {
	if testing.Short() || os.Getenv("CI") != "true" && os.Getenv("FOYER_TEST_CLUSTER") != "1" {
		t.Skip("set FOYER_TEST_CLUSTER=1 to restart three nodes: it takes some 30 s")
	}
	url := startNATS(t)
	nodes := make([]*victim, 3)
	front := newFront(t)
	start := func(i int) {
		var err error
		if nodes[i], err = startVictim(t.TempDir(), []string{"--nats=" + url, fmt.Sprintf("--node=node%d", i+1), "--lobby-secret=s", "--admin-token=a", "--stream-secret=k", "--node-secret=n"}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nodes[i].kill)
		if err := nodes[i].await(t.Context()); err != nil {
			t.Fatal(err)
		}
		front.add(nodes[i].rtmp)
	}
	for i := range nodes {
		start(i)
	}
	c := &crowd{t: t}
	for i := range 3 { // a room on each node
		c.ledgers = append(c.ledgers, newLedger(fmt.Sprintf("room%d", i+1)))
		if _, _, _, err := readHistory(t.Context(), nodes[i].rtmp+"/room/"+c.ledgers[i].room, 0); err != nil {
			t.Fatal(err)
		}
	}
	a := startAudience(t, front.rtmp, c.ledgers, func(room string) string { return folder.StreamKey("k", room, 0) })
	a.watching("everybody watches")
	c.heard("everybody talks", c.ledgers)
	for i, n := range nodes {
		began := time.Now()
		time.AfterFunc(noticed, func() { front.remove(n.rtmp) })
		n.cmd.Process.Signal(syscall.SIGTERM)
		<-n.ended
		t.Logf("node%d ended after %v", i+1, time.Since(began).Round(time.Millisecond))
		start(i)
		c.heard("everybody talks", c.ledgers)
		a.watching("everybody watches")
	}
	a.end()
	c.check(nodes[0].rtmp, nodes[1].rtmp, nodes[2].rtmp)
	if n := a.unanswered.Load(); n > 0 {
		t.Errorf("%d times somebody who leaves when asked had no answer", n)
	}
	a.check(dark)
}

// A front is a load balancer for RTMP: each connection goes to the next node.
type front struct {
	rtmp string

	// guarded by mu
	mu    sync.Mutex
	nodes []string
	next  int
}

func newFront(t *testing.T) *front {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &front{rtmp: "rtmp://" + ln.Addr().String()}
	ctx, stop := context.WithCancel(context.Background())
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { f.pass(ctx, conn) })
		}
	})
	t.Cleanup(func() {
		stop()
		ln.Close()
		conns.Wait()
	})
	return f
}

// pass is the life of a connection.
func (f *front) pass(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	f.mu.Lock()
	if len(f.nodes) == 0 {
		f.mu.Unlock()
		return
	}
	f.next++
	node := f.nodes[f.next%len(f.nodes)]
	f.mu.Unlock()
	up, err := net.Dial("tcp", node)
	if err != nil {
		return
	}
	defer up.Close()
	defer context.AfterFunc(ctx, func() { up.Close(); conn.Close() })()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{conn, up}, {up, conn}} {
		both.Go(func() {
			io.Copy(way[0], way[1])
			way[0].Close()
		})
	}
	both.Wait()
}

// add and remove say where connections may go.
func (f *front) add(rtmp string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.nodes = append(f.nodes, rtmp[len("rtmp://"):])
}

func (f *front) remove(rtmp string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, n := range f.nodes {
		if n == rtmp[len("rtmp://"):] {
			f.nodes = append(f.nodes[:i:i], f.nodes[i+1:]...)
			return
		}
	}
}
