package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"foyer/server"
	"foyer/server/amf"
	"foyer/server/backlog"
	"foyer/server/rtmp"
)

// pipes is a listener of connections in memory.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func (l *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}
func (l *pipes) dial() net.Conn {
	ours, theirs := net.Pipe()
	l.conns <- theirs
	return ours
}
func (l *pipes) Close() error   { close(l.done); return nil }
func (l *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// inBubble runs f with a connected page in a bubble of synctest: time passes at once,
// and a goroutine left behind fails the test.
func inBubble(t *testing.T, f func(t *testing.T, th *theatre, p *page)) {
	synctest.Test(t, func(t *testing.T) {
		th := &theatre{left: make(chan error, 10)}
		th.host = &server.Host{Log: testLog(t)}
		th.host.Handle("stage", func() server.Application { return &stage{left: th.left} })
		th.handler = New(Config{Host: th.host, Log: testLog(t)})
		ln := &pipes{make(chan net.Conn), make(chan struct{})}
		web := &http.Server{Handler: th.handler}
		go web.Serve(ln)
		defer func() {
			th.handler.Close()
			web.Close()
			th.host.Stop(context.Background())
		}()
		d := websocket.Dialer{NetDial: func(string, string) (net.Conn, error) { return ln.dial(), nil }}
		conn, _, err := d.Dial("ws://stage/ws/stage/one", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		f(t, th, &page{t, conn})
	})
}

// socket returns the only socket.
func (th *theatre) socket() (s *socket) {
	for s = range th.handler.bridge.sockets {
	}
	return s
}

func (p *page) join() {
	p.t.Helper()
	p.send(`{"type":"connect"}`)
	p.want(success, `{"type":"call","method":"welcome","args":[]}`)
}

// since checks how much time has passed, to the nanosecond.
func since(t *testing.T, start time.Time, d time.Duration) {
	t.Helper()
	if got := time.Since(start); got != d {
		t.Errorf("after %v, want %v", got, d)
	}
}

func TestConnectTimeout(t *testing.T) {
	inBubble(t, func(t *testing.T, th *theatre, p *page) {
		start := time.Now()
		p.wantClose(1008, "no sign of life")
		since(t, start, connectTimeout)
	})
}

// TestSilence: a page that reads but never answers a ping.
func TestSilence(t *testing.T) {
	inBubble(t, func(t *testing.T, th *theatre, p *page) {
		p.join()
		pings := 0
		p.conn.SetPingHandler(func(string) error { pings++; return nil })
		start := time.Now()
		p.wantClose(1008, "no sign of life")
		since(t, start, silenceTimeout)
		th.wantLeft(t, rtmp.ErrSilent)
		if pings < 2 {
			t.Errorf("%d pings in %v", pings, silenceTimeout)
		}
	})
}

// TestBytePerMinute: a frame that never ends is no sign of life.
func TestBytePerMinute(t *testing.T) {
	inBubble(t, func(t *testing.T, th *theatre, p *page) {
		p.join()
		start := time.Now()
		stop := make(chan struct{})
		defer func() { <-stop }()
		go func() {
			defer close(stop)
			p.conn.NetConn().Write([]byte{0x81, 0xFF, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4}) // 65,536 bytes follow
			for {
				if _, err := p.conn.NetConn().Write([]byte{'x'}); err != nil {
					return
				}
				time.Sleep(time.Minute / 10)
			}
		}()
		p.conn.SetPingHandler(func(string) error { return nil }) // a pong would be inside the frame
		p.wantClose(1008, "no sign of life")
		since(t, start, silenceTimeout)
		th.wantLeft(t, rtmp.ErrSilent)
		p.conn.Close()
	})
}

// TestFrameStalls: a frame that has begun must make progress, whatever other signs of
// life there are.
func TestFrameStalls(t *testing.T) {
	text := []byte{0x01, 0xFE, 0x13, 0x88, 1, 2, 3, 4} // 5,000 bytes follow, and then another fragment
	pong := []byte{0x8A, 0x80, 1, 2, 3, 4}
	for name, c := range map[string]struct {
		write func(conn net.Conn) // until a write fails
		after time.Duration
	}{
		"after a part": {func(conn net.Conn) { conn.Write(append(text, make([]byte, 4000)...)) }, rtmp.MaxStall},
		"a byte a second of a long one": {func(conn net.Conn) {
			conn.Write(append(text, make([]byte, 4000)...))
			for range 900 {
				time.Sleep(time.Second)
				if _, err := conn.Write([]byte{0}); err != nil {
					return
				}
			}
		}, rtmp.MaxStall},
		"between fragments, with pongs": {func(conn net.Conn) {
			conn.Write(append(text, make([]byte, 5000)...))
			for {
				time.Sleep(time.Second)
				if _, err := conn.Write(pong); err != nil {
					return
				}
			}
		}, rtmp.MaxStall},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, th *theatre, p *page) {
				p.join()
				start := time.Now()
				stop := make(chan struct{})
				defer func() { <-stop }()
				go func() {
					defer close(stop)
					c.write(p.conn.NetConn())
				}()
				p.conn.SetPingHandler(func(string) error { return nil })
				p.wantClose(1008, "a frame was not completed in time")
				since(t, start, c.after)
				th.wantLeft(t, rtmp.ErrStalled)
				if got := th.host.Partial().Used(); got != 0 {
					t.Errorf("%d bytes are still held", got)
				}
				p.conn.Close()
			})
		})
	}
}

