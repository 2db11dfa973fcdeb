package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"foyer/server/amf"
	"foyer/server/rtmp"
)

// lobbyApp is the lobby of the book: it keeps the rooms that know the password.
type lobbyApp struct {
	rooms  map[string]*Client
	events []string
}

func (l *lobbyApp) OnAppStart(*Instance) error {
	l.rooms = make(map[string]*Client)
	l.events = append(l.events, "lobby starts")
	return nil
}

func (l *lobbyApp) OnConnect(c *Client, args amf.Args) error {
	var name, password string
	if err := args.Scan(&name, &password); err != nil {
		return err
	}
	if password != "secretPassword6" {
		e := Reject("Invalid room connection attempt.")
		e.Application = amf.String("why")
		return e
	}
	l.events = append(l.events, fmt.Sprintf("%s from %s, %s", name, c.Referrer(), c.Agent()))
	l.rooms[name] = c
	c.Data = name
	return nil
}

func (l *lobbyApp) OnDisconnect(c *Client, err error) {
	name := c.Data.(string)
	delete(l.rooms, name)
	word := "lost"
	if errors.Is(err, rtmp.ErrGoodbye) {
		word = "goodbye"
	}
	l.events = append(l.events, name+" "+word)
}

func (l *lobbyApp) OnAppStop() { l.events = append(l.events, "lobby stops") }

func (l *lobbyApp) Methods() map[string]Method {
	return map[string]Method{
		"report": func(c *Client, args amf.Args) (amf.Value, error) {
			l.events = append(l.events, fmt.Sprint(c.Data, " reports ", args.At(0)))
			return amf.Number(5000), nil
		},
		"ring": func(c *Client, _ amf.Args) (amf.Value, error) {
			for _, c := range l.rooms {
				c.Call("announce", nil, amf.String("hear"))
			}
			return nil, nil
		},
	}
}

// roomApp is the room of the book.
type roomApp struct {
	uri, password string
	connectError  error

	in     *Instance
	lobby  *NetConnection
	status []string
}

func (r *roomApp) OnAppStart(in *Instance) error {
	r.in = in
	r.lobby = in.NewNetConnection()
	r.lobby.OnStatus = r.onStatus
	r.lobby.Methods = map[string]func(amf.Args) (amf.Value, error){
		"announce": func(args amf.Args) (amf.Value, error) {
			r.note("announce %v", args.At(0))
			return nil, nil
		},
	}
	r.connectError = r.lobby.Connect(r.uri, amf.String("Room"), amf.String(r.password))
	return nil
}

func (r *roomApp) note(format string, args ...any) {
	r.status = append(r.status, fmt.Sprintf(format, args...))
}

func (r *roomApp) onStatus(info *rtmp.StatusError) {
	r.note("%s %s %v", info.Level, strings.TrimPrefix(info.Code, "NetConnection."), r.lobby.IsConnected())
	if info.Application != nil {
		if _, ok := info.Application.(amf.Undefined); !ok {
			r.note("application %v", info.Application)
		}
	}
}

func (r *roomApp) OnConnect(*Client, amf.Args) error { return nil }
func (r *roomApp) OnDisconnect(*Client, error)       {}
func (r *roomApp) OnAppStop() {
	if r.lobby.IsConnected() {
		r.lobby.Close()
	}
}

func (r *roomApp) Methods() map[string]Method {
	return map[string]Method{"report": func(_ *Client, args amf.Args) (amf.Value, error) {
		r.lobby.Call("report", func(v amf.Value, err error) { r.note("answer %v %v", v, err) }, args...)
		return nil, nil
	}}
}

// lobbyAndRoom are hosts of their own, or one.
func lobbyAndRoom(t *testing.T, together bool) (n *network, l *lobbyApp, r *roomApp, lobby, room *Host, stop func()) {
	n, l, r = new(network), new(lobbyApp), &roomApp{uri: "rtmp://lobby.example/chapter4/lobby", password: "secretPassword6"}
	lobby, room = newHost(t, same(new(testApp))), newHost(t, same(new(testApp)))
	if together {
		room = lobby
	}
	lobby.Mounts = []string{"chapter4"}
	lobby.Handle("lobby", func() Application { return l })
	room.Handle("room", func() Application { return r })
	stopLobby := serve(t, n, "lobby.example", lobby)
	stopRoom := func() {}
	if !together {
		stopRoom = serve(t, n, "room.example", room)
	} else {
		n.listeners["room.example"] = n.listeners["lobby.example"]
	}
	return n, l, r, lobby, room, func() { stopRoom(); stopLobby() }
}

