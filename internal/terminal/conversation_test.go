package terminal

import (
	"context"
	crand "crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"foyer/room"
	"foyer/server"
	"foyer/server/amf"
	"foyer/server/rtmp"
	"foyer/server/rtmp/rtmptest"
)

// A wire is between a conversation and its server; it can be cut.
type wire struct {
	conns chan net.Conn
	done  chan struct{}
	host  *server.Host

	// guarded by mu
	mu   sync.Mutex
	open []net.Conn
	down bool // nobody can be reached
}

func (w *wire) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.down {
		return nil, errors.New("unreachable")
	}
	here, there := rtmptest.Pipe()
	select {
	case w.conns <- there: // Accept takes it without mu
		w.open = append(w.open, here)
		return here, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// cut ends the i-th connection that was dialled. While the wire is down,
// nobody comes back.
func (w *wire) cut(i int, down bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down = down
	w.open[i].Close()
}

// forward makes the wire lead to another server.
func (w *wire) forward(to *wire) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conns = to.conns
}

func (w *wire) up() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down = false
}

// Accept implements net.Listener.
func (w *wire) Accept() (net.Conn, error) {
	select {
	case c := <-w.conns:
		return c, nil
	case <-w.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (w *wire) Close() error   { close(w.done); return nil }
func (w *wire) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1935} }

// roomServer serves rooms over a wire in a bubble. stop stops it and waits.
func roomServer(t *testing.T) (w *wire, stop func()) { return keptServer(t, nil) }

// keptServer is roomServer with a memory that outlives it.
func keptServer(t *testing.T, memory *room.Memory) (w *wire, stop func()) {
	cfg := room.Config{AdminToken: "token"}
	if memory != nil {
		cfg.Open = memory.Open
	}
	return serveRooms(t, cfg)
}

func serveRooms(t *testing.T, cfg room.Config) (w *wire, stop func()) {
	w = &wire{conns: make(chan net.Conn), done: make(chan struct{})}
	host := &server.Host{Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	host.Handle("room", func() server.Application { return room.New(cfg) })
	w.host = host
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan struct{})
	go func() {
		defer close(served)
		host.Serve(ctx, w)
	}()
	return w, func() {
		host.Stop(ctx)
		cancel()
		<-served
	}
}

// A guest is a conversation under test and what happened to it.
type guest struct {
	*conversation
	leave func() error // leaves and waits

	// guarded by mu
	mu     sync.Mutex
	events []event
}

// come starts a conversation.
func come(t *testing.T, w *wire, nick, token string, history int) *guest {
	g := &guest{conversation: &conversation{uri: "rtmp://localhost/room/blue", nick: nick, token: token, history: history, dialer: w.dial}}
	g.emit = func(e event) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.events = append(g.events, e)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.run(ctx) }()
	g.leave = func() error {
		cancel()
		return <-ended
	}
	synctest.Wait()
	return g
}

// saw are the texts of what happened of that kind.
func (g *guest) saw(kind string) (texts []string) {
	synctest.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, e := range g.events {
		if e.Type == kind {
			texts = append(texts, e.Text)
		}
	}
	return texts
}

func mustSay(t *testing.T, g *guest, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if err := g.say(t.Context(), line, crand.Text()); err != nil {
			t.Errorf("saying %q: %v", line, err)
		}
	}
}

// Messages that are said while the connection is lost are shown when it is back,
// once and in order.
func TestConversationClosesGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, stop := roomServer(t)
		defer stop()
		bob := come(t, w, "bob", "", 0)
		mustSay(t, bob, "before")
		ann := come(t, w, "ann", "", 50)
		mustSay(t, bob, "one")
		w.cut(1, false)
		mustSay(t, bob, "two", "three")
		time.Sleep(time.Minute)
		mustSay(t, bob, "four")
		mustSay(t, ann, "five")

		if got, want := ann.saw("message"), []string{"before", "one", "two", "three", "four", "five"}; !slices.Equal(got, want) {
			t.Errorf("ann saw %q, want %q", got, want)
		}
		if got, want := bob.saw("message"), []string{"before", "one", "two", "three", "four", "five"}; !slices.Equal(got, want) {
			t.Errorf("bob saw %q, want %q", got, want)
		}
		if got := ann.saw("gap"); len(got) != 0 {
			t.Error("ann was told of a gap, and there is none")
		}
		if got := ann.saw("people"); len(got) != 2 {
			t.Errorf("ann was told %d times who is here, want once for each connection", len(got))
		}
		if err := errors.Join(ann.leave(), bob.leave()); err != nil {
			t.Error(err)
		}
	})
}

