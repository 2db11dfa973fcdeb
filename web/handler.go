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

// Config is the configuration of a Handler.
type Config struct {
	Host       *server.Host
	Log        *slog.Logger    // nil: nothing is logged
	Node       string          // name of this process
	Everywhere bool            // this node can serve every room, wherever it runs, and never sends visitors to another server
	Listed     bool            // there are no rooms but those that the lobby lists
	AdminToken string          // of the API; "": nobody is an operator
	Lobby      string          // address of the lobby to which this server's rooms report; shown if this server has no lobby itself
	RTMPPort   string          // to be typed into an encoder; default 1935
	PublicHTTP string          // "https://host/path"; "" if it is only guessed
	PublicRTMP string          // "rtmp://host:1935"; "" if it is only guessed: then pages use the host of the request
	Assets     string          // directory that replaces the embedded files, for working on them
	Recorder   *media.Recorder // lists and serves recordings; nil: there are none
	Grace      time.Duration   // how long viewers by HTTP wait for a publisher to come back; default 30 s
	Ready      func() error    // returns why this process cannot serve yet; nil: it can
	Lost       func() error    // returns why this process has to be started again; nil: it never has to

	// Apart takes everything that is for operators away from the public listener: only
	// Admin and Control serve it.
	Apart bool
	// MetricsFrom are addresses that may read the metrics without being operators.
	MetricsFrom []netip.Prefix

	// Store returns figures of the store, for /metrics; nil: there is no store.
	Store func() StoreStats
	// Backup writes a tar of all that is kept; nil: nothing is kept.
	Backup func(ctx context.Context, w io.Writer, parts BackupParts) error
	// Forget drops the state of a room if it cannot be read, but keeps the chat. It
	// returns where a copy of the state is; "" if the state can be read.
	Forget func(ctx context.Context, room string) (copy string, err error)

	// Nodes asks other nodes for pictures of their rooms; nil: only rooms on this node
	// have pictures.
	Nodes Nodes

	// RunsOn reports whether a node of this site runs a room. Then the room's own report
	// of the address of its page can be trusted. nil: it cannot.
	RunsOn func(ctx context.Context, room, node string) bool

	// Access decides which pages may connect. By default, only those of this host may.
	Access Access

	// StreamKey returns the present publishing key of a room, and how often it was
	// replaced. It may block. nil: nobody can publish.
	StreamKey func(ctx context.Context, room string) (key string, generation int64, err error)
}

// A Handler serves pages, the API, metrics and sockets. Close ends its sockets.
type Handler struct {
	cfg        Config
	log        *slog.Logger
	guard      *guard.Guard // the host's
	bridge     *bridge
	live       *liveStreams
	assets     *assets
	mux        *http.ServeMux
	compressed http.HandlerFunc // mux, whose answers it compresses

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
	h.handle(get, "/room", to("", http.StatusSeeOther))
	h.handle(get, "/room/{$}", to("", http.StatusSeeOther))
	h.handle(get, "/assets/", h.assets.serve)
	h.handle(get, "/", h.missingPage)

	h.handle(get, "/api/v1/rooms", h.apiRooms)
	h.handle(get, "/api/v1/rooms/{name}", h.apiRoom)
	h.handle(get, "/api/v1/rooms/{name}/messages", h.apiMessages)
	h.handle(get, "/api/v1/rooms/{name}/ingest", h.apiIngest)
	h.handle(get, "/api/v1/reach", h.apiReach)
	h.handle("", "/api/", notFound)
	h.handle(get, "/api/v1/rooms/{name}/recordings", h.apiRecordings)
	for _, tree := range []string{"/api", "/live", "/recordings", "/assets"} {
		h.handle("", tree, notFound) // the mux would redirect
	}
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
	h.apart(get, "/metrics", h.apiMetrics())
	h.debug("/debug/pprof", to("debug/pprof/", http.StatusPermanentRedirect))
	h.debug("/debug/pprof/", pprof.Index) // not cmdline, which may contain secrets
	h.debug("/debug/pprof/profile", pprof.Profile)
	h.debug("/debug/pprof/symbol", pprof.Symbol)
	h.debug("/debug/pprof/trace", pprof.Trace)
}

// handle serves a path for the given methods, such as "GET, HEAD"; "" for any.
func (h *Handler) handle(methods, path string, f http.HandlerFunc) {
	h.mux.HandleFunc(path, only(methods, f))
}

// only passes requests with the given methods to f, and refuses any other.
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

// requestTimeout is how long a request may take, from reading its body to writing the
// answer. A socket has deadlines of its own.
const requestTimeout = 30 * time.Second

// ServeHTTP implements [http.Handler] for the public listener.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.serve(w, r, public) }

// serve serves a request. The addresses of sockets do not pass through the mux, which
// would redirect doubled slashes.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, l listener) {
	r = h.locate(r, l)
	strictHeaders(w.Header(), r)
	deadline, rc := time.Now().Add(requestTimeout), http.NewResponseController(w)
	rc.SetReadDeadline(deadline)
	rc.SetWriteDeadline(deadline)
	if l != control && (h.isAnswered(w, r) || !h.authenticate(w, r)) {
		return
	}
	switch path := r.URL.Path; {
	case strings.HasPrefix(path, "/ws/live/"):
		h.liveSocket(w, r)
	case strings.HasPrefix(path, "/ws/"):
		h.bridge.ServeHTTP(w, r)
	case l == control:
		h.mux.ServeHTTP(w, r)
	default:
		h.request(w, r)
	}
}

// isAnswered reports whether a request has been answered before anything was done for
// it: it is for a foreign host, or a preflight.
func (h *Handler) isAnswered(w http.ResponseWriter, r *http.Request) bool {
	return !h.isHostAllowed(w, r) || strings.HasPrefix(r.URL.Path, "/api/") && h.cors(w, r)
}

// request serves a request, and charges its address for the answer. While it runs it
// counts as a request of that address, except HTTP-FLV, which counts as a connection.
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

// answerNodes begins to answer the questions of other nodes.
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

// Close ends all sockets, and the streams that viewers share, and returns when they have
// ended. An [http.Server] does not know of sockets once they are upgraded. Close refuses
// new ones.
func (h *Handler) Close() {
	h.stopAnswering()
	h.live.close()
	h.remuxes.close()
	h.bridge.close()
}
