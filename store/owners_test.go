package store

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// claim claims an instance, or fails the test.
func claim(t *testing.T, c *Store, instance string) (release func(), lost chan struct{}) {
	t.Helper()
	lost = make(chan struct{})
	release, err := c.Claim(within(t, hang), instance, func() { close(lost) })
	if err != nil {
		t.Fatal(err)
	}
	return release, lost
}

// Owns reports whether a node certainly owns an instance at this moment. It
// returns false for a while when NATS is away, or when the process was stopped.
func (s *Store) Owns(instance string) bool {
	if s.cluster == nil {
		return true
	}
	o := s.cluster.ownership(instance)
	return o != nil && o.sure()
}

// ownedBy reports whether err says that node has it.
func ownedBy(err error, node string) bool {
	e, ok := errors.AsType[*OwnedError](err)
	return ok && *e == OwnedError{Node: node, RTMP: "rtmp://" + node + ":1935"}
}

func closed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestClaimAlone(t *testing.T) {
	c := start(t, t.TempDir())
	release, err := c.Claim(t.Context(), "room/blue", func() { t.Error("lost") })
	if err != nil || !c.Owns("room/blue") {
		t.Errorf("claim: %v", err)
	}
	release()
}

func TestClaimHasOneOwner(t *testing.T) {
	t.Parallel()
	e := startExternal(t)
	nodes := []*Store{e.node("a"), e.node("b"), e.node("c")}
	for round := range 60 {
		instance := fmt.Sprintf("room/r.%d", round)
		var begin, end sync.WaitGroup
		var won atomic.Int32
		var winner atomic.Value
		errs := make([]error, len(nodes))
		begin.Add(1)
		for i, c := range nodes {
			end.Go(func() {
				begin.Wait()
				if _, errs[i] = c.Claim(within(t, hang), instance, func() { t.Error("lost") }); errs[i] == nil {
					won.Add(1)
					winner.Store(c.cfg.Node)
				}
			})
		}
		begin.Done()
		end.Wait()
		if won.Load() != 1 {
			t.Fatalf("round %d: %d owners: %v", round, won.Load(), errs)
		}
		for _, err := range errs {
			if err != nil && !ownedBy(err, winner.Load().(string)) {
				t.Fatalf("round %d: %v, owner %v", round, err, winner.Load())
			}
		}
	}
}

func TestReleaseAndClaimAtOnce(t *testing.T) {
	t.Parallel()
	e := startExternal(t)
	a, b := e.node("a"), e.node("b")
	release, _ := claim(t, a, "room/blue")
	if _, err := b.Claim(t.Context(), "room/blue", nil); !ownedBy(err, "a") {
		t.Fatalf("got %v", err)
	}
	if !a.Owns("room/blue") || b.Owns("room/blue") {
		t.Error("owns: wrong")
	}
	release()
	release() // does nothing
	if a.Owns("room/blue") {
		t.Error("owns what it gave back")
	}
	begun := time.Now()
	again, _ := claim(t, b, "room/blue")
	if d := time.Since(begun); d >= hurried.lease {
		t.Errorf("took %v after a release", d)
	}
	again()
	claim(t, b, "room/blue") // the same node again
}

func TestClaimIsRenewed(t *testing.T) {
	t.Parallel()
	e := startExternal(t)
	a, b := e.node("a"), e.node("b")
	_, lost := claim(t, a, "room/blue")
	for end := time.Now().Add(2 * hurried.lease); time.Now().Before(end); <-time.After(hurried.renew) {
		if _, err := b.Claim(t.Context(), "room/blue", nil); !ownedBy(err, "a") || !a.Owns("room/blue") || closed(lost) {
			t.Fatalf("got %v", err)
		}
	}
}