// TestCascade is the core of the page. A visitor starts the room, and the room
// starts the lobby by its connection and reports. When the visitor has left,
// the room stops after its idle time, though it is connected to the lobby, and
// says goodbye. Then the lobby is idle and stops.
func TestCascade(t *testing.T) {
	for name, together := range map[string]bool{"one host": true, "two hosts": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, l, r, _, room, stop := lobbyAndRoom(t, together)
				visitor := mustDial(t, n, "rtmp://room.example/room/blue")
				if r.connectError != nil || !r.lobby.IsConnected() || r.lobby.URI() != r.uri {
					t.Fatalf("connect: %v, connected %v", r.connectError, r.lobby.IsConnected())
				}
				if _, err := visitor.Call(t.Context(), "report", amf.Number(1)); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Hour)
				visitor.Close(nil)
				<-visitor.ended
				time.Sleep(DefaultIdle)
				synctest.Wait()
				if n := room.Stats().Instances["room"]; n != 0 {
					t.Errorf("%d rooms", n)
				}
				if len(l.rooms) != 0 {
					t.Errorf("roomList %v", l.rooms)
				}
				time.Sleep(DefaultIdle)
				synctest.Wait()
				want := []string{
					"lobby starts",
					"Room from rtmp://_defaultVHost_:1935/room/blue, FlashCom/1.5.2 foyer",
					"Room reports 1",
					"Room goodbye",
					"lobby stops",
				}
				if !slices.Equal(l.events, want) {
					t.Errorf("got %q, want %q", l.events, want)
				}
				wantStatus := []string{"status Connect.Success true", "answer 5000 <nil>"}
				if !slices.Equal(r.status, wantStatus) {
					t.Errorf("got %q, want %q", r.status, wantStatus)
				}
				stop()
			})
		})
	}
}

// TestLobbyCallsRooms: the client in roomList is the way back.
func TestLobbyCallsRooms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, r, lobby, room, stop := lobbyAndRoom(t, false)
		if err := room.Start("room/blue"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if _, err := lobby.Call(t.Context(), "lobby", "ring"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if want := []string{"status Connect.Success true", "announce hear"}; !slices.Equal(r.status, want) {
			t.Errorf("got %q, want %q", r.status, want)
		}
		stop()
	})
}

func TestNetConnectionRejected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, l, r, lobby, room, stop := lobbyAndRoom(t, false)
		r.password = "wrong"
		if err := room.Start("room/blue"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		want := []string{"error Connect.Rejected false", "application why", "status Connect.Closed false"}
		if !slices.Equal(r.status, want) {
			t.Errorf("got %q, want %q", r.status, want)
		}
		if n := lobby.Stats().Instances["lobby"]; n != 0 || len(l.rooms) != 0 {
			t.Errorf("%d lobbies", n)
		}
		stop()
	})
}

func TestNetConnectionFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, r, _, room, stop := lobbyAndRoom(t, false)
		r.uri = "rtmp://nowhere/lobby"
		if err := room.Start("room/blue"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		in := room.instances["room/blue"]
		in.Post(func() {
			r.lobby.Call("report", nil)
			r.lobby.Call("report", func(_ amf.Value, err error) { r.note("failed %v", err != nil) })
			r.lobby.Close() // of what is not open: nothing
		})
		synctest.Wait()
		want := []string{"error Connect.Failed false", "error Call.Failed false", "failed true"}
		if !slices.Equal(r.status, want) {
			t.Errorf("got %q, want %q", r.status, want)
		}
		stop()
	})
}

// TestLobbyGoesAway: the room hears of it, stays, and the same NetConnection
// connects again.
func TestLobbyGoesAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, l, r, lobby, room, _ := lobbyAndRoom(t, false)
		if err := room.Start("room/blue"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		lobby.Stop(context.Background())
		synctest.Wait()
		again := newHost(t, same(new(testApp)))
		again.Handle("lobby", func() Application { return l })
		again.Mounts = lobby.Mounts
		n.listeners["lobby.example"].Close()
		stopAgain := serve(t, n, "lobby.example", again)
		in := room.instances["room/blue"]
		in.Post(func() {
			if err := r.lobby.Connect(r.uri, amf.String("Room"), amf.String(r.password)); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		want := []string{
			"status Connect.Success true", "error Connect.AppShutdown true", "status Connect.Closed false",
			"status Connect.Success true",
		}
		if !slices.Equal(r.status, want) {
			t.Errorf("got %q, want %q", r.status, want)
		}
		room.Stop(context.Background())
		n.listeners["room.example"].Close()
		stopAgain()
	})
}

