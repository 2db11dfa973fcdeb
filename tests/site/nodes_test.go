package site

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	nats "github.com/nats-io/nats-server/v2/server"

	"foyer/client"
	"foyer/server/amf"
)

// startNATS runs a NATS of its own, as several servers share one.
func startNATS(t *testing.T) (url string) {
	t.Helper()
	return startNATSAt(t, "127.0.0.1", nats.RANDOM_PORT)
}

func startNATSAt(t *testing.T, host string, port int) (url string) {
	t.Helper()
	s := runNATS(t, host, port)
	t.Cleanup(func() { stopNATS(s) })
	return s.ClientURL()
}

// runNATS runs it until stopNATS.
func runNATS(t *testing.T, host string, port int) *nats.Server {
	t.Helper()
	s, err := nats.NewServer(&nats.Options{Host: host, Port: port, NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	go s.Start() // until stopNATS, which waits
	if !s.ReadyForConnections(time.Minute) {
		t.Fatal("NATS did not start")
	}
	return s
}

func stopNATS(s *nats.Server) {
	s.Shutdown()
	s.WaitForShutdown()
}

// A server whose NATS is not there runs, says so, and has its rooms as soon as
// it is there.
func TestNATSLate(t *testing.T) {
	t.Parallel()
	host := ownHost()
	ln, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	port := ln.Addr().(*net.TCPAddr).Port
	ln.Close()
	r := startServer(t, fmt.Sprintf("--nats=nats://foyer:hush@%s:%d", host, port), "--node=a", "--node-secret=among nodes", "--rooms=blue")
	if status, body := r.ask(t, "/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, "is away") || strings.Contains(body, "hush") {
		t.Errorf("without NATS: %d %s", status, body)
	}
	if status, body := r.ask(t, "/api/v1/rooms"); status != http.StatusOK {
		t.Errorf("the lobby without NATS: %d %s", status, body)
	}
	if _, body := r.ask(t, "/metrics"); !strings.Contains(body, "foyer_store_ready 0\n") {
		t.Error("the metrics do not say that the store is not ready")
	}
	startNATSAt(t, host, port)
	eventually(t, "it is ready", func() bool { status, _ := r.ask(t, "/readyz"); return status == http.StatusOK })
	eventually(t, "it has its room", func() bool { return r.listed(t, "blue") != nil })
	_, body := r.ask(t, "/metrics")
	for _, line := range []string{"foyer_store_ready 1\n", "foyer_store_messages_total 0\n", "foyer_store_failures_total 0\n", "foyer_store_flush_seconds_count 0\n", "foyer_bus_age_seconds "} {
		if !strings.Contains(body, line) {
			t.Errorf("the metrics do not say %s", line)
		}
	}
	if status := r.stop(); status != 0 {
		t.Errorf("it ended with status %d", status)
	}
}

// Two servers on one NATS list the same rooms, announce to both, and take the
// other's rooms off when it ends.
func TestTwoNodes(t *testing.T) {
	t.Parallel()
	url := startNATS(t)
	flags := []string{"--nats=" + url, "--lobby-secret=secretPassword6", "--admin-token=operator-token-6", "--node-secret=among nodes"}
	a := startServer(t, append(flags, "--node=a", "--rooms=blue")...)
	b := startServer(t, append(flags, "--node=b", "--rooms=red")...)
	eventually(t, "b lists blue of a", func() bool { e := b.listed(t, "blue"); return e != nil && e.Node == "a" && e.RTMP != "" })
	eventually(t, "a lists red of b", func() bool { e := a.listed(t, "red"); return e != nil && e.Node == "b" })

	// People who come to b for blue are with those who came to a.
	for _, at := range []*running{a, b} {
		nc, err := client.Dial(t.Context(), "rtmp://"+at.addr["rtmp"]+"/room/blue", client.Options{}, amf.String("ann-"+at.addr["rtmp"][10:]))
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		eventually(t, "the room counts him", func() bool {
			e := a.listed(t, "blue")
			return e != nil && e.Users == map[*running]int{a: 1, b: 2}[at]
		})
	}
	eventually(t, "b knows how many are in blue", func() bool { e := b.listed(t, "blue"); return e != nil && e.Users == 2 })

	req, _ := http.NewRequestWithContext(t.Context(), "POST", "http://"+a.addr["http"]+"/api/v1/announce", strings.NewReader(`{"text":"At ten."}`))
	req.Header.Set("Authorization", "Bearer operator-token-6")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var told struct{ Rooms int }
	if err := json.NewDecoder(resp.Body).Decode(&told); err != nil || told.Rooms != 2 {
		t.Errorf("announced to %d rooms, %v", told.Rooms, err)
	}
	if status := a.stop(); status != 0 {
		t.Errorf("exit status %d", status)
	}
	eventually(t, "blue is gone", func() bool { return b.listed(t, "blue") == nil })
	if b.listed(t, "red") == nil {
		t.Error("red is gone, too")
	}
}