func TestOwnerVanishes(t *testing.T) {
	t.Parallel()
	e := startExternal(t)
	link := e.cable()
	a, b := e.node("a", link), e.node("b")
	_, lost := claim(t, a, "room/blue")
	link.setCut(true)
	begun := time.Now()
	eventually(t, "b gets it", func() bool {
		_, err := b.Claim(within(t, hang), "room/blue", func() { t.Error("b lost it") })
		if err != nil && !ownedBy(err, "a") {
			t.Fatal(err)
		}
		return err == nil
	})
	if d := time.Since(begun); d > 4*hurried.lease {
		t.Errorf("took %v, the lease lasts %v", d, hurried.lease)
	}
	if a.Owns("room/blue") {
		t.Error("two owners at a time")
	}
	if closed(lost) {
		t.Error("lost before anybody could know")
	}
	link.setCut(false)
	eventually(t, "a finds out", func() bool { return closed(lost) })
	if !b.Owns("room/blue") {
		t.Error("b does not have it")
	}
}

// A node that was restarted waits until its earlier claims have ended.
func TestEarlierProcess(t *testing.T) {
	t.Parallel()
	e := startExternal(t)
	link := e.cable()
	old := e.node("a", link)
	again := e.node("a")
	claim(t, old, "room/blue")
	link.setCut(true)
	if _, err := again.Claim(within(t, hurried.lease/2), "room/blue", nil); !errors.Is(err, errEarlier) {
		t.Errorf("got %v", err)
	}
	claim(t, again, "room/blue")
}

// stall holds up the renewals of a node, as if its process were stopped.
func stall(c *Store) (resume func()) {
	gate := make(chan struct{})
	c.cluster.stalled.Store(&gate)
	return func() { c.cluster.stalled.Store(nil); close(gate) }
}

func TestOwnerPaused(t *testing.T) {
	t.Parallel()
	e := startExternal(t)
	a, b := e.node("a"), e.node("b")
	_, lost := claim(t, a, "room/blue")
	resume := stall(a)
	eventually(t, "a is not sure any more", func() bool { return !a.Owns("room/blue") })
	eventually(t, "b gets it", func() bool {
		_, err := b.Claim(within(t, hang), "room/blue", nil)
		return err == nil
	})
	resume()
	eventually(t, "a finds out", func() bool { return closed(lost) })
}

// An instance that others had, stored something of and gave back while a node
// was away is no longer the node's, even when nothing is left of their lease.
func TestOwnerPausedForLong(t *testing.T) {
	t.Parallel()
	e := startExternal(t)
	a, b := e.node("a"), e.node("b")
	_, lost := claim(t, a, "room/blue")
	resume := stall(a)
	var release func()
	eventually(t, "b gets it", func() (ok bool) {
		r, err := b.Claim(within(t, hang), "room/blue", nil)
		release = r
		return err == nil
	})
	b.cluster.noteKept("room/blue")
	release()
	eventually(t, "a's lease is forgotten", func() bool {
		m, err := b.entry(t.Context(), leasesBucket, part(a.cluster.lease.id))
		return err == nil && m == nil
	})
	resume()
	eventually(t, "a finds out", func() bool { return closed(lost) })
}

func TestClaimNATSAway(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		empty bool
	}{{"and back", false}, {"and back empty", true}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := startExternal(t)
			a, b := e.node("a"), e.node("b")
			_, lost := claim(t, a, "room/blue")
			e.stop()
			eventually(t, "a is not sure any more", func() bool { return !a.Owns("room/blue") })
			if _, err := b.Claim(within(t, 50*time.Millisecond), "room/blue", nil); err == nil || ownedBy(err, "a") {
				t.Errorf("claimed with NATS away: %v", err)
			}
			if closed(lost) {
				t.Error("lost with NATS away")
			}
			if c.empty {
				e.dir = t.TempDir()
			}
			e.start()
			// b asks as soon as it can, and a must be first nevertheless.
			if _, err := b.Claim(within(t, hang), "room/blue", nil); !ownedBy(err, "a") {
				t.Errorf("got %v", err)
			}
			eventually(t, "a has it again", func() bool { return a.Owns("room/blue") })
			if closed(lost) {
				t.Error("lost although nobody else had it")
			}
		})
	}
}

