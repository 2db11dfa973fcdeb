package site

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"foyer/lobby"
)

const (
	// cutTakeover is how long it may take until the others serve the rooms of a
	// node that nothing comes from any more: the NATS servers elect first, and
	// each election takes them 4 to 9 s.
	cutTakeover = 40 * time.Second
	// saysSo is how long it may take until a node that is cut off says that it
	// is not ready.
	saysSo = 20 * time.Second
	// silence is how long a node that is cut off may still acknowledge something.
	silence = 12 * time.Second
	// healing is how long it may take until all is as before.
	healing = 40 * time.Second
)

// TestNetworkCut: three nodes, each on a machine of its own with one of three
// NATS servers; people talk in rooms of all of them, on each of them. The wire of
// one is pulled out, of the NATS that leads, and put in again. Its rooms continue
// at the others, and it acknowledges nothing and says so. Afterwards nothing that
// was acknowledged is missing, on any of them.
func TestNetworkCut(t *testing.T) {
	if testing.Short() || os.Getenv("CI") != "true" && os.Getenv("FOYER_TEST_CLUSTER") != "1" {
		t.Skip("set FOYER_TEST_CLUSTER=1 to cut the network between three nodes: it takes some 60 s")
	}
	s := startSite(t)
	leader := s.leader()
	t.Logf("node%d is cut off", leader+1)
	s.talk(leader)
	s.all("at first")

	began := time.Now()
	s.net.unplug(leader)
	eventually(t, "the node that is cut off says so", func() bool { return !ready(s.http[leader]) })
	s.within("the node said that it is cut off", began, saysSo)
	t.Log(get(t, s.http[leader]+"/readyz"))
	s.rest.heard("the rooms of the node that is cut off are served again", s.ledgers)
	s.within("the rooms of the node that is cut off were served again", began, cutTakeover)
	time.Sleep(time.Until(began.Add(silence)))
	last := s.alone.newest(s.ledgers)
	s.rest.heard("the others continue", s.ledgers)
	if now := s.alone.newest(s.ledgers); !slices.Equal(now, last) {
		t.Errorf("a node that is cut off acknowledged messages: %v, later %v", last, now)
	}
	began = time.Now()
	s.net.plug(leader)
	s.all("when it is healed")
	s.within("everything was as before", began, healing)

	for range 2 { // too short for all to notice
		s.net.unplug(leader)
		time.Sleep(2 * time.Second)
		s.net.plug(leader)
		time.Sleep(time.Second)
	}
	began = time.Now()
	s.all("when it is healed again")
	s.within("everything was as before", began, healing)
	s.end()
	s.rest.check(s.rtmp...)
}

// A site is three nodes and NATS servers on machines of their own, and people.
type site struct {
	t          *testing.T
	net        *network
	nodes      []*victim
	rtmp, http []string // how people come to each node
	ledgers    []*ledger
	alone      *crowd // on the node that is cut off
	rest       *crowd // on the others
	end        func() // of the talk
}

func startSite(t *testing.T) *site {
	s := &site{t: t, net: newNetwork(t, 3)}
	store := s.net.startNATS()
	for i := range s.net.hosts {
		// All people are a crowd of one address.
		v, err := runVictim(s.net.command(i, "foyer"), t.TempDir(), append(store[i], "--exempt=0.0.0.0/0", fmt.Sprintf("--node=node%d", i+1),
			"--rtmp="+s.net.addr(i)+":1935", "--http="+s.net.addr(i)+":8080", "--lobby-secret=s", "--admin-token=a", "--stream-secret=k", "--node-secret=n"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if v.kill(); t.Failed() {
				t.Logf("the log of node%d ends with\n%s", i+1, strings.Join(v.log, "\n"))
			}
		})
		s.nodes = append(s.nodes, v)
		s.rtmp = append(s.rtmp, "rtmp://"+s.net.wayIn(i, 1935))
		s.http = append(s.http, "http://"+s.net.wayIn(i, 8080))
	}
	for i, v := range s.nodes {
		if err := v.await(t.Context()); err != nil {
			t.Fatal(err)
		}
		eventually(t, "a node is ready", func() bool { return ready(s.http[i]) })
	}
	return s
}

