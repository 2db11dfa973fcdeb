package site

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"foyer/client"
	"foyer/room"
	"foyer/server/amf"
	"foyer/server/rtmp"
)

// What TestKill does, as often as FOYER_TEST_ROUNDS says, or killRounds.
const (
	killRounds = 3
	killRooms  = 5
	killPeople = 3 // at once in each
	// Before a kill people talk for this long at most, and at least for the share.
	killTalk, minTalk = 500 * time.Millisecond, 0.2
	// earlyKills is the share of the servers that are killed while they start,
	// within earlyKill.
	earlyKills, earlyKill = 0.2, 150 * time.Millisecond
)

// TestKill kills a server again and again while people talk, sometimes while it
// starts. They say what a room lets them say at once, wait for each answer, and
// go; others come after them. Every message that was acknowledged must be there,
// once, with its id, in order. One whose answer the kill cut off may be there or
// not; if it is, it has to stay.
//
// This shows what the end of the process does, not that of the power: what the
// system has taken, it keeps.
func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("starts servers")
	}
	t.Parallel()
	rounds := killRounds
	if n := os.Getenv("FOYER_TEST_ROUNDS"); n != "" {
		var err error
		if rounds, err = strconv.Atoi(n); err != nil {
			t.Fatal(err)
		}
	}
	seed := rand.Uint64()
	k := &killing{t: t, data: t.ArtifactDir(), random: rand.New(rand.NewPCG(seed, 0))}
	for i := range killRooms {
		k.ledgers = append(k.ledgers, newLedger(fmt.Sprintf("room%d", i+1)))
	}
	t.Logf("the seed is %d", seed)
	t.Logf("%5s %9s %8s %s", "round", "killed in", "ready in", tallyHead)
	server := k.start()
	for round := 1; round <= rounds && !t.Failed(); round++ {
		length := time.Duration((minTalk + (1-minTalk)*k.random.Float64()) * float64(killTalk))
		k.talk(server, length)
		server = k.start()
		found := k.check(server.rtmp, false)
		t.Logf("%5d %9v %8v %s", round, length.Round(time.Millisecond), server.took.Round(time.Millisecond), found)
	}
	if !t.Failed() { // what is wrong in a round would only be found again
		t.Logf("%5s %9s %8s %s", "all", "", "", k.check(server.rtmp, true))
	}
}

// A killing is one run of the test.
type killing struct {
	t       *testing.T
	data    string
	random  *rand.Rand
	ledgers []*ledger
	visitor atomic.Int64 // numbers the nicks
}

// start starts the server, after one that is killed while it starts, maybe.
func (k *killing) start() *victim {
	k.t.Helper()
	for {
		server, err := startVictim(k.data, nil)
		if err != nil {
			k.t.Fatal(err)
		}
		k.t.Cleanup(server.kill)
		if k.random.Float64() >= earlyKills {
			if err := server.await(k.t.Context()); err != nil {
				k.t.Fatal(err)
			}
			return server
		}
		time.Sleep(time.Duration(k.random.Float64() * float64(earlyKill)))
		server.kill()
	}
}

// talk has people talk in every room until the server is killed, after length.
// The server has ended when it returns.
func (k *killing) talk(server *victim, length time.Duration) {
	k.t.Helper()
	ctx, stop := context.WithCancel(k.t.Context())
	defer stop()
	var people errgroup.Group
	for _, l := range k.ledgers {
		for person := range killPeople {
			people.Go(func() error { return k.chatter(ctx, server.rtmp+"/room/"+l.room, l, person+1) })
		}
	}
	select {
	case <-time.After(length):
	case <-server.ended:
		k.t.Errorf("the server ended by itself; its log ends with\n%s", strings.Join(server.log, "\n"))
	}
	server.kill()
	stop() // anybody who is dialling
	if err := people.Wait(); err != nil {
		k.t.Error(err)
	}
}

// chatter is one person's place in a room: visitor after visitor says what a
// newcomer may say at once. It ends with the server.
func (k *killing) chatter(ctx context.Context, uri string, l *ledger, person int) error {
	for {
		nick := fmt.Sprintf("visitor%d", k.visitor.Add(1))
		nc, err := client.Dial(ctx, uri, client.Options{}, amf.String(nick))
		if status, no := errors.AsType[*rtmp.StatusError](err); no {
			return fmt.Errorf("%s let nobody in: %w", l.room, status)
		}
		if err != nil {
			return nil // the server is gone
		}
		for range room.Burst {
			text := l.ask(person)
			answer, err := nc.Call(ctx, "say", amf.String(text))
			if _, no := errors.AsType[*rtmp.StatusError](err); err != nil && !no {
				nc.Close()
				return nil // the server is gone, and nobody knows whether it has the message
			}
			if err == nil {
				l.answered(text, int(number(answer, "id")))
			}
		}
		nc.Close()
	}
}

// check reads what is new in the history of every room, or all of it, and
// compares it with what was said.
func (k *killing) check(rtmp string, all bool) *tally {
	k.t.Helper()
	found := new(tally)
	for _, l := range k.ledgers {
		after := l.last
		if all {
			after = 0
		}
		history, epoch, complete, err := readHistory(k.t.Context(), rtmp+"/room/"+l.room, after)
		if err != nil {
			k.t.Fatalf("reading the history of %s: %v", l.room, err)
		}
		l.check(after, history, epoch, complete, found)
	}
	for _, example := range found.examples {
		k.t.Error(example)
	}
	if found.acknowledged == 0 {
		k.t.Error("nothing was acknowledged, so nothing could be lost")
	}
	return found
}
