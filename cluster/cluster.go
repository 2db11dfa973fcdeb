package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// startTimeout is how long an engine may take to start, or to answer first.
const startTimeout = 10 * time.Second

// maxPayload is the largest message of the embedded engine.
const maxPayload = 8 << 20

// Config says where things are kept. Its zero value does not work: Dir or URL
// must be set.
type Config struct {
	Dir  string       // folder of the embedded engine's files; unused with URL
	URL  string       // an external NATS, "nats://a:4222,nats://b:4222"; "" means embedded
	Node string       // this process's name
	RTMP string       // with URL: "rtmp://host:port", where other nodes reach this one
	Log  *slog.Logger // nil: nothing is logged

	pace *pace // how fast nodes notice each other; nil: as it should be. Tests are in a hurry
}

// A Cluster is this process's connection to where things are kept: an engine
// in the process, or an external NATS.
type Cluster struct {
	// set by Open
	cfg    Config
	log    *slog.Logger
	engine *server.Server // nil: external
	nc     *nats.Conn
	js     jetstream.JetStream
	others *others // what is shared with other nodes; nil: embedded, there are none
}

// Open starts the embedded engine, or connects to the external one. Close ends it.
func Open(ctx context.Context, cfg Config) (*Cluster, error) {
	c := &Cluster{cfg: cfg, log: cmp.Or(cfg.Log, slog.New(slog.DiscardHandler))}
	if err := c.open(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *Cluster) open(ctx context.Context) (err error) {
	options := []nats.Option{nats.Name("foyer " + c.cfg.Node), nats.MaxReconnects(-1),
		nats.ReconnectWait(reconnectWait), nats.ReconnectJitter(reconnectWait, reconnectWait),
		nats.PingInterval(pingInterval), nats.MaxPingsOutstanding(2),
		nats.ReconnectBufSize(-1)} // what was not sent in time must not come late
	url := c.cfg.URL
	if url == "" {
		if err := c.embed(); err != nil {
			return err
		}
		options = append(options, nats.InProcessServer(c.engine))
	}
	if c.nc, err = nats.Connect(url, options...); err != nil {
		return fmt.Errorf("connecting to NATS at %s: %w", cmp.Or(url, "this process"), err)
	}
	if c.js, err = jetstream.New(c.nc); err != nil || c.embedded() {
		return err
	}
	c.others, err = c.join()
	return err
}

// embed starts the engine in this process: no port, its files in Dir.
func (c *Cluster) embed() (err error) {
	if err := os.MkdirAll(c.cfg.Dir, 0o700); err != nil {
		return err
	}
	c.engine, err = server.NewServer(&server.Options{
		ServerName: c.cfg.Node, DontListen: true, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: filepath.Clean(c.cfg.Dir), MaxPayload: maxPayload,
	})
	if err != nil {
		return fmt.Errorf("making the embedded NATS: %w", err)
	}
	go c.engine.Start() // until Close, which waits
	if !c.engine.ReadyForConnections(startTimeout) {
		return fmt.Errorf("the embedded NATS did not start within %v: see the files in %s", startTimeout, c.cfg.Dir)
	}
	return nil
}

// Close ends the connection, and the embedded engine when its files are whole.
func (c *Cluster) Close() error {
	if c.others != nil {
		c.others.leave()
	}
	if c.nc != nil {
		c.nc.Close()
	}
	if c.engine != nil {
		c.engine.Shutdown()
		c.engine.WaitForShutdown()
	}
	return nil
}

// embedded reports whether the engine is in this process: then there are no
// other nodes.
func (c *Cluster) embedded() bool { return c.engine != nil }
