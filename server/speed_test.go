package server

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"foyer/server/amf"
	"foyer/server/guard"
	"foyer/server/rtmp"
)

// TestSpeed: the sum is over the last ten seconds, whatever came when.
func TestSpeed(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		var s speed
		var all []int64 // by second
		for range 200 {
			if r.IntN(3) == 0 {
				for range r.IntN(15) {
					all = append(all, 0)
				}
			}
			if len(all) == 0 {
				all = append(all, 0)
			}
			n := r.IntN(1000)
			all[len(all)-1] += int64(n)
			var want int64
			for _, k := range all[max(0, len(all)-speedWindow):] {
				want += k
			}
			if got := s.add(int64(len(all)-1), n); got != want {
				t.Fatalf("second %d: %d, want %d", len(all)-1, got, want)
			}
		}
	}
}

// lastStatus keeps the last status of a stream.
type lastStatus struct {
	sink
	info amf.Object
}

func (l *lastStatus) ServeStatus(info amf.Object) { l.info = info }

// TestMaxBitrate: a publication may be as fast as the limit on average. It is
// ended, with the reason, when it is faster.
func TestMaxBitrate(t *testing.T) {
	const limit = 8_000_000 // a megabyte a second
	for _, c := range []struct {
		name  string
		bytes int           // each tenth of a second
		more  int           // messages of nothing in the same time
		ended time.Duration // 0: never
	}{
		{"as fast as it may be", 100_000 - messageOverhead, 0, 0},
		{"a little faster", 105_000, 0, 9500 * time.Millisecond},
		{"three times as fast", 300_000, 0, 3300 * time.Millisecond},
		{"as many messages as there may be", 0, MaxMessageRate/10 - 1, 0},
		{"twice as many", 0, MaxMessageRate / 5, 5 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var n network
				h := newHost(t, func() Application { return new(streamingApp) })
				h.Guard = new(guard.Guard)
				h.SetMaxBitrate(limit)
				stop := serve(t, &n, "here", h)
				d := mustDial(t, &n, "rtmp://here/app/x")
				st, err := d.CreateStream(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				var told lastStatus
				if err := st.PublishTo(t.Context(), "live?key=secret", "live", &told); err != nil {
					t.Fatal(err)
				}
				begun := time.Now()
				for time.Since(begun) < time.Minute && d.Err() == nil {
					st.WriteMessage(rtmp.Message{Type: rtmp.TypeVideo, Timestamp: uint32(time.Since(begun).Milliseconds()), Payload: make([]byte, c.bytes)})
					for range c.more {
						st.WriteMessage(rtmp.Message{Type: rtmp.TypeVideo})
					}
					synctest.Wait()
					time.Sleep(100 * time.Millisecond)
				}
				took := time.Since(begun)
				switch {
				case c.ended == 0 && (d.Err() != nil || h.Stream("app/x", "live") == nil):
					t.Errorf("ended by %v", d.Err())
				case c.ended != 0 && (took < c.ended || took > c.ended+500*time.Millisecond):
					t.Errorf("ended after %v, want %v", took, c.ended)
				case c.ended != 0 && h.Stream("app/x", "live") != nil:
					t.Error("the stream is still there")
				}
				description := amf.Lookup(told.info, "description")
				application := amf.Lookup(told.info, "application")
				if c.ended != 0 && (amf.Lookup(application, "reason") != description || amf.Lookup(application, "retryAfter") != amf.Number(0)) {
					t.Errorf("the publisher was told %v", told.info)
				}
				want := uint64(min(c.ended, 1))
				if got := h.Guard.Refused()["bitrate"]; got != want {
					t.Errorf("counted %d, want %d", got, want)
				}
				d.Close(nil)
				synctest.Wait()
				stop()
			})
		})
	}
}
