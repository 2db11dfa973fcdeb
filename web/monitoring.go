package web

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"foyer/lobby"
)

// healthz answers 200 while the process is alive, or 503 with the reason if only a new
// start can help.
func (h *Handler) healthz(w http.ResponseWriter, _ *http.Request) {
	if h.cfg.Lost != nil {
		if err := h.cfg.Lost(); err != nil {
			plain(w, http.StatusServiceUnavailable, "not healthy: "+err.Error())
			return
		}
	}
	plain(w, http.StatusOK, "ok")
}

// readyz answers 200 if this process can serve, or 503 with the reason.
func (h *Handler) readyz(w http.ResponseWriter, _ *http.Request) {
	if h.cfg.Ready != nil {
		if err := h.cfg.Ready(); err != nil {
			w.Header().Set("Retry-After", "1")
			plain(w, http.StatusServiceUnavailable, "not ready: "+err.Error())
			return
		}
	}
	plain(w, http.StatusOK, "ready")
}

// scrapeTimeout is how long the lobby may take to answer a scrape. If it takes longer,
// only its figures are missing.
const scrapeTimeout = 2 * time.Second

// apiMetrics is /metrics. Nothing is counted for it: each scrape reads the figures from
// the live state, so they cannot drift.
func (h *Handler) apiMetrics() http.HandlerFunc {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		&collector{h},
	)
	metrics := promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	return func(w http.ResponseWriter, r *http.Request) {
		if h.mayReadFigures(w, r) {
			metrics.ServeHTTP(w, r)
		}
	}
}

// descs are the descriptions of all figures; desc adds to them.
var descs []*prometheus.Desc

func desc(name, help string, labels ...string) *prometheus.Desc {
	d := prometheus.NewDesc("foyer_"+name, help, labels, nil)
	descs = append(descs, d)
	return d
}

var (
	descInstances    = desc("instances", "Instances that are running.", "app")
	descClients      = desc("clients", "Clients that are connected.", "app", "protocol")
	descOfNodes      = desc("clients_of_nodes", "Connected clients that are links from other nodes. Each stands for a client of that node, which counts it as well.", "app")
	descAccepted     = desc("clients_accepted_total", "Clients that were accepted.", "app")
	descRejected     = desc("clients_rejected_total", "Clients that were rejected.", "app")
	descDisconnected = desc("clients_disconnected_total", "Accepted clients that have left.", "app")
	descCalls        = desc("calls_total", "Remote methods that clients have called.")
	descReceived     = desc("received_bytes_total", "Bytes from clients.", "transport")
	descSent         = desc("sent_bytes_total", "Bytes to clients.", "transport")
	descSockets      = desc("websockets", "WebSockets that are open, admitted or not.")
	descRemuxes      = desc("remuxes", "Streams that are being remuxed to fragmented MP4.")
	descRemuxViewers = desc("remux_viewers", "Viewers of those streams.")
	descViewers      = desc("http_viewers", "Viewers by HTTP-FLV, and viewers by HLS as far as their requests can be told apart.", "way")
	descMuxers       = desc("hls_streams", "Streams that are being muxed for HLS.")
	descFragments    = desc("remux_fragments_total", "Fragments made. Each is made once for all viewers.")
	descRooms        = desc("lobby_rooms", "Rooms that the lobby lists.", "state")
	descPeople       = desc("lobby_people", "People in the rooms that the lobby lists.", "role")
	descStored       = desc("store_messages_total", "Chat messages that were stored.")
	descFailed       = desc("store_failures_total", "Chat messages that could not be stored. Their senders were told.")
	descFlush        = desc("store_flush_seconds", "Flushes to disk. Each is for all messages that were waiting. There are none with an external NATS.")
	descReady        = desc("store_ready", "1 if the store can store something, else 0.")
	descBusAge       = desc("bus_age_seconds", "Age of the latest news from other nodes. It grows while NATS is away.")
	descOutboxes     = desc("outbox_bytes", "Bytes that wait for clients that read slowly. When there are too many, the slowest clients are ended.")
	descRefused      = desc("refused_total", "Requests and connections refused because of a limit.", "limit")
	descConnections  = desc("connections", "Open sockets, including those of pages and HTTP requests.")
	descAddresses    = desc("addresses", "Addresses with connections or a recent history.")
	descMessages     = desc("lobby_messages_per_minute", "Chat messages a minute in the rooms that the lobby lists.")
)

