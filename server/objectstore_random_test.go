package server

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"foyer/server/amf"
	"foyer/server/rtmp"
	"foyer/server/sharedobject"

	"github.com/google/go-cmp/cmp"
)

// TestHistoriesOfKeptObjects: users write, leave and come back, saves are slow
// and fail, the server is stopped or dies. In the end all see the same, which
// is what the store has, and nothing that was acknowledged is lost.
func TestHistoriesOfKeptObjects(t *testing.T) {
	for seed := range uint64(200) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { newHistory(t, seed).run() })
		})
	}
}

// A history is a series of events for one object and its users. Each user also
// writes a slot that nobody else writes, so that slot must be as the user was
// last told.
type history struct {
	t     *testing.T
	r     *rand.Rand
	s     *fakeStore
	h     *Host
	app   *sharingApp
	users []*keptUser
	n     int

	mu    sync.Mutex // guards fails: the store asks from other goroutines
	fails int        // in percent
}

type keptUser struct {
	own     string
	c       *Client
	p       *fakePeer
	replica sharedobject.Replica
	acked   amf.Value   // what own was last told to be; nil: nothing
	asked   []amf.Value // for own, without an answer, in order
}

func newHistory(t *testing.T, seed uint64) *history {
	y := &history{t: t, r: rand.New(rand.NewPCG(seed, 4))}
	random := rand.New(rand.NewPCG(seed, 5)) // under the store's lock
	y.s = &fakeStore{
		delay: func() time.Duration { return time.Duration(random.IntN(30)) * time.Millisecond },
		fail: func() error {
			y.mu.Lock()
			defer y.mu.Unlock()
			if random.IntN(100) < y.fails {
				return errDiskFull
			}
			return nil
		},
		lies: func() bool { return random.IntN(2) == 0 },
	}
	y.h, y.app = storing(t, y.s)
	for i := range 4 {
		y.users = append(y.users, &keptUser{own: fmt.Sprint("own", i)})
	}
	return y
}

func (y *history) failing(percent int) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.fails = percent
}

func (y *history) run() {
	for range 300 {
		u := y.users[y.r.IntN(len(y.users))]
		switch n := y.r.IntN(100); {
		case n < 55:
			y.ask(u)
		case n < 75:
			time.Sleep(time.Duration(y.r.IntN(20)) * time.Millisecond)
		case n < 90:
			y.hear(u)
		case n < 94:
			y.leave(u)
		case n < 96:
			y.failing(y.r.IntN(3) * 40)
		case n < 97:
			y.restart(true)
		case n < 98:
			y.restart(false)
		}
	}
	y.failing(0)
	y.settle()
	for _, u := range y.users {
		// From version 0: a Status names no slot, so a replica may have taken one
		// for another of its requests, as sharedobject.Replica says.
		y.drop(u)
		u.replica = sharedobject.Replica{}
		y.join(u)
	}
	y.settle()
	want := y.users[0].replica.Slots
	for _, u := range y.users {
		if diff := cmp.Diff(want, u.replica.Slots); diff != "" {
			y.t.Errorf("%s differs:\n%s", u.own, diff)
		}
	}
	stopHost(y.h)
	all, _, _ := y.s.LoadObjects(context.Background(), "app/x")
	got := map[string]amf.Value{}
	if data := all["public/x"]; data != nil {
		o, err := sharedobject.Restore[int]("public/x", data)
		if err != nil {
			y.t.Fatal(err)
		}
		for _, slot := range o.Slots() {
			got[slot], _ = o.Value(slot)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		y.t.Errorf("-told +stored\n%s", diff)
	}
}

// settle waits until everything has been stored and heard.
func (y *history) settle() {
	time.Sleep(2 * retrySave)
	for _, u := range y.users {
		y.hear(u)
	}
}

func (y *history) join(u *keptUser) {
	if u.c != nil {
		return
	}
	u.c, u.p = join(y.t, y.h)
	u.replica = sharedobject.Replica{Version: u.replica.Version, Slots: u.replica.Slots}
	y.send(u, sharedobject.Event{Type: sharedobject.Use})
}

func (y *history) send(u *keptUser, e sharedobject.Event) {
	u.replica.Request(e)
	m := askKept("public/x", e)
	m.Version = u.replica.Version
	u.c.ServeSharedObject(m)
}

func (y *history) ask(u *keptUser) {
	y.join(u)
	y.n++
	switch n := y.r.IntN(20); {
	case n < 10:
		u.asked = append(u.asked, amf.Number(y.n))
		y.send(u, set(u.own, amf.Number(y.n)))
	case n < 15:
		y.send(u, set(fmt.Sprint(y.r.IntN(4)), amf.Number(y.n)))
	case n < 18:
		// One that only this user removes, for the sake of Replica, which would
		// take another's for its own that was refused. The same goes for sends.
		y.send(u, sharedobject.Event{Type: sharedobject.RequestRemove, Slot: strings.TrimPrefix(u.own, "own")})
	default:
		y.send(u, sharedobject.Event{Type: sharedobject.SendMessage, Method: u.own})
	}
}

// hear applies what a user was told.
func (y *history) hear(u *keptUser) {
	if u.c == nil {
		return
	}
	synctest.Wait()
	u.p.mu.Lock()
	pushed := u.p.pushed
	u.p.pushed = nil
	u.p.mu.Unlock()
	for _, push := range pushed {
		if push.SharedObject == nil {
			continue
		}
		for _, sync := range u.replica.Apply(push.SharedObject) {
			switch {
			case sync.Slot != u.own:
			case sync.Code == sharedobject.SyncSuccess:
				u.acked = u.replica.Slots[u.own]
			case sync.Status != "" && sync.Status != sharedobject.CodeFlushFailed:
				y.t.Errorf("%s hears %+v", u.own, sync)
			}
		}
		// A slot that was acknowledged is told to a user that comes back, or a
		// value that was asked for later and not answered.
		if use := push.SharedObject.Events[0].Type == sharedobject.UseSuccess; use {
			got := u.replica.Slots[u.own]
			if got != u.acked && !slices.Contains(u.asked, got) {
				y.t.Errorf("%s is %v, acknowledged was %v", u.own, got, u.acked)
			}
			u.acked = got
		}
	}
}

func (y *history) leave(u *keptUser) {
	if u.c == nil {
		return
	}
	y.hear(u)
	y.drop(u)
}

// drop loses everything that a user has not heard.
func (y *history) drop(u *keptUser) {
	if u.c != nil {
		u.c.Leave(rtmp.ErrClosed)
		u.c = nil
	}
}

// restart stops the server, or lets it die with changes that are not stored.
func (y *history) restart(dies bool) {
	for _, u := range y.users {
		y.hear(u)
	}
	old := y.h
	if dies {
		y.s = y.s.crash()
	}
	for _, u := range y.users {
		y.drop(u)
	}
	stopHost(old)
	y.h, y.app = storing(y.t, y.s)
}
