package cluster

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
)

// A trio is three NATS servers as docker-compose.cluster.yml has them: with its
// configuration, but for addresses and folders.
type trio struct {
	servers []*server.Server
	url     string // for Config.URL
}

// startTrio starts them and waits until they have found each other.
func startTrio(t *testing.T) *trio {
	t.Helper()
	t.Setenv("NATS_PASSWORD", "n12e4") // what would be a number without the letter
	var routes []*url.URL
	var listeners []net.Listener
	for range 3 {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listeners = append(listeners, ln)
		routes = append(routes, &url.URL{Scheme: "nats", Host: ln.Addr().String(), User: url.UserPassword("route", "n12e4")})
	}
	tr := new(trio)
	var urls []string
	for i, ln := range listeners {
		name := fmt.Sprintf("nats%d", i+1)
		t.Setenv("NATS_NAME", name)
		o, err := server.ProcessConfigFile("../deploy/nats.conf")
		if err != nil {
			t.Fatal(err)
		}
		if o.ServerName != name || o.Username != "foyer" || o.Password != "n12e4" || o.Cluster.Username != "route" || !o.JetStream {
			t.Fatalf("the configuration says %+v", o)
		}
		o.Host, o.Port, o.HTTPPort = "127.0.0.1", server.RANDOM_PORT, 0
		o.Cluster.Host, o.Cluster.Port, o.Routes = "127.0.0.1", ln.Addr().(*net.TCPAddr).Port, routes
		o.StoreDir, o.NoLog, o.NoSigs = filepath.Join(t.TempDir(), name), true, true
		ln.Close()
		s, err := server.NewServer(o)
		if err != nil {
			t.Fatal(err)
		}
		go s.Start() // until the test's end, which waits
		t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
		if !s.ReadyForConnections(startTimeout) {
			t.Fatal("a NATS did not start")
		}
		tr.servers = append(tr.servers, s)
		urls = append(urls, "nats://foyer:n12e4@"+s.Addr().String())
	}
	tr.url = strings.Join(urls, ",")
	await(t, "the three have a leader", func() bool {
		for _, s := range tr.servers {
			if s.JetStreamIsLeader() {
				return len(s.JetStreamClusterPeers()) == 3
			}
		}
		return false
	})
	return tr
}

// await waits until something is true.
func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	for tick := time.NewTicker(20 * time.Millisecond); !is(); {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("it never came about that %s", what)
		}
	}
}

func (tr *trio) node(t *testing.T, name string) *Cluster {
	t.Helper()
	c, err := Open(t.Context(), Config{URL: tr.url, Node: name, Bare: true, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// TestBackupOfCluster: what one machine kept can move to three, and back.
func TestBackupOfCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("starts three servers")
	}
	one := start(t, filepath.Join(t.TempDir(), "one"))
	want := messagesOf(t, fillStreams(t, one))
	three := startTrio(t).node(t, "a")
	for name, b := range backup(t, one) {
		if err := three.Restore(t.Context(), bytes.NewReader(b)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	stream, err := three.js.Stream(t.Context(), "TALK")
	if err != nil {
		t.Fatal(err)
	}
	config := stream.CachedInfo().Config
	config.Replicas = 3
	if _, err := three.js.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	await(t, "all three have it", func() bool {
		info, err := stream.Info(t.Context())
		return err == nil && info.Cluster != nil && len(info.Cluster.Replicas) == 2 && caughtUp(info.Cluster.Replicas)
	})
	back := bare(t, filepath.Join(t.TempDir(), "back"))
	for name, b := range backup(t, three) {
		if err := back.Restore(t.Context(), bytes.NewReader(b)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	if stream, err = back.js.Stream(t.Context(), "TALK"); err != nil {
		t.Fatal(err)
	}
	got := messagesOf(t, stream)
	for seq, m := range want {
		if got[seq] != m {
			t.Errorf("message %d is %v, want %v", seq, got[seq], m)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d messages, want %d", len(got), len(want))
	}
}

func caughtUp(peers []*jetstream.PeerInfo) bool {
	for _, p := range peers {
		if !p.Current {
			return false
		}
	}
	return true
}
