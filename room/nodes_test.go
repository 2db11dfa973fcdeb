package room_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"foyer/client"
	"foyer/lobby"
	"foyer/room"
	"foyer/server"
	"foyer/server/amf"
	"foyer/server/rtmp"
)

// claims says where the rooms of several nodes run.
type claims struct {
	mu    sync.Mutex
	owner map[string]string // RTMP address by instance
}

type claimant struct {
	*claims
	rtmp string
}

func (c claimant) Claim(_ context.Context, instance string, _ func()) (func(), error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if o, taken := c.owner[instance]; taken {
		return nil, &server.ElsewhereError{Node: o, RTMP: o}
	}
	c.owner[instance] = c.rtmp
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.owner, instance)
	}, nil
}

func (c claimant) Find(_ context.Context, instance string) *server.ElsewhereError {
	c.mu.Lock()
	defer c.mu.Unlock()
	if o, taken := c.owner[instance]; taken && o != c.rtmp {
		return &server.ElsewhereError{Node: o, RTMP: o}
	}
	return nil
}

// newNodes returns hosts on real sockets that share their rooms.
func newNodes(t testing.TB, n int, cfg room.Config) (hosts []*server.Host, addresses []string) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	if _, benchmark := t.(*testing.B); !benchmark { // a benchmark keeps its log in memory
		log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	all := &claims{owner: make(map[string]string)}
	for range n {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		uri := "rtmp://" + ln.Addr().String()
		h := &server.Host{Log: log, Node: uri, Owners: claimant{all, uri}, NodeSecret: "among nodes"}
		h.HandleClaimed("room", func() server.Application { return room.New(cfg) })
		if cfg.Lobby == "" {
			cfg.Lobby = uri + "/lobby"
			h.Handle("lobby", func() server.Application { return lobby.New(lobby.Config{Secret: secret, AdminToken: token}) })
		}
		ctx, cancel := context.WithCancel(context.Background())
		served := make(chan error, 1)
		go func() { served <- h.Serve(ctx, ln) }()
		t.Cleanup(func() {
			h.Stop(context.Background())
			cancel()
			if err := <-served; err != nil {
				t.Error(err)
			}
		})
		hosts, addresses = append(hosts, h), append(addresses, uri)
	}
	return hosts, addresses
}

// TestRoomOfTwoNodes: people who come by another node are guests like any other.
func TestRoomOfTwoNodes(t *testing.T) {
	hosts, addresses := newNodes(t, 2, config())
	visitor, _ := dial(t, addresses[0]+"/lobby")
	rooms := watch(t, visitor, lobby.ObjectRooms, "blue")
	mod := moderate(t, hosts[0])
	guest, err := connectAs(t, hosts[1], server.Request{
		Args: amf.Args{amf.String("ann")}, Protocol: "wss", AMF3: true, Addr: netip.MustParseAddrPort("203.0.113.9:1"),
	})
	if err != nil {
		t.Fatal(err)
	}
	users, _ := guest.must("users").(amf.StrictArray)
	if len(users) != 2 || amf.Lookup(users[1], "via") != amf.String("web") || amf.Lookup(users[1], "nick") != amf.String("ann") {
		t.Errorf("users: %s", brief(users))
	}
	if _, err := connect(t, hosts[1], amf.String("ANN")); err == nil {
		t.Error("two of one nick")
	}
	if err := publish(t, addresses[1]+"/room/blue", "live?key="+key+"-blue"); err != nil {
		t.Fatal(err)
	}
	const viewers = 5
	for range viewers {
		p, err := connect(t, hosts[1])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.client.Play("live", nil); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "everybody, once, in the lobby", rooms, func(v amf.Value) bool {
		e, err := lobby.ParseEntry(v)
		return err == nil && e.Users == 2 && e.Viewers == viewers && e.Publishers == 1 && e.Spectators == 0
	})
	mod.must("ban", amf.String("ann"), amf.Number(60))
	for _, h := range hosts {
		_, err := connectAs(t, h, server.Request{Args: amf.Args{amf.String("other")}, Addr: netip.MustParseAddrPort("203.0.113.9:2")})
		if reason, _ := application(err); err == nil || reason == "" {
			t.Errorf("banned by address, and came in: %v", err)
		}
	}
}

