package hostile

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"foyer/client"
	"foyer/server/amf"
)

// program is the server, built once.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "foyer-hostile")
	if err != nil {
		return "", err
	}
	programDir = dir
	path := filepath.Join(dir, "foyer")
	if out, err := exec.Command("go", "build", "-o", path, "foyer").CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the server: %w\n%s", err, out)
	}
	return path, nil
})

// programDir is the folder that program has made; "": it was not called.
var programDir string

// TestMain removes the folder.
func TestMain(m *testing.M) {
	status := m.Run()
	if programDir != "" {
		os.RemoveAll(programDir)
	}
	os.Exit(status)
}

// A site is a running server.
type site struct {
	t          *testing.T
	cmd        *exec.Cmd
	data       string
	rtmp, http string // addresses, host:port
	ended      chan struct{}

	mu      sync.Mutex // guards what follows
	records map[string]int
	bytes   int // of the log
	last    []string
}

// start starts a server for which no address of the loopback is exempt from the
// limits.
func start(t *testing.T, flags ...string) *site {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, data: t.TempDir(), ended: make(chan struct{}), records: make(map[string]int)}
	s.cmd = exec.Command(path, append([]string{"serve", "--rtmp=127.0.0.1:0", "--http=127.0.0.1:0", "--exempt=",
		"--data=" + s.data, "--node=target", "--log-format=json", "--idle=1s", "--grace=1s"}, flags...)...)
	s.cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	out, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	started := make(chan struct{})
	go func() { // ends with the process; stop waits for it
		defer close(s.ended)
		s.read(out, started)
		s.cmd.Wait()
	}()
	t.Cleanup(s.stop)
	select {
	case <-started:
	case <-s.ended:
		t.Fatalf("the server did not start:\n%s", strings.Join(s.last, "\n"))
	case <-time.After(time.Minute):
		t.Fatal("the server did not start")
	}
	return s
}

// read counts the records of the log.
func (s *site) read(out io.Reader, started chan struct{}) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r struct{ Msg, Proto, Addr string }
		json.Unmarshal(lines.Bytes(), &r)
		s.mu.Lock()
		s.records[r.Msg]++
		s.bytes += len(lines.Bytes()) + 1
		s.last = append(s.last, string(lines.Bytes()))
		s.last = s.last[max(0, len(s.last)-40):]
		switch {
		case r.Msg == "listening" && r.Proto == "rtmp":
			s.rtmp = r.Addr
		case r.Msg == "listening" && r.Proto == "http":
			s.http = r.Addr
		case r.Msg == "node started":
			close(started)
		}
		s.mu.Unlock()
	}
}

// stop ends the server gracefully, if it still runs.
func (s *site) stop() {
	select {
	case <-s.ended:
		return
	default:
	}
	s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(30 * time.Second):
		s.t.Error("the server did not stop")
		s.cmd.Process.Kill()
		<-s.ended
	}
	if s.t.Failed() {
		s.t.Logf("the end of the log:\n%s", strings.Join(s.last, "\n"))
	}
}

// logged returns how many bytes of log there are so far.
func (s *site) logged() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes
}

// memory returns the present resident memory of the process, in bytes.
func (s *site) memory() int {
	s.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range bytes.Lines(status) {
		if rest, ok := bytes.CutPrefix(line, []byte("VmRSS:")); ok {
			kb, _ := strconv.Atoi(string(bytes.Fields(rest)[0]))
			return kb << 10
		}
	}
	s.t.Fatal("no VmRSS")
	return 0
}

// processor returns the CPU time that the process has used, in seconds.
func (s *site) processor() float64 {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		s.t.Fatal(err)
	}
	_, rest, _ := bytes.Cut(stat, []byte(") "))
	f := bytes.Fields(rest)
	user, _ := strconv.Atoi(string(f[11]))
	system, _ := strconv.Atoi(string(f[12]))
	return float64(user+system) / 100
}

// ready fails the test unless the server says that it can serve.
func (s *site) ready() {
	s.t.Helper()
	resp, err := web("127.0.8.1").Get("http://" + s.http + "/readyz")
	if err != nil {
		s.t.Errorf("after the attack: %v", err)
		return
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(resp.Body)
		s.t.Errorf("after the attack: readyz says %d %s", resp.StatusCode, text)
	}
}

// dialer returns a function that connects from an address of the loopback.
func dialer(from string) *net.Dialer {
	return &net.Dialer{Timeout: 10 * time.Second, LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
}

// web returns an HTTP client at an address of the loopback.
func web(from string) *http.Client {
	return &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
		DialContext: dialer(from).DialContext, MaxIdleConnsPerHost: 64, DisableCompression: true,
	}}
}

// connect connects to an instance by RTMP.
func (s *site) connect(ctx context.Context, from, instance string, o client.Options, args ...amf.Value) (*client.NetConnection, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if o.Dial == nil {
		o.Dial = dialer(from).DialContext
	}
	return client.Dial(ctx, "rtmp://"+s.rtmp+"/"+instance, o, args...)
}
