package room_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"foyer/client"
	"foyer/lobby"
	"foyer/room"
	"foyer/server"
	"foyer/server/amf"
	"foyer/server/rtmp"
	"foyer/server/sharedobject"
)

// evening is a server with a lobby and rooms on a real socket, as the page has
// it: the room connects to rtmp://localhost/chapter4/lobby.
func evening(t *testing.T) (address string) { t.Helper(); return eveningOf(t, config()) }

// eveningOf is evening with another configuration of rooms.
func eveningOf(t *testing.T, cfg room.Config) (address string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = "rtmp://" + ln.Addr().String() + "/chapter4/"
	cfg.Lobby = address + "lobby"
	h := &server.Host{Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Mounts: []string{"chapter4"}}
	h.Handle("room", func() server.Application { return room.New(cfg) })
	h.Handle("lobby", func() server.Application {
		return lobby.New(lobby.Config{Secret: secret, AdminToken: token})
	})
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
	return address
}

// dial connects; every call of the server comes to calls as text.
func dial(t *testing.T, uri string, args ...amf.Value) (nc *client.NetConnection, calls chan string) {
	t.Helper()
	calls = make(chan string, 64) // more than any test provokes
	methods := make(map[string]func(amf.Args) (amf.Value, error))
	for _, m := range []string{"message", "removed", "notice"} {
		methods[m] = func(args amf.Args) (amf.Value, error) {
			calls <- m + "(" + brief(args...) + ")"
			return nil, nil
		}
	}
	nc, err := client.Dial(t.Context(), uri, client.Options{Methods: methods}, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	return nc, calls
}

// watch returns the value of a slot each time the object changes.
func watch(t *testing.T, nc *client.NetConnection, object, slot string) chan amf.Value {
	t.Helper()
	values := make(chan amf.Value, 256) // more than any test provokes
	got := make(chan *client.SharedObject, 1)
	so, err := nc.SharedObject(object, false, func([]sharedobject.Sync) {
		so := <-got
		got <- so
		if v, ok := so.Get(slot); ok {
			values <- v
		} else {
			values <- amf.Null{}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	got <- so
	return values
}

// until takes from c until ok.
func until[T any](t *testing.T, what string, c chan T, ok func(T) bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	for {
		select {
		case v := <-c:
			if ok(v) {
				return
			}
		case <-deadline:
			t.Fatalf("%s: did not come", what)
		}
	}
}

func TestEveningOverTCP(t *testing.T) {
	address := evening(t)
	visitor, _ := dial(t, address+"lobby")
	rooms := watch(t, visitor, lobby.ObjectRooms, "blue")
	ann, annCalls := dial(t, address+"room/blue", amf.String("ann"))
	mod, _ := dial(t, address+"room/blue", amf.String("mod"), amf.String(token))
	until(t, "the room with two users in the lobby", rooms, func(v amf.Value) bool {
		e, err := lobby.ParseEntry(v)
		return err == nil && e.Users == 2 && e.State == lobby.StateLive
	})
	state := watch(t, ann, room.ObjectRoom, "streams")

	if v, err := mod.Call(t.Context(), "say", amf.String("hello")); err != nil || brief(v) != "{id:1}" {
		t.Errorf("say: %v, %v", v, err)
	}
	until(t, "the message", annCalls, func(s string) bool {
		return s == "message({id:1 user:{id:u2 nick:mod role:moderator} text:hello})"
	})
	operator, _ := dial(t, address+"lobby", amf.String("admin"), amf.String(token))
	if _, err := operator.Call(t.Context(), lobby.MethodAnnounce, amf.String("tea is ready")); err != nil {
		t.Error(err)
	}
	until(t, "the announcement", annCalls, func(s string) bool { return s == "notice({text:tea is ready})" })

	if err := publish(t, address+"room/blue", "live?key=wrong"); err == nil || !strings.Contains(err.Error(), "Wrong stream key for room blue.") {
		t.Errorf("publishing with a wrong key: %v", err)
	}
	if err := publish(t, address+"room/blue", "live?key="+key+"-blue"); err != nil {
		t.Error(err)
	}
	until(t, "the stream in the room", state, func(v amf.Value) bool { return brief(v) == "[live]" })
	until(t, "the stream in the lobby", rooms, func(v amf.Value) bool {
		e, err := lobby.ParseEntry(v)
		return err == nil && e.Live && e.Publishers == 1 && e.Users == 2
	})
	if _, err := mod.Call(t.Context(), "kick", amf.String("ann"), amf.String("late")); err != nil {
		t.Error(err)
	}
	select {
	case <-ann.Done():
	case <-time.After(time.Minute):
		t.Error("ann was not kicked")
	}
}

// publish publishes until the end of the test.
func publish(t *testing.T, uri, name string) error {
	s, _, err := rtmp.Dial(t.Context(), uri, &rtmp.ConnectRequest{}, rtmp.DialOptions{Handler: deaf{}})
	if err != nil {
		t.Fatal(err)
	}
	ran := make(chan error, 1)
	go func() { ran <- s.Run(context.Background()) }()
	t.Cleanup(func() {
		s.Close(nil)
		<-ran
	})
	stream, err := s.CreateStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return stream.Publish(t.Context(), name, "live")
}

// deaf is the handler of a connection that is not called.
type deaf struct{}

func (deaf) ServeCall(c *rtmp.Call) { c.Reply(amf.Null{}) }

// TestLobbyWaitsToo: in the lobby a room stays live while a publisher whose
// connection broke is waited for, and not when the publisher said that it ends.
func TestLobbyWaitsToo(t *testing.T) {
	address := eveningOf(t, graceful())
	visitor, _ := dial(t, address+"lobby")
	rooms := watch(t, visitor, lobby.ObjectRooms, "blue")
	dial(t, address+"room/blue", amf.String("ann"))
	see := func(what string, ok func(lobby.Entry) bool) {
		t.Helper()
		until(t, what, rooms, func(v amf.Value) bool {
			e, err := lobby.ParseEntry(v)
			return err == nil && ok(e)
		})
	}
	publish := func() *rtmp.Session {
		t.Helper()
		s, _, err := rtmp.Dial(t.Context(), address+"room/blue", nil, rtmp.DialOptions{})
		if err != nil {
			t.Fatal(err)
		}
		go s.Run(context.Background())
		t.Cleanup(func() { s.Close(rtmp.ErrClosed); <-s.Done() })
		st, err := s.CreateStream(t.Context())
		if err == nil {
			err = st.Publish(t.Context(), "live?key="+key+"-blue", "live")
		}
		if err != nil {
			t.Fatal(err)
		}
		see("the broadcast", func(e lobby.Entry) bool { return e.Live && e.Publishers == 1 })
		return s
	}
	publish().Close(errors.New("crashed"))
	see("the wait", func(e lobby.Entry) bool {
		if e.Publishers == 0 && (!e.Live || !slices.Equal(e.Streams, []string{"live"})) {
			t.Errorf("the room is not live any more: %+v", e)
		}
		return e.Publishers == 0
	})
	publish().Request("FCUnpublish", []amf.Value{amf.String("live")}, nil)
	see("the end", func(e lobby.Entry) bool {
		if e.Publishers == 0 && (e.Live || len(e.Streams) > 0) {
			t.Errorf("the room is still live: %+v", e)
		}
		return e.Publishers == 0
	})
}