// StoreStats are the figures of the store.
type StoreStats struct {
	Stored, Failed uint64        // messages, since the start
	Flushes        uint64        // to disk; 0 with an external NATS
	FlushTime      time.Duration // time of all flushes together
	Ready          bool          // the store can store something
	Shared         bool          // the store is shared with other nodes, so that BusAge means something
	BusAge         time.Duration // how old the news from other nodes may be
}

// collector reads the figures of a Handler.
type collector struct{ h *Handler }

// Describe implements [prometheus.Collector].
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range descs {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	s := samples(ch)
	c.collectHost(s)
	c.collectPages(s)
	if c.h.cfg.Store != nil {
		s.store(c.h.cfg.Store())
	}
	if c.h.hasLobby() {
		c.collectLobby(s)
	}
}

// samples takes the values of all figures.
type samples chan<- prometheus.Metric

func (s samples) gauge(d *prometheus.Desc, v float64, labels ...string) {
	s <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func (s samples) counter(d *prometheus.Desc, v uint64, labels ...string) {
	s <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
}

func (c *collector) collectHost(s samples) {
	stats := c.h.cfg.Host.Stats()
	for app, n := range stats.Instances {
		s.gauge(descInstances, float64(n), app)
		s.gauge(descOfNodes, float64(stats.OfNodes[app]), app)
		s.counter(descAccepted, stats.Accepted[app], app)
		s.counter(descRejected, stats.Rejected[app], app)
		s.counter(descDisconnected, stats.Disconnected[app], app)
		for protocol, n := range stats.Clients[app] {
			s.gauge(descClients, float64(n), app, protocol)
		}
	}
	s.counter(descCalls, stats.Calls)
	s.counter(descReceived, stats.BytesIn, "rtmp")
	s.counter(descSent, stats.BytesOut, "rtmp")
	s.gauge(descOutboxes, float64(c.h.cfg.Host.Outboxes().Used()))
	for limit, n := range c.h.guard.Refused() {
		s.counter(descRefused, n, limit)
	}
	s.gauge(descConnections, float64(c.h.guard.Connections()))
	s.gauge(descAddresses, float64(c.h.guard.Known()))
}

func (c *collector) collectPages(s samples) {
	s.counter(descReceived, c.h.bridge.received.Load(), "websocket")
	s.counter(descSent, c.h.bridge.sent.Load(), "websocket")
	s.gauge(descSockets, float64(c.h.bridge.open()))
	remuxes, viewers := c.h.remuxes.count()
	s.gauge(descRemuxes, float64(remuxes))
	s.gauge(descRemuxViewers, float64(viewers))
	s.counter(descFragments, c.h.remuxes.fragments.Load())
	muxers, viewers := c.h.live.count()
	s.gauge(descMuxers, float64(muxers))
	s.gauge(descViewers, float64(viewers), "hls")
	s.gauge(descViewers, float64(c.h.live.flv.Load()), "flv")
	s.counter(descSent, c.h.live.sent.Load(), "flv")
	s.counter(descSent, c.h.live.sentHLS.Load(), "hls")
}

func (s samples) store(stats StoreStats) {
	s.counter(descStored, stats.Stored)
	s.counter(descFailed, stats.Failed)
	s <- prometheus.MustNewConstSummary(descFlush, stats.Flushes, stats.FlushTime.Seconds(), nil)
	s.gauge(descReady, map[bool]float64{true: 1}[stats.Ready])
	if stats.Shared {
		s.gauge(descBusAge, stats.BusAge.Seconds())
	}
}

func (c *collector) collectLobby(s samples) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	sums, err := c.h.sums(ctx, true)
	if err != nil {
		c.h.log.Warn("lobby figures missing", "err", err)
		return
	}
	s.gauge(descRooms, float64(sums.Live), lobby.StateLive)
	s.gauge(descRooms, float64(sums.Stale), lobby.StateStale)
	s.gauge(descPeople, float64(sums.Users), "user")
	s.gauge(descPeople, float64(sums.Spectators), "spectator")
	s.gauge(descPeople, float64(sums.Viewers), "viewer")
	s.gauge(descPeople, float64(sums.Publishers), "publisher")
	s.gauge(descMessages, sums.MessagesPerMinute)
}
