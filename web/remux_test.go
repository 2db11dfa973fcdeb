package web

import (
	"testing"
	"testing/synctest"
	"time"

	"foyer/media"
	"foyer/server/relay"
)

// TestRemuxLife: the first viewer starts the remux, all share it, and it ends some time
// after the last. A stream that begins again has another remux.
func TestRemuxLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRemuxes(func(stream string, err error) { t.Error(stream, err) })
		viewer := func() *socketViewer { return &socketViewer{socket: &socket{closing: true}} }
		key, stream := streamName{"blue", "live"}, relay.New("live")
		one, two, three := viewer(), viewer(), viewer()
		m := r.join(key, stream, one)
		if again := r.join(key, stream, two); again != m {
			t.Error("made twice")
		}
		synctest.Wait()
		if n := stream.Players(); n != 1 {
			t.Errorf("%d players", n)
		}
		r.leave(m, one)
		r.leave(m, two)
		time.Sleep(remuxLinger - time.Second)
		if again := r.join(key, stream, three); again != m {
			t.Error("ended too early")
		}
		time.Sleep(2 * remuxLinger)
		if n, _ := r.count(); n != 1 {
			t.Errorf("%d remuxes while somebody watches", n)
		}
		r.leave(m, three)
		time.Sleep(remuxLinger + time.Second)
		if n, viewers := r.count(); n != 0 || viewers != 0 || stream.Players() != 0 {
			t.Errorf("%d remuxes, %d viewers, %d players left", n, viewers, stream.Players())
		}

		m = r.join(key, stream, one)
		restarted := relay.New("live")
		other := r.join(key, restarted, two)
		if other == m {
			t.Error("the remux of another stream")
		}
		r.leave(m, one)
		time.Sleep(remuxLinger + time.Second)
		if again := r.join(key, restarted, three); again != other {
			t.Error("the newer remux went with the older")
		}
		r.close()
		if r.join(key, restarted, one) != nil {
			t.Error("joined after close")
		}
	})
}

// TestRemuxLead: a late viewer gets everything since the last key frame at once, and
// what is kept for late viewers is bounded.
func TestRemuxLead(t *testing.T) {
	m := &remux{stream: relay.New("live"), viewers: make(map[*socketViewer]struct{})}
	show := func(key bool, n int) {
		m.show(media.Segment{Kind: media.Fragment, Key: key, Data: make([]byte, n)})
	}
	m.show(media.Segment{Kind: media.Init, Mime: "x", Data: []byte("init")})
	show(false, 10)
	if len(m.lead) != 0 {
		t.Error("begins without a key frame")
	}
	show(true, 10)
	show(false, 10)
	show(true, 10)
	show(false, 10)
	show(false, 10)
	if len(m.lead) != 3 {
		t.Errorf("%d fragments kept, want 3", len(m.lead))
	}
	show(false, MaxLead)
	if len(m.lead) != 0 || m.leadSize != 0 {
		t.Errorf("%d fragments kept of more than MaxLead", len(m.lead))
	}
}
