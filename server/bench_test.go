package server

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"foyer/server/amf"
	"foyer/server/guard"
	"foyer/server/rtmp"
)

// benchServer is the environment variable that makes the test binary a server
// on a port of its choice, which it prints. So its processor time and memory
// can be told apart from those of the clients.
const benchServer = "FOYER_BENCH_SERVER"

func TestMain(m *testing.M) {
	if os.Getenv(benchServer) != "" {
		serveBenchmarks()
		return
	}
	os.Exit(m.Run())
}

// benchApp answers echo, and says on demand.
type benchApp struct{ testApp }

func benchHost() *Host {
	h := &Host{Guard: new(guard.Guard), MaxInstances: 1 << 30}
	h.Guard.Set(guard.Limits{Connections: 1 << 30, Exempt: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}) // no limit is met
	h.Handle("bench", func() Application {
		a := new(benchApp)
		a.methods = map[string]Method{
			"echo": func(_ *Client, args amf.Args) (amf.Value, error) { return args.At(0), nil },
			"say": func(_ *Client, args amf.Args) (amf.Value, error) {
				a.in.BroadcastMsg("message", args.At(0))
				return nil, nil
			},
		}
		return a
	})
	return h
}

func serveBenchmarks() {
	// Sessions have pings of their own: keep-alives cost four system calls each.
	lc := net.ListenConfig{KeepAlive: -1}
	ln, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(ln.Addr(), listen(serveEcho), listen(new(loop).serve))
	ctx, cancel := context.WithCancel(context.Background())
	go func() { // ends with the parent
		io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	h := benchHost()
	h.Serve(ctx, h.Guard.ListenProxied(h.Guard.Listen(ln)))
}

// listen calls serve for each connection to the address it returns, as long as
// the process lives.
func listen(serve func(net.Conn)) net.Addr {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			go serve(nc)
		}
	}()
	return ln.Addr()
}

// serveEcho sends back what it gets, without the short cut of the kernel that
// io.Copy knows.
func serveEcho(nc net.Conn) {
	io.Copy(struct{ io.Writer }{nc}, struct{ io.Reader }{nc})
}

// loop writes the message of benchApp to all its connections in a loop, for
// each byte that comes from one of them.
type loop struct {
	mu    sync.Mutex
	conns []net.Conn
}

func (l *loop) serve(nc net.Conn) {
	message := (&Push{Method: "message", Args: []amf.Value{amf.String("hello, world")}}).pack(0)
	l.mu.Lock()
	l.conns = append(l.conns, nc)
	l.mu.Unlock()
	for b := make([]byte, 1); ; {
		if _, err := nc.Read(b); err != nil {
			return
		}
		l.mu.Lock()
		for _, nc := range l.conns {
			nc.Write(message)
		}
		l.mu.Unlock()
	}
}

// benchServers are addresses in a process of its own.
type benchServers struct {
	rtmp, echo, loop string
	pid              int
}

// startServers runs that process, with the processors in FOYER_BENCH_CPUS; or
// takes another RTMP server, which has an application "bench", at the address
// in FOYER_BENCH_ADDR and in the process FOYER_BENCH_PID.
func startServers(b *testing.B) (s benchServers) {
	b.Helper()
	if s.rtmp = os.Getenv("FOYER_BENCH_ADDR"); s.rtmp != "" {
		s.pid, _ = strconv.Atoi(os.Getenv("FOYER_BENCH_PID"))
		return s
	}
	cmd := exec.Command(os.Args[0])
	if cpus := os.Getenv("FOYER_BENCH_CPUS"); cpus != "" {
		cmd = exec.Command("taskset", "-c", cpus, os.Args[0])
	}
	cmd.Env = append(os.Environ(), benchServer+"=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { in.Close(); cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	if _, err := fmt.Sscan(line, &s.rtmp, &s.echo, &s.loop); err != nil {
		b.Fatal(err)
	}
	s.pid = cmd.Process.Pid
	return s
}

// cpu is the processor time of a process, 0 where /proc does not tell.
func cpu(pid int) time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * time.Second / 100
}

// resident is the memory of a process in bytes.
func resident(pid int) int {
	statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	pages, _ := strconv.Atoi(strings.Fields(string(statm))[1])
	return pages * os.Getpagesize()
}

// rawClient has connected, and from then on writes and reads bytes.
type rawClient struct {
	net.Conn
	conn *rtmp.Conn
}

func dialRaw(b *testing.B, addr string) *rawClient {
	b.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { nc.Close() })
	conn, err := rtmp.NewClientConn(b.Context(), nc, nil)
	if err != nil {
		b.Fatal(err)
	}
	// The agent keeps onBWDone away.
	req := &rtmp.ConnectRequest{App: "bench", TCURL: "rtmp://" + addr + "/bench", FlashVer: agent}
	if _, err := rtmp.Connect(b.Context(), conn, req); err != nil {
		b.Fatal(err)
	}
	return &rawClient{nc, conn}
}

