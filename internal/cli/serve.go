package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"foyer/certs"
	"foyer/internal/backup"
	"foyer/internal/folder"
	"foyer/lobby"
	"foyer/media"
	"foyer/room"
	"foyer/room/nick"
	"foyer/server"
	"foyer/server/guard"
	"foyer/server/rtmp"
	"foyer/store"
	"foyer/web"
)

// minStop is the least time for the second half of a stop, when the people have
// left or had their time: connections end, recordings are finished.
const minStop = 2 * time.Second

// Limits of a connection to the web side. Of HTTP/2, requests that are broken off
// count until their handlers have ended, and four times maxStreams that wait for
// a handler end the connection (net/http: ENHANCE_YOUR_CALM).
const (
	maxHeader    = 64 << 10         // bytes of a request's header
	maxAhead     = 64 << 10         // bytes of bodies that nobody has read, HTTP/2
	maxFrame     = 16 << 10         // bytes of a frame, HTTP/2
	maxStreams   = 100              // requests at a time, HTTP/2
	quietStreams = 30 * time.Second // without a sign of life there is a ping, HTTP/2
	lostStreams  = 15 * time.Second // without an answer to it, or when nothing can be written, the end
)

// startAgain is between two tries to start what could not start yet.
const startAgain = time.Second

// errStopping is what /readyz says once the stop has begun.
var errStopping = errors.New("stopping")

// errStarting is what /readyz says before everything runs.
var errStarting = errors.New("starting")

// serveCommand runs a server until ctx ends.
type serveCommand struct {
	Settings settings `embed:""`
}

// Run serves until ctx ends.
func (cmd *serveCommand) Run(ctx context.Context, p *program) error {
	defer p.catchHangups()()
	n, err := newNode(ctx, p, &cmd.Settings, p.logger(&cmd.Settings, slog.LevelInfo))
	if err != nil {
		return err
	}
	return n.run(ctx, func(context.Context) error { return nil })
}

// A node is one process of ours: listeners, the host with its applications,
// and the web side.
type node struct {
	// set by newNode
	p        *program
	settings *settings
	secrets  *folder.Secrets
	log      *slog.Logger
	guard    *guard.Guard
	host     *server.Host
	pages    *web.Handler
	web      map[string]*http.Server // of the pages, by what is spoken at its listener
	store    *store.Store
	recorder *media.Recorder // nil when nothing can be recorded
	cert     *certs.File     // nil without files of one
	auto     *certs.Auto     // nil without names to get some for
	reserved nick.Reserved   // what nobody may call themselves
	rtmp     net.Listener
	rtmps    net.Listener // nil when off
	http     net.Listener
	admin    net.Listener // nil when off
	control  net.Listener // nil where there can be none
	lobby    string       // where the rooms here report to; "" for nobody

	openRooms atomic.Pointer[string] // who may open rooms, as --open-rooms

	unready atomic.Pointer[error] // why /readyz says no; nil when it says yes
}

// newNode opens the listeners and builds everything. The node's run closes them.
func newNode(ctx context.Context, p *program, s *settings, log *slog.Logger) (*node, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	sec, err := folder.Load(s.Data, folder.Secrets{Lobby: s.LobbySecret, Admin: s.AdminToken, Stream: s.StreamSecret, Node: s.NodeSecret})
	if err != nil {
		return nil, err
	}
	limitMemory(p.getenv, log)
	n := &node{p: p, settings: s, secrets: sec, log: log, guard: &guard.Guard{Log: log}}
	n.trustProxies(s)
	n.unready.Store(&errStarting)
	if err := n.listen(ctx); err != nil {
		return nil, errors.Join(err, n.close())
	}
	if err := n.record(); err != nil {
		return nil, errors.Join(err, n.close())
	}
	if err := n.openStore(ctx); err != nil {
		return nil, errors.Join(err, n.close())
	}
	if err := n.listenControl(); err != nil {
		return nil, errors.Join(err, n.close())
	}
	n.build()
	return n, nil
}

// record opens the recordings. Where nothing is to be recorded unless a
// moderator says so, a folder that cannot be had is no reason not to start.
func (n *node) record() (err error) {
	s, dir := n.settings, filepath.Join(n.settings.Data, folder.Recordings)
	if _, err := os.Stat(dir); !s.hosts("room") && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	n.recorder, err = media.OpenRecorder(media.RecorderConfig{
		Dir: dir, Rooms: s.Record, Limit: int64(s.RecordLimit), Log: n.log,
		Grace: max(s.Grace, time.Nanosecond), // 0 stands for the default there
	})
	if err != nil && len(s.Record) == 0 {
		n.log.Warn("recordings not opened", "err", err)
		return nil
	}
	return err
}

