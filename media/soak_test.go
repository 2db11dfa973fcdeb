package media

import (
	"context"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"foyer/server/relay"
	"foyer/server/rtmp"
)

// soakSpare is by how much the heap may be larger at the end than after a while.
const soakSpare = 8 << 20

// TestSoak passes on hours of a stream of 2.6 Mbit/s as fast as it goes, whose
// timestamps wrap, to a player, a remux, HLS and what a recording does: the
// memory stays as it is, and nobody's time drifts. FOYER_SOAK=12h makes it long.
func TestSoak(t *testing.T) {
	length := time.Minute
	if s := os.Getenv("FOYER_SOAK"); s != "" {
		var err error
		if length, err = time.ParseDuration(s); err != nil {
			t.Fatal(err)
		}
	}
	s := newSoak(t)
	begin := -uint32(length.Milliseconds() / 2) // it wraps in the middle
	var first, most uint64
	const samples = 12
	seconds := int(length / time.Second)
	for i := range seconds {
		s.second(begin + uint32(i)*1000)
		if (i+1)%(seconds/samples) != 0 {
			continue
		}
		heap := s.heap()
		if first == 0 {
			first = heap
		}
		most = max(most, heap)
		t.Logf("%8v: heap %5.1f MiB, fMP4 at %v, recording at %v", time.Duration(i+1)*time.Second, float64(heap)/(1<<20), s.lasted(), s.flv.Duration().Round(time.Second))
	}
	if most > first+soakSpare {
		t.Errorf("the heap went from %d to %d bytes", first, most)
	}
	// A message that has left its queue may still be on its way.
	for end := time.Now().Add(time.Minute); s.lasted() < length-time.Second && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	for name, d := range map[string]time.Duration{"fMP4": s.lasted(), "recording": s.flv.Duration()} {
		if (d - length).Abs() > time.Second {
			t.Errorf("%s lasts %v, want %v", name, d, length)
		}
	}
	if want := seconds * (30 + 43); s.player.n < want-100 || s.player.n > want+100 {
		t.Errorf("the player got %d messages, want %d", s.player.n, want)
	}
	s.hls.mu.Lock()
	defer s.hls.mu.Unlock()
	for _, v := range s.hls.renditions {
		if n := len(breaksOf(v)); n > 0 {
			t.Errorf("%s has %d discontinuities", v.name, n)
		}
	}
}

// A soak is a stream with those who take it.
type soak struct {
	stream *relay.Stream
	player *counter
	fmp4   *FMP4
	hls    *HLS
	record *Queue
	flv    FLV
	fill   string

	// guarded by mu
	mu  sync.Mutex
	end int64 // of the fragments, in ms
}

// counter is a player that only counts.
type counter struct{ n int }

func (c *counter) WriteMessage(rtmp.Message) error { c.n++; return nil }
func (*counter) Status(string, string)             {}

func newSoak(t *testing.T) *soak {
	s := &soak{stream: relay.New("live"), player: &counter{}, record: NewQueue(MaxRecordQueue, 0), fill: strings.Repeat("pictures", 8<<10)}
	s.fmp4, s.hls = NewFMP4(s.stream), NewHLS(s.stream, 0, nil)
	s.stream.Publish()
	s.stream.Join(s.player)
	s.stream.Join(s.record)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		s.fmp4.Run(ctx, func(Segment) {
			s.mu.Lock()
			s.end = s.fmp4.remux.tracks[videoLane].end
			s.mu.Unlock()
		})
	})
	running.Go(func() { s.hls.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	for s.stream.Players() < 4 {
		runtime.Gosched()
	}
	for _, m := range []rtmp.Message{meta(metaBoth), video(0, realAVC), audio(0, aacHeader)} {
		s.stream.WriteMessage(m)
	}
	return s
}

// second publishes one, and waits until everybody has it.
func (s *soak) second(from uint32) {
	for i := range uint32(43) {
		if i < 30 {
			m := video(from+i*1000/30, "")
			if m.Payload = pictureOf(realInt, 9400, s.fill); i == 0 {
				m.Payload = pictureOf(realKey, 40000, s.fill)
			}
			s.stream.WriteMessage(m)
		}
		s.stream.WriteMessage(audio(from+i*1000/43, aacFrame+s.fill[:360]))
	}
	for !s.idle() {
		time.Sleep(20 * time.Microsecond)
	}
	items, _ := s.record.take(MaxRecordQueue)
	var b []byte
	for _, it := range items {
		b = s.flv.Append(b[:0], it.Message)
	}
}

// pictureOf is one like another, but of one NAL unit of a size.
func pictureOf(like string, size int, fill string) []byte {
	b := append(make([]byte, 0, 9+size), like[:5]...)
	b = append(b, 0, byte(size>>16), byte(size>>8), byte(size), like[9])
	return append(b, fill[:size-1]...)
}

func (s *soak) idle() bool {
	return s.fmp4.queue.empty() && s.hls.queue.empty()
}

func (q *Queue) empty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.items) == 0
}

func (s *soak) heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// lasted is how long the fragments last that were made.
func (s *soak) lasted() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Duration(s.end) * time.Millisecond
}
