package web

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"foyer/media"
	"foyer/room"
	"foyer/server"
	"foyer/server/amf"
	"foyer/server/relay"
	"foyer/server/rtmp"
)

// The messages of a publisher: real parameter sets, and payloads shaped like frames.
const (
	showHeader = "\x17\x00\x00\x00\x00\x01\x42\xc0\x28\xff\xe1\x00\x19" +
		"\x67\x42\xc0\x28\xd9\x00\x78\x02\x27\xe5\x84\x00\x00\x03\x00\x04\x00\x00\x03\x00\xf0\x3c\x60\xc9\x20" + "\x01\x00\x04\x68\xcb\x8c\xb2"
	showKey   = "\x17\x01\x00\x00\x00\x00\x00\x00\x05\x65\x88\x84\x00\x10"
	showInter = "\x27\x01\x00\x00\x00\x00\x00\x00\x05\x41\x9a\x00\x00\x10"
	showMeta  = "\x02\x00\x0aonMetaData\x08\x00\x00\x00\x01\x00\x0cvideocodecid\x00\x40\x1c\x00\x00\x00\x00\x00\x00\x00\x00\x09"
	showInit  = `{"type":"init","mime":"video/mp4; codecs=\"avc1.42c028\""}`
	showEnd   = `{"type":"end"}`
)

// A cinema is a server with rooms, and one publisher of room blue.
type cinema struct {
	host    *server.Host
	handler *Handler
	web     *httptest.Server
	rtmp    string
}

func newCinema(t *testing.T) *cinema {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cinema{host: &server.Host{Log: testLog(t)}, rtmp: "rtmp://" + ln.Addr().String() + "/room/blue"}
	c.host.Handle("room", func() server.Application {
		return room.New(room.Config{Takeover: true, StreamKey: func(string, int64) string { return "k" }})
	})
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- c.host.Serve(ctx, ln) }()
	c.handler = New(Config{Host: c.host, Log: testLog(t)})
	c.web = httptest.NewServer(c.handler)
	t.Cleanup(func() {
		c.host.Stop(context.Background())
		c.handler.Close()
		c.web.Close()
		cancel()
		<-served
	})
	return c
}

type mute struct{}

func (mute) ServeCall(c *rtmp.Call) { c.Reply(amf.Null{}) }

// connect opens a connection to room blue, which starts it.
func (c *cinema) connect(t *testing.T) *rtmp.Session {
	t.Helper()
	s, _, err := rtmp.Dial(t.Context(), c.rtmp, &rtmp.ConnectRequest{}, rtmp.DialOptions{Handler: mute{}})
	if err != nil {
		t.Fatal(err)
	}
	ran := make(chan error, 1)
	go func() { ran <- s.Run(context.Background()) }()
	t.Cleanup(func() { s.Close(nil); <-ran })
	return s
}

// publish publishes live to room blue.
func (c *cinema) publish(t *testing.T) (send func(at uint32, bodies ...string), stop func()) {
	t.Helper()
	s := c.connect(t)
	st, err := s.CreateStream(t.Context())
	if err == nil {
		err = st.Publish(t.Context(), "live?key=k", "live")
	}
	if err != nil {
		t.Fatal(err)
	}
	send = func(at uint32, bodies ...string) {
		for _, b := range bodies {
			kind := rtmp.TypeVideo
			if b[0] == 2 {
				kind = rtmp.TypeDataAMF0
			}
			st.WriteMessage(rtmp.Message{Type: kind, Timestamp: at, Payload: []byte(b)})
		}
	}
	return send, func() { s.Close(nil); <-s.Done() }
}

// second sends a key frame and the other messages of a second.
func second(send func(uint32, ...string), from uint32) {
	send(from, showKey)
	for i := range uint32(24) {
		send(from+(i+1)*40, showInter)
	}
}

func (c *cinema) watch(t *testing.T) *websocket.Conn {
	t.Helper()
	conn, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(c.web.URL, "http")+"/ws/live/blue/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadDeadline(time.Now().Add(time.Minute))
	t.Cleanup(func() { conn.Close() })
	return conn
}