// openStore opens what chat, settings and shared objects are kept in.
func (n *node) openStore(ctx context.Context) (err error) {
	s := n.settings
	n.store, err = store.Open(ctx, store.Config{
		Dir: filepath.Join(s.Data, folder.Store), URL: string(s.NATS), CA: s.NATSCA, Node: s.Node, RTMP: n.nodeRTMP(),
		Sync: s.Sync, History: s.History, HistoryAge: s.HistoryAge, Log: n.log,
		Reserve: s.Store.reserve(), Objects: int64(s.Store.MaxObjects),
	})
	if err != nil {
		return fmt.Errorf("opening the store: %w", err)
	}
	return nil
}

// openRoom opens what is kept of a room.
func (n *node) openRoom(ctx context.Context, name string, found func(message []byte)) (room.Store, error) {
	kept, err := n.store.OpenRoom(ctx, name, found)
	if err != nil {
		return nil, err
	}
	return kept, nil
}

// listen opens what the settings ask for.
func (n *node) listen(ctx context.Context) (err error) {
	s := n.settings
	// Sessions have pings of their own; the kernel's would cost a system call each.
	listen := net.ListenConfig{KeepAlive: -1}
	if n.rtmp, err = listen.Listen(ctx, "tcp", s.RTMP); err != nil {
		return fmt.Errorf("%w (choose another address with --rtmp)", err)
	}
	n.rtmp = n.guard.ListenProxied(n.guard.Listen(n.rtmp))
	if s.RTMPS != "" {
		if n.rtmps, err = listen.Listen(ctx, "tcp", s.RTMPS); err != nil {
			return fmt.Errorf("%w (choose another address with --rtmps)", err)
		}
		n.rtmps = n.guard.ListenProxied(n.guard.Listen(n.rtmps))
	}
	if n.http, err = net.Listen("tcp", s.HTTP); err != nil {
		return fmt.Errorf("%w (choose another address with --http)", err)
	}
	n.http = n.guard.ListenProxied(n.guard.Listen(n.http))
	if s.Admin != "" {
		if n.admin, err = net.Listen("tcp", s.Admin); err != nil {
			return fmt.Errorf("%w (choose another address with --admin)", err)
		}
		n.admin = n.guard.ListenProxied(n.admin)
	}
	return n.secure()
}

// secure puts TLS on the listeners, where there is a certificate or there will
// be one. For HTTP/2 what is accepted has to be a *tls.Conn: nothing goes around
// these, only inside.
func (n *node) secure() (err error) {
	s := n.settings
	var get func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// A browser speaks HTTP/2 for everything but WebSockets, which take their
	// connection over: it opens one of HTTP/1.1 for each.
	web := []string{"h2", "http/1.1"}
	switch {
	case s.TLSCert != "":
		if n.cert, err = certs.Open(s.TLSCert, s.TLSKey); err != nil {
			return err
		}
		get = n.cert.Get
	case len(s.TLSAuto) > 0:
		n.auto, err = certs.NewAuto(certs.AutoConfig{
			Hosts: s.TLSAuto, Dir: filepath.Join(s.Data, folder.ACME), Directory: s.ACMEDirectory, Roots: s.ACMECA,
			Listener: n.http.Addr(), Log: n.log,
		})
		if err != nil {
			return err
		}
		get, web = n.auto.Get, append(web, certs.ChallengeProtocol)
	default:
		return nil
	}
	n.http = tls.NewListener(n.http, &tls.Config{GetCertificate: get, NextProtos: web})
	if n.rtmps != nil {
		n.rtmps = tls.NewListener(n.rtmps, &tls.Config{GetCertificate: get})
	}
	return nil
}

// backup writes a backup of this node to w.
func (n *node) backup(ctx context.Context, w io.Writer, parts web.BackupParts) error {
	from := &backup.Source{
		Data: n.settings.Data, Node: n.settings.Node, Version: versionLine(buildInfo()), Store: n.store,
		Recordings: parts.Recordings, Secrets: parts.Secrets,
	}
	return from.Write(ctx, w)
}

