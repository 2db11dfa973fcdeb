package server

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"foyer/server/relay"
	"foyer/server/rtmp"
)

// counter is a sink that checks the times of its video, in steps of 40 ms, for
// gaps.
type counter struct {
	mu     sync.Mutex
	frames int
	last   uint32
	gaps   int
	hold   chan struct{} // if not nil, the first frame waits for it
}

func (c *counter) WriteMessage(m rtmp.Message) {
	if m.Type != rtmp.TypeVideo {
		return
	}
	if c.hold != nil {
		<-c.hold
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.frames > 0 && m.Timestamp != c.last+40 {
		c.gaps++
	}
	c.frames, c.last = c.frames+1, m.Timestamp
}

func (c *counter) Close(error) {}

func (c *counter) state() (frames, gaps int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.frames, c.gaps
}

// broadcast is a host on which live is published, in app/x.
func broadcast(t *testing.T, n *network) (h *Host, send func(frames int), stop func()) {
	t.Helper()
	a := new(streamingApp)
	h = newHost(t, func() Application { return a })
	h.Log = nil // thousands of lines
	stop = serve(t, n, "here", h)
	out, err := publishTo(mustDial(t, n, "rtmp://here/app/x"), "live?key=secret")
	if err != nil {
		t.Fatal(err)
	}
	at := 0
	return h, func(frames int) {
		for range frames {
			frame := append([]byte{0x22}, make([]byte, 10_000)...)
			if at%50 == 0 {
				frame[0] = 0x12 // key frame each 2 s
			}
			out.WriteMessage(rtmp.Message{Type: rtmp.TypeVideo, Timestamp: uint32(40 * at), Payload: frame})
			at++
			time.Sleep(40 * time.Millisecond)
		}
		synctest.Wait()
	}, stop
}

func watchLive(t *testing.T, n *network, dst rtmp.Sink) *caller {
	t.Helper()
	c := mustDial(t, n, "rtmp://here/app/x")
	st, err := c.CreateStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Play(t.Context(), "live", rtmp.StartAny, dst); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestLateJoiner: a player that comes late gets everything since the key frame
// at once.
func TestLateJoiner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n network
		_, send, stop := broadcast(t, &n)
		send(70)
		late := new(counter)
		begun := time.Now()
		watchLive(t, &n, late)
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		if frames, gaps := late.state(); frames != 20 || gaps != 0 || late.last != 69*40 {
			t.Errorf("%d frames with %d gaps up to %d, %v after it came", frames, gaps, late.last, time.Since(begun))
		}
		send(10)
		if frames, gaps := late.state(); frames != 30 || gaps != 0 {
			t.Errorf("%d frames with %d gaps", frames, gaps)
		}
		stop()
	})
}

// TestPlayerThatNeverReads: it is closed within a minute, and a player beside
// it sees no gap.
func TestPlayerThatNeverReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n network
		h, send, stop := broadcast(t, &n)
		healthy, stuck := new(counter), &counter{hold: make(chan struct{})}
		watchLive(t, &n, healthy)
		slow := watchLive(t, &n, stuck)
		seconds := 0
		for ; seconds < 60 && h.fan.players.Load() == 2; seconds++ {
			send(25)
		}
		if seconds == 60 {
			t.Error("it is still there")
		}
		send(25)
		close(stuck.hold)
		<-slow.ended
		if frames, gaps := healthy.state(); frames != 25*(seconds+1) || gaps != 0 {
			t.Errorf("the healthy one got %d of %d frames with %d gaps", frames, 25*(seconds+1), gaps)
		}
		stop()
	})
}

