package cli

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"foyer/client"
	"foyer/server/amf"
)

// A running server is foyer serve in this process.
type running struct {
	addr map[string]string // by protocol, as its log says
	stop func() int        // ends it; the exit status

	mu  sync.Mutex // guards log
	log []string   // its lines
}

// logged reports whether a line of the log has all of these parts.
func (r *running) logged(parts ...string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.log, func(line string) bool {
		return !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(line, part) })
	})
}

// startServer runs "foyer serve" on free ports with those flags.
func startServer(t *testing.T, flags ...string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	logged, stderr := io.Pipe()
	args := append([]string{"serve", "--rtmp=127.0.0.1:0", "--http=127.0.0.1:0", "--data=" + t.TempDir(), "--log-format=json"}, flags...)
	status := make(chan int, 1)
	go func() {
		defer stderr.Close()
		status <- Main(ctx, args, func(string) string { return "" }, strings.NewReader(""), t.Output(), stderr)
	}()
	r := &running{addr: make(map[string]string), stop: func() int {
		cancel()
		return <-status
	}}
	t.Cleanup(cancel)
	started := make(chan bool)
	go func() { // ends with the server, which closes the pipe
		for scan := bufio.NewScanner(logged); scan.Scan(); {
			var record struct{ Msg, Proto, Addr string }
			json.Unmarshal(scan.Bytes(), &record)
			r.mu.Lock()
			r.log = append(r.log, scan.Text())
			r.mu.Unlock()
			switch record.Msg {
			case "listening":
				r.addr[record.Proto] = record.Addr
			case "node started":
				close(started)
			}
		}
	}()
	select {
	case <-started:
	case s := <-status:
		t.Fatalf("it ended with status %d", s)
	}
	return r
}

// certificate makes a certificate for this machine and returns the names of
// its files, and who trusts it.
func certificate(t *testing.T) (certFile, keyFile string, trust *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "foyer"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	certFile, keyFile = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	writeFile(t, certFile, string(certPEM))
	writeFile(t, keyFile, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(certPEM)
	return certFile, keyFile, &tls.Config{RootCAs: roots}
}

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
	var out strings.Builder
	p := &program{stdout: &out, stderr: t.Output()}
	if err := (&checkCommand{HTTP: r.addr["http"], TLSCert: certFile}).Run(t.Context(), p); err != nil || out.String() != "ready\n" {
		t.Errorf("check says %q, %v", out.String(), err)
	}
	if s := r.stop(); s != exitFine {
		t.Errorf("exit status %d", s)
	}
}

// TestServeCertificateAgain: with SIGHUP there is a new certificate for https and
// rtmps, and who is in stays.
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
		status <- Main(ctx, args, func(string) string { return "" }, strings.NewReader(""), t.Output(), stderr)
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

// A port that is taken is an error that says which flag to change, and leaves
// nothing open.
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

func TestServePortTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, flag := range []string{"--rtmp", "--http"} {
		args := []string{"--rtmp=127.0.0.1:0", "--http=127.0.0.1:0", "--data=" + t.TempDir(), flag + "=" + taken.Addr().String()}
		var stderr strings.Builder
		s := Main(t.Context(), args, func(string) string { return "" }, strings.NewReader(""), t.Output(), &stderr)
		if s != exitFailed || !strings.Contains(stderr.String(), "address already in use (choose another address with "+flag+")") {
			t.Errorf("%s: status %d, %s", flag, s, stderr.String())
		}
	}
}

func TestLoopback(t *testing.T) {
	tests := []struct{ listen, want string }{
		{":1935", "127.0.0.1:1935"}, {"0.0.0.0:1935", "127.0.0.1:1935"}, {"[::]:1935", "127.0.0.1:1935"},
		{"192.0.2.1:1935", "192.0.2.1:1935"}, {"[::1]:1935", "[::1]:1935"}, {"localhost:1935", "localhost:1935"},
	}
	for _, tt := range tests {
		if got := loopback(tt.listen, "1935"); got != tt.want {
			t.Errorf("loopback(%q) = %q, want %q", tt.listen, got, tt.want)
		}
	}
}

// The listeners of a node are told in the same order each time.
func TestListeners(t *testing.T) {
	n := &node{rtmp: &net.TCPListener{}, http: &net.TCPListener{}}
	var protos []string
	for _, ln := range n.listeners() {
		protos = append(protos, ln.proto)
	}
	if want := []string{"rtmp", "http"}; !slices.Equal(protos, want) {
		t.Errorf("got %v, want %v", protos, want)
	}
}