// build makes the host with its applications, and the web side.
func (n *node) build() {
	s := n.settings
	n.host = &server.Host{
		Log: n.log, Node: s.Node, Mounts: s.Mount, Idle: s.Idle, Objects: n.objects(), Redirect: s.Elsewhere == "redirect",
		Guard: n.guard, Always: []string{"lobby/_definst_"}, Opens: n.opens, Dial: n.dial,
	}
	for _, name := range s.Rooms {
		n.host.Always = append(n.host.Always, "room/"+name)
	}
	s.Limits.apply(n)
	n.joinNodes()
	s.People.apply(n)
	s.Publishing.apply(n)
	if n.recorder != nil {
		n.host.OnStream = n.recorder.OnStream
	}
	n.lobby = s.Lobby
	if n.lobby == "" && s.hosts("lobby") {
		n.lobby = "rtmp://" + loopback(n.rtmp.Addr().String(), portNumber(n.rtmp)) + "/lobby"
	}
	if s.hosts("lobby") {
		cfg := lobby.Config{
			Secret: string(n.secrets.Lobby), AdminToken: string(n.secrets.Admin),
			StaleAfter: s.StaleAfter, GoneAfter: s.GoneAfter, Log: n.log,
		}
		n.joinLobbies(&cfg)
		n.host.Handle("lobby", func() server.Application { return lobby.New(cfg) })
	}
	if s.hosts("room") {
		cfg := room.Config{
			Lobby: n.lobby, Secret: string(n.secrets.Lobby), AdminToken: string(n.secrets.Admin),
			Resume: func(room string) string { return folder.Resume(n.secrets.Node, room) },
			Node:   s.Node, PublicRTMP: n.publicRTMP(), PublicHTTP: n.publicHTTP(),
			StreamKey: func(name string, generation int64) string {
				return folder.StreamKey(n.secrets.Stream, name, generation)
			},
			Takeover: s.Publish == "takeover", Grace: s.Grace, MaxUsers: s.MaxUsers, Reserved: &n.reserved,
			Open: n.openRoom, History: s.History, HistoryAge: s.HistoryAge,
		}
		if n.recorder != nil {
			cfg.Recorder = n.recorder
		}
		if s.Lobby == "" {
			cfg.StaleAfter = s.StaleAfter
		}
		n.handleRooms(func() server.Application { return room.New(cfg) })
	}
	pages := web.Config{
		Host: n.host, Log: n.log, Node: s.Node, Everywhere: n.several() && s.hosts("room"), AdminToken: string(n.secrets.Admin),
		Lobby: n.lobby, RTMPPort: portNumber(n.rtmp), PublicRTMP: s.PublicRTMP, StreamKey: n.keyOf,
		Assets: s.Assets, Recorder: n.recorder, Grace: s.Grace, Ready: n.ready, Lost: n.store.Lost,
		Apart: s.Admin != "", MetricsFrom: s.MetricsFrom,
		Backup: n.backup, Forget: n.forget, Store: n.storeStats, Access: s.access(),
	}
	if n.several() {
		pages.Nodes, pages.RunsOn = n.store, n.runsOn
	}
	n.pages = web.New(pages)
	n.web = map[string]*http.Server{
		"http": n.server(n.pages), "admin": n.server(n.pages.Admin()), protoControl: n.server(n.pages.Control()),
	}
}

// server answers requests with h.
func (n *node) server(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ConnContext:       web.ConnContext,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    maxHeader,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams, MaxReadFrameSize: maxFrame,
			MaxReceiveBufferPerConnection: maxAhead, MaxReceiveBufferPerStream: maxAhead,
			SendPingTimeout: quietStreams, PingTimeout: lostStreams, WriteByteTimeout: lostStreams,
		},
		ErrorLog: slog.NewLogLogger(n.log.Handler(), slog.LevelDebug),
	}
}

// run serves until ctx ends or something fails, with beside running next to
// it; both have ended when it returns.
func (n *node) run(ctx context.Context, beside func(context.Context) error) error {
	// The connections outlive ctx: while the node stops, rooms still say
	// goodbye to the lobby, and everybody is told why the connection ends.
	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopServing()
	g, running := errgroup.WithContext(ctx)
	for _, ln := range n.listeners() {
		if ln.proto != protoControl {
			n.log.Info("listening", "proto", ln.proto, "addr", ln.Addr().String())
		}
		g.Go(func() error { return n.serve(serving, ln) })
	}
	g.Go(func() error {
		n.storeAgain(running)
		return nil
	})
	g.Go(func() error {
		n.sweepObjects(running)
		return nil
	})
	g.Go(func() error {
		n.upkeep(running)
		return nil
	})
	if n.auto != nil {
		g.Go(func() error { return n.auto.Run(running) })
	}
	g.Go(func() error {
		later, err := n.start()
		switch {
		case err != nil && running.Err() != nil:
			return nil // a stop has come between
		case err != nil:
			return err
		}
		if len(later) > 0 {
			g.Go(func() error {
				n.startLater(running, later)
				return nil
			})
		}
		return ignore(beside(running), context.Canceled)
	})
	g.Go(func() error {
		<-running.Done()
		n.stop()
		stopServing()
		return nil
	})
	return g.Wait()
}

