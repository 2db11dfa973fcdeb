package room_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"foyer/lobby"
	"foyer/room"
	"foyer/server"
	"foyer/server/amf"
	"foyer/server/rtmp/rtmptest"
)

// network connects hosts in memory. While it is down, nobody answers.
type network struct {
	mu    sync.Mutex
	down  bool
	dials int
	conns []net.Conn
	in    chan net.Conn
}

func (n *network) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	n.mu.Lock()
	n.dials++
	down := n.down
	n.mu.Unlock()
	if down {
		return nil, errors.New("connection refused")
	}
	here, there := rtmptest.Pipe()
	n.mu.Lock()
	n.conns = append(n.conns, there)
	n.mu.Unlock()
	select {
	case n.in <- there:
		return here, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (n *network) attempts() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dials
}

// cut breaks all connections.
func (n *network) cut(down bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down = down
	for _, c := range n.conns {
		c.Close()
	}
	n.conns = nil
}

func (n *network) Accept() (net.Conn, error) {
	c, ok := <-n.in
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (n *network) Close() error   { return nil }
func (n *network) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1935} }

// newNetwork returns a host with a lobby, a host with rooms that report to it, and the
// network between them.
func newNetwork(t *testing.T, password string, configure ...func(*lobby.Config, *room.Config)) (lobbies, rooms *server.Host, n *network) {
	t.Helper()
	n = &network{in: make(chan net.Conn)}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	lobbies = &server.Host{Log: log}
	front := lobby.Config{Secret: secret, AdminToken: token}
	cfg := config()
	cfg.Lobby, cfg.Secret = "rtmp://lobby.example/lobby", password
	for _, f := range configure {
		f(&front, &cfg)
	}
	lobbies.Handle("lobby", func() server.Application { return lobby.New(front) })
	if err := lobbies.Start("lobby"); err != nil {
		t.Fatal(err)
	}
	rooms = &server.Host{Log: log, Dial: n.Dial}
	rooms.Handle("room", func() server.Application { return room.New(cfg) })
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error)
	go func() { served <- lobbies.Serve(ctx, n) }()
	t.Cleanup(func() {
		rooms.Stop(context.Background())
		lobbies.Stop(context.Background())
		cancel()
		close(n.in)
		<-served
	})
	return lobbies, rooms, n
}

// entry returns the entry of room blue; its name is empty when there is none.
func entry(t *testing.T, lobbies *server.Host) lobby.Entry {
	t.Helper()
	synctest.Wait()
	v, err := lobbies.Call(context.Background(), "lobby", lobby.MethodRooms, amf.Object{{Name: "unlisted", Value: amf.Bool(true)}})
	if err != nil {
		t.Fatal(err)
	}
	list := v.(amf.StrictArray)
	if len(list) == 0 {
		return lobby.Entry{}
	}
	e, err := lobby.ParseEntry(list[0])
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestRoomReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lobbies, rooms, _ := newNetwork(t, secret)
		start := float64(time.Now().UnixMilli())
		ann := join(t, rooms, "ann")
		time.Sleep(time.Second)
		e := entry(t, lobbies)
		if e.Name != "blue" || e.State != lobby.StateLive || e.Users != 1 || e.Epoch != start || e.Node != "n1" ||
			e.RTMP != "rtmp://h:1935/room/blue" || e.HTTP != "http://h:8080/room/blue" || e.Capacity != room.DefaultMaxUsers {
			t.Fatalf("got %+v", e)
		}
		if e.Activity == 0 || e.LastActive != start {
			t.Errorf("an arrival is no activity: %+v", e)
		}
		spectate(t, rooms)
		mod := moderate(t, rooms)
		mod.must("title", amf.String("Blue"))
		mod.must("topic", amf.String("tea"))
		mod.must("tags", amf.StrictArray{amf.String("music"), amf.String(" "), amf.String("music")})
		mod.must("lock", amf.Bool(true))
		mod.must("unlist", amf.Bool(true))
		ann.say("x")
		time.Sleep(time.Second)
		got := entry(t, lobbies)
		if got.Users != 2 || got.Spectators != 1 || got.Title != "Blue" || got.Topic != "tea" || len(got.Tags) != 1 ||
			!got.Locked || !got.Unlisted || got.MessagesPerMinute != 1 || got.Live {
			t.Errorf("got %+v", got)
		}
	})
}

func TestReportsOfAQuietRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lobbies, rooms, _ := newNetwork(t, secret)
		join(t, rooms, "ann")
		time.Sleep(time.Second)
		before := entry(t, lobbies)
		time.Sleep(10 * time.Second)
		after := entry(t, lobbies)
		if got := after.Seq - before.Seq; got != 2 {
			t.Errorf("got %v reports in 10 s, want 2", got)
		}
		time.Sleep(time.Minute)
		if e := entry(t, lobbies); e.State != lobby.StateLive || e.Activity >= before.Activity {
			t.Errorf("got %+v", e)
		}
		for seq := entry(t, lobbies).Seq; entry(t, lobbies).Seq == seq; {
			time.Sleep(100 * time.Millisecond)
		}
		seq := entry(t, lobbies).Seq
		spectate(t, rooms)
		if e := entry(t, lobbies); e.Seq != seq+1 || e.Spectators != 1 {
			t.Errorf("a change waits for the report before it, which had no news: %+v", e)
		}
	})
}

// TestReportsToAnImpatientLobby: a room without news stays live, however soon its
// server's lobby takes silence for trouble.
func TestReportsToAnImpatientLobby(t *testing.T) {
	for _, stale := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			lobbies, rooms, _ := newNetwork(t, secret, func(l *lobby.Config, r *room.Config) {
				l.StaleAfter, r.StaleAfter = stale, stale
			})
			join(t, rooms, "ann")
			for range 100 {
				time.Sleep(200 * time.Millisecond)
				if e := entry(t, lobbies); e.State != lobby.StateLive {
					t.Fatalf("stale after %v: got %+v", stale, e)
				}
			}
		})
	}
}

func TestReportsTwiceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lobbies, rooms, _ := newNetwork(t, secret)
		spectate(t, rooms)
		time.Sleep(2 * time.Second)
		before := entry(t, lobbies).Seq
		for range 100 {
			spectate(t, rooms)
			time.Sleep(100 * time.Millisecond)
		}
		e := entry(t, lobbies)
		if got := e.Seq - before; got < 19 || got > 21 {
			t.Errorf("got %v reports in 10 s of changes, want 20", got)
		}
		time.Sleep(time.Second)
		if e := entry(t, lobbies); e.Spectators != 101 {
			t.Errorf("got %d spectators", e.Spectators)
		}
		seq := entry(t, lobbies).Seq
		spectate(t, rooms)
		if e := entry(t, lobbies); e.Seq != seq+1 || e.Spectators != 102 {
			t.Errorf("a change after silence was not reported at once: %+v", e)
		}
	})
}

func TestGoodbye(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lobbies, rooms, _ := newNetwork(t, secret)
		p := spectate(t, rooms)
		if got := entry(t, lobbies).State; got != lobby.StateLive {
			t.Fatalf("got state %q", got)
		}
		p.client.Leave(nil)
		time.Sleep(31 * time.Second) // the room stops when it is idle
		if e := entry(t, lobbies); e.Name != "" {
			t.Errorf("still listed: %+v", e)
		}
	})
}

func TestLobbyAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lobbies, rooms, n := newNetwork(t, secret)
		n.cut(true)
		ann, bob := join(t, rooms, "ann"), join(t, rooms, "bob")
		time.Sleep(time.Minute)
		if got := n.attempts(); got < 5 || got > 30 {
			t.Errorf("%d attempts in a minute", got)
		}
		ann.say("the room continues")
		if got := bob.heard(); got == "" {
			t.Error("bob heard nothing")
		}
		n.cut(false)
		time.Sleep(room.MaxRetry)
		if e := entry(t, lobbies); e.State != lobby.StateLive || e.Users != 2 || e.MessagesPerMinute != 1 {
			t.Errorf("back: got %+v", e)
		}
		time.Sleep(room.StableLink)
		n.cut(false)
		if got := entry(t, lobbies).State; got != lobby.StateStale {
			t.Errorf("cut: got state %q", got)
		}
		time.Sleep(2 * room.MinRetry)
		if got := entry(t, lobbies).State; got != lobby.StateLive {
			t.Errorf("after a good connection the next comes soon: got state %q", got)
		}
	})
}

func TestLobbyRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lobbies, rooms, n := newNetwork(t, "wrong")
		ann := join(t, rooms, "ann")
		time.Sleep(time.Minute)
		if got := n.attempts(); got < 4 {
			t.Errorf("%d attempts in a minute", got)
		}
		if e := entry(t, lobbies); e.Name != "" {
			t.Errorf("listed: %+v", e)
		}
		ann.say("the room continues")
	})
}

func TestBadLobbyAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, address := range []string{"", "lobby", "http://h/lobby"} {
			cfg := config()
			cfg.Lobby = address
			join(t, newHost(t, cfg), "ann").say("the room continues")
		}
	})
}

func TestAnnouncement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lobbies, rooms, _ := newNetwork(t, secret)
		ann := join(t, rooms, "ann")
		synctest.Wait()
		if _, err := lobbies.Call(t.Context(), "lobby", lobby.MethodAnnounce, amf.String("tea is ready")); err != nil {
			t.Fatal(err)
		}
		if got := ann.heard(); got != "notice({text:tea is ready})" {
			t.Errorf("got %s", got)
		}
	})
}

// TestRoomTakesItsOwnLink: while the lobby still takes the old link of a room for live,
// the room runs again, perhaps on another node, and replaces it at once. Another room of
// that name cannot, although it runs on a node of the same name.
func TestRoomTakesItsOwnLink(t *testing.T) {
	for _, same := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			resume := func(room string) string { return "known to the room " + room }
			lobbies, old, n := newNetwork(t, secret, func(_ *lobby.Config, r *room.Config) { r.Resume = resume })
			var gone atomic.Bool
			old.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				if gone.Load() {
					return nil, errors.New("it has been killed")
				}
				return n.Dial(ctx, network, addr)
			}
			join(t, old, "ann")
			time.Sleep(time.Second)
			gone.Store(true)

			cfg := config()
			cfg.Lobby = "rtmp://lobby.example/lobby"
			if same {
				cfg.Resume, cfg.Node = resume, "n2"
			}
			again := newHost(t, cfg)
			again.Dial = n.Dial
			join(t, again, "bob")
			join(t, again, "cid")
			time.Sleep(time.Second)
			if got := entry(t, lobbies).Users == 2; got != same {
				t.Errorf("the same room: %v; it has replaced the link: %v", same, got)
			}
			again.Stop(t.Context())
		})
	}
}

// TestUnlistedRoomIsNeverShown: not even for the moment between its start and its first
// report.
func TestUnlistedRoomIsNeverShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(room.Memory)
		lobbies, rooms, _ := newNetwork(t, secret, func(_ *lobby.Config, r *room.Config) { r.Open = store.Open })
		moderate(t, rooms).must("unlist", amf.Bool(true))
		rooms.Stop(t.Context())
		visitor, err := connectAs(t, lobbies, server.Request{Path: "lobby"})
		if err != nil {
			t.Fatal(err)
		}
		visitor.use(lobby.ObjectRooms, false)
		cfg := config()
		cfg.Lobby, cfg.Open = "rtmp://lobby.example/lobby", store.Open
		again := newHost(t, cfg)
		again.Dial = rooms.Dial
		spectate(t, again)
		time.Sleep(time.Minute)
		if e := entry(t, lobbies); !e.Unlisted {
			t.Fatalf("got %+v", e)
		}
		visitor.mu.Lock()
		defer visitor.mu.Unlock()
		if slots := visitor.objects[lobby.ObjectRooms].Slots; len(slots) > 0 {
			t.Errorf("a visitor saw %v", slots)
		}
	})
}