// The gap is told when more was said than the room keeps, or the room has started
// again.
func TestConversationTellsOfGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, stop := roomServer(t)
		defer stop()
		bob, ann := come(t, w, "bob", "", 0), come(t, w, "ann", "", 0)
		mustSay(t, bob, "first")
		if got := ann.saw("message"); len(got) != 1 {
			t.Errorf("ann saw %q", got)
		}
		w.cut(1, true)
		for range 700 {
			time.Sleep(1100 * time.Millisecond)
			mustSay(t, bob, "more")
		}
		w.up()
		time.Sleep(time.Minute)
		if got := ann.saw("gap"); len(got) != 1 {
			t.Errorf("ann was told %d times of the gap, want once", len(got))
		}
		if got := ann.saw("message"); len(got) < 200 || got[0] != "first" {
			t.Errorf("ann saw %d messages", len(got))
		}
		if err := errors.Join(ann.leave(), bob.leave()); err != nil {
			t.Error(err)
		}
	})
}

// A room that restarts is the same room: what was said before and after is
// there, once, without a word about it; what was removed meanwhile goes away.
func TestConversationOutlivesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var memory room.Memory
		w, stop := keptServer(t, &memory)
		ann := come(t, w, "ann", "", 0)
		mustSay(t, ann, "one", "two", "three")
		stop()
		again, stop := keptServer(t, &memory)
		defer stop()
		mina := come(t, again, "mina", "token", 50)
		if _, err := mina.call(t.Context(), "remove", amf.Number(2)); err != nil {
			t.Error(err)
		}
		mustSay(t, mina, "four")
		w.forward(again)
		time.Sleep(time.Minute)
		mustSay(t, mina, "five")
		if got, want := ann.saw("message"), []string{"one", "two", "three", "four", "five"}; !slices.Equal(got, want) {
			t.Errorf("ann saw %q, want %q", got, want)
		}
		if got, want := mina.saw("message"), []string{"one", "two", "three", "four", "five"}; !slices.Equal(got, want) {
			t.Errorf("mina saw %q, want %q", got, want)
		}
		if len(ann.saw("gap")) != 0 || len(ann.saw("removed")) != 1 {
			t.Errorf("ann was told of %d gaps and %d removed messages", len(ann.saw("gap")), len(ann.saw("removed")))
		}
		if err := errors.Join(ann.leave(), mina.leave()); err != nil {
			t.Error(err)
		}
	})
}

// A room that lost its history, or the end of it, counts from there again. That is
// told, and nothing that is said then is lost.
func TestConversationHearsOfLoss(t *testing.T) {
	for name, left := range map[string]int{"all": 0, "the end": 2} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var memory, restored room.Memory
				w, stop := keptServer(t, &memory)
				ann := come(t, w, "ann", "", 50)
				mustSay(t, ann, "one", "two", "three", "four")
				stop()
				if left > 0 {
					restore(t, &memory, &restored, left)
				}
				again, stop := keptServer(t, &restored)
				defer stop()
				w.forward(again)
				time.Sleep(time.Minute)
				mustSay(t, ann, "now", "then")
				if got, want := ann.saw("message"), []string{"one", "two", "three", "four", "now", "then"}; !slices.Equal(got, want) {
					t.Errorf("ann saw %q, want %q", got, want)
				}
				if got := len(ann.saw("gap")); got != 1 {
					t.Errorf("ann was told of %d gaps", got)
				}
				if err := ann.leave(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// restore copies the room blue with the first n messages of its chat.
func restore(t *testing.T, from, to *room.Memory, n int) {
	t.Helper()
	a, _ := from.Open(t.Context(), "blue", nil)
	b, _ := to.Open(t.Context(), "blue", nil)
	b.Save(a.State(), func(error) {})
	for _, m := range a.Newest()[:n] {
		b.Append(func(uint64) []byte { return m }, func(uint64, error) {})
	}
}

// A person who is thrown out does not come back, and hears why; so does one who
// never came in.
func TestConversationHearsNo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, stop := roomServer(t)
		defer stop()
		mina, ann := come(t, w, "mina", "token", 0), come(t, w, "ann", "", 0)
		twin := come(t, w, "ANN", "", 0)
		if err := twin.leave(); err == nil {
			t.Error("there is a second ann")
		}
		if _, err := mina.call(t.Context(), "kick", amf.String("ann"), amf.String("be nice")); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		err := ann.leave()
		if status, ok := errors.AsType[*rtmp.StatusError](err); !ok || status.Code != rtmp.CodeConnectRejected || !strings.Contains(status.Description, "be nice") {
			t.Errorf("ann, thrown out, hears %v", err)
		}
		if err := mina.setTopic(t.Context(), "calm"); err != nil {
			t.Error(err)
		}
		if got := mina.saw("topic"); !slices.Equal(got, []string{"calm"}) {
			t.Errorf("the topic was %q", got)
		}
		if err := mina.leave(); err != nil {
			t.Error(err)
		}
	})
}

