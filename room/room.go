package room

import (
	"cmp"
	"crypto/rand"
	"log/slog"
	"time"

	"foyer/lobby"
	"foyer/server"
	"foyer/server/amf"
	"foyer/server/rtmp"
	"foyer/server/sharedobject"
)

// Room is the application. All of it belongs to the instance goroutine.
type Room struct {
	cfg  Config
	in   *server.Instance
	log  *slog.Logger
	name string // as the room was first opened: upper and lower case make no difference

	lobbyNC *server.NetConnection
	link    link // what the lobby is told, and how that connection is doing

	people   people
	chat     chat
	settings settings
	doors    doors
	stage    stage
	limits   limits
	activity activity
	store    storage

	object *sharedobject.Object[*server.Client] // "room"
}

// New makes the application of one room.
func New(cfg Config) server.Application {
	cfg.MaxUsers = cmp.Or(cfg.MaxUsers, DefaultMaxUsers)
	cfg.Streams = min(cmp.Or(cfg.Streams, DefaultStreams), MaxStreams)
	if cfg.Open == nil {
		cfg.Open = new(Memory).Open
	}
	return &Room{cfg: cfg, people: newPeople(), stage: stage{away: make(map[string]*absence)}}
}

// OnAppStart opens the store of the room and connects the room to its lobby.
func (r *Room) OnAppStart(in *server.Instance) error {
	r.in, r.log, r.name, r.link.epoch = in, in.Log(), in.ShortName(), ms(time.Now())
	r.activity.last = time.Now()
	if r.link.resume = rand.Text(); r.cfg.Resume != nil {
		r.link.resume = r.cfg.Resume(r.name)
	}
	if err := r.open(); err != nil {
		return err
	}
	r.people.object, r.object = in.SharedObject(ObjectUsers, false), in.SharedObject(ObjectRoom, false)
	r.show()
	r.connectLobby()
	return nil
}

// connectLobby makes lobbyNC. The lobby is told the name of the room and the password.
func (r *Room) connectLobby() {
	if r.cfg.Lobby == "" {
		return
	}
	nc := r.in.NewNetConnection()
	r.lobbyNC = nc
	nc.OnStatus = func(info *rtmp.StatusError) {
		if nc == r.lobbyNC {
			r.onStatus(info)
		}
	}
	nc.Methods = map[string]func(amf.Args) (amf.Value, error){lobby.MethodAnnounce: r.announced}
	err := nc.Connect(r.cfg.Lobby, amf.String(r.name), amf.String(r.cfg.Secret), amf.Object{
		{Name: "node", Value: amf.String(r.cfg.Node)}, {Name: "epoch", Value: amf.Number(r.link.epoch)},
		{Name: "resume", Value: amf.String(r.link.resume)}, {Name: "unlisted", Value: amf.Bool(r.settings.Unlisted)},
		{Name: "nodeRtmp", Value: amf.String(r.cfg.NodeRTMP)},
	})
	if err != nil {
		r.log.Error("lobby address refused", "err", err)
	}
}

// onStatus hears how the connection to the lobby is. Whatever happens to it, the
// room continues with the people in it.
func (r *Room) onStatus(info *rtmp.StatusError) {
	switch {
	case info.Code == rtmp.CodeConnectSuccess:
		r.lobbyFound()
		r.report()
	case !r.lobbyNC.IsConnected():
		r.lobbyLost(info)
	default: // NetConnection.Call.Failed, or the reason why the lobby is about to close
		r.complain(info)
	}
}

// OnConnect lets people in: with a nick to talk, or without one to watch.
func (r *Room) OnConnect(client *server.Client, args amf.Args) error {
	if none(args.At(0)) {
		r.enter(client, &person{})
		return nil
	}
	name, wrong := parseNick(args.At(0))
	if wrong != "" {
		return reject(wrong, 0)
	}
	n := newcomer{nick: name, role: roleUser, proof: proofOf(args.At(2))}
	if credential := args.At(1); !none(credential) && credential != amf.String("") {
		return r.moderatorComes(client, n, credential)
	}
	return r.join(client, n)
}

// OnDisconnect lets people out.
func (r *Room) OnDisconnect(client *server.Client, _ error) {
	if p := personOf(client); p != nil {
		r.leave(p)
		r.rememberMember(p)
	}
	client.Data = nil // also of a client that was still waiting to be let in
}

// OnAppStop says goodbye to the lobby. The store is closed later, when nothing uses
// it any more (see open).
func (r *Room) OnAppStop() {
	r.chat.speakers.wereStored(0, errLeft)
	if r.store.failed || r.store.soon {
		r.save(func(error) {}) // the last chance
	}
	if r.lobbyNC != nil {
		r.lobbyNC.Close()
	}
}
