package demo

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"foyer/room"
	"foyer/server"
	"foyer/server/amf"
	"foyer/server/flv"
	"foyer/server/rtmp"
)

// A viewer is an RTMP player made of our own packages.
type viewer struct {
	session *rtmp.Session
	ran     chan struct{}

	// guarded by mu
	mu    sync.Mutex
	video []rtmp.Message
	audio []rtmp.Message
	data  []rtmp.Message
}

func (v *viewer) WriteMessage(m rtmp.Message) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch m.Payload = bytes.Clone(m.Payload); m.Type {
	case rtmp.TypeVideo:
		v.video = append(v.video, m)
	case rtmp.TypeAudio:
		v.audio = append(v.audio, m)
	default:
		v.data = append(v.data, m)
	}
}

func (v *viewer) Close(error) {}

// take returns the messages since its last call.
func (v *viewer) take() (video, audio []rtmp.Message) {
	v.mu.Lock()
	defer v.mu.Unlock()
	video, audio, v.video, v.audio = v.video, v.audio, nil, nil
	return video, audio
}

// view plays a stream; the session ends with the test or with the server.
func view(t *testing.T, n *network, url, stream string) *viewer {
	t.Helper()
	v := &viewer{ran: make(chan struct{})}
	var err error
	v.session, _, err = rtmp.Dial(t.Context(), url, nil, rtmp.DialOptions{Dial: n.dial})
	if err != nil {
		t.Fatal(err)
	}
	go func() { defer close(v.ran); v.session.Run(context.WithoutCancel(t.Context())) }()
	st, err := v.session.CreateStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Play(t.Context(), stream, rtmp.StartAny, v); err != nil {
		t.Fatal(err)
	}
	return v
}

func (v *viewer) leave() { v.session.Close(nil); <-v.ran }

// running is a broadcast in progress.
type running struct {
	cancel context.CancelFunc
	ended  chan error
}

func run(t *testing.T, b *Broadcast) *running {
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{cancel, make(chan error, 1)}
	go func() { r.ended <- b.Run(ctx) }()
	return r
}

// steps fails unless the timestamps advance in steps from min to max, and
// returns the last one.
func steps(t *testing.T, what string, list []rtmp.Message, low, high uint32) uint32 {
	t.Helper()
	for i := 1; i < len(list); i++ {
		if d := list[i].Timestamp - list[i-1].Timestamp; d < low || d > high {
			t.Fatalf("%s: %d after %d", what, list[i].Timestamp, list[i-1].Timestamp)
		}
	}
	return list[len(list)-1].Timestamp
}

func isHeader(m rtmp.Message) bool {
	t := tag{media: flv.Media(m.Type), data: m.Payload}
	return t.role() == header
}

// frames leaves out the sequence headers.
func frames(list []rtmp.Message) (rest []rtmp.Message) {
	for _, m := range list {
		if !isHeader(m) {
			rest = append(rest, m)
		}
	}
	return rest
}

// The clip arrives at a player of our own, round after round, with timestamps
// that advance in step with the clock.
func TestBroadcast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		host, stop := start(t, n)
		v := view(t, n, "rtmp://h/room/blue", "live")
		time.Sleep(7777 * time.Millisecond)
		r := run(t, &Broadcast{URL: "rtmp://h/room/blue", Stream: "live?key=key-blue", dial: n.dial})
		time.Sleep(65 * time.Second) // three rounds
		synctest.Wait()
		now := time.Now()
		video, audio := v.take()
		if !isHeader(video[0]) || !isHeader(audio[0]) {
			t.Error("no sequence headers come first")
		}
		video, audio = frames(video), frames(audio)
		steps(t, "video", video, 40, 40)
		steps(t, "audio", audio, 32, 32)
		if len(video) < 25*64-1 || len(audio) < 31*64 {
			t.Errorf("%d pictures and %d frames of sound in 65 s", len(video), len(audio))
		}
		if host.Stream("room/blue", "live") == nil {
			t.Error("the host does not know the stream")
		}
		i := slices.IndexFunc(v.data, func(m rtmp.Message) bool { return bytes.Contains(m.Payload, []byte("onMetaData")) })
		if i < 0 || !bytes.Contains(v.data[i].Payload, []byte("width")) || bytes.Contains(v.data[i].Payload, []byte("duration")) {
			t.Errorf("metadata: %v", v.data)
		}
		// The last picture is the one for this moment.
		shown := pictureNumber(t, video[len(video)-1].Payload)
		if want := int(now.UnixMilli() % clipLength.Milliseconds() / 40); shown != want {
			t.Errorf("picture %d is shown when the clock is at %d", shown, want)
		}
		r.cancel()
		if err := <-r.ended; err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if host.Stream("room/blue", "live") != nil {
			t.Error("the stream is still published")
		}
		v.leave()
		stop()
	})
}

