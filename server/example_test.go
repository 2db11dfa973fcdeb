package server_test

import (
	"context"
	"fmt"
	"net"

	"foyer/server"
	"foyer/server/amf"
	"foyer/server/rtmp"
)

// Lobby keeps the rooms that know the password.
type Lobby struct{ roomList map[string]*server.Client }

func (l *Lobby) OnAppStart(*server.Instance) error {
	l.roomList = make(map[string]*server.Client)
	return nil
}

func (l *Lobby) OnConnect(client *server.Client, args amf.Args) error {
	var userName, password string
	if err := args.Scan(&userName, &password); err != nil {
		return err
	}
	if password != "secretPassword6" {
		return server.Reject("Invalid room connection attempt.")
	}
	l.roomList[userName] = client
	client.Data = userName
	return nil
}

func (l *Lobby) OnDisconnect(client *server.Client, _ error) {
	delete(l.roomList, client.Data.(string))
	fmt.Println(client.Data, "has left")
}

func (l *Lobby) OnAppStop() {}

func (l *Lobby) Methods() map[string]server.Method {
	return map[string]server.Method{
		"report": func(client *server.Client, args amf.Args) (amf.Value, error) {
			fmt.Println(client.Data, "has", args.At(0), "users")
			return nil, nil
		},
	}
}

// Room connects to the lobby when it starts, and closes when it stops.
type Room struct {
	lobby   string
	lobbyNC *server.NetConnection
	done    chan<- bool
}

func (r *Room) OnAppStart(in *server.Instance) error {
	fmt.Println(in.Name(), "is starting")
	r.lobbyNC = in.NewNetConnection()
	r.lobbyNC.OnStatus = func(info *rtmp.StatusError) {
		fmt.Println("onStatus>", info.Code)
		if info.Code == rtmp.CodeConnectSuccess {
			r.lobbyNC.Call("report", func(amf.Value, error) { close(r.done) }, amf.Number(0))
		}
	}
	return r.lobbyNC.Connect(r.lobby, amf.String("Room"), amf.String("secretPassword6"))
}

func (r *Room) OnConnect(*server.Client, amf.Args) error { return nil }
func (r *Room) OnDisconnect(*server.Client, error)       {}

func (r *Room) OnAppStop() {
	if r.lobbyNC.IsConnected() {
		r.lobbyNC.Close()
	}
	fmt.Println("the room is stopping")
}

// The lobby and the room of the book, in one process and over the wire. The
// lobby is started by the room's connection.
func Example() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	reported := make(chan bool)
	h := &server.Host{Mounts: []string{"chapter4"}}
	h.Handle("lobby", func() server.Application { return new(Lobby) })
	h.Handle("room", func() server.Application {
		return &Room{lobby: "rtmp://" + ln.Addr().String() + "/chapter4/lobby", done: reported}
	})
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error)
	go func() { served <- h.Serve(ctx, ln) }()

	if err := h.Start("room/blue"); err != nil {
		fmt.Println(err)
	}
	<-reported
	h.Stop(ctx)
	cancel()
	<-served
	// Unordered output:
	// room/blue is starting
	// onStatus> NetConnection.Connect.Success
	// Room has 0 users
	// the room is stopping
	// Room has left
}