// wantText reads up to a text frame, past fragments.
func wantText(t *testing.T, conn *websocket.Conn, want string) {
	t.Helper()
	for {
		kind, b, err := conn.ReadMessage()
		if err != nil {
			t.Fatalf("waiting for %s: %v", want, err)
		}
		if kind == websocket.TextMessage {
			if string(b) != want {
				t.Fatalf("got %s, want %s", b, want)
			}
			return
		}
	}
}

// wantBoxes reads a binary frame that begins with a box of that type.
func wantBoxes(t *testing.T, conn *websocket.Conn, box string) {
	t.Helper()
	kind, b, err := conn.ReadMessage()
	if err != nil || kind != websocket.BinaryMessage || len(b) < 8 || string(b[4:8]) != box {
		t.Fatalf("got %d, %.40q, %v, want box %s", kind, b, err, box)
	}
}

// TestLiveSocket: a viewer comes before the room runs, and sees a publisher come, go and
// come back. Another viewer joins.
func TestLiveSocket(t *testing.T) {
	t.Parallel()
	c := newCinema(t)
	early := c.watch(t)
	wantText(t, early, showEnd)
	if c.host.Running("room/blue") {
		t.Error("watching started the room")
	}
	send, stop := c.publish(t)
	send(0, showMeta, showHeader)
	second(send, 0)
	late := c.watch(t)
	second(send, 1000)
	second(send, 2000)
	done := make(chan struct{})
	var sending sync.WaitGroup
	sending.Go(func() { // until both have what they need
		for at := uint32(3000); ; at += 1000 {
			select {
			case <-done:
				return
			case <-time.After(20 * time.Millisecond):
				second(send, at)
			}
		}
	})
	wantText(t, late, showInit)
	wantBoxes(t, late, "ftyp")
	wantBoxes(t, late, "moof")
	wait(t, func() bool { streams, _ := c.handler.remuxes.count(); return streams == 1 })
	for {
		kind, b, err := early.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		if kind == websocket.TextMessage && string(b) == showInit {
			break
		}
	}
	wantBoxes(t, early, "ftyp")
	resp, err := http.Get(c.web.URL + "/live/blue/live.mp4")
	if err != nil {
		t.Fatal(err)
	}
	still, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "video/mp4" || resp.Header.Get("Cache-Control") != "no-store" || !bytes.Contains(still, []byte("moof")) {
		t.Errorf("picture: %s %v %d bytes", resp.Status, resp.Header, len(still))
	}
	close(done)
	sending.Wait()
	stop()
	wantText(t, late, showEnd)
	wantText(t, early, showEnd)

	send, _ = c.publish(t)
	send(0, showMeta, showHeader)
	second(send, 0)
	wantText(t, late, showInit)
	wantBoxes(t, late, "ftyp")
	wantBoxes(t, late, "moof")
}

func wait(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); {
		if time.Now().After(end) {
			t.Fatal("it does not come to that")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestLiveSocketRefused(t *testing.T) {
	t.Parallel()
	c := newCinema(t)
	for path, want := range map[string]int{"/ws/live/blue/live": 403, "/ws/live/blue": 404, "/ws/live/a%20b/live": 404, "/ws/live/blue/a/b": 404} {
		_, resp, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(c.web.URL, "http")+path, http.Header{"Origin": {"http://elsewhere.example"}})
		if err == nil || resp == nil || resp.StatusCode != want {
			t.Errorf("%s: %v, want %d", path, resp, want)
		}
	}
	resp, err := http.Get(c.web.URL + "/live/blue/live.mp4")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 404 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("picture of nothing: %s", resp.Status)
	}
}

// newSocketViewer makes a viewer at one end of a connection.
func newSocketViewer(t testing.TB, h *Handler, conn chan *websocket.Conn) *socketViewer {
	return &socketViewer{socket: newSocket(<-conn, &h.bridge.sent, h.bridge.host.Partial(), nil), limit: MaxLiveOutbox}
}

