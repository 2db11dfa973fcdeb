package store

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
)

// A complaints is a log that keeps the errors that NATS reported.
type complaints struct {
	mu  sync.Mutex
	out bytes.Buffer
	t   io.Writer
}

func (c *complaints) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if bytes.Contains(b, []byte("ermission")) || bytes.Contains(b, []byte("NATS reported an error")) {
		c.out.Write(b)
	}
	return c.t.Write(b)
}

func (c *complaints) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.String()
}

// The logins of deploy let a node do everything that it does, over TLS, and
// nothing else.
func TestLogins(t *testing.T) {
	t.Parallel()
	addr := aside()
	config, secrets := deployed(t, []string{addr + ":4222"})
	o := options(t, config, "nats1")
	o.Host, o.HTTPPort, o.Cluster, o.Routes = addr, 0, server.ClusterOpts{}, nil
	o.StoreDir, o.NoLog, o.NoSigs = t.TempDir(), true, true
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	go s.Start() // until the test's end, which waits
	t.Cleanup(func() { stopNATS(s) })
	if !s.ReadyForConnections(hang) {
		t.Fatal("NATS did not start")
	}
	said := &complaints{t: t.Output()}
	node := func(login Config, name string) *Store {
		t.Helper()
		login.Node, login.Log, login.RTMP = name, slog.New(slog.NewTextHandler(said, nil)), "rtmp://"+name+":1935"
		c, err := Open(t.Context(), login)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	a, b := node(login(t, secrets, "node1"), "node1"), node(login(t, secrets, "node2"), "node2")
	eventually(t, "both are ready", func() bool { return a.Ready() == nil && b.Ready() == nil })
	useAll(t, a, b)
	if text := said.String(); text != "" {
		t.Errorf("NATS reported an error: %s", text)
	}

	// A node may do nothing else.
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := a.js().CreateStream(ctx, jetstream.StreamConfig{Name: "OTHER", Storage: jetstream.MemoryStorage}); err == nil {
		t.Error("a node may make streams of its own")
	}
	if sub, err := a.nc().SubscribeSync(">"); err == nil {
		defer sub.Unsubscribe()
	}
	if err := a.nc().Publish("$JS.API.ACCOUNT.PURGE.x", nil); err != nil {
		t.Error(err)
	}
	eventually(t, "NATS has refused all three", func() bool {
		text := said.String()
		return strings.Contains(text, "STREAM.CREATE.OTHER") && strings.Contains(text, "Subscription to") && strings.Contains(text, "ACCOUNT.PURGE")
	})

	// A wrong password, another authority, and no TLS get nobody in.
	right := login(t, secrets, "node1")
	_, others := deployed(t, []string{addr + ":4222"})
	for what, wrong := range map[string]Config{
		"wrong password":    {URL: strings.Replace(right.URL, "node1:", "node1:x", 1), CA: right.CA},
		"another authority": {URL: right.URL, CA: filepath.Join(others, "node1", "ca.pem")},
		"nobody":            {URL: "tls://" + addr + ":4222", CA: right.CA},
	} {
		wrong.Node, wrong.reach = "stranger", time.Millisecond
		c, err := Open(t.Context(), wrong)
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, what+" is told why", func() bool { err := c.Ready(); return err != nil && c.nc().LastError() != nil })
		if c.nc().IsConnected() {
			t.Errorf("%s: connected", what)
		}
		c.Close()
	}
}

// useAll has two nodes do all that nodes do.
func useAll(t *testing.T, a, b *Store) {
	t.Helper()
	release, err := a.Claim(within(t, hang), "room/blue", func() {})
	if err != nil {
		t.Fatal(err)
	}
	if owned, err := b.Find(within(t, hang), "room/blue"); err != nil || owned == nil || owned.Node != "node1" {
		t.Errorf("found %v, %v", owned, err)
	}
	for range 2 {
		if _, _, err := a.LoadObjects(t.Context(), "room/blue"); err != nil {
			t.Error(err)
		}
		saved := make(chan error, 2)
		a.SaveObject("room/blue", "score", []byte("1"), func(err error) { saved <- err })
		a.SaveObject("room/blue", "gone", nil, func(err error) { saved <- err })
		for range 2 {
			if err := <-saved; err != nil {
				t.Error(err)
			}
		}
	}
	if _, err := a.SweepObjects(t.Context()); err != nil {
		t.Error(err)
	}
	r := open(t, a, "blue")
	mustSay(t, r, 1, 5)
	remove(t, r, 5, true)
	r.Limit(2, 0)
	mustSay(t, r, 6, 6)
	checkPage(t, r, 0, -1, 50, []uint64{4, 6}, false, false)
	saved := make(chan error, 1)
	r.Save([]byte("state"), func(err error) { saved <- err })
	if err := <-saved; err != nil {
		t.Error(err)
	}
	r.Close()
	release()
	empty, err := b.Claim(within(t, hang), "room/empty", func() {})
	if err != nil {
		t.Fatal(err)
	}
	open(t, b, "empty").Close()
	empty()
	if err := b.DropState(t.Context(), "blue", func([]byte) error { return nil }); err != nil {
		t.Error(err)
	}
	heard := make(chan string, 1)
	stop, err := b.Subscribe("news", func(data []byte) { heard <- string(data) })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	silence, err := b.Answer("size", func(question []byte) []byte { return question })
	if err != nil {
		t.Fatal(err)
	}
	defer silence()
	if err := b.nc().Flush(); err != nil {
		t.Fatal(err)
	}
	if answer, err := a.Ask(within(t, hang), "node2", "size", []byte("big")); err != nil || string(answer) != "big" {
		t.Errorf("answered %q, %v", answer, err)
	}
	if err := a.Publish("news", []byte("hello")); err != nil {
		t.Error(err)
	}
	if got := <-heard; got != "hello" {
		t.Errorf("heard %q", got)
	}
	told := make(chan string, 16)
	unwatch := b.Directory().Watch(func(room string, entry []byte) { told <- room }, func(bool) {})
	defer unwatch()
	a.Directory().Put("blue", []byte(`{"epoch":1}`))
	eventually(t, "the other hears of the room", func() bool {
		select {
		case room := <-told:
			return room == "blue"
		default:
			return false
		}
	})
	dir := t.TempDir()
	var files []string
	if err := a.Backup(t.Context(), dir, func(name string, _ int64, r io.Reader) error {
		data, err := io.ReadAll(r)
		if err == nil {
			files = append(files, filepath.Join(dir, name))
			err = os.WriteFile(filepath.Join(dir, name), data, 0o600)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
	for _, name := range []string{chatStream, "KV_" + roomsBucket, "KV_" + objectsBucket, "KV_" + claimsBucket} {
		if err := a.js().DeleteStream(t.Context(), name); err != nil {
			t.Error(err)
		}
	}
	eventually(t, "it is restored", func() bool { // the nodes make streams again at once
		for _, name := range []string{chatStream, "KV_" + roomsBucket, "KV_" + objectsBucket, "KV_" + claimsBucket} {
			_ = a.js().DeleteStream(t.Context(), name)
		}
		return a.RestoreAll(t.Context(), files) == nil
	})
}