// A listener is an open one, and what is spoken there.
type listener struct {
	proto string // "rtmp", "rtmps", "http", "admin", protoControl
	net.Listener
}

// serve answers what comes to a listener until it is closed or ctx ends.
func (n *node) serve(ctx context.Context, ln listener) error {
	if s := n.web[ln.proto]; s != nil {
		return ignore(s.Serve(ln), http.ErrServerClosed)
	}
	return ignore(n.host.Serve(ctx, ln.Listener), context.Canceled, net.ErrClosed, rtmp.ErrClosed)
}

// listeners are the open ones.
func (n *node) listeners() []listener {
	all := []listener{{"rtmp", n.rtmp}, {"rtmps", n.rtmps}, {"http", n.http}, {"admin", n.admin}, {protoControl, n.control}}
	return slices.DeleteFunc(all, func(ln listener) bool { return ln.Listener == nil })
}

// start starts the rooms that never stop and opens for business. What cannot
// start yet, because other nodes share a store that is not there, comes later.
func (n *node) start() (later []string, err error) {
	if len(n.secrets.Made) > 0 {
		n.log.Info("secrets made", "data", n.settings.Data, "files", n.secrets.Made)
	}
	n.secrets.Warn(n.log)
	if n.lobby == "" {
		n.log.Warn("rooms report to nobody: no lobby here, and none named by --lobby")
	}
	if err := n.startLobby(); err != nil {
		return nil, fmt.Errorf("starting the lobby: %w", err)
	}
	if later, err = n.startRooms(); err != nil {
		return nil, err
	}
	n.greet()
	n.unready.CompareAndSwap(&errStarting, nil)
	n.log.Info("node started", "node", n.settings.Node, "apps", n.settings.Apps, "lobby", n.lobby)
	return later, nil
}

// startRooms starts the rooms that never stop, and returns those that it could not.
func (n *node) startRooms() (later []string, err error) {
	for i, name := range n.settings.Rooms {
		if n.several() && n.store.Ready() != nil {
			n.log.Warn("rooms not started yet: they wait for the store", "rooms", n.settings.Rooms[i:])
			return append(later, n.settings.Rooms[i:]...), nil
		}
		if err := n.startRoom(name); err != nil {
			if n.several() {
				n.log.Warn("room not started yet", "instance", "room/"+name, "err", err)
				later = append(later, name)
				continue
			}
			return nil, fmt.Errorf("starting room %s: %w", name, err)
		}
	}
	return later, nil
}

// startLater starts rooms as soon as they can be, until ctx ends.
func (n *node) startLater(ctx context.Context, rooms []string) {
	tick := time.NewTicker(startAgain)
	defer tick.Stop()
	for len(rooms) > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		rooms = slices.DeleteFunc(slices.Clone(rooms), func(name string) bool {
			return ctx.Err() == nil && n.store.Ready() == nil && n.startRoom(name) == nil
		})
	}
	n.log.Info("all rooms started")
}

// startRoom starts a room, unless another node has.
func (n *node) startRoom(name string) error {
	err := n.host.Start("room/" + name)
	if _, away := errors.AsType[*server.ElsewhereError](err); away {
		n.log.Info("room runs elsewhere", "instance", "room/"+name, "err", err)
		return nil
	}
	if errors.Is(err, room.ErrUnreadable) { // as it has said; the others start
		return nil
	}
	return err
}

// stop lets the people go, then stops the instances, the recordings, the store
// and the web side. What takes too long is cut off.
func (n *node) stop() {
	n.unready.Store(&errStopping)
	n.log.Info("node stopping", "node", n.settings.Node)
	began, rest := time.Now(), max(n.settings.Drain/4, minStop)
	ctx, cancel := context.WithTimeout(context.Background(), max(n.settings.Drain-rest, 0))
	n.host.Drain(ctx)
	if ctx.Err() != nil && n.settings.Drain > 0 {
		n.log.Warn("people cut off", "node", n.settings.Node, "dur", time.Since(began))
	}
	cancel()
	ctx, cancel = context.WithTimeout(context.Background(), rest)
	defer cancel()
	n.host.Stop(ctx)
	if n.recorder != nil {
		n.recorder.Close() // what it has to say it has logged
	}
	n.pages.Close()
	for _, s := range n.web {
		if s.Shutdown(ctx) != nil {
			s.Close()
		}
	}
	if err := n.store.Close(); err != nil { // last: somebody may be reading a backup
		n.log.Error("store not closed", "err", err)
	}
}