// TestMovedInFrame: the page reads while a frame from it comes in. The reader and the
// writer of the socket both set its deadline, which the race detector watches.
func TestMovedInFrame(t *testing.T) {
	inBubble(t, func(t *testing.T, th *theatre, p *page) {
		p.join()
		s := th.socket()
		var writing sync.WaitGroup
		writing.Go(func() {
			for range 100 {
				s.Moved()
				time.Sleep(time.Millisecond)
			}
		})
		p.conn.NetConn().Write([]byte{0x81, 0x80 | 100, 0, 0, 0, 0}) // 100 bytes follow
		for range 99 {
			p.conn.NetConn().Write([]byte{' '})
			time.Sleep(time.Millisecond)
		}
		writing.Wait()
	})
}

// TestAlive: a page that only answers pings stays.
func TestAlive(t *testing.T) {
	inBubble(t, func(t *testing.T, th *theatre, p *page) {
		p.join()
		p.conn.SetReadDeadline(time.Now().Add(time.Hour + pingInterval/2))
		_, _, err := p.conn.ReadMessage()
		if ne, ok := errors.AsType[net.Error](err); !ok || !ne.Timeout() {
			t.Errorf("got %v, want an hour of silence", err)
		}
		for s := range th.handler.bridge.sockets {
			s.mu.Lock()
			if s.writing || s.queue != nil {
				t.Error("an idle socket has a writer")
			}
			s.mu.Unlock()
		}
	})
}

// TestPingOfPage: a page may send pings, too.
func TestPingOfPage(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *theatre, p *page) {
		p.join()
		var got string
		p.conn.SetPongHandler(func(data string) error { got = data; return nil })
		p.conn.WriteControl(websocket.PingMessage, []byte("there?"), time.Time{})
		p.send(`{"type":"call","id":1,"method":"echo"}`)
		p.want(`{"type":"result","id":1,"value":null}`)
		if got != "there?" {
			t.Errorf("got %q", got)
		}
	})
}

// TestSlowReader: a page that reads stays and gets everything, however slowly it reads
// and however much comes in a moment. Its calls wait meanwhile.
func TestSlowReader(t *testing.T) {
	inBubble(t, func(t *testing.T, th *theatre, p *page) {
		const frames = 3000
		p.join()
		p.send(fmt.Sprintf(`{"type":"call","id":1,"method":"flood","args":[%d]}`, frames))
		synctest.Wait()
		s := th.socket()
		if s.Level() != backlog.Far {
			t.Errorf("level %v", s.Level())
		}
		called := th.host.Stats().Calls
		p.send(`{"type":"call","id":2,"method":"echo","args":[]}`)
		var asking sync.WaitGroup
		asking.Go(func() { p.send(`{"type":"call","id":3,"method":"echo","args":[]}`) })
		defer asking.Wait()
		synctest.Wait()
		if n := th.host.Stats().Calls - called; n > 1 {
			t.Errorf("%d calls were read of a page with %d bytes to read", n, frames*1000)
		}
		caughtUp := make(chan time.Time, 1) // it happens once
		s.WhenInStep(func() { caughtUp <- time.Now() })
		for range frames {
			time.Sleep(100 * time.Millisecond) // 80 kbit/s
			_, text, err := p.conn.ReadMessage()
			if err != nil || !strings.Contains(string(text), "spam") {
				t.Fatalf("got %.40q, %v", text, err)
			}
		}
		p.want(`{"type":"result","id":1,"value":null}`, `{"type":"result","id":2,"value":null}`, `{"type":"result","id":3,"value":null}`)
		go p.conn.ReadMessage() // pings; until the end of the test
		<-caughtUp
	})
}

// TestFloodedReader: a page that does not read at all is ended, whatever waits for it.
func TestFloodedReader(t *testing.T) {
	inBubble(t, func(t *testing.T, th *theatre, p *page) {
		p.join()
		start := time.Now()
		p.send(`{"type":"call","method":"flood","args":[3000]}`)
		th.wantLeft(t, rtmp.ErrSlow)
		since(t, start, backlog.Patience)
	})
}

