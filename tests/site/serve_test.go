//go:build unix

package site

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"foyer/client"
	"foyer/internal/cli"
	"foyer/server/amf"
)

// With a certificate there is RTMP over TLS, and the pages are https.
func TestServeTLS(t *testing.T) {
	certFile, keyFile, trust := certificate(t)
	r := startServer(t, "--rtmps=127.0.0.1:0", "--tls-cert="+certFile, "--tls-key="+keyFile)
	nc, err := client.Dial(t.Context(), "rtmps://"+r.addr["rtmps"]+"/room/blue", client.Options{TLS: trust}, amf.String("ann"))
	if err != nil {
		t.Fatal(err)
	}
	v, err := nc.Call(t.Context(), "users")
	if list, _ := v.(amf.StrictArray); err != nil || len(list) != 1 || text(list[0], "nick") != "ann" {
		t.Errorf("users are %v, %v", v, err)
	}
	if err := nc.Close(); err != nil {
		t.Error(err)
	}
	client := http.Client{Transport: &http.Transport{TLSClientConfig: trust, DisableKeepAlives: true}}
	resp, err := client.Get("https://" + r.addr["http"] + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.ProtoMajor != 1 {
		t.Errorf("readyz answers %s by %s", resp.Status, resp.Proto)
	}
	client.Transport = &http.Transport{TLSClientConfig: trust, DisableKeepAlives: true, ForceAttemptHTTP2: true}
	if resp, err = client.Get("https://" + r.addr["http"] + "/"); err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.ProtoMajor != 2 || resp.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("the lobby answers %s by %s, %v", resp.Status, resp.Proto, resp.Header)
	}
	if status, said := command("check", "--http="+r.addr["http"], "--tls-cert="+certFile); status != exitFine || said != "ready\n" {
		t.Errorf("check says %q, status %d", said, status)
	}
	if s := r.stop(); s != exitFine {
		t.Errorf("exit status %d", s)
	}
}

// TestServeCertificateAgain: with SIGHUP there is a new certificate for https and
// rtmps, and people who are in stay.
func TestServeCertificateAgain(t *testing.T) {
	certFile, keyFile, trust := certificate(t)
	r := startServer(t, "--rtmps=127.0.0.1:0", "--tls-cert="+certFile, "--tls-key="+keyFile)
	nc, err := client.Dial(t.Context(), "rtmps://"+r.addr["rtmps"]+"/room/blue", client.Options{TLS: trust}, amf.String("ann"))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	trusted := func(proto string, trust *tls.Config) bool {
		t.Helper()
		c, err := tls.Dial("tcp", r.addr[proto], trust)
		if err != nil {
			return false
		}
		c.Close()
		return true
	}
	newCert, newKey, newTrust := certificate(t)
	if !trusted("http", trust) || trusted("http", newTrust) {
		t.Error("the first certificate is not the first")
	}
	if err := errors.Join(os.Rename(newCert, certFile), os.Rename(newKey, keyFile)); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	for _, proto := range []string{"http", "rtmps"} {
		eventually(t, proto+" shows the new one", func() bool { return trusted(proto, newTrust) })
	}
	if _, err := nc.Call(t.Context(), "users"); err != nil {
		t.Errorf("who was in: %v", err)
	}
	r.stop()
}