// TestNetConnectionCloseAndConnect: the old link's end is not taken for the
// new one's.
func TestNetConnectionCloseAndConnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, l, r, _, room, stop := lobbyAndRoom(t, false)
		if err := room.Start("room/blue"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		in := room.instances["room/blue"]
		in.Post(func() {
			r.lobby.Close()
			if r.lobby.IsConnected() {
				t.Error("connected after Close")
			}
			r.lobby.Connect(r.uri, amf.String("Room2"), amf.String(r.password))
		})
		synctest.Wait()
		in.Post(func() { r.lobby.Close() })
		synctest.Wait()
		want := []string{"status Connect.Success true", "status Connect.Success true", "status Connect.Closed false"}
		if !slices.Equal(r.status, want) {
			t.Errorf("got %q, want %q", r.status, want)
		}
		if len(l.rooms) != 0 || !slices.Contains(l.events, "Room goodbye") || !slices.Contains(l.events, "Room2 goodbye") {
			t.Errorf("lobby: %q", l.events)
		}
		stop()
	})
}

// TestConnectToItself: an instance may be its own client. That does not keep
// it alive.
func TestConnectToItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _, r, _, room, stop := lobbyAndRoom(t, true)
		r.uri = "rtmp://room.example/room/blue"
		visitor := mustDial(t, n, "rtmp://room.example/room/blue")
		if !r.lobby.IsConnected() {
			t.Errorf("status %q", r.status)
		}
		if n := room.Stats().Clients["room"]["rtmp"]; n != 2 {
			t.Errorf("%d clients", n)
		}
		visitor.Close(nil)
		<-visitor.ended
		time.Sleep(DefaultIdle)
		synctest.Wait()
		if n := room.Stats().Instances["room"]; n != 0 {
			t.Errorf("%d rooms", n)
		}
		stop()
	})
}

// TestStopWhileConnecting: an instance that ends does not wait for a host that
// is silent.
func TestStopWhileConnecting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _, r, _, room, stop := lobbyAndRoom(t, false)
		n.listen("deaf") // nobody accepts
		r.uri = "rtmp://deaf/lobby"
		if err := room.Start("room/blue"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		start := time.Now()
		stop()
		if d := time.Since(start); d != 0 {
			t.Errorf("stopping took %v", d)
		}
	})
}

// TestStopBeforeTheAnswer: a host that lets an instance in after that has ended
// hears a goodbye. A host that never answers is not waited for.
func TestStopBeforeTheAnswer(t *testing.T) {
	for _, tt := range []struct{ answer, want time.Duration }{
		{goodbyeTime / 2, goodbyeTime / 2}, {time.Hour, goodbyeTime},
	} {
		synctest.Test(t, func(t *testing.T) {
			_, _, r, lobby, room, stop := lobbyAndRoom(t, false)
			var left []error
			slow := &testApp{disconnect: func(_ *Client, err error) { left = append(left, err) }}
			slow.connect = func(c *Client, _ amf.Args) error {
				slow.in.After(tt.answer, func() { slow.in.Accept(c) })
				return ErrPending
			}
			lobby.Handle("slow", same(slow))
			r.uri = "rtmp://lobby.example/slow"
			if err := room.Start("room/blue"); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			start := time.Now()
			room.Stop(t.Context())
			if d := time.Since(start); d != tt.want {
				t.Errorf("an answer after %v: stopping took %v, want %v", tt.answer, d, tt.want)
			}
			synctest.Wait()
			if tt.answer < goodbyeTime && (len(left) != 1 || !errors.Is(left[0], rtmp.ErrGoodbye)) {
				t.Errorf("the lobby saw %v, want a goodbye", left)
			}
			stop()
		})
	}
}

func TestConnectAddress(t *testing.T) {
	in := newInstance(newHost(t, same(new(testApp))), &application{name: "app"}, "x")
	nc := in.NewNetConnection()
	for uri, want := range map[string]string{
		"rtmp:/lobby":          "there must be a host name",
		"rtmp::1935/lobby":     "there must be a host name",
		"lobby":                "not an absolute",
		"":                     "not an absolute",
		"rtmp:///lobby":        "there must be a host name",
		"rtmpt://h/lobby":      "tunnelling",
		"http://h/lobby":       "tunnelling",
		"https://h/lobby":      "tunnelling",
		"rtmfp://h/lobby":      "not rtmp",
		"rtmp://h":             "names no application",
		"rtmp://h//":           "names no application",
		"rtmp://[::1/lobby":    "",
		"rtmp://h:notaport/ap": "",
	} {
		err := nc.Connect(uri)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "rtmp://HOST/APPLICATION") {
			t.Errorf("Connect(%q): %v, want %q", uri, err, want)
		}
	}
	if nc.IsConnected() || nc.link != nil {
		t.Error("connecting after all")
	}
}