// leader is the node beside the NATS server that leads the chat: one that is cut
// off takes longest to notice.
func (s *site) leader() int {
	s.t.Helper()
	var stats struct {
		Accounts []struct {
			Streams []struct {
				Name    string
				Cluster struct{ Leader string }
			} `json:"stream_detail"`
		} `json:"account_details"`
	}
	if err := json.Unmarshal([]byte(get(s.t, "http://"+s.net.wayIn(0, 8222)+"/jsz?accounts=true&streams=true")), &stats); err != nil {
		s.t.Fatal(err)
	}
	for _, account := range stats.Accounts {
		for _, stream := range account.Streams {
			if number, err := strconv.Atoi(strings.TrimPrefix(stream.Cluster.Leader, "nats")); err == nil && stream.Name == "CHAT" {
				return number - 1
			}
		}
	}
	s.t.Fatalf("nobody leads the chat: %+v", stats)
	return 0
}

// talk has two rooms run on each node, and people talk in all of them on each.
func (s *site) talk(alone int) {
	for i := range 2 * len(s.nodes) {
		l := newLedger(fmt.Sprintf("room%d", i+1))
		l.late = true
		s.ledgers = append(s.ledgers, l)
		if _, _, _, err := readHistory(s.t.Context(), s.rtmp[i/2]+"/room/"+l.room, 0); err != nil {
			s.t.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(s.t.Context())
	s.rest = &crowd{t: s.t, ledgers: s.ledgers, pause: 100 * time.Millisecond, last: visitors}
	s.alone = &crowd{t: s.t, ledgers: s.ledgers, pause: 100 * time.Millisecond, first: visitors}
	s.alone.visitor.Store(1_000_000) // their nicks are others
	s.rest.at(slices.Delete(slices.Clone(s.rtmp), alone, alone+1)...)
	s.alone.at(s.rtmp[alone])
	ended := make(chan struct{}, 2)
	for _, c := range []*crowd{s.rest, s.alone} {
		go func() { // until stop; end waits
			c.talk(ctx)
			ended <- struct{}{}
		}()
	}
	s.end = func() { stop(); <-ended; <-ended }
}

// all waits until everything is well: all nodes say so, on each people talk in
// all rooms, and each lists them all, on the same nodes.
func (s *site) all(when string) {
	s.t.Helper()
	began := time.Now()
	for i := range s.nodes {
		eventually(s.t, "all nodes are ready "+when, func() bool { return ready(s.http[i]) })
	}
	s.t.Logf("%s: all nodes are ready after %v", when, time.Since(began).Round(time.Millisecond))
	s.rest.heard("people talk on the others "+when, s.ledgers)
	s.alone.heard("people talk on the one that is cut off "+when, s.ledgers)
	s.t.Logf("%s: people talk on all nodes after %v", when, time.Since(began).Round(time.Millisecond))
	var lists []map[string]string
	eventually(s.t, "all nodes list the same "+when, func() bool {
		lists = nil
		for _, base := range s.http {
			lists = append(lists, listedAt(s.t, base))
		}
		return len(lists[0]) == len(s.ledgers) && !slices.ContainsFunc(lists, func(l map[string]string) bool { return !maps.Equal(l, lists[0]) })
	})
	s.t.Logf("%s: all nodes list the same after %v: %v", when, time.Since(began).Round(time.Millisecond), lists[0])
}

func (s *site) within(what string, began time.Time, limit time.Duration) {
	s.t.Helper()
	took := time.Since(began)
	s.t.Logf("%s after %v", what, took.Round(time.Millisecond))
	if took > limit {
		s.t.Errorf("that is longer than %v", limit)
	}
}

// get is what a server answers.
func get(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// listedAt is what a node lists: each room with its node and state.
func listedAt(t *testing.T, base string) map[string]string {
	t.Helper()
	var list struct{ Rooms []lobby.Entry }
	if err := json.Unmarshal([]byte(get(t, base+"/api/v1/rooms")), &list); err != nil {
		t.Fatal(err)
	}
	rooms := make(map[string]string)
	for _, e := range list.Rooms {
		rooms[e.Name] = e.Node + " " + e.State
	}
	return rooms
}