// TestThousandPlayersVanish: they come, play and are gone without a word. A
// player that stays sees no gap, and nothing of the others is left.
func TestThousandPlayersVanish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n network
		h, send, stop := broadcast(t, &n)
		send(10)
		stays := new(counter)
		watchLive(t, &n, stays)
		for range 20 {
			var all []*caller
			for range 50 {
				all = append(all, watchLive(t, &n, new(counter)))
			}
			send(3)
			for _, c := range all {
				c.Close(fmt.Errorf("vanished"))
				<-c.ended
			}
			send(1)
		}
		frames, gaps := stays.state()
		if frames != 90 || gaps != 0 {
			t.Errorf("%d frames with %d gaps", frames, gaps)
		}
		if k := h.fan.players.Load(); k != 1 {
			t.Errorf("%d players are left", k)
		}
		stop()
		if k := h.fan.players.Load(); k != 0 {
			t.Errorf("%d players are left at the end", k)
		}
	})
}

// TestPublisherOneByteASecond: its messages arrive when they are whole, and it
// holds up nobody.
func TestPublisherOneByteASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n network
		a := new(streamingApp)
		h := newHost(t, func() Application { return a })
		stop := serve(t, &n, "here", h)
		session, _, err := rtmp.Dial(t.Context(), "rtmp://here/app/x", nil,
			rtmp.DialOptions{Dial: n.Dial, Config: &rtmp.Config{PingInterval: time.Hour}}) // a ping would come between
		if err != nil {
			t.Fatal(err)
		}
		publisher := &caller{Session: session}
		go publisher.Run(context.Background())
		if _, err := publishTo(publisher, "live?key=secret"); err != nil {
			t.Fatal(err)
		}
		got := new(counter)
		watchLive(t, &n, got)
		for _, b := range rtmp.Pack(rtmp.Message{Type: rtmp.TypeVideo, StreamID: 1, Payload: keyFrame}) {
			if frames, _ := got.state(); frames != 0 {
				t.Fatal("came before it was whole")
			}
			publisher.Send([]byte{b}) // not a message: the bytes go out as they are
			time.Sleep(time.Second)
		}
		if frames, _ := got.state(); frames != 1 {
			t.Errorf("%d frames", frames)
		}
		stop()
	})
}

// TestFanoutRests: when nothing happens, no timer runs.
func TestFanoutRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n network
		h, send, stop := broadcast(t, &n)
		watchLive(t, &n, new(counter))
		send(5)
		time.Sleep(time.Second)
		synctest.Wait()
		for _, w := range h.fan.writers {
			w.mu.Lock()
			if w.active || len(w.due) > 0 {
				t.Error("still at work")
			}
			w.mu.Unlock()
		}
		stop()
	})
}

func TestPause(t *testing.T) {
	for _, tt := range []struct {
		players int64
		want    time.Duration
	}{{1, 0}, {fewPlayers, 0}, {20, 10 * time.Millisecond}, {95, maxPause}, {100_000, maxPause}} {
		var f fanout
		f.players.Store(tt.players)
		if got := f.pause(); got != tt.want {
			t.Errorf("%d players: %v, want %v", tt.players, got, tt.want)
		}
	}
}

// taker is a follower that takes everything.
type taker struct{ n int }

func (k *taker) WriteMessage(rtmp.Message) error { k.n++; return nil }
func (k *taker) Status(string, string)           {}
func (k *taker) Close(error)                     {}
func (k *taker) WritePacked(p rtmp.Packed) (int, error) {
	k.n += len(p.Ends)
	return len(p.Ends), nil
}

// BenchmarkSweep is the cost of one sweep for each player beside the write.
func BenchmarkSweep(b *testing.B) {
	for _, players := range []int{100, 1000} {
		b.Run(fmt.Sprint(players), func(b *testing.B) {
			s := relay.New("live")
			w := &fanWriter{f: new(fanout)}
			a := &audience{w: w}
			for range players {
				a.cursors = append(a.cursors, s.Follow(new(taker)))
			}
			s.Publish()
			m := rtmp.Message{Type: rtmp.TypeVideo, Payload: []byte("\x12" + strings.Repeat("x", 10_000))}
			b.ReportAllocs()
			for b.Loop() {
				m.Timestamp += 33
				s.WriteMessage(m)
				a.serve()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(players), "ns/player")
		})
	}
}