// pictureNumber finds a picture in the clip.
func pictureNumber(t *testing.T, data []byte) int {
	t.Helper()
	r, err := flv.NewReader(bytes.NewReader(clip))
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; ; {
		h, picture, err := r.Next()
		if err != nil {
			t.Fatal("the picture is not in the clip")
		}
		var p flv.Tag
		if h.Media != flv.Video || !p.Parse(h.Media, picture) || p.Kind != flv.CodedFrames {
			continue
		}
		if bytes.Equal(picture, data) {
			return n
		}
		n++
	}
}

func TestBroadcastOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		_, stop := start(t, n)
		began := time.Now()
		var last Progress
		b := &Broadcast{URL: "rtmp://h/room/blue/", Stream: "live?key=key-blue", Once: true, dial: n.dial, OnProgress: func(p Progress) { last = p }}
		if err := b.Run(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took < clipLength-100*time.Millisecond || took > clipLength+2*time.Second {
			t.Errorf("the clip took %v", took)
		}
		if !last.Live || last.Sent < 19*time.Second || last.Bytes < 400_000 {
			t.Errorf("progress: %+v", last)
		}
		stop()
	})
}

// The words of the server reach the person who broadcasts.
func TestBroadcastRefused(t *testing.T) {
	for _, c := range []struct{ name, url, stream, want string }{
		{"wrong key", "rtmp://h/room/blue", "live?key=x", "the server says: Wrong stream key for room blue."},
		{"no key", "rtmp://h/room/blue", "live", "the server says: The stream key is missing: publish as live?key=KEY."},
		{"no such application", "rtmp://h/chess", "live?key=x", "Application (chess) is not defined."},
		{"a name that is no room's", "rtmp://h/room/a%20b", "live?key=x", "Room name is not valid."},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork()
				_, stop := start(t, n)
				err := (&Broadcast{URL: c.url, Stream: c.stream, dial: n.dial}).Run(t.Context())
				if _, ok := errors.AsType[*Refusal](err); !ok || !strings.Contains(err.Error(), c.want) {
					t.Errorf("got %v, want a refusal: %s", err, c.want)
				}
				stop()
			})
		})
	}
}

// An elsewhere is a room that runs on another server.
type elsewhere struct{ uri string }

func (elsewhere) OnAppStart(*server.Instance) error  { return nil }
func (elsewhere) OnDisconnect(*server.Client, error) {}
func (elsewhere) OnAppStop()                         {}
func (e elsewhere) OnConnect(*server.Client, amf.Args) error {
	no := server.Reject("The room is elsewhere.")
	no.Extra = []amf.Field{{Name: "ex", Value: amf.Object{
		{Name: "code", Value: amf.Number(302)}, {Name: "redirect", Value: amf.String(e.uri)},
	}}}
	return no
}

