package web

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"foyer/media"
	"foyer/server"
	"foyer/server/guard"
)

// Config is what the web side needs to know.
type Config struct {
	Host       *server.Host
	Log        *slog.Logger    // nil: nothing is logged
	Node       string          // this process's name
	Everywhere bool            // every room can be entered here, wherever it runs: nobody is sent to another server
	AdminToken string          // of the API; none means that nobody is an operator
	Lobby      string          // address of the lobby this server's rooms report to, for the page of a server without one
	RTMPPort   string          // for what to type into an encoder; default 1935
	PublicRTMP string          // "rtmp://host:1935"; "" when only guessed: pages then take the host from the request
	Assets     string          // directory that overrides the embedded files, while working on them
	Recorder   *media.Recorder // of the recordings to list and serve; nil: there are none
	Grace      time.Duration   // how long viewers by HTTP wait for a publisher that is gone; default 30 s
	Ready      func() error    // why this process cannot serve yet; nil means that it can
	Lost       func() error    // why it has to be started again; nil means that it need not

	// Apart has what is for operators answered by Admin and Control only.
	Apart bool
	// MetricsFrom are the addresses that may see figures without being operators.
	MetricsFrom []netip.Prefix

	// Store says for /metrics how the store is; nil: there is none.
	Store func() StoreStats
	// Backup writes a backup of what is kept, a tar; nil: there is nothing to back up.
	Backup func(ctx context.Context, w io.Writer, parts BackupParts) error
	// Forget drops what is kept of a room beside its chat, when that cannot be
	// read, and says where a copy is; "" when there is nothing wrong with it.
	Forget func(ctx context.Context, room string) (copy string, err error)

	// Nodes asks other nodes for the pictures of their rooms; nil: only those of this node are shown.
	Nodes Nodes

	// RunsOn reports whether it is that node of this site that runs a room: then
	// what the room says of where its page is can be believed. nil: nobody knows.
	RunsOn func(ctx context.Context, room, node string) bool

	// Access is whose pages may connect: only those of the very host that they
	// ask, unless it says more.
	Access Access

	// StreamKey is the publishing key of a room, as it is now, and which one
	// after the first; nil means that nobody publishes. It may block.
	StreamKey func(ctx context.Context, room string) (key string, generation int64, err error)
}

// Handler serves pages, API, metrics and sockets. Close ends its sockets.
type Handler struct {
	cfg        Config
	log        *slog.Logger
	guard      *guard.Guard // the host's
	bridge     *bridge
	live       *liveStreams
	assets     *assets
	mux        *http.ServeMux
	compressed http.HandlerFunc // mux, with its answers compressed

	access atomic.Pointer[Access]

	backingUp     atomic.Bool // a backup is being made
	remuxes       *remuxes
	pictures      *pictures
	stopAnswering func() // ends the answers to other nodes
	indexes       *recordingIndexes

	proxyNoticed atomic.Bool // see noticeProxy
}

// New returns the handler of the web side.
func New(cfg Config) *Handler {
	h := &Handler{cfg: cfg, log: cfg.Log, mux: http.NewServeMux()}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	h.guard = &guard.Guard{Log: h.log}
	if cfg.Host != nil && cfg.Host.Guard != nil {
		h.guard = cfg.Host.Guard
	}
	h.SetAccess(cfg.Access)
	h.bridge = newBridge(cfg.Host, h.guard, h.log)
	h.bridge.isOriginAllowed = h.isOriginAllowed
	h.remuxes = newRemuxes(func(stream string, err error) { h.log.Error("remux failed", "stream", stream, "err", err) })
	h.live = newLiveStreams(h)
	h.indexes, h.pictures = newRecordingIndexes(), newPictures()
	h.answerNodes()
	h.assets = newAssets(cfg.Assets)
	h.routes()
	h.compressed = compressed(h.mux)
	return h
}