// TestOutboxBudget: a thousand pages that do not read take no more than the budget
// together. Bytes that all are to get count once.
func TestOutboxBudget(t *testing.T) {
	inBubble(t, func(t *testing.T, th *theatre, p *page) {
		p.join()
		s := th.socket()
		s.budget = &backlog.Budget{Limit: 100 << 10}
		start := time.Now()
		p.send(`{"type":"call","method":"flood","args":[50]}`)
		synctest.Wait()
		if n := s.budget.Used(); n < 40<<10 || n > 60<<10 {
			t.Errorf("%d bytes are counted", n)
		}
		p.send(`{"type":"call","method":"flood","args":[100]}`)
		th.wantLeft(t, rtmp.ErrSlow)
		since(t, start, 0)
		synctest.Wait()
		if n := s.budget.Used(); n != 0 {
			t.Errorf("%d bytes are left", n)
		}
	})
}

// TestStuckReader: little is queued, but the page takes nothing.
func TestStuckReader(t *testing.T) {
	inBubble(t, func(t *testing.T, th *theatre, p *page) {
		p.join()
		start := time.Now()
		p.send(`{"type":"call","method":"flood","args":[1]}`)
		th.wantLeft(t, rtmp.ErrSlow)
		since(t, start, backlog.Patience)
	})
}

// bigFrame is the answer of the method big.
const bigFrame = 3 << 20

// TestLargeFrame: no message is too large for a page.
func TestLargeFrame(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *theatre, p *page) {
		p.join()
		p.send(`{"type":"call","id":1,"method":"big"}`)
		if _, b, err := p.conn.ReadMessage(); err != nil || len(b) < bigFrame {
			t.Errorf("got %d bytes, %v", len(b), err)
		}
	})
}

// TestRequestsWithoutAnswer: the number of open calls to a page is bounded, and each
// caller hears once when the page has gone.
func TestRequestsWithoutAnswer(t *testing.T) {
	inBubble(t, func(t *testing.T, th *theatre, p *page) {
		p.join()
		s := th.socket()
		answers := make(chan error, 2*MaxRequests)
		done := func(_ amf.Value, err error) { answers <- err }
		for range MaxRequests {
			if err := s.Request("m", nil, done); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Request("m", nil, done); err != rtmp.ErrBusy {
			t.Errorf("got %v, want %v", err, rtmp.ErrBusy)
		}
		if err := s.Request("notify", nil, nil); err != nil {
			t.Errorf("got %v: no answer was wanted", err)
		}
		p.conn.Close()
		th.wantLeft(t, rtmp.ErrClosed)
		synctest.Wait()
		if err := s.Request("m", nil, done); err != rtmp.ErrClosed {
			t.Errorf("got %v, want %v", err, rtmp.ErrClosed)
		}
		if n := len(answers); n != MaxRequests {
			t.Errorf("%d answers, want %d", n, MaxRequests)
		}
		for range len(answers) {
			if err := <-answers; err != rtmp.ErrClosed {
				t.Fatalf("got %v, want %v", err, rtmp.ErrClosed)
			}
		}
	})
}

// TestCloseGrace: after closeGrace, a page that does not answer a close frame is not
// waited for.
func TestCloseGrace(t *testing.T) {
	inBubble(t, func(t *testing.T, th *theatre, p *page) {
		p.join()
		p.conn.SetCloseHandler(func(int, string) error { return nil })
		p.send(`{"type":"call","method":"kick"}`)
		start := time.Now()
		_, _, _ = p.conn.ReadMessage() // the status
		p.wantClose(1008, "Kicked.")
		<-th.left
		since(t, start, 0) // the instance does not wait at all
		if _, err := p.conn.NetConn().Read(make([]byte, 1)); err == nil {
			t.Error("something came after the close frame")
		}
		since(t, start, closeGrace)
	})
}

// TestSlowRequest: a client that does not read an answer, or does not finish its
// request, is not waited for forever.
func TestSlowRequest(t *testing.T) {
	for _, request := range []string{
		"GET /assets/foyer.css HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST /api/v1/announce HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer token\r\nContent-Length: 100\r\n\r\n{",
	} {
		synctest.Test(t, func(t *testing.T) {
			ln := &pipes{make(chan net.Conn), make(chan struct{})}
			web := &http.Server{Handler: New(Config{Host: &server.Host{}, AdminToken: "token"})}
			go web.Serve(ln)
			defer web.Close()
			conn := ln.dial()
			if _, err := conn.Write([]byte(request)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(requestTimeout + time.Second)
			synctest.Wait()
			if rest, err := io.ReadAll(conn); err != nil || strings.Contains(string(rest), " 200 ") {
				t.Errorf("got %q, %v", rest, err)
			}
		})
	}
}