// close closes the listeners of a node that did not come to run.
func (n *node) close() (err error) {
	for _, ln := range n.listeners() {
		err = errors.Join(err, ln.Close())
	}
	if n.auto != nil {
		n.auto.Close()
	}
	if n.recorder != nil {
		err = errors.Join(err, n.recorder.Close())
	}
	if n.store != nil {
		err = errors.Join(err, n.store.Close())
	}
	return err
}

// ready says why the node is not able to serve, or nil.
func (n *node) ready() error {
	err := n.unready.Load()
	if err == nil || *err == errStarting {
		if why := n.store.Ready(); why != nil {
			return why
		}
	}
	if err != nil {
		return *err
	}
	return nil
}

// storeStats are the store's figures in the words of the web side.
func (n *node) storeStats() web.StoreStats {
	s := n.store.Stats()
	return web.StoreStats{
		Stored: s.Stored, Failed: s.Failed, Flushes: s.Flushes, FlushTime: s.FlushTime,
		Ready: n.store.Ready() == nil, Shared: n.several(), BusAge: s.BusAge,
	}
}

// publicRTMP and publicHTTP are where others reach this node: as set, or as guessed.
func (n *node) publicRTMP() string {
	if n.settings.PublicRTMP != "" {
		return n.settings.PublicRTMP
	}
	return n.guess("rtmp", n.settings.RTMP, n.rtmp)
}

func (n *node) publicHTTP() string {
	if n.settings.PublicHTTP != "" {
		return n.settings.PublicHTTP
	}
	scheme := "http"
	if n.settings.secure() {
		scheme = "https"
	}
	return n.guess(scheme, n.settings.HTTP, n.http)
}

// guess guesses the public address of a listener: at the first host that there
// are certificates for, or as guessPublic.
func (n *node) guess(scheme, listen string, ln net.Listener) string {
	if len(n.settings.TLSAuto) > 0 {
		listen = net.JoinHostPort(n.settings.TLSAuto[0], "0")
	}
	return guessPublic(scheme, listen, portNumber(ln))
}

// guessPublic guesses the address that others should use for what listens at
// that address: its name if it has one, else localhost.
func guessPublic(scheme, listen, port string) string {
	host, _, _ := net.SplitHostPort(listen)
	if ip := net.ParseIP(host); host == "" || ip != nil && (ip.IsUnspecified() || ip.IsLoopback()) {
		host = "localhost"
	}
	if (map[string]string{"rtmp": "1935", "http": "80", "https": "443"})[scheme] != port {
		return scheme + "://" + net.JoinHostPort(host, port)
	}
	if net.ParseIP(host) != nil && net.ParseIP(host).To4() == nil {
		host = "[" + host + "]"
	}
	return scheme + "://" + host
}

// portNumber is the port that ln really listens at.
func portNumber(ln net.Listener) string {
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	return port
}

// greet says on a terminal where to look. The secrets are shown only when this
// start made them.
func (n *node) greet() {
	if !isTerminal(n.p.stdout) {
		return
	}
	w := n.p.stdout
	fmt.Fprintln(w)
	if n.settings.hosts("lobby") {
		fmt.Fprintf(w, "  The lobby    %s/\n", n.publicHTTP())
		fmt.Fprintf(w, "  Its rooms    foyer rooms %s/lobby\n", n.publicRTMP())
	} else if n.lobby != "" {
		fmt.Fprintf(w, "  The lobby    %s\n", n.lobby)
	}
	if n.settings.hosts("room") {
		fmt.Fprintf(w, "  Join a room  foyer join %s/room/blue --nick YOU\n", n.publicRTMP())
	}
	fmt.Fprintf(w, "  Secrets      in %s, readable by you only\n", n.settings.Data)
	for _, name := range n.secrets.Made {
		switch name {
		case folder.LobbySecret:
			fmt.Fprintf(w, "               lobby secret  %s\n", string(n.secrets.Lobby))
		case folder.AdminToken:
			fmt.Fprintf(w, "               admin token   %s  (made now, shown this once)\n", string(n.secrets.Admin))
		}
	}
	fmt.Fprint(w, "  To stop      Ctrl-C\n\n")
}

// ignore is err unless it is one of those.
func ignore(err error, those ...error) error {
	for _, e := range those {
		if errors.Is(err, e) {
			return nil
		}
	}
	return err
}
