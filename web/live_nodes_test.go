package web

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"foyer/room"
	"foyer/server"
)

// twoNodes decides where the rooms of two nodes run: at the first that claims them.
type twoNodes struct {
	mu      sync.Mutex
	owner   map[string]*nodeOfTwo
	answers map[string]func([]byte) []byte // by node; nil: it does not answer
	asked   int
}

type nodeOfTwo struct {
	*twoNodes
	name, rtmp string
}

func (n *nodeOfTwo) Claim(_ context.Context, instance string, _ func()) (func(), error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if o := n.owner[instance]; o != nil {
		return nil, &server.ElsewhereError{Node: o.name, RTMP: o.rtmp}
	}
	n.owner[instance] = n
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.owner, instance)
	}, nil
}

func (n *nodeOfTwo) Find(_ context.Context, instance string) *server.ElsewhereError {
	n.mu.Lock()
	defer n.mu.Unlock()
	if o := n.owner[instance]; o != nil && o != n {
		return &server.ElsewhereError{Node: o.name, RTMP: o.rtmp}
	}
	return nil
}

// Ask behaves as over NATS: a node that is gone is known at once, but not one that
// hangs.
func (n *nodeOfTwo) Ask(ctx context.Context, node, _ string, question []byte) ([]byte, error) {
	n.mu.Lock()
	f, ok := n.answers[node]
	n.asked++
	n.mu.Unlock()
	switch {
	case !ok:
		return nil, errors.New("nobody answers")
	case f == nil:
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return f(question), nil
}

func (n *nodeOfTwo) Answer(_ string, f func([]byte) []byte) (stop func(), err error) {
	n.answer(n.name, f)
	return func() { n.answer(n.name, nil) }, nil
}

func (n *twoNodes) answer(node string, f func([]byte) []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.answers[node] = f
}

func newTwoNodes() *twoNodes {
	return &twoNodes{owner: make(map[string]*nodeOfTwo), answers: make(map[string]func([]byte) []byte)}
}

func newNode(t *testing.T, all *twoNodes, name string) *studio {
	n := &nodeOfTwo{twoNodes: all, name: name}
	s := newStudio(t, func(h *server.Host, cfg *Config) {
		cfg.Nodes = n
		h.Node, h.Owners, h.NodeSecret = name, n, "among nodes"
		h.HandleClaimed("room", func() server.Application {
			return room.New(room.Config{Takeover: true, StreamKey: func(string, int64) string { return "k" }})
		})
	})
	n.rtmp = strings.TrimSuffix(s.rtmp, "/room/blue")
	return s
}

// TestLiveElsewhere: viewers of every kind at one node see a broadcast at another one,
// which counts them.
func TestLiveElsewhere(t *testing.T) {
	all := newTwoNodes()
	b := newNode(t, all, "b")
	a := newNode(t, all, "a") // ends first
	if resp := b.get(t, "GET", "/live/blue/live.flv"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("before it runs: %s", resp.Status)
	}
	send, _ := a.publish(t, "live")
	send(0, showMeta, showHeader)
	second(send, 0)
	if resp := b.get(t, "GET", "/live/blue/other.flv"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("another stream: %s", resp.Status)
	}
	resp := b.get(t, "GET", "/live/blue/live.flv")
	got := make([]byte, 400)
	if n, err := io.ReadFull(resp.Body, got); err != nil || !strings.HasPrefix(string(got), "FLV") || !strings.Contains(string(got), "videocodecid") {
		t.Fatalf("HTTP-FLV: %s, %q, %v", resp.Status, got[:n], err)
	}
	a.clients(t, "other", 1)
	conn, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(b.web.URL, "http")+"/ws/live/blue/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetReadDeadline(time.Now().Add(time.Minute))
	wantText(t, conn, showInit)
	wantBoxes(t, conn, "ftyp")
	second(send, 1000)
	wantBoxes(t, conn, "moof")
	a.clients(t, "ws", 1)
	if resp := b.get(t, "GET", "/live/blue/live.mp4"); resp.StatusCode != http.StatusOK {
		t.Errorf("picture: %s", resp.Status)
	}
	seen, done := make(chan struct{}), make(chan struct{})
	go func() { // publish until it is seen: a playlist needs two key frames
		defer close(done)
		for at := uint32(2000); ; at += 1000 {
			second(send, at)
			select {
			case <-seen:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}()
	if resp := b.get(t, "GET", "/live/blue/live.m3u8"); resp.StatusCode != http.StatusOK {
		t.Errorf("HLS: %s", resp.Status)
	}
	close(seen)
	<-done
	if n := b.host.Stats().Accepted["room"]; n == 0 {
		t.Error("nobody came by b")
	}
}
