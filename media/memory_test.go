package media

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"foyer/server/relay"
)

// maxLead is web.MaxLead: what is kept of the fragments.
const maxLead = 7 << 20

// TestStreamMemory: all that is made of one stream takes 64 MiB at most,
// whatever it is like: the relay's log, fragments, HLS (also of the broadcast before) and
// a recording whose disk has stopped.
func TestStreamMemory(t *testing.T) {
	const most = 64 << 20
	if sum := relay.MaxLogBytes + MaxBacklog + maxLead + MaxFragment + MaxHLSQueue + 2*MaxHLS + MaxRecordQueue; sum > most {
		t.Errorf("the limits come to %d bytes", sum)
	}
	for _, c := range []struct {
		name     string
		frame    int // bytes of a picture, 30 a second
		keyEvery int // seconds
	}{
		{"50 Mbit/s, key frames every 10 s", 50_000_000 / 8 / 30, 10},
		{"segments of which all fit", MaxHLS / (hlsKept + 1) / 31, 1},
		{"segments as long as they may be", MaxHLSSegment / 61, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSoak(t)
			s.fill = strings.Repeat("pictures", c.frame/8+64)
			before := s.heap()
			var peak uint64
			for second := range uint32(24) {
				for i := range uint32(30) {
					like := realInt
					if i == 0 && int(second)%c.keyEvery == 0 {
						like = realKey
					}
					m := video(second*1000+i*1000/30, "")
					m.Payload = pictureOf(like, c.frame, s.fill)
					s.stream.WriteMessage(m)
					for !s.idle() {
						time.Sleep(20 * time.Microsecond)
					}
				}
				peak = max(peak, s.heap()-before)
			}
			t.Logf("%.1f MiB at most", float64(peak)/(1<<20))
			if peak > most-maxLead {
				t.Errorf("%d bytes, want at most %d beside the fragments that are kept", peak, most-maxLead)
			}
		})
	}
}

// TestHLSTooLong: with many bytes between key frames there are fewer segments, and in the
// end a reason instead; with fewer bytes they are back.
func TestHLSTooLong(t *testing.T) {
	fill := strings.Repeat("pictures", MaxHLSSegment/16+1024)
	synctest.Test(t, func(t *testing.T) {
		c := newCinema(t)
		send(c.stream, 0, realAVC)
		second := 0
		segment := func(bytes int) {
			for i, like := range []string{realKey, realInt} {
				m := video(uint32(second*1000+i*900), "")
				m.Payload = pictureOf(like, bytes/2-2*hlsSample, fill)
				c.stream.WriteMessage(m)
				synctest.Wait()
			}
			second++
		}
		const most = MaxHLSSegment
		for i, step := range []struct {
			bytes int
			fails bool
		}{
			{1000, false}, {1000, false}, {most, false}, {most, false}, {most, false}, {most, false}, {most, false}, {most + 2000, true},
			{most + 2000, true}, {most, true}, {1000, false}, {1000, false}, {1000, false},
		} {
			segment(step.bytes)
			if i == 0 {
				continue // it is not complete yet
			}
			if _, _, err := c.get(""); errors.Is(err, errHLSTooLong) != step.fails || err != nil && !step.fails {
				t.Errorf("step %d: %v", i, err)
			}
			if v := c.hls.renditions[videoLane]; v.bytes() > MaxHLS || len(v.segments) < min(i+1, hlsLeast) {
				t.Errorf("step %d: %d segments of %d bytes", i, len(v.segments), v.bytes())
			}
		}
		// Time that stands still ends no segment, and takes no room.
		for range MaxHLS / hlsSample {
			c.stream.WriteMessage(message(uint32(second*1000), realInt))
		}
		synctest.Wait()
		if _, _, err := c.get(""); !errors.Is(err, errHLSTooLong) {
			t.Errorf("a flood of nothing: %v", err)
		}
	})
}