// BenchmarkCall calls a method at the node that runs the room, and at another one.
func BenchmarkCall(b *testing.B) {
	hosts, addresses := newNodes(b, 2, config())
	if err := hosts[0].Start("room/blue"); err != nil {
		b.Fatal(err)
	}
	for i, name := range []string{"owner", "elsewhere"} {
		b.Run(name, func(b *testing.B) {
			took := benchmarkCall(b, addresses[i]+"/room/blue")
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "median-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
		})
	}
}

func benchmarkCall(b *testing.B, uri string) (took []time.Duration) {
	nc, err := client.Dial(b.Context(), uri, client.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer nc.Close()
	for b.Loop() {
		began := time.Now()
		if _, err := nc.Call(b.Context(), "users"); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	return took
}

// BenchmarkIdleRoom reports the memory of a room that nobody is in, both ends
// of its connection to the lobby and its card there included.
func BenchmarkIdleRoom(b *testing.B) {
	const rooms = 2000
	for range b.N {
		hosts, _ := newNodes(b, 1, config())
		before := inUse()
		for i := range rooms {
			if err := hosts[0].Start(fmt.Sprintf("room/idle-%d", i)); err != nil {
				b.Fatal(err)
			}
		}
		for number(b, hosts[0]) < rooms {
			time.Sleep(10 * time.Millisecond)
		}
		b.ReportMetric(float64(inUse()-before)/rooms, "B/room")
	}
}

// number returns how many rooms the lobby shows.
func number(b *testing.B, h *server.Host) int {
	v, err := h.Call(b.Context(), "lobby", "rooms")
	if err != nil {
		b.Fatal(err)
	}
	list, _ := v.(amf.StrictArray)
	return len(list)
}

// BenchmarkIdleClient reports the memory of a client that does nothing, at the
// node that runs its room and at another one, the client's own included: the
// difference is the tunnel. Run one at a time: the stacks of goroutines that
// have ended are used again, and count as nothing.
func BenchmarkIdleClient(b *testing.B) {
	const clients = 500
	for i, name := range []string{"owner", "elsewhere"} {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				hosts, addresses := newNodes(b, 2, config())
				if err := hosts[0].Start("room/blue"); err != nil {
					b.Fatal(err)
				}
				before := inUse()
				for range clients {
					nc, err := client.Dial(b.Context(), addresses[i]+"/room/blue", client.Options{})
					if err != nil {
						b.Fatal(err)
					}
					defer nc.Close()
				}
				b.ReportMetric(float64(inUse()-before)/clients, "B/client")
			}
		})
	}
}

// inUse is the memory of this process's heap and stacks, when it is at rest.
func inUse() int64 {
	var m runtime.MemStats
	for range 10 {
		time.Sleep(50 * time.Millisecond)
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// TestNewKeyOnEveryNode: when a key is replaced at one node, streams that are published
// with it at another end.
func TestNewKeyOnEveryNode(t *testing.T) {
	cfg := config()
	cfg.Open = new(room.Memory).Open
	hosts, addresses := newNodes(t, 2, cfg)
	publish := func(node int, key string) (*rtmp.Session, error) {
		t.Helper()
		s, _, err := rtmp.Dial(t.Context(), addresses[node]+"/room/blue", &rtmp.ConnectRequest{}, rtmp.DialOptions{})
		if err != nil {
			t.Fatal(err)
		}
		go s.Run(context.Background())
		t.Cleanup(func() { s.Close(nil); <-s.Done() })
		st, err := s.CreateStream(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return s, st.Publish(t.Context(), "live?key="+key, "live")
	}
	if _, err := hosts[0].CallOrStart(t.Context(), "room/blue", "users"); err != nil {
		t.Fatal(err)
	}
	away, err := publish(1, keyOf("blue", 0))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := hosts[1].CallOrStart(t.Context(), "room/blue", "newKey"); err != nil {
		t.Fatal(err)
	}
	<-away.Done()
	for node := range hosts {
		if _, err := publish(node, keyOf("blue", 0)); err == nil {
			t.Errorf("node %d takes the old key", node)
		}
	}
}
