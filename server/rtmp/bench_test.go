package rtmp_test

import (
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"foyer/server/amf"
	"foyer/server/rtmp"
)

// loopback returns the two ends of a TCP connection.
func loopback(t testing.TB) (client, server net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, err = net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if server, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	return client, server
}

// BenchmarkCall is a call and its answer over loopback, in turns with a bare
// echo of as many bytes: "ratio" is the one's time over the other's. The next
// call is made on the goroutine that gets the answer, as an echo's next write
// is made on the one that read; "waiting-ratio" is that of Call, which wakes a
// second goroutine for each answer.
func BenchmarkCall(b *testing.B) {
	cnc, snc := loopback(b)
	client, _ := pairOver(b, cnc, snc, nil, nil, handler(echo))
	before := client.Stats()
	wait := func() {
		if _, err := client.Call(context.Background(), "echo", amf.String("hello")); err != nil {
			b.Fatal(err)
		}
	}
	wait()
	out := int(client.Stats().BytesOut - before.BytesOut)
	in := int(client.Stats().BytesIn - before.BytesIn)
	bare := bareEcho(b, out, in)

	const turn = 200
	var requests, calls, echoes time.Duration
	turns := 0
	for b.Loop() {
		begun := time.Now()
		requestChain(client, turn)
		requests += time.Since(begun)
		begun = time.Now()
		for range turn {
			wait()
		}
		calls += time.Since(begun)
		begun = time.Now()
		for range turn {
			bare()
		}
		echoes += time.Since(begun)
		turns++
	}
	b.ReportMetric(float64(requests)/float64(turns*turn), "ns/call")
	b.ReportMetric(float64(echoes)/float64(turns*turn), "ns/echo")
	b.ReportMetric(float64(requests)/float64(echoes), "ratio")
	b.ReportMetric(float64(calls)/float64(echoes), "waiting-ratio")
}

// requestChain makes n calls, each after the answer to the one before.
func requestChain(s *rtmp.Session, n int) {
	done := make(chan struct{})
	args := []amf.Value{amf.String("hello")}
	var next func(amf.Value, error)
	next = func(amf.Value, error) {
		if n--; n < 0 || s.Request("echo", args, next) != nil {
			close(done)
		}
	}
	next(nil, nil)
	<-done
}

// bareEcho returns a function that sends out bytes and gets in bytes back.
func bareEcho(b *testing.B, out, in int) func() {
	client, server := loopback(b)
	go func() {
		request, answer := make([]byte, out), make([]byte, in)
		for {
			if _, err := io.ReadFull(server, request); err != nil {
				return
			}
			server.Write(answer)
		}
	}()
	request, answer := make([]byte, out), make([]byte, in)
	return func() {
		if _, err := client.Write(request); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(client, answer); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCalls keeps many calls pending, as many clients together do.
func BenchmarkCalls(b *testing.B) {
	cnc, snc := loopback(b)
	client, _ := pairOver(b, cnc, snc, nil, nil, handler(echo))
	free := make(chan struct{}, 64) // at most so many pending
	for range cap(free) {
		free <- struct{}{}
	}
	b.ReportAllocs()
	for b.Loop() {
		<-free
		client.Request("echo", []amf.Value{amf.String("hello")}, func(amf.Value, error) { free <- struct{}{} })
	}
}

// maxIdle is the memory that an idle session may take, including its goroutine:
// 10 KiB less the part that a server adds.
const maxIdle = 8 << 10

// Sessions that have talked and are now silent, with both ends in this process,
// and the server's end on the goroutine that did the handshake.
func TestIdleMemory(t *testing.T) {
	const pairs = 400
	measure := func() uint64 {
		var m runtime.MemStats
		for range 4 { // stacks shrink by half with each collection
			runtime.GC()
		}
		runtime.ReadMemStats(&m)
		return m.HeapAlloc + m.StackInuse
	}
	st := newStation(t)
	before := measure()
	var wg sync.WaitGroup
	var clients []*rtmp.Session
	for range pairs {
		cnc, snc := loopback(t)
		wg.Go(func() { st.serve(snc) })
		dial := func(context.Context, string, string) (net.Conn, error) { return cnc, nil }
		s, _, err := rtmp.Dial(t.Context(), "rtmp://test/app", nil, rtmp.DialOptions{Dial: dial})
		if err != nil {
			t.Fatal(err)
		}
		clients = append(clients, s)
		wg.Go(func() { s.Run(context.Background()) })
		if _, err := s.Call(t.Context(), "echo", amf.StrictArray{amf.Object{{Name: "x", Value: amf.StrictArray{}}}}); err != nil {
			t.Fatal(err)
		}
	}
	each := int(measure()-before) / (2 * pairs)
	t.Logf("%d bytes each", each)
	if each > maxIdle && !raceEnabled {
		t.Errorf("an idle session costs %d bytes, want at most %d", each, maxIdle)
	}
	for _, s := range clients {
		s.Close(errors.New("enough"))
	}
	wg.Wait()
}

// BenchmarkConnect measures handshake, connect and goodbye, at both ends.
func BenchmarkConnect(b *testing.B) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				s := accept(b, nc, nil, handler(echo))
				s.Run(context.Background())
			}()
		}
	}()
	b.ReportAllocs()
	for b.Loop() {
		s, _, err := rtmp.Dial(context.Background(), "rtmp://"+ln.Addr().String()+"/app", nil, rtmp.DialOptions{})
		if err != nil {
			b.Fatal(err)
		}
		s.Close(errors.New("enough"))
		s.Run(context.Background())
	}
}
