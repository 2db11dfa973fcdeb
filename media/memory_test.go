package media

import (
	"strings"
	"testing"
	"time"

	"foyer/server/flv"
	"foyer/server/relay"
)

// maxLead is web.MaxLead: what is kept of the fragments.
const maxLead = 7 << 20

// TestStreamMemory: all that is made of one stream takes 64 MiB at most,
// whatever it is like: the relay's log, fragments, HLS and a recording whose
// disk has stopped.
func TestStreamMemory(t *testing.T) {
	const most = 64 << 20
	if sum := relay.MaxLogBytes + MaxBacklog + maxLead + MaxFragment + MaxHLSQueue + MaxHLS + MaxRecordQueue; sum > most {
		t.Errorf("the limits come to %d bytes", sum)
	}
	for _, c := range []struct {
		name     string
		frame    int // bytes of a picture, 30 a second
		keyEvery int // seconds
	}{
		{"50 Mbit/s, key frames every 10 s", 50_000_000 / 8 / 30, 10},
		{"segments as long as they may be", hlsShort.most() / 31, 1},
		{"long segments as long as they may be", hlsLong.most() / 61, 2},
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

// TestHLSTooLong: with many bytes between key frames there are fewer segments,
// and in the end a reason instead; with fewer bytes they are back.
func TestHLSTooLong(t *testing.T) {
	var r hlsRoom
	segment := func(at int64, bytes int) {
		r.over(tag{Tag: flv.Tag{Key: true, Body: make([]byte, bytes/2)}}, at, true)
		r.over(tag{Tag: flv.Tag{Body: make([]byte, bytes/2-3*hlsSample)}}, at+900, true)
	}
	for i, c := range []struct {
		bytes int
		want  hlsSize
	}{
		{hlsShort.most(), hlsShort}, {hlsShort.most() + 1000, hlsLong}, {hlsShort.most(), hlsLong}, {hlsLong.most(), hlsLong},
		{hlsLong.most() + 1000, hlsNone}, {hlsLong.most(), hlsNone}, {hlsLong.most(), hlsLong}, {1000, hlsLong},
	} {
		if segment(int64(i)*1000, c.bytes); r.size != c.want {
			t.Errorf("segment %d of %d bytes: %d, want %d", i, c.bytes, r.size, c.want)
		}
	}
	// Time that stands still ends no segment.
	r = hlsRoom{}
	for range MaxHLS / hlsSample {
		r.over(tag{Tag: flv.Tag{Key: true}}, 0, true)
	}
	if r.size != hlsNone {
		t.Errorf("a flood of nothing: %d", r.size)
	}
}
