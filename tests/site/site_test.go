package site

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
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"foyer/internal/cli"
	"foyer/lobby"
	"foyer/server/amf"
)

// root is the folder of the repository.
const root = "../../"

// Exit statuses.
const (
	exitFine   = 0
	exitFailed = 1
)

// patience is how long a test waits for something to happen.
const patience = time.Minute

// TestMain lets tests run this program as the command foyer, and TestNetworkCut
// its way into a network.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"foyer": foyer, "foyer-way-in": wayIn})
}

// foyer is the program, as main has it.
func foyer() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(cli.Main(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}

// command runs a command of foyer in this process. It returns its exit status
// and what it printed.
func command(args ...string) (status int, said string) {
	var out strings.Builder
	status = cli.Main(context.Background(), args, nil, strings.NewReader(""), &out, &out)
	return status, out.String()
}

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
		status <- cli.Main(ctx, args, nil, strings.NewReader(""), t.Output(), stderr)
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

// certificate makes a certificate for this machine and returns the names of its
// files, and a configuration that trusts it.
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

// listed is what the API of a server lists under that name; nil: nothing.
func (r *running) listed(t *testing.T, name string) *lobby.Entry {
	t.Helper()
	resp, err := http.Get("http://" + r.addr["http"] + "/api/v1/rooms")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct{ Rooms []lobby.Entry }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	for _, e := range answer.Rooms {
		if e.Name == name {
			return &e
		}
	}
	return nil
}

// ask is what a server answers to a GET.
func (r *running) ask(t *testing.T, path string) (status int, body string) {
	t.Helper()
	resp, err := http.Get("http://" + r.addr["http"] + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	all, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(all)
}

// eventually waits for something to become true.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

var hosts atomic.Uint32

// ownHost is an address of this machine that no other server has, where there are
// such. A server that starts again at its port finds it free then, even when
// others have taken free ports meanwhile.
func ownHost() string {
	if runtime.GOOS != "linux" { // where all of 127.0.0.0/8 is the loopback
		return "127.0.0.1"
	}
	n, pid := hosts.Add(1), os.Getpid()
	return fmt.Sprintf("127.%d.%d.%d", 1+pid>>8&0x7f, pid&0xff, 1+n%250)
}

// text and number are fields of an object.
func text(v amf.Value, name string) string {
	s, _ := amf.AsString(amf.Lookup(v, name))
	return s
}

func number(v amf.Value, name string) float64 {
	f, _ := amf.AsNumber(amf.Lookup(v, name))
	return f
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// list is the names of the files in a folder.
func list(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
