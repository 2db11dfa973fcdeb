package store

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
)

// A trio is three NATS servers as docker-compose.cluster.yml has them: with its
// configuration, but for addresses and folders.
type trio struct {
	t       *testing.T
	options []*server.Options
	servers []*server.Server // nil: it does not run
	login   Config           // how nodes reach them
}

// deployed returns deploy's configuration of a NATS server, and the folder of
// secrets that deploy makes for servers at these addresses.
func deployed(t *testing.T, addrs []string) (config, secrets string) {
	t.Helper()
	dir := t.TempDir()
	secrets = filepath.Join(dir, "all")
	args := append([]string{"run", "../deploy/secrets", secrets}, addrs...)
	if out, err := exec.CommandContext(t.Context(), "go", args...).CombinedOutput(); err != nil {
		t.Fatalf("making the secrets: %v\n%s", err, out)
	}
	shipped, err := os.ReadFile("../deploy/nats.conf")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(shipped), "/etc/nats/secrets", filepath.Join(secrets, "nats"))
	text = strings.Replace(text, `include "secrets/`, `include "all/nats/`, 1)
	config = filepath.Join(dir, "nats.conf")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config, secrets
}

// options reads the configuration of the server with that name, which elsewhere
// comes from the environment.
func options(t *testing.T, config, name string) *server.Options {
	t.Helper()
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	named := filepath.Join(filepath.Dir(config), name+".conf")
	if err := os.WriteFile(named, bytes.ReplaceAll(text, []byte("$NATS_NAME"), []byte(name)), 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := server.ProcessConfigFile(named)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// login returns how a node reaches the servers.
func login(t *testing.T, secrets, node string) (cfg Config) {
	t.Helper()
	url, err := os.ReadFile(filepath.Join(secrets, node, "nats-url"))
	if err != nil {
		t.Fatal(err)
	}
	return Config{URL: strings.TrimSpace(string(url)), CA: filepath.Join(secrets, node, "ca.pem")}
}

// newTrio prepares three servers.
func newTrio(t *testing.T) *trio {
	t.Helper()
	var routes []*url.URL
	var ports []int
	host := aside()
	for range 6 {
		ln, err := net.Listen("tcp", host+":0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		ports = append(ports, ln.Addr().(*net.TCPAddr).Port)
	}
	for _, port := range ports[3:] {
		routes = append(routes, &url.URL{Scheme: "nats", Host: fmt.Sprintf("%s:%d", host, port)})
	}
	var addrs []string
	for _, port := range ports[:3] {
		addrs = append(addrs, fmt.Sprintf("%s:%d", host, port))
	}
	config, secrets := deployed(t, addrs)
	tr := &trio{t: t, servers: make([]*server.Server, 3), login: login(t, secrets, "node1")}
	for i := range 3 {
		name := fmt.Sprintf("nats%d", i+1)
		o := options(t, config, name)
		if o.ServerName != name || len(o.Users) != 3 || o.Users[0].Permissions == nil || o.TLSConfig == nil || o.Cluster.TLSConfig == nil || len(o.Routes) != 3 || !o.JetStream {
			t.Fatalf("the configuration says %+v", o)
		}
		o.Host, o.Port, o.HTTPPort = host, ports[i], 0
		o.Cluster.Host, o.Cluster.Port, o.Routes = host, ports[3+i], routes
		o.StoreDir, o.NoLog, o.NoSigs = filepath.Join(t.TempDir(), name), true, true
		o.Users = append(o.Users, &server.User{Username: "test", Password: "n12e4"})
		tr.options = append(tr.options, o)
	}
	return tr
}

// start starts one of them.
func (tr *trio) start(i int) {
	tr.t.Helper()
	s, err := server.NewServer(tr.options[i].Clone())
	if err != nil {
		tr.t.Fatal(err)
	}
	go s.Start() // until the test's end, which waits
	tr.t.Cleanup(func() { stopNATS(s) })
	if !s.ReadyForConnections(hang) {
		tr.t.Fatal("a NATS did not start")
	}
	tr.servers[i] = s
}

// stop stops one of them.
func (tr *trio) stop(i int) {
	stopNATS(tr.servers[i])
	tr.servers[i] = nil
}

// startTrio starts three and waits until they have found each other.
func startTrio(t *testing.T) *trio {
	t.Helper()
	tr := newTrio(t)
	for i := range 3 {
		tr.start(i)
	}
	eventually(t, "the three have a leader", func() bool {
		for _, s := range tr.servers {
			if s.JetStreamIsLeader() {
				return len(s.JetStreamClusterPeers()) == 3
			}
		}
		return false
	})
	return tr
}

// node opens a node of which only Backup and RestoreAll work. Its login may have
// streams that no node has.
func (tr *trio) node(t *testing.T, name string) *Store {
	t.Helper()
	of := *tr
	of.login.URL = regexp.MustCompile(`node1:\w+@`).ReplaceAllString(tr.login.URL, "test:n12e4@")
	return of.open(t, Config{Node: name, Bare: true})
}

func (tr *trio) open(t *testing.T, cfg Config) *Store {
	t.Helper()
	cfg.URL, cfg.CA, cfg.RTMP, cfg.pace = tr.login.URL, tr.login.CA, "rtmp://"+cfg.Node+":1935", &pace{
		lease: 3 * time.Second, renew: 500 * time.Millisecond, grace: 500 * time.Millisecond,
		live: 3 * time.Second, refresh: 500 * time.Millisecond, gap: 50 * time.Millisecond,
	}
	cfg.reach, cfg.copying = 200*time.Millisecond, 500*time.Millisecond
	cfg.Log = slog.New(slog.NewTextHandler(t.Output(), nil)).With("node", cfg.Node)
	c, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// everything returns all streams, and how many copies each has.
func everything(t *testing.T, c *Store) map[string]int {
	t.Helper()
	copies := make(map[string]int)
	list := c.js().ListStreams(t.Context())
	for info := range list.Info() {
		copies[info.Config.Name] = info.Config.Replicas
	}
	if err := list.Err(); err != nil {
		t.Log(err)
	}
	return copies
}

// inThree reports whether everything is kept three times.
func inThree(t *testing.T, c *Store) bool {
	copies := everything(t, c)
	for _, n := range copies {
		if n != replicasOf {
			return false
		}
	}
	return len(copies) == 6
}

// slow skips a test that takes long, unless it was asked for.
func slow(t *testing.T) {
	t.Helper()
	if testing.Short() || os.Getenv("CI") != "true" && os.Getenv("FOYER_SLOW") != "1" {
		t.Skip("takes long: set FOYER_SLOW=1 to run it")
	}
}

// TestThreeLate: nodes start together, before there is any NATS. They come up,
// say why they are not ready, and are ready when NATS is. Streams that had one
// copy get three, and any one of the three servers may go.
func TestThreeLate(t *testing.T) {
	slow(t)
	tr := newTrio(t)
	var nodes []*Store
	for _, name := range []string{"a", "b", "c"} {
		begun := time.Now()
		nodes = append(nodes, tr.open(t, Config{Node: name}))
		if d := time.Since(begun); d > startTimeout/2 {
			t.Errorf("opened after %v", d)
		}
	}
	for _, c := range nodes {
		if err := c.Ready(); err == nil || !strings.Contains(err.Error(), "is away") || strings.Contains(err.Error(), "node1:") {
			t.Errorf("not ready: %v", err)
		}
	}
	if _, err := nodes[0].Claim(within(t, 50*time.Millisecond), "room/blue", nil); err == nil {
		t.Error("claimed without NATS")
	}
	if _, err := nodes[0].OpenRoom(within(t, 50*time.Millisecond), "blue", nil); err == nil {
		t.Error("opened without NATS")
	}
	for i := range 3 {
		tr.start(i)
	}
	ready := func() bool {
		return !slices.ContainsFunc(nodes, func(c *Store) bool { return c.Ready() != nil })
	}
	eventually(t, "all are ready", ready)
	_, lost := claim(t, nodes[0], "room/blue")
	r := open(t, nodes[0], "blue")
	mustSay(t, r, 1, 3)
	// As it was made when there were fewer servers.
	once := jetstream.KeyValueConfig{Bucket: objectsBucket, Storage: jetstream.FileStorage, History: 1, Replicas: 1}
	if _, err := nodes[2].js().UpdateKeyValue(t.Context(), once); err != nil {
		t.Fatal(err)
	}
	eventually(t, "everything is kept three times", func() bool { return inThree(t, nodes[1]) })
	eventually(t, "everything is on all three", func() bool { return allCurrent(t, nodes[1]) })

	stream, err := nodes[1].js().Stream(t.Context(), chatStream)
	if err != nil {
		t.Fatal(err)
	}
	leader := stream.CachedInfo().Cluster.Leader
	t.Log("the leader of the chat goes:", leader)
	tr.stop(int(leader[len(leader)-1] - '1'))
	for id := uint64(4); id < 10; id++ {
		begun := time.Now()
		if got, err := say(r, "on"); err != nil || got != id {
			t.Fatalf("message %d is %d, %v", id, got, err)
		}
		t.Logf("message %d took %v", id, time.Since(begun))
	}
	if closed(lost) {
		t.Error("the room was lost with two servers of three")
	}
	if err := save(r, "state"); err != nil {
		t.Error(err)
	}
	if _, _, err := nodes[0].LoadObjects(t.Context(), "room/blue"); err != nil {
		t.Error(err)
	}
	for _, value := range []string{"1", "2", "3"} {
		if err := saveObject(nodes[0], "room/blue", "score", value); err != nil {
			t.Error(err)
		}
	}
	eventually(t, "all are ready", ready)
	r.Close()
	checkPage(t, open(t, nodes[2], "blue"), 0, -1, 50, []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9}, true, false)
}

// allCurrent reports whether every copy of everything is up to date.
func allCurrent(t *testing.T, c *Store) bool {
	t.Helper()
	list := c.js().ListStreams(t.Context())
	current := true
	for info := range list.Info() {
		current = current && info.Cluster != nil && len(info.Cluster.Replicas) == 2 && caughtUp(info.Cluster.Replicas)
	}
	return current && list.Err() == nil
}

// TestBackupOfCluster: the data of one machine can move to three, and back.
func TestBackupOfCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("starts three servers")
	}
	t.Parallel()
	one := start(t, filepath.Join(t.TempDir(), "one"))
	want := messagesOf(t, fillStreams(t, one))
	three := startTrio(t).node(t, "a")
	for name, b := range backup(t, one) {
		if err := three.Restore(t.Context(), bytes.NewReader(b)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	stream, err := three.js().Stream(t.Context(), "TALK")
	if err != nil {
		t.Fatal(err)
	}
	config := stream.CachedInfo().Config
	config.Replicas = 3
	if _, err := three.js().UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all three have it", func() bool {
		info, err := stream.Info(t.Context())
		return err == nil && info.Cluster != nil && len(info.Cluster.Replicas) == 2 && caughtUp(info.Cluster.Replicas)
	})
	back := bare(t, filepath.Join(t.TempDir(), "back"))
	for name, b := range backup(t, three) {
		if err := back.Restore(t.Context(), bytes.NewReader(b)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	if stream, err = back.js().Stream(t.Context(), "TALK"); err != nil {
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