// A server that does not run the room sends the broadcast to the server that
// does.
func TestBroadcastRedirected(t *testing.T) {
	for _, c := range []struct{ name, url, redirect, want string }{
		{"once", "rtmp://a/room/blue", "rtmp://b/room/blue", ""},
		{"round and round", "rtmp://a/room/blue", "rtmp://a:1935/room/blue", "The room is elsewhere."},
		{"to an address that is none", "rtmp://a/room/blue", "b", `"b" is not an address`},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := newNetwork(), newNetwork()
				_, stopA := serve(t, a, func() server.Application { return elsewhere{c.redirect} })
				_, stopB := start(t, b)
				dials := 0
				dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
					dials++
					if addr == "b:1935" {
						return b.dial(ctx, network, addr)
					}
					return a.dial(ctx, network, addr)
				}
				err := (&Broadcast{URL: c.url, Stream: "live?key=key-blue", Once: true, dial: dial}).Run(t.Context())
				if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
					t.Errorf("got %v, want %q", err, c.want)
				}
				if dials > 1+maxRedirects {
					t.Errorf("dialed %d times", dials)
				}
				stopA()
				stopB()
			})
		})
	}
}

// A broadcast with encryption follows no redirection to a server without it.
func TestBroadcastKeepsEncryption(t *testing.T) {
	for _, c := range []struct {
		from, to string
		ok       bool
	}{
		{"rtmps://a/x", "rtmps://b/x", true},
		{"rtmp://a/x", "rtmp://b/x", true},
		{"rtmp://a/x", "rtmps://b/x", true},
		{"rtmps://a/x", "rtmp://b/x", false},
		{"rtmps://a/x", "RTMPS://b/x", true},
		{"RTMPS://a/x", "rtmp://b/x", false},
	} {
		if err := keepsEncryption(c.from, c.to); (err == nil) != c.ok {
			t.Errorf("from %s to %s: %v", c.from, c.to, err)
		}
	}
}

func TestBroadcastTakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		_, stop := start(t, n)
		one := run(t, &Broadcast{URL: "rtmp://h/room/blue", Stream: "live?key=key-blue", dial: n.dial})
		time.Sleep(5 * time.Second)
		two := run(t, &Broadcast{URL: "rtmp://h/room/blue", Stream: "live?key=key-blue", dial: n.dial})
		err := <-one.ended
		if r, ok := errors.AsType[*Refusal](err); !ok || !r.Late || !strings.Contains(err.Error(), "Taken over") {
			t.Errorf("the first one ended with %v", err)
		}
		two.cancel()
		if err := <-two.ended; err != nil {
			t.Error(err)
		}
		stop()
	})
}

// The server goes away and comes back: the broadcast continues, in step again.
func TestBroadcastReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now atomic.Pointer[network]
		now.Store(newNetwork())
		_, stop := start(t, now.Load())
		dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
			return now.Load().dial(ctx, network, addr)
		}
		var lost, live int
		r := run(t, &Broadcast{URL: "rtmp://h/room/blue", Stream: "live?key=key-blue", dial: dial, OnProgress: func(p Progress) {
			if p.Live {
				live++
			} else if p.Err != nil {
				lost++
			}
		}})
		time.Sleep(10 * time.Second)
		stop()
		time.Sleep(time.Minute)
		now.Store(newNetwork())
		host, stop := start(t, now.Load())
		v := view(t, now.Load(), "rtmp://h/room/blue", "live")
		time.Sleep(12 * time.Second)
		synctest.Wait()
		video, _ := v.take()
		if host.Stream("room/blue", "live") == nil || len(video) < 25*5 {
			t.Errorf("%d pictures after the server came back", len(video))
		}
		r.cancel()
		if err := <-r.ended; err != nil || lost < 5 || live < 10 {
			t.Errorf("%v; lost %d, live %d", err, lost, live)
		}
		v.leave()
		stop()
	})
}

