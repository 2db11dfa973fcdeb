package demo

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"foyer/room"
	"foyer/server"
	"foyer/server/amf"
)

// A network connects the demo and its server in a test, by pipes.
type network struct {
	conns chan net.Conn
	done  chan struct{}
}

func newNetwork() *network {
	return &network{conns: make(chan net.Conn), done: make(chan struct{})}
}

func (n *network) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case n.conns <- there:
		return here, nil
	case <-n.done:
		return nil, errors.New("nobody listens")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept implements net.Listener.
func (n *network) Accept() (net.Conn, error) {
	select {
	case c := <-n.conns:
		return c, nil
	case <-n.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (n *network) Close() error   { close(n.done); return nil }
func (n *network) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1935} }

// start serves rooms on a network. Their keys are "key-" and the room's name.
// stop ends it, and waits.
func start(t *testing.T, n *network) (host *server.Host, stop func()) {
	return startWith(t, n, room.Config{AdminToken: "token", Takeover: true, StreamKey: func(room string, _ int64) string { return keyOf(room) }})
}

func keyOf(room string) string { return "key-" + room }

func keyNow(_ context.Context, room string) (string, error) { return keyOf(room), nil }

func startWith(t *testing.T, n *network, cfg room.Config) (host *server.Host, stop func()) {
	return serve(t, n, func() server.Application { return room.New(cfg) })
}

// serve serves rooms on a network.
func serve(t *testing.T, n *network, rooms func() server.Application) (host *server.Host, stop func()) {
	host = &server.Host{Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	host.Handle("room", rooms)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan struct{})
	go func() {
		defer close(served)
		host.Serve(ctx, n)
	}()
	return host, func() {
		host.Stop(ctx)
		cancel()
		<-served
	}
}

// count returns the length of a room's answer to a method.
func count(t *testing.T, host *server.Host, room, method, member string) int {
	t.Helper()
	v, err := host.Call(t.Context(), "room/"+room, method, amf.Object{{Name: "limit", Value: amf.Number(200)}})
	if err != nil {
		t.Errorf("%s of %s: %v", method, room, err)
	}
	if member != "" {
		v = amf.Lookup(v, member)
	}
	list, _ := v.(amf.StrictArray)
	return len(list)
}

// The rooms fill and talk, also after the server went away and came back. In
// the end everybody has left and nothing is left running.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now atomic.Pointer[network] // the server that is up
		now.Store(newNetwork())
		host, stop := start(t, now.Load())
		dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
			return now.Load().dial(ctx, network, addr)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		log := slog.New(slog.NewTextHandler(t.Output(), nil))
		go func() {
			ended <- Run(ctx, Config{Servers: []string{"rtmp://one", "rtmp://two/"}, Token: "token", Seed: 1, Log: log, StreamKey: keyNow, dial: dial})
		}()
		time.Sleep(3 * time.Minute)
		for _, name := range names {
			if users, messages := count(t, host, name, "users", ""), count(t, host, name, "history", "messages"); users <= fewest || messages < 5 {
				t.Errorf("after three minutes: %d people and %d messages in %s", users, messages, name)
			}
			if on := host.Stream("room/"+name, "live") != nil; on != slices.Contains(onAir, name) {
				t.Errorf("after three minutes: pictures in %s: %v", name, on)
			}
		}

		stop()
		time.Sleep(time.Minute)
		now.Store(newNetwork())
		host, stop = start(t, now.Load())
		time.Sleep(time.Minute)
		for _, name := range names {
			if users := count(t, host, name, "users", ""); users <= fewest {
				t.Errorf("a minute after the server came back: %d people in %s", users, name)
			}
			if on := host.Stream("room/"+name, "live") != nil; on != slices.Contains(onAir, name) {
				t.Errorf("a minute after the server came back: pictures in %s: %v", name, on)
			}
		}

		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		synctest.Wait()
		for _, name := range names {
			if users := count(t, host, name, "users", ""); users != 0 {
				t.Errorf("%d people in %s after the end", users, name)
			}
			if host.Stream("room/"+name, "live") != nil {
				t.Errorf("pictures in %s after the end", name)
			}
		}
		stop()
	})
}

func TestRunNeedsServers(t *testing.T) {
	if err := Run(t.Context(), Config{}); err == nil {
		t.Error("no error without servers")
	}
}

// Each server gets a block of rooms, so that a deployment can name them.
func TestRoomsAreDealt(t *testing.T) {
	want := map[string]string{
		"blue": "rtmp://a/room/blue", "jazz": "rtmp://a/room/jazz", "workshop": "rtmp://a/room/workshop",
		"garden": "rtmp://b/room/garden", "night-train": "rtmp://b/room/night-train", "kitchen": "rtmp://b/room/kitchen",
	}
	for i, name := range names {
		s, err := newStage(Config{Servers: []string{"rtmp://a", "rtmp://b/"}}, i, name)
		if err != nil || s.url != want[name] {
			t.Errorf("%s is at %s, %v; want %s", name, s.url, err, want[name])
		}
	}
}
