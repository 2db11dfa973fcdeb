package room_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"foyer/room"
	"foyer/server"
	"foyer/server/amf"
	"foyer/server/rtmp"
	"foyer/server/rtmp/rtmptest"
)

// studio is a host with rooms that encoders and players reach by RTMP, in
// memory.
type studio struct {
	t     *testing.T
	host  *server.Host
	from  net.Addr // the address of the next devices; nil: none
	conns chan net.Conn
	done  chan struct{}
}

func newStudio(t *testing.T, cfg room.Config) *studio {
	t.Helper()
	s := &studio{t: t, host: newHost(t, cfg), conns: make(chan net.Conn), done: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.host.Serve(ctx, s) }()
	t.Cleanup(func() {
		s.host.Stop(context.Background())
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return s
}

// placed is a connection from somewhere.
type placed struct {
	net.Conn
	from net.Addr
}

func (p placed) RemoteAddr() net.Addr {
	if p.from == nil {
		return p.Conn.RemoteAddr()
	}
	return p.from
}

func (s *studio) Accept() (net.Conn, error) {
	select {
	case c := <-s.conns:
		return c, nil
	case <-s.done:
		return nil, net.ErrClosed
	}
}

func (s *studio) Close() error   { close(s.done); return nil }
func (s *studio) Addr() net.Addr { return &net.TCPAddr{} }

// device speaks RTMP with the room blue: an encoder or a player.
type device struct {
	t       *testing.T
	session *rtmp.Session
	stream  *rtmp.Stream // the one it published or played last

	mu    sync.Mutex
	got   []string // what a player got: codes of statuses, and "type@timestamp"
	ended error
}

func (s *studio) device() *device {
	s.t.Helper()
	d := &device{t: s.t}
	session, _, err := rtmp.Dial(s.t.Context(), "rtmp://studio/room/blue", &rtmp.ConnectRequest{}, rtmp.DialOptions{
		Dial: func(context.Context, string, string) (net.Conn, error) {
			client, server := rtmptest.Pipe()
			s.conns <- placed{server, s.from}
			return client, nil
		},
		Handler: d,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	d.session = session
	go func() {
		err := session.Run(context.Background())
		d.mu.Lock()
		d.ended = err
		d.mu.Unlock()
	}()
	return d
}

func (s *studio) encoder() *device { return s.device() }

// player is a device that plays the stream live.
func (s *studio) player() *device {
	s.t.Helper()
	d := s.device()
	d.play("live")
	d.take()
	return d
}

func (d *device) ServeCall(c *rtmp.Call) { c.Fail(rtmp.MethodNotFound(c.Method)) }

// ServeStatus on the NetConnection, or on the stream that plays.
func (d *device) ServeStatus(info amf.Object) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := rtmp.ParseStatus(info)
	d.got = append(d.got, strings.TrimPrefix(s.Code, "NetStream.Play."))
}

func (d *device) WriteMessage(m rtmp.Message) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch m.Type {
	case rtmp.TypeVideo:
		d.got = append(d.got, "video")
	case rtmp.TypeAudio:
		d.got = append(d.got, "audio")
	}
}

func (d *device) Close(error) {}

// take returns, and forgets, what the player got.
func (d *device) take() string {
	synctest.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	got := strings.Join(d.got, " ")
	d.got = nil
	return got
}

// publish publishes with the room's first key, unless name has another.
func (d *device) publish(name string) error {
	d.t.Helper()
	st, err := d.session.CreateStream(d.t.Context())
	if err != nil {
		d.t.Fatal(err)
	}
	d.stream = st
	if !strings.Contains(name, "?") {
		name += "?key=" + key + "-blue"
	}
	err = st.Publish(d.t.Context(), name, "live")
	synctest.Wait()
	return err
}

// must publishes, which has to work.
func (d *device) must(name string) {
	d.t.Helper()
	if err := d.publish(name); err != nil {
		d.t.Fatal(err)
	}
}

func (d *device) play(name string) {
	d.t.Helper()
	st, err := d.session.CreateStream(d.t.Context())
	if err != nil {
		d.t.Fatal(err)
	}
	d.stream = st
	if err := st.Play(d.t.Context(), name, rtmp.StartAny, d); err != nil {
		d.t.Fatal(err)
	}
	synctest.Wait()
}

// send sends a message on the stream.
func (d *device) send(kind rtmp.MessageType, at uint32, payload string) {
	d.t.Helper()
	if err := d.stream.WriteMessage(rtmp.Message{Type: kind, Timestamp: at, Payload: []byte(payload)}); err != nil {
		d.t.Fatal(err)
	}
}

// crash ends the connection as a kill does, without a goodbye.
func (d *device) crash() {
	d.session.Close(errors.New("crashed"))
	<-d.session.Done()
	synctest.Wait()
}

// stop ends the connection as encoders do.
func (d *device) stop() {
	d.stream.Close()
	synctest.Wait()
	d.session.Close(nil)
	<-d.session.Done()
	synctest.Wait()
}

// reason returns why the connection ended; "" while it has not.
func (d *device) reason() string {
	synctest.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ended == nil {
		return ""
	}
	return d.ended.Error() + " " + strings.Join(d.got, " ")
}

// peer is an encoder whose messages a test chooses. It has connected as OBS does,
// with server rtmp://studio/room/blue.
func (s *studio) peer() *rtmptest.Peer { s.t.Helper(); return s.peerAs() }

// peerAs comes with a nick.
func (s *studio) peerAs(nick ...amf.Value) *rtmptest.Peer {
	s.t.Helper()
	client, server := rtmptest.Pipe()
	s.conns <- server
	p := rtmptest.NewPeer(s.t, client)
	_, err := rtmp.Connect(s.t.Context(), p.Conn, &rtmp.ConnectRequest{
		App: "room/blue", TCURL: "rtmp://studio/room/blue", SWFURL: "rtmp://studio/room/blue",
		FlashVer: "FMLE/3.0 (compatible; FMSc/1.0)", Object: amf.Object{{Name: "type", Value: amf.String("nonprivate")}},
		Args: nick,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	p.Expect("onBWDone", 0)
	return p
}

// obs publishes as OBS does, with stream key live?key=…, and returns the
// status that came.
func obs(p *rtmptest.Peer, key string) *rtmptest.Command {
	p.Command(0, "releaseStream", 2, amf.Null{}, amf.String(key))
	p.Command(0, "FCPublish", 3, amf.Null{}, amf.String(key))
	p.Command(0, "createStream", 4, amf.Null{})
	p.Expect("_result", 2)
	p.Expect("_result", 3)
	p.Expect("onFCPublish", 0)
	p.Expect("_result", 4)
	p.Command(1, "publish", 5, amf.Null{}, amf.String(key), amf.String("live"))
	return p.Expect("onStatus", 0)
}
