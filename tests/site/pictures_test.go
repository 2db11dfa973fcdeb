package site

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"foyer/internal/folder"
)

// picture asks a server for the picture of room blue.
func (r *running) picture(t *testing.T) (status int, data string) {
	t.Helper()
	return r.ask(t, "/live/blue/live.mp4")
}

// TestPictureOfOtherNode: the picture of a room that another server runs is
// there, byte for byte, without its stream being brought; when that server is
// gone, there soon is none.
func TestPictureOfOtherNode(t *testing.T) {
	t.Parallel()
	flags := []string{"--nats=" + startNATS(t), "--lobby-secret=s", "--admin-token=a", "--stream-secret=k", "--node-secret=n"}
	a, b := startServer(t, append(flags, "--node=a", "--rooms=blue")...), startServer(t, append(flags, "--node=b")...)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { // until stop; the test waits
		defer close(ended)
		broadcast(ctx, t, "rtmp://"+a.addr["rtmp"]+"/room/blue", "live?key="+folder.StreamKey("k", "blue", 0))
	}()
	eventually(t, "both have the same picture", func() bool {
		status, there := a.picture(t)
		_, here := b.picture(t)
		return status == http.StatusOK && here == there
	})
	if _, page := b.ask(t, "/"); !strings.Contains(page, `data-node=""`) {
		t.Error("the lobby page does not know that there are pictures of all rooms")
	}
	_, figures := b.ask(t, "/metrics")
	for _, line := range []string{`foyer_instances{app="room"} 0`, `foyer_instances{app="lobby"} 1`, `foyer_clients_accepted_total{app="room"} 0`} {
		if !strings.Contains(figures, line+"\n") {
			t.Errorf("b does not say %s", line)
		}
	}
	if _, figures = a.ask(t, "/metrics"); !strings.Contains(figures, `foyer_clients_accepted_total{app="room"} 1`+"\n") {
		t.Error("somebody else than the publisher came to a")
	}
	if status, body := b.ask(t, "/live/blue/other.mp4"); status != http.StatusNotFound {
		t.Errorf("another stream: %d %s", status, body)
	}
	a.stop()
	eventually(t, "there is no picture any more", func() bool {
		began := time.Now()
		status, _ := b.picture(t)
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("that took %v", took)
		}
		return status == http.StatusNotFound
	})
	stop()
	<-ended
	b.stop()
}
