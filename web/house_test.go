package web_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"

	"foyer/lobby"
	"foyer/media"
	"foyer/room"
	"foyer/server"
	"foyer/server/amf"
	"foyer/server/guard"
	"foyer/server/rtmp"
	"foyer/web"
)

const (
	secret = "rooms' password"
	token  = "operators' token"
)

// A house is a whole server in the test: lobby, rooms, pages.
type house struct {
	t    *testing.T
	host *server.Host
	rtmp string          // its address
	http string          // its address, the same after a restart
	far  lobby.Directory // the rooms of other nodes; nil: none
	near web.Nodes       // asks other nodes, for the next startWeb; nil: there are none

	memory *room.Memory // of the rooms; nil: they forget when the host stops

	recorder *media.Recorder // for the next startWeb; nil: nothing was recorded

	handler *web.Handler // set by startWeb

	stopHost, stopWeb func()
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, http: "127.0.0.1:0"}
	h.startHost()
	h.startWeb()
	t.Cleanup(func() { h.stopWeb(); h.stopHost() })
	return h
}

func (h *house) url() string { return "http://" + h.http }

func (h *house) log() *slog.Logger {
	return slog.New(slog.NewTextHandler(h.t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}

func (h *house) listen(addr string) net.Listener {
	h.t.Helper()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		h.t.Fatal(err)
	}
	return ln
}

// startHost starts lobby and rooms.
func (h *house) startHost() {
	h.t.Helper()
	ln := h.listen("127.0.0.1:0")
	h.rtmp = ln.Addr().String()
	lobbyURL := "rtmp://" + h.rtmp + "/lobby"
	h.host = &server.Host{Log: h.log(), Node: "one", Guard: new(guard.Guard)}
	h.host.Handle("lobby", func() server.Application {
		// Guests report once, and stay listed however long a test takes.
		return lobby.New(lobby.Config{Secret: secret, AdminToken: token, Directory: h.far, StaleAfter: time.Hour, GoneAfter: time.Hour})
	})
	h.host.Handle("room", func() server.Application {
		cfg := room.Config{Lobby: lobbyURL, Secret: secret, AdminToken: token, Node: "one",
			StreamKey: func(room string, _ int64) string { return streamKey(room) }, Takeover: true, Grace: 30 * time.Second, Recorder: new(tape)}
		if h.memory != nil {
			cfg.Open = h.memory.Open
		}
		return room.New(cfg)
	})
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan struct{})
	host := h.host
	go func() { // ends with ctx; stopHost waits for it
		defer close(served)
		host.Serve(ctx, ln)
	}()
	h.stopHost = func() {
		host.Stop(context.Background())
		cancel()
		<-served
	}
	if err := h.host.Start("lobby"); err != nil {
		h.t.Fatal(err)
	}
}

// startWeb starts the pages, at the address they had before.
func (h *house) startWeb() {
	h.t.Helper()
	ln := h.listen(h.http)
	h.http = ln.Addr().String()
	handler := web.New(web.Config{Host: h.host, Log: h.log(), Node: "one", AdminToken: token, Recorder: h.recorder,
		StreamKey: func(_ context.Context, room string) (string, int64, error) { return streamKey(room), 0, nil }, Nodes: h.near})
	h.handler = handler
	srv := &http.Server{Handler: handler, ErrorLog: slog.NewLogLogger(h.log().Handler(), slog.LevelDebug)}
	served := make(chan struct{})
	go func() { // ends with srv; stopWeb waits for it
		defer close(served)
		srv.Serve(ln)
	}()
	h.stopWeb = func() {
		ln.Close()
		handler.Close()
		srv.Close()
		<-served
	}
}

// drain asks all clients to come back, and waits until they have left.
func (h *house) drain() {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	h.host.Drain(ctx)
	if ctx.Err() != nil {
		h.t.Error("somebody did not leave when asked to")
	}
}

// room starts a room that stays.
func (h *house) room(name, title string) {
	h.t.Helper()
	if err := h.host.Start("room/" + name); err != nil {
		h.t.Fatal(err)
	}
	h.ask(name, "title", amf.String(title))
}

// ask calls a method of a room as this process.
func (h *house) ask(name, method string, args ...amf.Value) {
	h.t.Helper()
	if _, err := h.host.Call(h.t.Context(), "room/"+name, method, args...); err != nil {
		h.t.Fatalf("%s of %s: %v", method, name, err)
	}
}

// A tape is a recorder that only remembers what it was told.
type tape struct{ rooms sync.Map }

func (t *tape) Record(room string, on bool) { t.rooms.Store(room, on) }

func (t *tape) Recorded(room string) bool {
	on, _ := t.rooms.Load(room)
	return on == true
}

// A guest is somebody in a room, or a room in the lobby, without a wire.
type guest struct {
	t *testing.T
	*server.Client
}

// deaf is the peer of a guest: it hears nothing.
type deaf struct{}

func (deaf) Push(*server.Push) error                                   { return nil }
func (deaf) Request(string, []amf.Value, func(amf.Value, error)) error { return nil }
func (deaf) Close(error)                                               {}

func (h *house) guest(path string, args ...amf.Value) guest {
	h.t.Helper()
	c, err := h.host.Connect(h.t.Context(), deaf{}, server.Request{
		Path: path, Args: args, Protocol: "rtmp", Addr: netip.MustParseAddrPort("127.0.0.1:9"),
	})
	if err != nil {
		h.t.Fatalf("connecting to %s: %v", path, err)
	}
	g := guest{h.t, c}
	h.t.Cleanup(func() { c.Leave(rtmp.ErrGoodbye) })
	return g
}

// call calls a method and waits for its answer.
func (g guest) call(method string, args ...amf.Value) {
	g.t.Helper()
	answered := make(chan error, 1)
	g.ServeCall(method, args, func(_ amf.Value, err error) { answered <- err })
	select {
	case err := <-answered:
		if err != nil {
			g.t.Fatalf("%s: %v", method, err)
		}
	case <-time.After(patience):
		g.t.Fatalf("%s: no answer", method)
	}
}

func (g guest) say(text string) {
	g.t.Helper()
	g.call("say", amf.String(text))
}

// report lists the guest in the lobby as a room.
func (g guest) report(status lobby.Status) {
	g.t.Helper()
	g.call(lobby.MethodReport, status.Value())
}

// streamKey is what publishers of a room need.
func streamKey(room string) string { return "key-of-" + room }