// A piped line that comes too fast waits, and one that was on its way when the
// connection was lost is not said twice.
func TestSayLineLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, stop := roomServer(t)
		defer stop()
		bob, ann := come(t, w, "bob", "", 0), come(t, w, "ann", "", 0)
		out := &printer{w: io.Discard}
		var want []string
		for i := range 20 {
			if i == 10 {
				w.cut(1, false)
			}
			line := strings.Repeat("x", i+1)
			want = append(want, line)
			if said, err := sayLine(t.Context(), ann.conversation, out, line); !said || err != nil {
				t.Errorf("line %d: %v, %v", i, said, err)
			}
		}
		if said, err := sayLine(t.Context(), ann.conversation, out, strings.Repeat("x", 501)); said || err != nil {
			t.Errorf("a line that is too long: %v, %v", said, err)
		}
		if got := bob.saw("message"); !slices.Equal(got, want) {
			t.Errorf("bob saw %q, want %q", got, want)
		}
		if err := errors.Join(ann.leave(), bob.leave()); err != nil {
			t.Error(err)
		}
	})
}

// slowly stores messages after a while, so that a connection can break before the answer.
type slowly struct{ room.Store }

func (s slowly) Append(message func(uint64) []byte, done func(uint64, error)) {
	time.AfterFunc(time.Second, func() { s.Store.Append(message, done) })
}

// A line that the room has, though the connection broke before the answer, is not said
// twice. Another line that says the same is said.
func TestSayLineOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := new(room.Memory)
		w, stop := serveRooms(t, room.Config{Open: func(ctx context.Context, name string, found func([]byte)) (room.Store, error) {
			kept, err := memory.Open(ctx, name, found)
			return slowly{kept}, err
		}})
		defer stop()
		bob, ann := come(t, w, "bob", "", 0), come(t, w, "ann", "", 0)
		for i := range 3 {
			time.AfterFunc(500*time.Millisecond, func() { w.cut(i+1, false) })
			if said, err := sayLine(t.Context(), ann.conversation, &printer{w: io.Discard}, "hello"); !said || err != nil {
				t.Errorf("said: %v, %v", said, err)
			}
		}
		time.Sleep(time.Minute)
		if got := bob.saw("message"); !slices.Equal(got, []string{"hello", "hello", "hello"}) {
			t.Errorf("bob saw %q", got)
		}
		if err := errors.Join(ann.leave(), bob.leave()); err != nil {
			t.Error(err)
		}
	})
}

// A server that stops is left when it asks, and tried again until it is back.
func TestConversationLeavesWhenAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, stop := roomServer(t)
		defer stop()
		ann := come(t, w, "ann", "", 0)
		began := time.Now()
		w.host.Drain(t.Context())
		if d := time.Since(began); d != 0 {
			t.Errorf("it took %v to leave", d)
		}
		time.Sleep(time.Minute) // it is refused meanwhile, and that is no reason to give up
		told := ann.saw("status")
		if len(told) < 4 || !strings.Contains(told[1], "The server restarts") || !strings.Contains(told[3], "connection lost: The server restarts") {
			t.Errorf("ann was told %q", told)
		}
		if err := ann.leave(); err != nil {
			t.Error(err)
		}
	})
}

// A connection that is lost, and that the server has not missed yet, makes way
// for the same conversation; somebody else of that name does not.
func TestConversationMeetsItsGhost(t *testing.T) {
	for _, ours := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			w, stop := roomServer(t)
			defer stop()
			ann := come(t, w, "ann", "", 0)
			w.cut(0, true)
			synctest.Wait()
			args := amf.Args{amf.String("ann")}
			if ours {
				args = append(args, amf.Null{}, amf.String(ann.resume))
			}
			other, err := w.host.Connect(t.Context(), deafPeer{}, server.Request{Path: "room/blue", Args: args})
			if err != nil {
				t.Fatal(err)
			}
			w.up()
			time.Sleep(time.Minute)
			status, refused := errors.AsType[*rtmp.StatusError](ann.leave())
			if ours && refused {
				t.Errorf("ann did not come in: %v", status)
			} else if !ours && (!refused || status.Description != "Nickname is already in use.") {
				t.Errorf("ann never found out that somebody else has her name: %v", status)
			}
			other.Leave(rtmp.ErrGoodbye)
		})
	}
}

