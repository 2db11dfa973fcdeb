package rtmp_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"foyer/server/amf"
	"foyer/server/rtmp"
	"foyer/server/rtmp/rtmptest"
)

// handler is a Handler made of a function.
type handler func(*rtmp.Call)

func (h handler) ServeCall(c *rtmp.Call) { h(c) }

func echo(c *rtmp.Call) {
	if c.Method != "echo" {
		c.Fail(rtmp.MethodNotFound(c.Method))
		return
	}
	c.Reply(c.Args.At(0))
}

// accept does the server's side of a connection up to its session.
func accept(t testing.TB, nc net.Conn, cfg *rtmp.Config, h rtmp.Handler) *rtmp.Session {
	t.Helper()
	c, err := rtmp.NewServerConn(t.Context(), nc, cfg)
	if err != nil {
		t.Error(err)
		return nil
	}
	r, err := rtmp.ReadConnect(t.Context(), c)
	if err != nil {
		t.Error(err)
		return nil
	}
	if err := r.Accept(); err != nil {
		t.Error(err)
		return nil
	}
	return rtmp.NewSession(c, h, r.ObjectEncoding)
}

// pair returns two sessions that run until the test ends.
func pair(t testing.TB, ch, sh rtmp.Handler) (client, server *rtmp.Session) {
	t.Helper()
	cnc, snc := rtmptest.Pipe()
	return pairOver(t, cnc, snc, nil, ch, sh)
}

func pairOver(t testing.TB, cnc, snc net.Conn, cfg *rtmp.Config, ch, sh rtmp.Handler) (client, server *rtmp.Session) {
	t.Helper()
	got := make(chan *rtmp.Session)
	go func() { got <- accept(t, snc, cfg, sh) }()
	dial := func(context.Context, string, string) (net.Conn, error) { return cnc, nil }
	client, info, err := rtmp.Dial(t.Context(), "rtmp://test/app/inst/", nil,
		rtmp.DialOptions{Handler: ch, Dial: dial, Config: cfg})
	if err != nil {
		t.Fatal(err)
	}
	if code, _ := amf.AsString(amf.Lookup(info, "code")); code != rtmp.CodeConnectSuccess {
		t.Fatalf("connect answered %v", info)
	}
	if server = <-got; server == nil {
		t.FailNow()
	}
	for _, s := range []*rtmp.Session{client, server} {
		go s.Run(context.Background())
		t.Cleanup(func() { s.Close(errors.New("test over")); <-s.Done() })
	}
	return client, server
}

func TestCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := pair(t, handler(echo), handler(echo))
		for _, s := range []*rtmp.Session{client, server} {
			v, err := s.Call(t.Context(), "echo", amf.String("hello"))
			if err != nil || v != amf.String("hello") {
				t.Errorf("echo: %v, %v", v, err)
			}
			_, err = s.Call(t.Context(), "nothing")
			info, ok := errors.AsType[*rtmp.StatusError](err)
			if !ok || info.Code != rtmp.CodeCallFailed || info.Description != "Method not found (nothing)." {
				t.Errorf("unknown method: %v", err)
			}
		}
	})
}

func TestGoodbye(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := pair(t, nil, nil)
		client.Close(nil)
		<-client.Done()
		<-server.Done()
		if err := client.Err(); err != rtmp.ErrClosed {
			t.Errorf("client: %v", err)
		}
		if err := server.Err(); err != rtmp.ErrGoodbye {
			t.Errorf("server: %v", err)
		}
	})
}

// TestLastWordsAfterPing has a peer that sends a ping while everything it has
// to read, including the goodbye, is still on its way.
func TestLastWordsAfterPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cnc, snc := rtmptest.Pipe()
		got := make(chan *rtmp.Session)
		go func() { got <- accept(t, snc, nil, nil) }()
		peer := rtmptest.NewPeer(t, cnc)
		peer.Connect("app")
		session := <-got
		ended := make(chan error, 1)
		go func() { ended <- session.Run(t.Context()) }()
		if err := session.Request("fill", []amf.Value{amf.String(strings.Repeat("x", 2*rtmptest.PipeBuffer))}, nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		session.Close(nil)
		peer.Send(rtmp.Message{Type: rtmp.TypeUserControl, Payload: []byte{0, 6, 0, 0, 0, 1}})
		synctest.Wait()
		for _, want := range []string{"onBWDone", "fill", "close"} {
			if c := peer.NextCommand(); c.Name != want {
				t.Errorf("got %s, want %s", c.Name, want)
			}
		}
		peer.Close()
		if err := <-ended; err != rtmp.ErrClosed {
			t.Error(err)
		}
	})
}

func TestPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, server := pair(t, nil, nil)
		time.Sleep(time.Hour)
		if err := server.Err(); err != nil {
			t.Fatal(err)
		}
		if n := server.Stats().BytesOut / 18; n < 300 || n > 800 {
			t.Errorf("%d pings and answers in an hour", n)
		}
	})
}