// A first attempt that fails is an error at once, and nothing is left running.
func TestBroadcastNobodyThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		silent := func(context.Context, string, string) (net.Conn, error) {
			here, there := net.Pipe()
			go func() { io.Copy(io.Discard, there) }() // ends with the connection
			return here, nil
		}
		err := (&Broadcast{URL: "rtmp://h/room/blue", Stream: "live", dial: silent}).Run(t.Context())
		if err == nil || !strings.Contains(err.Error(), "does not answer") {
			t.Errorf("a silent server: %v", err)
		}
		n := newNetwork()
		n.Close()
		if err := (&Broadcast{URL: "rtmp://h/room/blue", dial: n.dial}).Run(t.Context()); err == nil || !strings.Contains(err.Error(), "nobody listens") {
			t.Errorf("no server: %v", err)
		}
		for _, url := range []string{"http://h/x", "rtmp:///room/blue", "blue", "rtmp://h:x/room"} {
			if err := (&Broadcast{URL: url, dial: n.dial}).Run(t.Context()); err == nil {
				t.Errorf("%s was taken for an address", url)
			}
		}
	})
}

// A server that stops reading does not hold up the broadcast for ever.
func TestBroadcastServerThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		_, stop := start(t, n)
		var stuck atomic.Bool
		first := true
		dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := n.dial(ctx, network, addr)
			if first && err == nil {
				first, c = false, stuckConn{c, &stuck, make(chan struct{})}
			}
			return c, err
		}
		var lost error
		r := run(t, &Broadcast{URL: "rtmp://h/room/blue", Stream: "live?key=key-blue", dial: dial, OnProgress: func(p Progress) {
			if p.Err != nil {
				lost = p.Err
			}
		}})
		time.Sleep(5 * time.Second)
		stuck.Store(true)
		time.Sleep(time.Minute)
		v := view(t, n, "rtmp://h/room/blue", "live")
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if video, _ := v.take(); len(video) < 100 {
			t.Errorf("%d pictures after a new beginning", len(video))
		}
		r.cancel()
		if err := <-r.ended; err != nil || lost == nil {
			t.Errorf("%v; lost: %v", err, lost)
		}
		v.leave()
		stop()
	})
}

// With --publish reject the server refuses the new connection as long as it
// believes that the old one is alive. The broadcast tries until that has ended.
func TestBroadcastOutlastsItsOldConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		host, stop := startWith(t, n, room.Config{StreamKey: func(string, int64) string { return "key" }})
		old := &halfEnded{}
		dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := n.dial(ctx, network, addr)
			if old.Conn == nil && err == nil {
				old.Conn = c
				c = old
			}
			return c, err
		}
		r := run(t, &Broadcast{URL: "rtmp://h/room/blue", Stream: "live?key=key", dial: dial})
		time.Sleep(5 * time.Second)
		old.broken.Store(true)
		time.Sleep(15 * time.Second)
		if host.Stream("room/blue", "live") == nil {
			t.Error("the broadcast is not back")
		}
		select {
		case err := <-r.ended:
			t.Errorf("ended: %v", err)
		default:
			r.cancel()
			if err := <-r.ended; err != nil {
				t.Error(err)
			}
		}
		synctest.Wait()
		if host.Stream("room/blue", "live") != nil {
			t.Error("the stream is still the old connection's")
		}
		old.Conn.Close()
		stop()
	})
}

// A halfEnded connection ends for one side only once it is broken.
type halfEnded struct {
	net.Conn
	broken atomic.Bool
}

func (c *halfEnded) Write(b []byte) (int, error) {
	if c.broken.Load() {
		return 0, net.ErrClosed
	}
	return c.Conn.Write(b)
}

func (c *halfEnded) Close() error { return c.Conn.SetReadDeadline(time.Unix(1, 0)) }

// A stuckConn takes no more bytes once stuck is set.
type stuckConn struct {
	net.Conn
	stuck  *atomic.Bool
	closed chan struct{}
}

func (c stuckConn) Write(b []byte) (int, error) {
	if c.stuck.Load() {
		<-c.closed
		return 0, net.ErrClosed
	}
	return c.Conn.Write(b)
}

func (c stuckConn) Close() error {
	select {
	case <-c.closed:
	default:
		close(c.closed)
	}
	return c.Conn.Close()
}