// pair makes viewers whose other ends are conns, over loopback TCP.
func pair(t testing.TB, h *Handler) (dial func() (*socketViewer, net.Conn)) {
	here := make(chan *websocket.Conn, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r, nil)
		if err == nil {
			here <- conn
		}
	}))
	t.Cleanup(srv.Close)
	return func() (*socketViewer, net.Conn) {
		conn, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(srv.URL, "http"), nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		w := newSocketViewer(t, h, here)
		t.Cleanup(func() { w.net.Close(); w.writer.Wait() })
		return w, conn.NetConn()
	}
}

// TestLiveSlow: a viewer that does not read loses fragments up to a key frame, and then
// its socket. Another one loses nothing.
func TestLiveSlow(t *testing.T) {
	t.Parallel()
	c := newCinema(t)
	dial := pair(t, c.handler)
	slow, _ := dial()
	quick, conn := dial()
	got := make(chan int64)
	go func() { n, _ := io.Copy(io.Discard, conn); got <- n }()

	m := &remux{stream: relay.New("live"), viewers: make(map[*socketViewer]struct{})}
	m.add(slow)
	m.add(quick)
	sent := int64(len(endFrame))
	big := make([]byte, 100<<10)
	m.show(media.Segment{Kind: media.Init, Mime: "x", Data: []byte("init")})
	sent += int64(len(m.init[0]) + len(m.init[1]))
	for i := range 400 {
		s := media.Segment{Kind: media.Fragment, Key: i%100 == 0, Data: big}
		m.show(s)
		sent += int64(len(binaryFrame(big)))
		for quick.waiting() {
			time.Sleep(time.Millisecond)
		}
		if n := slow.bytes(); n > slow.limit {
			t.Fatalf("%d bytes wait", n)
		}
	}
	if closing, reason := slow.ended(); !closing || reason != errTooSlow {
		t.Errorf("slow viewer: %v, %v", closing, reason)
	}
	if closing, reason := quick.ended(); closing {
		t.Errorf("quick viewer ended: %v", reason)
	}
	quick.writer.Wait()
	quick.net.Close()
	if n := <-got; n != sent {
		t.Errorf("quick viewer got %d bytes of %d", n, sent)
	}
}

func (w *socketViewer) bytes() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.queued
}

func (w *socketViewer) waiting() bool { return w.bytes() > 0 }

const viewers = 200

// BenchmarkLiveTo200 sends a fragment of 66 ms of 2.6 Mbit/s to 200 viewers over
// loopback TCP. BenchmarkLiveFloor writes the same bytes in a loop.
func BenchmarkLiveTo200(b *testing.B) {
	h := New(Config{Host: &server.Host{}, Log: testLog(b)})
	dial := pair(b, h)
	m := &remux{stream: relay.New("live"), viewers: make(map[*socketViewer]struct{})}
	var all []*socketViewer
	for range viewers {
		w, conn := dial()
		go func() { io.Copy(io.Discard, conn) }() // ends with the connection
		m.add(w)
		all = append(all, w)
	}
	s := media.Segment{Kind: media.Fragment, Key: true, Data: make([]byte, 21450)}
	b.SetBytes(int64(viewers * len(s.Data)))
	b.ReportAllocs()
	defer perGigabyte(b, viewers*len(s.Data))()
	for b.Loop() {
		m.show(s)
		for _, w := range all {
			w.writer.Wait()
		}
	}
}

func BenchmarkLiveFloor(b *testing.B) {
	h := New(Config{Host: &server.Host{}, Log: testLog(b)})
	dial := pair(b, h)
	var all []net.Conn
	for range viewers {
		w, conn := dial()
		go func() { io.Copy(io.Discard, conn) }() // ends with the connection
		all = append(all, w.net)
	}
	f := binaryFrame(make([]byte, 21450))
	b.SetBytes(int64(viewers * len(f)))
	defer perGigabyte(b, viewers*len(f))()
	for b.Loop() {
		for _, c := range all {
			if _, err := c.Write(f); err != nil {
				b.Fatal(err)
			}
		}
	}
}