func TestLongAnswers(t *testing.T) {
	cnc, snc := loopback(t)
	client, _ := pairOver(t, cnc, snc, nil, nil, handler(echo))
	for _, size := range []int{0, 100, rtmp.ChunkSize, 200 << 10} {
		want := amf.String(strings.Repeat("x", size))
		if v, err := client.Call(t.Context(), "echo", want); err != nil || v != want {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

// Answers come in the order of the calls, however they are written.
func TestManyCalls(t *testing.T) {
	const calls = 500
	cnc, snc := loopback(t)
	client, _ := pairOver(t, cnc, snc, nil, nil, handler(echo))
	got := make(chan amf.Value, calls) // an answer each
	for i := range calls {
		err := client.Request("echo", []amf.Value{amf.Number(i)}, func(v amf.Value, _ error) { got <- v })
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range calls {
		if v := <-got; v != amf.Number(i) {
			t.Fatalf("answer %d is %v", i, v)
		}
	}
}

// The rest of an answer that was written in part comes before everything else.
func TestAnswerInParts(t *testing.T) {
	cnc, snc := loopback(t)
	snc.(*net.TCPConn).SetWriteBuffer(4096)
	served := make(chan *rtmp.Session, 1) // one session
	go func() {
		s := accept(t, snc, nil, handler(func(c *rtmp.Call) { c.Reply(amf.String(strings.Repeat("y", 250<<10))) }))
		served <- s
		s.Run(t.Context())
	}()
	p := rtmptest.NewPeer(t, cnc)
	p.Connect("app")
	p.Expect("onBWDone", 0)
	s := <-served
	p.Command(0, "long", 2, amf.Null{})
	for s.Stats().BytesOut < 4000 { // it has begun to write
		runtime.Gosched()
	}
	s.Send(rtmp.Pack(rtmp.CallMessage(0, "after")))
	if c := p.Expect("_result", 2); len(c.Args[1].(amf.String)) != 250<<10 {
		t.Error("the answer is not whole")
	}
	p.Expect("after", 0)
	p.Close()
	<-s.Done()
}

// An immediate write has nothing to do with the deadline of an earlier write,
// which passes while nothing is written.
func TestCallAfterPause(t *testing.T) {
	cnc, snc := loopback(t)
	client, _ := pairOver(t, cnc, snc, nil, nil, handler(echo))
	if _, err := client.Call(t.Context(), "echo", amf.Number(1)); err != nil {
		t.Fatal(err)
	}
	for _, nc := range []net.Conn{cnc, snc} {
		nc.SetWriteDeadline(time.Unix(1, 0))
	}
	if v, err := client.Call(t.Context(), "echo", amf.Number(2)); err != nil || v != amf.Number(2) {
		t.Errorf("after a pause: %v, %v", v, err)
	}
}

func TestDialTLS(t *testing.T) {
	web := httptest.NewUnstartedServer(nil) // has a certificate
	web.StartTLS()
	cert, roots := web.TLS.Certificates[0], web.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	web.Close()
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	done := make(chan error)
	go func() {
		nc, err := ln.Accept()
		if err == nil {
			err = accept(t, nc, nil, handler(echo)).Run(t.Context())
		}
		done <- err
		if nc, err := ln.Accept(); err == nil {
			nc.(*tls.Conn).Handshake()
			nc.Close()
		}
	}()
	s, _, err := rtmp.Dial(t.Context(), "rtmps://"+ln.Addr().String()+"/app", nil, rtmp.DialOptions{TLS: &tls.Config{RootCAs: roots}})
	if err != nil {
		t.Fatal(err)
	}
	ran := make(chan error)
	go func() { ran <- s.Run(t.Context()) }()
	if v, err := s.Call(t.Context(), "echo", amf.Number(7)); err != nil || v != amf.Number(7) {
		t.Errorf("echo: %v, %v", v, err)
	}
	s.Close(nil)
	if err := <-ran; err != rtmp.ErrClosed {
		t.Errorf("client: %v", err)
	}
	if err := <-done; err != rtmp.ErrGoodbye {
		t.Errorf("server: %v", err)
	}
	if _, _, err := rtmp.Dial(t.Context(), "rtmps://"+ln.Addr().String()+"/app", nil, rtmp.DialOptions{}); err == nil {
		t.Error("an unknown certificate was taken")
	}
}

func TestContextEndsRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cnc, snc := rtmptest.Pipe()
		made := make(chan *rtmp.Session)
		go func() { made <- accept(t, snc, nil, nil) }()
		rtmptest.NewPeer(t, cnc).Connect("app")
		why := errors.New("why")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(why) })
		if err := (<-made).Run(ctx); err != why {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestObjectEncoding3(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cnc, snc := rtmptest.Pipe()
		made := make(chan *rtmp.Session)
		go func() { made <- accept(t, snc, nil, handler(echo)) }()
		dial := func(context.Context, string, string) (net.Conn, error) { return cnc, nil }
		client, _, err := rtmp.Dial(t.Context(), "rtmp://h/app", &rtmp.ConnectRequest{ObjectEncoding: 3}, rtmp.DialOptions{Dial: dial})
		if err != nil {
			t.Fatal(err)
		}
		server := <-made
		if client.ObjectEncoding() != 3 || server.ObjectEncoding() != 3 {
			t.Errorf("object encodings %d and %d", client.ObjectEncoding(), server.ObjectEncoding())
		}
		for _, s := range []*rtmp.Session{client, server} {
			go s.Run(t.Context())
		}
		v, err := client.Call(t.Context(), "echo", amf.Bytes("raw"))
		if b, ok := v.(amf.Bytes); err != nil || !ok || string(b) != "raw" {
			t.Errorf("echo: %v, %v", v, err)
		}
		client.Close(nil)
		<-server.Done()
		<-client.Done()
	})
}
