package site

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"foyer/client"
	"foyer/room"
	"foyer/server/amf"
)

// takeover is how long it may take until another node serves the rooms of one
// that was killed.
const takeover = 20 * time.Second

// TestNodeDies: three nodes, each a process; people talk in rooms of all of
// them, through all of them; the one that has the most is killed. The others
// take its rooms over, and nothing that was acknowledged is lost.
func TestNodeDies(t *testing.T) {
	if testing.Short() || os.Getenv("CI") != "true" && os.Getenv("FOYER_TEST_CLUSTER") != "1" {
		t.Skip("set FOYER_TEST_CLUSTER=1 to kill a node of three: it takes some 10 s")
	}
	url := startNATS(t)
	nodes := make([]*victim, 3)
	for i := range nodes {
		var err error
		if nodes[i], err = startVictim(t.TempDir(), []string{"--nats=" + url, fmt.Sprintf("--node=node%d", i+1), "--lobby-secret=s", "--admin-token=a", "--stream-secret=k", "--node-secret=n"}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nodes[i].kill)
	}
	for _, n := range nodes {
		if err := n.await(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	c := &crowd{t: t}
	c.at(nodes[0].rtmp, nodes[1].rtmp, nodes[2].rtmp)
	for i := range 6 {
		c.ledgers = append(c.ledgers, newLedger(fmt.Sprintf("room%d", i+1)))
	}
	// The first to come to a room decides where it runs: two on each node.
	for i, l := range c.ledgers {
		if _, _, _, err := readHistory(t.Context(), nodes[i%3].rtmp+"/room/"+l.room, 0); err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { // until stop; the test waits for ended
		defer close(ended)
		c.talk(ctx)
	}()
	c.heard("everybody talks", c.ledgers)

	began := time.Now()
	nodes[0].kill()
	c.at(nodes[1].rtmp, nodes[2].rtmp)
	c.heard("the rooms of the dead node are served again", c.ledgers)
	took := time.Since(began)
	t.Logf("the last room was served again after %v", took.Round(time.Millisecond))
	if took > takeover {
		t.Errorf("that is longer than %v", takeover)
	}
	stop()
	<-ended
	c.check(nodes[1].rtmp, nodes[2].rtmp)
}

// A crowd talks in rooms through several nodes.
type crowd struct {
	t       *testing.T
	nodes   atomic.Pointer[[]string] // addresses of those that are alive
	ledgers []*ledger
	first   int           // its people's numbers are above this
	last    int           // and not above this; 0: there are no others
	pause   time.Duration // between two visitors
	visitor atomic.Int64
}

// at has people come to these addresses from now on.
func (c *crowd) at(rtmp ...string) { c.nodes.Store(&rtmp) }

// check compares the histories, as each of these addresses has them, with what
// was said.
func (c *crowd) check(rtmp ...string) {
	c.t.Helper()
	for _, through := range rtmp {
		var found tally
		for _, l := range c.ledgers {
			history, epoch, complete, err := readHistory(c.t.Context(), through+"/room/"+l.room, 0)
			if err != nil {
				c.t.Fatal(err)
			}
			l.check(0, history, epoch, complete, &found)
		}
		if found.bad() > 0 || found.acknowledged == 0 {
			c.t.Errorf("%+v", found)
		}
		c.t.Logf("%d messages were acknowledged, %d had no answer", found.acknowledged, found.unanswered)
	}
}

// visitors is how many people of a crowd are in each room at once.
const visitors = 2

// talk has people in each room until ctx ends.
func (c *crowd) talk(ctx context.Context) {
	done := make(chan struct{})
	for i, l := range c.ledgers {
		for person := range visitors {
			go func() { // until ctx ends; talk waits
				defer func() { done <- struct{}{} }()
				for at := i + person + 1; ctx.Err() == nil; at++ {
					c.visit(ctx, at, l, c.first+person+1)
					<-time.After(c.pause)
				}
			}()
		}
	}
	for range visitors * len(c.ledgers) {
		<-done
	}
}

// visit is one stay in a room, through one of the nodes.
func (c *crowd) visit(ctx context.Context, at int, l *ledger, person int) {
	alive := *c.nodes.Load()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	nick := amf.String(fmt.Sprintf("visitor%d", c.visitor.Add(1)))
	nc, err := client.Dial(ctx, alive[at%len(alive)]+"/room/"+l.room, client.Options{}, nick)
	if err != nil {
		<-time.After(20 * time.Millisecond) // and again
		return
	}
	defer nc.Close()
	for range room.Burst {
		text := l.ask(person)
		answer, err := nc.Call(ctx, "say", amf.String(text))
		if err != nil {
			return
		}
		l.answered(text, int(number(answer, "id")))
	}
}

// newest is the last id in each room that was acknowledged to this crowd.
func (c *crowd) newest(ledgers []*ledger) []int {
	ids := make([]int, len(ledgers))
	for i, l := range ledgers {
		l.mu.Lock()
		for _, m := range l.lines {
			if c.first < m.person && (c.last == 0 || m.person <= c.last) {
				ids[i] = max(ids[i], m.id)
			}
		}
		l.mu.Unlock()
	}
	return ids
}

// heard waits until something new was acknowledged in each room. It takes more
// than the answers that may have been on the way.
func (c *crowd) heard(what string, ledgers []*ledger) {
	c.t.Helper()
	before := c.newest(ledgers)
	for end := time.Now().Add(3 * takeover); ; <-time.After(20 * time.Millisecond) {
		waiting := ""
		for i, id := range c.newest(ledgers) {
			if id <= before[i]+2*visitors {
				waiting += " " + ledgers[i].room
			}
		}
		if waiting == "" {
			return
		}
		if time.Now().After(end) {
			c.t.Fatalf("never: %s:%s", what, waiting)
		}
	}
}