func (h *Handler) routes() {
	const get, post, remove = "GET, HEAD", "POST", "DELETE"
	h.handle(get, "/{$}", h.lobbyPage)
	h.handle(get, "/room/{name}", h.roomPage)
	h.handle(get, "/room/{name}/{$}", func(w http.ResponseWriter, r *http.Request) {
		redirect(w, toRoot(r)+"room/"+url.PathEscape(r.PathValue("name")), http.StatusPermanentRedirect)
	})
	h.handle(get, "/room", toLobby)
	h.handle(get, "/room/{$}", toLobby)
	h.handle(get, "/assets/", h.assets.serve)
	h.handle(get, "/", h.missingPage)

	h.handle(get, "/api/v1/rooms", h.apiRooms)
	h.handle(get, "/api/v1/rooms/{name}", h.apiRoom)
	h.handle(get, "/api/v1/rooms/{name}/messages", h.apiMessages)
	h.handle(get, "/api/v1/rooms/{name}/ingest", h.apiIngest)
	h.handle(get, "/api/v1/reach", h.apiReach)
	h.handle("", "/api/", notFound)
	h.handle(get, "/api/v1/rooms/{name}/recordings", h.apiRecordings)
	h.handle("", "/live/", notFound)
	h.handle("", "/live/{room}/{file}", toAnyOrigin(h.liveByHTTP))
	h.handle("", "/live/{room}/{stream}/{part}", toAnyOrigin(h.livePart))
	h.handle("", "/recordings/", notFound)
	h.handle("", "/recordings/{room}/{file}", toAnyOrigin(h.recordingFile))

	h.handle(get, "/healthz", h.healthz)
	h.handle(get, "/readyz", h.readyz)

	h.operate("GET, HEAD, POST", "/api/v1/rooms/{name}/key", h.apiKey)
	h.operate(remove, "/api/v1/rooms/{name}/streams/{stream}", h.apiRelease)
	h.operate(remove, "/api/v1/rooms/{name}/state", h.apiForget)
	h.operate(post, "/api/v1/announce", h.apiAnnounce)
	h.operate(get, "/api/v1/backup", h.apiBackup)
	h.operate(get, "/metrics", h.apiMetrics())
	h.debug("/debug/pprof", http.RedirectHandler("/debug/pprof/", http.StatusPermanentRedirect).ServeHTTP)
	h.debug("/debug/pprof/", pprof.Index) // not cmdline, which may have secrets in it
	h.debug("/debug/pprof/profile", pprof.Profile)
	h.debug("/debug/pprof/symbol", pprof.Symbol)
	h.debug("/debug/pprof/trace", pprof.Trace)
}

// handle serves a path for some methods, "GET, HEAD"; "" for any.
func (h *Handler) handle(methods, path string, f http.HandlerFunc) {
	h.mux.HandleFunc(path, only(methods, f))
}

// only lets f answer requests of some methods, and refuses any other.
func only(methods string, f http.HandlerFunc) http.HandlerFunc {
	if methods == "" {
		return f
	}
	return func(w http.ResponseWriter, r *http.Request) {
		if !slices.Contains(strings.Split(methods, ", "), r.Method) {
			w.Header().Set("Allow", methods)
			problem(w, http.StatusMethodNotAllowed, "This address answers only these methods: "+methods+".")
			return
		}
		f(w, r)
	}
}

// requestTimeout is how long a request may take, its body and the reading of
// the answer included. A socket has deadlines of its own.
const requestTimeout = 30 * time.Second

// ServeHTTP implements [http.Handler]. Socket addresses do not pass through
// the mux, which would redirect doubled slashes.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r = h.locate(r)
	strictHeaders(w.Header(), r)
	deadline, rc := time.Now().Add(requestTimeout), http.NewResponseController(w)
	rc.SetReadDeadline(deadline)
	rc.SetWriteDeadline(deadline)
	if listenerOf(r) != control && h.isRefused(w, r) {
		return
	}
	r, ok := h.authenticate(w, r)
	if !ok {
		return
	}
	switch path := r.URL.Path; {
	case strings.HasPrefix(path, "/ws/live/"):
		h.liveSocket(w, r)
	case strings.HasPrefix(path, "/ws/"):
		h.bridge.ServeHTTP(w, r)
	case listenerOf(r) == control:
		h.mux.ServeHTTP(w, r)
	default:
		h.request(w, r)
	}
}

// isRefused reports whether a request has got all the answer it gets, before
// anything was done for it.
func (h *Handler) isRefused(w http.ResponseWriter, r *http.Request) bool {
	return !h.isHostAllowed(w, r) || strings.HasPrefix(r.URL.Path, "/api/") && h.cors(w, r)
}

// request serves a request that counts for its address: by what it is answered,
// and while it runs. HTTP-FLV counts as a connection instead.
func (h *Handler) request(w http.ResponseWriter, r *http.Request) {
	var place guard.Place
	no := h.charge(r)
	if no == nil && !(strings.HasPrefix(r.URL.Path, "/live/") && strings.HasSuffix(r.URL.Path, ".flv")) {
		place, no = h.guard.Request(clientAddr(r))
	}
	if no != nil {
		tooManyRequests(w, h.guard.Refuse(clientAddr(r), no))
		return
	}
	defer place.Leave()
	h.answer(w, r)
}

// answerNodes lets other nodes ask.
func (h *Handler) answerNodes() {
	h.stopAnswering = func() {}
	if h.cfg.Nodes == nil {
		return
	}
	stop, err := h.cfg.Nodes.Answer(askPicture, h.answerPicture)
	if err != nil {
		h.log.Error("pictures not given to other nodes", "err", err)
		return
	}
	h.stopAnswering = stop
}

// Close ends all sockets, which an [http.Server] does not know of once they
// are upgraded, and what viewers share, and returns when they have ended. New
// ones are refused.
func (h *Handler) Close() {
	h.stopAnswering()
	h.live.close()
	h.remuxes.close()
	h.bridge.close()
}
