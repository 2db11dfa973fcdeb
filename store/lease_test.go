package store

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// steady is a pace at which no lease ends by itself, however busy the machine.
var steady = func() *pace {
	p := hurried
	p.lease = 4 * time.Second
	return &p
}()

// sequence returns how many writes a bucket has ever had.
func sequence(t testing.TB, c *Store, bucket string) uint64 {
	t.Helper()
	s, err := c.js().Stream(t.Context(), "KV_"+bucket)
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo().State.LastSeq
}

// leases returns the bucket.
func leases(t testing.TB, c *Store) jetstream.KeyValue {
	t.Helper()
	kv, err := c.js().KeyValue(t.Context(), leasesBucket)
	if err != nil {
		t.Fatal(err)
	}
	return kv
}

// leaseOf returns the ID of a node's lease.
func leaseOf(t testing.TB, c *Store) string {
	t.Helper()
	id := c.cluster.lease.sure()
	if id == "" {
		t.Fatal("no lease")
	}
	return id
}

// instance is one of many.
func instance(i int) string { return fmt.Sprint("room/r", i) }

// claimMany claims n instances, some at once.
func claimMany(t testing.TB, c *Store, n int, lost func()) (release []func()) {
	t.Helper()
	release = make([]func(), n)
	var wait sync.WaitGroup
	for worker := range 50 {
		wait.Go(func() {
			for i := worker; i < n; i += 50 {
				var err error
				if release[i], err = c.Claim(t.Context(), instance(i), lost); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wait.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return release
}

// However many claims a node has, it renews one thing.
func TestWritesOfManyClaims(t *testing.T) {
	t.Parallel()
	const claims, renewals = 200, 8
	e := startExternal(t)
	a := e.nodeAt(steady, "a")
	claimMany(t, a, claims, func() { t.Error("lost") })
	first, begun, written := sequence(t, a, leasesBucket), time.Now(), sequence(t, a, claimsBucket)
	eventually(t, "the lease is renewed", func() bool { return sequence(t, a, leasesBucket) >= first+renewals })
	if d := time.Since(begun); d < (renewals-1)*steady.renew*4/5 {
		t.Errorf("%d renewals in %v", renewals, d)
	}
	if now := sequence(t, a, claimsBucket); written != claims || now != written {
		t.Errorf("%d claims were written %d times, and %d times more", claims, written, now-written)
	}
	for i := range claims {
		if !a.Owns(instance(i)) {
			t.Errorf("%s is not owned", instance(i))
		}
	}
}

// Everything that a node had can be taken when its lease has ended.
func TestManyTakenOver(t *testing.T) {
	t.Parallel()
	const claims = 200
	e := startExternal(t)
	link := e.cable()
	a, b := e.node("a", link), e.node("b")
	var lost atomic.Int32
	claimMany(t, a, claims, func() { lost.Add(1) })
	begun := time.Now()
	link.setCut(true)
	eventually(t, "a's lease has ended", func() bool {
		owned, err := b.Find(t.Context(), instance(0))
		return err == nil && owned == nil
	})
	claimMany(t, b, claims, func() { t.Error("b lost one") })
	if d := time.Since(begun); d > hurried.lease+hang/2 {
		t.Errorf("took %v, the lease lasts %v", d, hurried.lease)
	}
	for i := range claims {
		if a.Owns(instance(i)) {
			t.Errorf("%s has two owners", instance(i))
		}
		eventually(t, "b owns it", func() bool { return b.Owns(instance(i)) })
	}
	link.setCut(false)
	eventually(t, "a finds out", func() bool { return lost.Load() == claims })
}

// A lease that NATS has lost has ended for good: instances that others have
// taken since are lost, and the rest is claimed under the next lease.
func TestLeaseEnds(t *testing.T) {
	t.Parallel()
	for _, gone := range []bool{false, true} {
		t.Run(fmt.Sprint("without a trace ", gone), func(t *testing.T) {
			t.Parallel()
			e := startExternal(t)
			a, b := e.nodeAt(steady, "a"), e.nodeAt(steady, "b")
			_, kept := claim(t, a, "room/kept")
			_, taken := claim(t, a, "room/taken")
			_, returned := claim(t, a, "room/returned")
			_, unchanged := claim(t, a, "room/unchanged")
			resume := stall(a)
			id := leaseOf(t, a)
			endLease(t, b, id, gone)
			claim(t, b, "room/taken")
			release, _ := claim(t, b, "room/returned")
			b.cluster.noteKept("room/returned")
			release()
			release, _ = claim(t, b, "room/unchanged") // and nothing was kept of it
			release()
			resume()
			eventually(t, "a has another lease", func() bool { now := a.cluster.lease.sure(); return now != "" && now != id })
			eventually(t, "a finds out", func() bool { return closed(taken) && closed(returned) })
			eventually(t, "a has the rest again", func() bool { return a.Owns("room/kept") && a.Owns("room/unchanged") })
			for _, instance := range []string{"room/taken", "room/returned"} {
				if a.Owns(instance) {
					t.Errorf("a still owns %s", instance)
				}
			}
			if _, err := b.Claim(t.Context(), "room/kept", nil); !ownedBy(err, "a") || closed(kept) {
				t.Errorf("what nobody took: %v, lost %v", err, closed(kept))
			}
			if closed(unchanged) {
				t.Error("a lost what nobody has changed")
			}
			if !b.Owns("room/taken") {
				t.Error("b lost what it took")
			}
		})
	}
}

// endLease ends a lease behind its node's back.
func endLease(t *testing.T, c *Store, id string, gone bool) {
	t.Helper()
	if err := leases(t, c).Delete(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if !gone {
		return
	}
	s, err := c.js().Stream(t.Context(), "KV_"+leasesBucket)
	if err == nil {
		err = s.Purge(t.Context(), jetstream.WithPurgeSubject("$KV."+leasesBucket+"."+id))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A node that finds a lease ended has made sure of it: not even the lease's own
// node, which does not know yet, can renew it. A lease that is alive cannot be
// ended that way.
func TestEndedForCertain(t *testing.T) {
	t.Parallel()
	e := startExternal(t)
	a, b := e.nodeAt(steady, "a"), e.nodeAt(steady, "b")
	resume := stall(a)
	defer resume()
	id := leaseOf(t, a)
	if _, err := b.swap(t.Context(), leasesBucket, part(id), nil, 0); !wrongSequence(err) {
		t.Errorf("a lease that was alive could be ended: %v", err)
	}
	if ended, err := b.ended(t.Context(), id); ended || err != nil {
		t.Errorf("alive: ended %v, %v", ended, err)
	}
	endLease(t, b, id, true)
	for range 2 { // first it is missing, then marked as ended
		if ended, err := b.ended(t.Context(), id); !ended || err != nil {
			t.Errorf("gone: ended %v, %v", ended, err)
		}
	}
	if m, err := b.entry(t.Context(), leasesBucket, part(id)); m == nil || err != nil {
		t.Errorf("nothing keeps it from being renewed: %v", err)
	}
	if err := a.cluster.lease.write(); !wrongSequence(err) {
		t.Errorf("it was renewed: %v", err)
	}
}

// When several nodes want the instances of a dead node, one gets each.
func TestDeadClaimHasOneTaker(t *testing.T) {
	t.Parallel()
	const claims = 60
	e := startExternal(t)
	a, b, dead := e.nodeAt(steady, "a"), e.nodeAt(steady, "b"), e.nodeAt(steady, "dead")
	claimMany(t, dead, claims, func() { t.Error("lost") })
	id := leaseOf(t, dead)
	if err := dead.Close(); err != nil {
		t.Fatal(err)
	}
	var taken [claims]atomic.Int32
	race := func(from, to int) {
		var wait sync.WaitGroup
		for _, c := range []*Store{a, b} {
			wait.Go(func() {
				for i := from; i < to; i++ {
					_, err := c.Claim(within(t, hang), instance(i), func() { t.Error("lost") })
					if err == nil {
						taken[i].Add(1)
					} else if !ownedBy(err, "a") && !ownedBy(err, "b") {
						t.Error(err)
					}
				}
			})
		}
		wait.Wait()
	}
	race(0, claims/2)
	eventually(t, "the lease is forgotten", func() bool {
		m, err := a.entry(t.Context(), leasesBucket, part(id))
		return err == nil && m == nil
	})
	race(claims/2, claims)
	for i := range taken {
		if n := taken[i].Load(); n != 1 {
			t.Errorf("%s has %d owners", instance(i), n)
		}
	}
}

// A claim that could not be given back because NATS did not answer is given
// back once it does.
func TestReleaseUnanswered(t *testing.T) {
	t.Parallel()
	e := startExternal(t)
	slowed := slowly(t, e.addr, 0)
	a, err := Open(t.Context(), Config{
		URL: "nats://" + slowed.addr, Node: "a", RTMP: "rtmp://a:1935",
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)).With("node", "a"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	b := e.nodeAt(nil, "b")
	release, _ := claim(t, a, "room/blue")
	id := leaseOf(t, a)
	slowed.hold(true)
	begun := time.Now()
	release()
	if d := time.Since(begun); d > tryTimeout+10*time.Second {
		t.Errorf("giving back took %v", d)
	}
	if _, err := b.Claim(t.Context(), "room/blue", nil); !ownedBy(err, "a") {
		t.Errorf("it could be given back: %v", err)
	}
	slowed.hold(false)
	eventually(t, "b gets it", func() bool {
		_, err := b.Claim(within(t, hang), "room/blue", nil)
		return err == nil
	})
	if now := leaseOf(t, a); now != id {
		t.Error("a lost its lease: that is another test")
	}
}

// BenchmarkClaims measures a node that claims 1,000 instances, keeps them for
// a while, writes them again when its lease has ended, and gives them back.
func BenchmarkClaims(b *testing.B) {
	const claims, kept = 1000, 6 * time.Second
	s := startNATS(b, b.TempDir(), "")
	c, err := Open(b.Context(), Config{URL: s.ClientURL(), Node: "a", RTMP: "rtmp://a:1935"})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	rate := func(n uint64, begun time.Time, unit string) {
		b.ReportMetric(float64(n)/time.Since(begun).Seconds(), unit)
	}
	written := func() uint64 { return sequence(b, c, claimsBucket) + sequence(b, c, leasesBucket) }
	for b.Loop() {
		begun := time.Now()
		release := claimMany(b, c, claims, func() { b.Error("lost") })
		rate(claims, begun, "claims/s")

		begun = time.Now()
		before := written()
		<-time.After(kept)
		rate(written()-before, begun, "writes/s")

		if err := leases(b, c).Delete(b.Context(), leaseOf(b, c)); err != nil {
			b.Fatal(err)
		}
		before = sequence(b, c, claimsBucket)
		for sequence(b, c, claimsBucket) == before {
			begun = time.Now()
		}
		for sequence(b, c, claimsBucket) < before+claims {
			<-time.After(time.Millisecond)
		}
		rate(claims, begun, "again/s")

		begun = time.Now()
		var wait sync.WaitGroup
		for _, r := range release {
			wait.Go(r)
		}
		wait.Wait()
		rate(claims, begun, "releases/s")
	}
}
