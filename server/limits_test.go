package server

import (
	"net"
	"testing"
	"testing/synctest"
	"time"

	"foyer/server/rtmp"
)

// TestEndedByLimit: a connection that exceeds a limit of the wire is ended and
// counted.
func TestEndedByLimit(t *testing.T) {
	half := rtmp.Pack(rtmp.Message{Type: rtmp.TypeVideo, StreamID: 1, Payload: make([]byte, 1000)})[:500]
	long := rtmp.Pack(rtmp.Message{Type: rtmp.TypeVideo, StreamID: 1, Payload: make([]byte, rtmp.MaxMessageOfSpectator+1)})
	for limit, bytes := range map[string][]byte{"progress": half, "message-size": long} {
		t.Run(limit, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var n network
				h := newHost(t, func() Application { return newChatApp() })
				stop := serve(t, &n, "here", h)
				nc := rawClientOf(t, &n, "app/x")
				nc.Write(bytes)
				begun := time.Now()
				drainConn(nc)
				if d := time.Since(begun); d > rtmp.MaxStall+time.Second {
					t.Errorf("ended after %v", d)
				}
				nc.Close()
				synctest.Wait()
				if got := h.guard().Refused()[limit]; got != 1 || h.Partial().Used() != 0 {
					t.Errorf("counted %v, %d bytes are held", h.guard().Refused(), h.Partial().Used())
				}
				stop()
			})
		})
	}
}

// rawClientOf is the raw end of a connection whose connect was accepted.
func rawClientOf(t *testing.T, n *network, app string) net.Conn {
	t.Helper()
	nc, err := n.Dial(t.Context(), "tcp", "here")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := rtmp.NewClientConn(t.Context(), nc, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rtmp.Connect(t.Context(), conn, &rtmp.ConnectRequest{App: app}); err != nil {
		t.Fatal(err)
	}
	return nc
}