// command reads messages up to the next command.
func (c *rawClient) command(b *testing.B) rtmp.Message {
	for {
		m, err := c.conn.ReadMessage()
		if err != nil {
			b.Error(err)
			runtime.Goexit()
		}
		if m.Type == rtmp.TypeCommandAMF0 {
			return m
		}
	}
}

// BenchmarkCallLoopback is one call after another by one client.
func BenchmarkCallLoopback(b *testing.B) {
	c := dialRaw(b, startServers(b).rtmp)
	call := command("echo", 2, amf.String("hello, world"))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Write(call); err != nil {
			b.Fatal(err)
		}
		c.command(b)
	}
}

// BenchmarkEchoLoopback is what BenchmarkCallLoopback is compared with: the
// same bytes to and from the same process, which sends back what it gets.
func BenchmarkEchoLoopback(b *testing.B) {
	nc, err := net.Dial("tcp", startServers(b).echo)
	if err != nil {
		b.Fatal(err)
	}
	defer nc.Close()
	call := command("echo", 2, amf.String("hello, world"))
	answer := make([]byte, len(call))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := nc.Write(call); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(nc, answer); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCallMany is many clients with one call in flight each. calls/cpu-s
// is about the server's processor time alone.
func BenchmarkCallMany(b *testing.B) {
	const clients = 200
	s := startServers(b)
	call := command("echo", 2, amf.String("hello, world"))
	idle := make(chan *rawClient, clients)
	for range clients {
		idle <- dialRaw(b, s.rtmp)
	}
	b.ResetTimer()
	before := cpu(s.pid)
	share(b.N, clients, func(n int) {
		c := <-idle
		for range n {
			c.Write(call)
			c.command(b)
		}
	})
	if used := cpu(s.pid) - before; used > 0 {
		b.ReportMetric(float64(b.N)/used.Seconds(), "calls/cpu-s")
	}
}

// discard reads and forgets.
func discard(nc net.Conn) { io.Copy(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{nc}) }

// BenchmarkBroadcast1000 is one Push to 1,000 TCP clients, by a call of one of
// them.
func BenchmarkBroadcast1000(b *testing.B) {
	s := startServers(b)
	for range 999 {
		go discard(dialRaw(b, s.rtmp))
	}
	c := dialRaw(b, s.rtmp)
	call := command("say", 2, amf.String("hello, world"))
	b.ReportAllocs()
	before := cpu(s.pid)
	b.ResetTimer()
	for range b.N {
		c.Write(call)
		c.command(b) // the message
		c.command(b) // the answer
	}
	b.ReportMetric(float64((cpu(s.pid)-before).Microseconds())/float64(b.N), "cpu-µs/op")
}

// BenchmarkWrite1000 is what BenchmarkBroadcast1000 is compared with: a loop
// that writes the same bytes to 1,000 sockets, for a byte of one of them.
func BenchmarkWrite1000(b *testing.B) {
	s := startServers(b)
	dial := func() net.Conn {
		nc, err := net.Dial("tcp", s.loop)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { nc.Close() })
		return nc
	}
	for range 999 {
		go discard(dial())
	}
	nc := dial()
	answer := make([]byte, len((&Push{Method: "message", Args: []amf.Value{amf.String("hello, world")}}).pack(0)))
	b.ReportAllocs()
	before := cpu(s.pid)
	b.ResetTimer()
	for range b.N {
		nc.Write([]byte{1})
		if _, err := io.ReadFull(nc, answer); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64((cpu(s.pid)-before).Microseconds())/float64(b.N), "cpu-µs/op")
}

// BenchmarkConnect is clients that come and go, 50 at a time: handshake,
// connect, gone.
func BenchmarkConnect(b *testing.B) {
	s := startServers(b)
	before := cpu(s.pid)
	b.ResetTimer()
	share(b.N, 50, func(n int) {
		for range n {
			dialRaw(b, s.rtmp).Close()
		}
	})
	b.ReportMetric(float64(b.N)/(cpu(s.pid)-before).Seconds(), "connects/cpu-s")
}

// share divides n among that many goroutines and waits for them.
func share(n, goroutines int, do func(n int)) {
	var wg sync.WaitGroup
	for i := range goroutines {
		wg.Go(func() { do((n + i) / goroutines) })
	}
	wg.Wait()
}

// BenchmarkIdleClients reports the server's memory for each client that does
// nothing.
func BenchmarkIdleClients(b *testing.B) {
	const clients = 5000
	for range b.N {
		s := startServers(b)
		dialRaw(b, s.rtmp)
		before := resident(s.pid)
		for range clients {
			dialRaw(b, s.rtmp)
		}
		time.Sleep(2 * time.Second) // so that the server is at rest
		b.ReportMetric(float64(resident(s.pid)-before)/clients, "B/client")
	}
}