// TestHangupAtOnce: a SIGHUP that comes while a server still reads its settings
// does not end it.
func TestHangupAtOnce(t *testing.T) {
	config := filepath.Join(t.TempDir(), "foyer.yaml")
	if err := syscall.Mkfifo(config, 0o600); err != nil {
		t.Fatal(err)
	}
	v, err := startVictim(t.TempDir(), []string{"--config=" + config})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.kill)
	reading, err := os.OpenFile(config, os.O_WRONLY, 0) // as soon as the server reads it
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(config); err != nil {
		t.Fatal(err)
	}
	writeFile(t, config, "max-users: 5\n") // for the second time
	if err := v.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	time.Sleep(20 * time.Millisecond)
	reading.Close()
	if err := v.await(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A graceful stop ends rooms and connections, and closes what listens.
func TestServeStops(t *testing.T) {
	r := startServer(t, "--rooms=blue")
	nc, err := client.Dial(t.Context(), "rtmp://"+r.addr["rtmp"]+"/room/blue", client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if s := r.stop(); s != exitFine {
		t.Errorf("exit status %d", s)
	}
	<-nc.Done()
	nc.Close()
	for proto, addr := range r.addr {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			t.Errorf("something still listens for %s", proto)
		}
	}
}

// A stop while the rooms are being started is a stop like any other.
func TestServeStopsWhileItStarts(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	logged, stderr := io.Pipe()
	rooms := "--rooms=r0"
	for i := range 200 {
		rooms += fmt.Sprintf(",r%d", i+1)
	}
	status := make(chan int, 1)
	go func() {
		defer stderr.Close()
		args := []string{"serve", "--rtmp=127.0.0.1:0", "--http=127.0.0.1:0", "--data=" + t.TempDir(), "--log-format=json", rooms}
		status <- cli.Main(ctx, args, nil, strings.NewReader(""), t.Output(), stderr)
	}()
	for scan := bufio.NewScanner(logged); scan.Scan(); {
		if strings.Contains(scan.Text(), "instance started") {
			cancel()
		}
		if strings.Contains(scan.Text(), "node started") {
			t.Error("it started before it was stopped")
		}
	}
	if s := <-status; s != exitFine {
		t.Errorf("exit status %d", s)
	}
}

// TestServeImpatient: rooms report often enough for the lobby beside them.
func TestServeImpatient(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--rooms=blue", "--stale-after=2s")
	state := func() string {
		resp, err := http.Get("http://" + s.addr["http"] + "/api/v1/rooms/blue")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var entry struct{ State string }
		if err := json.NewDecoder(resp.Body).Decode(&entry); err != nil {
			t.Fatal(err)
		}
		return entry.State
	}
	eventually(t, "the room is live", func() bool { return state() == "live" })
	for end := time.Now().Add(4 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if got := state(); got != "live" {
			t.Fatalf("a room that runs is %s", got)
		}
	}
	if got := s.stop(); got != 0 {
		t.Errorf("ended with status %d", got)
	}
}

// A port that is taken is an error that says which flag to change, and leaves
// nothing open.
func TestServePortTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, flag := range []string{"--rtmp", "--http"} {
		status, said := command("--rtmp=127.0.0.1:0", "--http=127.0.0.1:0", "--data="+t.TempDir(), flag+"="+taken.Addr().String())
		if status != exitFailed || !strings.Contains(said, "address already in use (choose another address with "+flag+")") {
			t.Errorf("%s: status %d, %s", flag, status, said)
		}
	}
}

// TestServeAdmin: what is for operators has an address of its own.
func TestServeAdmin(t *testing.T) {
	r := startServer(t, "--admin=127.0.0.1:0")
	for _, c := range []struct {
		proto, path string
		status      int
	}{
		{"http", "/metrics", 404}, {"http", "/debug/pprof/", 404}, {"http", "/api/v1/backup", 404}, {"http", "/", 200},
		{"admin", "/metrics", 200}, {"admin", "/debug/pprof/", 200}, {"admin", "/api/v1/backup", 401}, {"admin", "/readyz", 200},
	} {
		resp, err := http.Get("http://" + r.addr[c.proto] + c.path)
		if err != nil {
			t.Fatal(err)
		}
		if resp.Body.Close(); resp.StatusCode != c.status {
			t.Errorf("%s of %s: %s, want %d", c.path, c.proto, resp.Status, c.status)
		}
	}
	if status := r.stop(); status != exitFine {
		t.Errorf("exit status %d", status)
	}
}