// A person who is sent to another room goes there, and hears only what is said
// there.
func TestConversationFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, stop := roomServer(t)
		defer stop()
		mina, ann, bob := come(t, w, "mina", "token", 0), come(t, w, "ann", "", 0), come(t, w, "bob", "", 0)
		mustSay(t, ann, "one", "two")
		if err := mina.move(t.Context(), "jazz"); err != nil {
			t.Error(err)
		}
		time.Sleep(minReconnect)
		mustSay(t, ann, "nice here")
		mustSay(t, mina, "all gone")
		if got, want := bob.saw("message"), []string{"one", "two", "nice here"}; !slices.Equal(got, want) {
			t.Errorf("bob saw %q, want %q", got, want)
		}
		if got := bob.saw("gap"); len(got) != 0 {
			t.Error("bob was told of a gap")
		}
		told, want := bob.saw("status"), []string{"connected to rtmp://localhost/room/blue", "mina sends everybody to the room jazz.", "connected to rtmp://localhost/room/jazz"}
		if !slices.Equal(told, want) {
			t.Errorf("bob was told %q, want %q", told, want)
		}
		if err := errors.Join(mina.leave(), ann.leave(), bob.leave()); err != nil {
			t.Error(err)
		}
	})
}

// Somebody else may have the nick in the room that people are sent to.
func TestConversationFollowsIntoARefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, stop := roomServer(t)
		defer stop()
		other, err := w.host.Connect(t.Context(), deafPeer{}, server.Request{Path: "room/jazz", Args: amf.Args{amf.String("ann")}})
		if err != nil {
			t.Fatal(err)
		}
		mina, ann := come(t, w, "mina", "token", 0), come(t, w, "ann", "", 0)
		if err := mina.move(t.Context(), "jazz"); err != nil {
			t.Error(err)
		}
		time.Sleep(minReconnect)
		if status, ok := errors.AsType[*rtmp.StatusError](ann.leave()); !ok || status.Description != "Nickname is already in use." {
			t.Errorf("ann hears %v", status)
		}
		other.Leave(rtmp.ErrGoodbye)
		if err := mina.leave(); err != nil {
			t.Error(err)
		}
	})
}

// deafPeer hears nothing.
type deafPeer struct{}

func (deafPeer) Push(*server.Push) error                                   { return nil }
func (deafPeer) Request(string, []amf.Value, func(amf.Value, error)) error { return rtmp.ErrClosed }
func (deafPeer) Close(error)                                               {}

// doubtful stores a message and does not know it until later.
type doubtful struct {
	room.Store
	found func([]byte)
	once  sync.Once
}

func (d *doubtful) Append(message func(uint64) []byte, done func(uint64, error)) {
	d.once.Do(func() {
		var data []byte
		d.Store.Append(func(id uint64) []byte { data = message(id); return data }, func(uint64, error) {})
		done(0, errors.New("the answer was lost"))
		time.AfterFunc(room.StoreRetry-time.Millisecond, func() { d.found(data) })
		done = nil
	})
	if done != nil {
		d.Store.Append(message, done)
	}
}

// A line that the room was not sure of is not said twice.
func TestSayLineIsFoundLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := new(room.Memory)
		w, stop := serveRooms(t, room.Config{Open: func(ctx context.Context, name string, found func([]byte)) (room.Store, error) {
			kept, err := memory.Open(ctx, name, found)
			return &doubtful{Store: kept, found: found}, err
		}})
		defer stop()
		ann := come(t, w, "ann", "", 0)
		for _, line := range []string{"hello", "hello"} { // each is said once
			if said, err := sayLine(t.Context(), ann.conversation, &printer{w: io.Discard}, line); !said || err != nil {
				t.Errorf("said: %v, %v", said, err)
			}
		}
		if got := ann.saw("message"); !slices.Equal(got, []string{"hello", "hello"}) {
			t.Errorf("ann saw %q", got)
		}
		if err := ann.leave(); err != nil {
			t.Error(err)
		}
	})
}
