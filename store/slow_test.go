package store

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"time"
)

// A lag is a connection over which everything takes a while, and at times
// nothing comes through: it arrives later, as with TCP.
type lag struct {
	addr  string
	delay time.Duration // each way

	mu    sync.Mutex
	stuck chan struct{} // guarded by mu: closed when answers come through
}

// slowly puts a lag in front of a server.
func slowly(t *testing.T, to string, delay time.Duration) *lag {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &lag{addr: ln.Addr().String(), delay: delay, stuck: make(chan struct{})}
	close(l.stuck)
	var jobs sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	jobs.Go(func() {
		for {
			from, err := ln.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("tcp", to)
			if err != nil {
				from.Close()
				continue
			}
			mu.Lock()
			conns = append(conns, from, to)
			mu.Unlock()
			jobs.Go(func() { l.pass(to, from, false) })
			jobs.Go(func() { l.pass(from, to, true) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		l.hold(false)
		mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		mu.Unlock()
		jobs.Wait()
	})
	return l
}

// hold holds all answers up, or lets them go.
func (l *lag) hold(on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if on {
		l.stuck = make(chan struct{})
	} else if !closed(l.stuck) {
		close(l.stuck)
	}
}

// pass passes on what comes, in order, each piece when its time has come.
func (l *lag) pass(to io.WriteCloser, from io.ReadCloser, answers bool) {
	type piece struct {
		data []byte
		due  time.Time
	}
	pieces := make(chan piece, 1<<12) // of one delay: far more than a test sends in it
	var writing sync.WaitGroup
	writing.Go(func() {
		for p := range pieces {
			time.Sleep(time.Until(p.due))
			if answers {
				l.mu.Lock()
				stuck := l.stuck
				l.mu.Unlock()
				<-stuck
			}
			if _, err := to.Write(p.data); err != nil {
				from.Close()
			}
		}
		to.Close()
	})
	for {
		buf := make([]byte, 1<<16)
		n, err := from.Read(buf)
		if n > 0 {
			pieces <- piece{buf[:n], time.Now().Add(l.delay)}
		}
		if err != nil {
			break
		}
	}
	close(pieces)
	writing.Wait()
}

// A talk notes what was said in a room, and what became of it.
type talk struct {
	mu      sync.Mutex
	stored  map[string]uint64 // answered with an id
	refused map[string]error
	found   []string // after it had been refused
	longest time.Duration
}

func newTalk() *talk { return &talk{stored: make(map[string]uint64), refused: make(map[string]error)} }

// heard is called with found messages, see OpenRoom.
func (k *talk) heard(m []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.found = append(k.found, string(m))
}

// say says something without waiting, and notes the answer.
func (k *talk) say(r *Room, text string, answered *sync.WaitGroup) {
	answered.Add(1)
	begun := time.Now()
	r.Append(func(id uint64) []byte { return fmt.Appendf(nil, "%d %s", id, text) }, func(id uint64, err error) {
		k.mu.Lock()
		defer k.mu.Unlock()
		defer answered.Done()
		k.longest = max(k.longest, time.Since(begun))
		if err != nil {
			k.refused[text] = err
			return
		}
		k.stored[text] = id
	})
}

// check compares it with the history that another node reads.
func (k *talk) check(t *testing.T, c *Store, room string) {
	t.Helper()
	r := open(t, c, room)
	defer r.Close()
	messages, complete, _, err := r.Page(t.Context(), 0, -1, 1000)
	if err != nil || !complete {
		t.Fatalf("complete %v, %v", complete, err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	there := make(map[string]uint64)
	for _, m := range messages {
		var id uint64
		var text string
		if _, err := fmt.Sscan(string(m), &id, &text); err != nil {
			t.Fatal(err)
		}
		if there[text] != 0 {
			t.Errorf("%s is there twice", text)
		}
		there[text] = id
		if k.stored[text] != id && !slices.Contains(k.found, string(m)) {
			t.Errorf("%q is there, and who said it knows of %d", m, k.stored[text])
		}
	}
	for text, id := range k.stored {
		if there[text] != id {
			t.Errorf("%s was stored as %d, and is there as %d", text, id, there[text])
		}
	}
	for text, err := range k.refused {
		if err == nil || err.Error() == "" {
			t.Errorf("%s was refused without a reason", text)
		}
	}
	t.Logf("%d stored, %d refused, of which %d were found later; the longest answer took %v", len(k.stored), len(k.refused), len(k.found), k.longest)
}

// TestNATSSlow: a NATS that takes 600 ms for everything works. When NATS is
// silent for a while, messages are answered late or refused, and none is stored
// twice. The node keeps the room, unless the silence is longer than its lease.
func TestNATSSlow(t *testing.T) {
	slow(t)
	t.Parallel()
	e := startExternal(t)
	slowed := slowly(t, e.addr, 300*time.Millisecond)
	p := defaultPace // but for a busy machine, which is silent itself at times
	p.lease = 10 * time.Second
	a, err := Open(t.Context(), Config{
		URL: "nats://" + slowed.addr, Node: "a", RTMP: "rtmp://a:1935", patience: hang, pace: &p,
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)).With("node", "a"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	b := e.nodeAt(&p, "b")
	eventually(t, "it is ready", func() bool { return a.Ready() == nil })

	lost := make(chan struct{})
	begun := time.Now()
	if _, err := a.Claim(within(t, hang), "room/blue", func() { close(lost) }); err != nil {
		t.Fatal(err)
	}
	t.Logf("claimed in %v", time.Since(begun))
	k := newTalk()
	begun = time.Now()
	var r *Room
	eventually(t, "the room opens", func() bool {
		r, err = a.OpenRoom(t.Context(), "blue", k.heard)
		return err == nil
	})
	t.Logf("opened in %v", time.Since(begun))
	var answered sync.WaitGroup
	for i := range 8 {
		k.say(r, fmt.Sprint("slow", i), &answered)
	}
	answered.Wait()
	if len(k.stored) != 8 || a.Ready() != nil || !a.Owns("room/blue") {
		t.Errorf("slow is not away: %v, ready %v, owner %v", k.refused, a.Ready(), a.Owns("room/blue"))
	}

	slowed.hold(true)
	for i := range 4 {
		k.say(r, fmt.Sprint("silent", i), &answered)
	}
	<-time.After(4 * time.Second)
	slowed.hold(false)
	answered.Wait()
	if _, err := b.Claim(within(t, hang), "room/blue", nil); !ownedBy(err, "a") || closed(lost) {
		t.Errorf("after 4 s of silence: %v", err)
	}
	eventually(t, "it is well again", func() bool { return a.Ready() == nil && a.Owns("room/blue") })
	for i := range 3 {
		k.say(r, fmt.Sprint("again", i), &answered)
	}
	answered.Wait()

	slowed.hold(true)
	k.say(r, "last0", &answered)
	eventually(t, "b gets it", func() bool {
		_, err := b.Claim(within(t, hang), "room/blue", nil)
		return err == nil
	})
	k.say(r, "last1", &answered)
	fresh := open(t, b, "blue") // fences
	slowed.hold(false)
	eventually(t, "a finds out", func() bool { return closed(lost) })
	answered.Wait()
	if _, err := say(r, "late"); !errors.Is(err, ErrElsewhere) {
		t.Errorf("the former owner said something: %v", err)
	}
	fresh.Close()
	r.Close()
	k.check(t, b, "blue")
}

// TestNATSAwayLong: NATS is away for a while, with FOYER_SLOW=1 for a minute.
// Everything said meanwhile is refused in time, with the reason, and afterwards
// all is as before.
func TestNATSAwayLong(t *testing.T) {
	t.Parallel()
	away, patient, pause := 2*time.Second, 4*time.Second, 300*time.Millisecond
	if os.Getenv("FOYER_SLOW") == "1" && !testing.Short() {
		away, patient, pause = time.Minute, patience, 5*time.Second
	}
	e := startExternal(t)
	c, err := Open(t.Context(), Config{
		URL: "nats://" + e.addr, Node: "a", RTMP: "rtmp://a:1935", patience: patient,
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_, lost := claim(t, c, "room/blue")
	k := newTalk()
	r, err := c.OpenRoom(t.Context(), "blue", k.heard)
	if err != nil {
		t.Fatal(err)
	}
	view := make(chan bool, 100)
	defer c.Directory().Watch(func(string, []byte) {}, func(fresh bool) { view <- fresh })()
	var answered sync.WaitGroup
	k.say(r, "before", &answered)
	answered.Wait()
	e.stop()
	for end := time.Now().Add(away); time.Now().Before(end); <-time.After(pause) {
		k.say(r, fmt.Sprint("away", time.Until(end)), &answered)
	}
	saved := make(chan error, 1)
	r.Save([]byte("state"), func(err error) { saved <- err })
	if c.Ready() == nil || c.Owns("room/blue") && away > defaultPace.lease || closed(lost) {
		t.Errorf("away: ready %v, owner %v, lost %v", c.Ready(), c.Owns("room/blue"), closed(lost))
	}
	if err := <-saved; err == nil {
		t.Error("the state was saved nowhere")
	}
	answered.Wait()
	e.start()
	eventually(t, "it is ready", func() bool { return c.Ready() == nil && c.Owns("room/blue") })
	k.say(r, "after", &answered)
	answered.Wait()
	if err := save(r, "state"); err != nil || closed(lost) {
		t.Errorf("after: %v, lost %v", err, closed(lost))
	}
	for fresh := false; !fresh || len(view) > 0; {
		select {
		case fresh = <-view:
		case <-time.After(hang):
			t.Fatal("the directory is not told again")
		}
	}
	if len(k.stored) != 2 || k.longest > patient+hang {
		t.Errorf("stored %v; the longest answer took %v", k.stored, k.longest)
	}
	r.Close()
	k.check(t, c, "blue")
}
