package rtmp_test

import (
	"errors"
	"net"
	"sync"
	"testing"

	"foyer/server/rtmp"
)

// station is the smallest server with streams: it passes the messages of
// publishers to players. It keeps metadata and codec headers for late players.
type station struct {
	t     testing.TB
	video chan struct{} // if not nil, gets a value for each video message

	mu      sync.Mutex
	streams map[string]*channel
	got     map[rtmp.MessageType]int
	calls   []string
}

type channel struct {
	st      *station
	headers []rtmp.Message
	players map[*rtmp.Player]bool
	live    bool
}

func newStation(t testing.TB) *station {
	return &station{t: t, streams: map[string]*channel{}, got: map[rtmp.MessageType]int{}}
}

func (st *station) channelLocked(name string) *channel {
	if st.streams[name] == nil {
		st.streams[name] = &channel{st: st, players: map[*rtmp.Player]bool{}}
	}
	return st.streams[name]
}

func (st *station) ServeCall(c *rtmp.Call) {
	st.mu.Lock()
	st.calls = append(st.calls, c.Method)
	st.mu.Unlock()
	echo(c)
}

func (st *station) ServePublish(p *rtmp.Publish) {
	st.mu.Lock()
	ch := st.channelLocked(p.Name)
	taken := ch.live
	ch.live = true
	st.mu.Unlock()
	if taken {
		p.Reject(errors.New("taken"))
		return
	}
	p.Accept(ch)
}

func (st *station) ServePlay(p *rtmp.Play) {
	st.mu.Lock()
	ch := st.channelLocked(p.Name)
	st.mu.Unlock()
	var pl *rtmp.Player
	pl = p.Accept(func() {
		st.mu.Lock()
		delete(ch.players, pl)
		st.mu.Unlock()
	})
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, m := range ch.headers {
		pl.WriteMessage(m)
	}
	ch.players[pl] = true
}

func (ch *channel) WriteMessage(m rtmp.Message) {
	if m.Type == rtmp.TypeVideo && ch.st.video != nil {
		defer func() { ch.st.video <- struct{}{} }()
	}
	ch.st.mu.Lock()
	defer ch.st.mu.Unlock()
	ch.st.got[m.Type]++
	isHeader := m.Type == rtmp.TypeDataAMF0 || len(m.Payload) > 1 && m.Payload[1] == 0 && (m.Payload[0] == 0x17 || m.Payload[0]>>4 == 10)
	if isHeader {
		ch.headers = append(ch.headers, m)
	}
	for pl := range ch.players {
		pl.WriteMessage(m)
	}
}

func (ch *channel) Close(error) {
	ch.st.mu.Lock()
	defer ch.st.mu.Unlock()
	ch.live, ch.headers = false, nil
	for pl := range ch.players {
		pl.Status(rtmp.CodeUnpublishNotify, "gone")
	}
}

// serve runs one connection and returns how it ended.
func (st *station) serve(nc net.Conn) error {
	ctx := st.t.Context()
	c, err := rtmp.NewServerConn(ctx, nc, nil)
	if err != nil {
		return err
	}
	r, err := rtmp.ReadConnect(ctx, c)
	if err != nil {
		return err
	}
	if r.App == "closed" {
		return r.Reject(&rtmp.StatusError{Code: rtmp.CodeConnectRejected, Description: "Not today."})
	}
	if err := r.Accept(); err != nil {
		return err
	}
	return rtmp.NewSession(c, st, r.ObjectEncoding).Run(ctx)
}

// listen serves loopback connections until the test ends. ended, if not nil,
// gets each connection and how it ended.
func (st *station) listen(wrap func(net.Conn) net.Conn) (addr string, ended <-chan error) {
	st.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		st.t.Fatal(err)
	}
	ends := make(chan error, 64) // more than any test connects
	var wg sync.WaitGroup
	st.t.Cleanup(func() { ln.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			if wrap != nil {
				nc = wrap(nc)
			}
			wg.Go(func() { ends <- st.serve(nc) })
		}
	})
	return ln.Addr().String(), ends
}