// A NATS that came back empty gives out the same revisions again: a node does
// not mistake another's claim for its own.
func TestTakenFromEmptyNATS(t *testing.T) {
	t.Parallel()
	e := startExternal(t)
	link := e.cable()
	a, b := e.node("a", link), e.node("b")
	revision := func() uint64 {
		m, err := b.entry(t.Context(), claimsBucket, token("room/blue"))
		if err != nil || m == nil {
			t.Fatalf("no claim: %v", err)
		}
		return m.seq
	}
	_, lost := claim(t, a, "room/blue")
	before := revision()
	link.setCut(true)
	e.restart(true)
	claim(t, b, "room/blue")
	if now := revision(); now != before {
		t.Logf("b had to write twice: its claim is %d, a's was %d, and this shows little", now, before)
	}
	link.setCut(false)
	eventually(t, "a finds out", func() bool { return closed(lost) })
	eventually(t, "b has it", func() bool { return b.Owns("room/blue") })
	if a.Owns("room/blue") {
		t.Error("two owners")
	}
}

// A waiting claim does not need to be told when NATS is back.
func TestClaimWaitsForNATS(t *testing.T) {
	t.Parallel()
	e := startExternal(t)
	a := e.node("a")
	e.stop()
	done := make(chan error, 1)
	go func() {
		_, err := a.Claim(within(t, hang), "room/blue", nil)
		done <- err
	}()
	e.start()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestCloseGivesBack(t *testing.T) {
	t.Parallel()
	e := startExternal(t)
	a, b := e.node("a"), e.node("b")
	claim(t, a, "room/blue")
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	claim(t, b, "room/blue") // an owner, or a former one, would be reported at once
}

// A former owner's message is refused once another node has claimed and opened
// the room.
func TestClaimFencesChat(t *testing.T) {
	t.Parallel()
	e := startExternal(t)
	a, b := e.node("a"), e.node("b")
	_, lost := claim(t, a, "room/b.lue")
	old, err := a.OpenRoom(t.Context(), "b.lue", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := say(old, "mine"); err != nil {
		t.Fatal(err)
	}
	resume := stall(a)
	eventually(t, "b gets it", func() bool {
		_, err := b.Claim(within(t, hang), "room/b.lue", nil)
		return err == nil
	})
	if _, err := b.OpenRoom(t.Context(), "b.lue", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := say(old, "late"); !errors.Is(err, ErrElsewhere) {
		t.Errorf("the former owner could write: %v", err)
	}
	resume()
	eventually(t, "a finds out", func() bool { return closed(lost) })
}

func TestFind(t *testing.T) {
	t.Parallel()
	e := startExternal(t)
	a, b := e.node("a"), e.node("b")
	find := func(c *Store) *OwnedError {
		t.Helper()
		owned, err := c.Find(t.Context(), "room/blue")
		if err != nil {
			t.Fatal(err)
		}
		return owned
	}
	if got := find(b); got != nil {
		t.Errorf("before the first claim: %v", got)
	}
	release, _ := claim(t, a, "room/blue")
	if got := find(b); got == nil || *got != (OwnedError{"a", "rtmp://a:1935"}) {
		t.Errorf("got %v", got)
	}
	if got := find(a); got != nil {
		t.Errorf("its own: %v", got)
	}
	release()
	if got := find(b); got != nil {
		t.Errorf("released: %v", got)
	}
}

// A claim that cannot be read, as of another version, is nobody's.
func TestClaimUnreadable(t *testing.T) {
	t.Parallel()
	e := startExternal(t)
	a, b := e.node("a"), e.node("b")
	if _, err := a.swap(t.Context(), claimsBucket, token("room/blue"), []byte("JUNK"), 0); err != nil {
		t.Fatal(err)
	}
	if got, err := a.Find(t.Context(), "room/blue"); got != nil || err != nil {
		t.Errorf("found %v, %v", got, err)
	}
	claim(t, a, "room/blue")
	if _, err := b.Claim(t.Context(), "room/blue", nil); !ownedBy(err, "a") {
		t.Errorf("got %v", err)
	}
}
