package relay

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"foyer/server/rtmp"
)

// follower is a player that takes bytes, as many messages at a time as it has
// room for.
type follower struct {
	player
	room   int
	plain  bool // wants messages of its own
	gone   error
	closed error
}

func (f *follower) WritePacked(p rtmp.Packed) (int, error) {
	if f.gone != nil {
		return 0, f.gone
	}
	if f.plain {
		return 0, rtmp.ErrMessages
	}
	n := min(f.room, len(p.Ends))
	f.room -= n
	begin := p.Base
	for _, end := range p.Ends[:n] {
		f.player.WriteMessage(unpack(p.Bytes[begin-p.Base : end-p.Base]))
		begin = end
	}
	return n, nil
}

func (f *follower) Close(err error) { f.closed = err }

// unpack reads a packed message of one chunk.
func unpack(b []byte) rtmp.Message {
	return rtmp.Message{
		Type: rtmp.MessageType(b[7]), StreamID: uint32(b[8]),
		Timestamp: uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3]), Payload: b[12:],
	}
}

// serve serves until nothing is left or nothing moves.
func serve(t *testing.T, c *Cursor) error {
	t.Helper()
	for range 1000 {
		before := c.next
		behind, err := c.Serve()
		if err != nil || !behind || c.next == before {
			return err
		}
	}
	t.Error("no end to it")
	return nil
}

func TestFollow(t *testing.T) {
	s := New("cam")
	grown := 0
	s.Watch(func() { grown++ })
	early, late := &follower{room: 1000}, &follower{room: 1000}
	ce := s.Follow(early)
	serve(t, ce)
	s.Publish()
	write(s, 0, meta, avcHead, aacHead, avcNext, avcKey, aac)
	serve(t, ce)
	expect(t, &early.player, "PublishNotify:cam is now published. meta@0 avcHead@0 aacHead@0 key@0 aac@0")
	write(s, 500, avcKey, aac)
	write(s, 540, avcNext, cue)
	cl := s.Follow(late)
	serve(t, cl)
	serve(t, ce)
	expect(t, &late.player, "meta@0 avcHead@500 aacHead@500 key@500 aac@500 next@540 cue@540")
	expect(t, &early.player, "key@500 aac@500 next@540 cue@540")
	if s.Players() != 2 || grown == 0 {
		t.Errorf("%d players, grown %d times", s.Players(), grown)
	}

	// The end is told in order, and the next publisher continues from there.
	write(s, 580, aac)
	s.Unpublish()
	s.Publish()
	write(s, 0, avc2, avcKey)
	serve(t, cl)
	expect(t, &late.player, "aac@580 UnpublishNotify:cam is now unpublished. PublishNotify:cam is now published. avc2@581 key@581")
	cl.Leave()
	cl.Leave()
	if s.Players() != 1 {
		t.Errorf("%d players", s.Players())
	}
}

// Metadata is at time 0 for everybody, however late it comes, and is kept as
// long as what came with it.
func TestMetadataHasNoTime(t *testing.T) {
	s := New("cam")
	s.Publish()
	const late = 2 * MaxLogTime
	write(s, 0, avcHead, avcKey)
	for at := uint32(5000); at <= late; at += 5000 {
		write(s, at, avcKey)
	}
	for _, f := range []*follower{{room: 1000}, {room: 1000, plain: true}} {
		c := s.Follow(f)
		serve(t, c)
		f.take()
		write(s, late, meta, avcKey)
		if n := s.log.entries[s.log.head]; n.at+MaxLag < late {
			t.Errorf("the log begins at %d", n.at)
		}
		serve(t, c)
		expect(t, &f.player, fmt.Sprintf("meta@0 key@%d", late))
		c.Leave()
	}
}

// A follower that is served at the right moments gets everything it misses in
// one piece, wherever blocks end.
func TestSettle(t *testing.T) {
	s := New("cam")
	s.Publish()
	write(s, 0, avcHead, avcKey)
	f := &follower{room: 1 << 30}
	c := s.Follow(f)
	serve(t, c)
	sound := aac + strings.Repeat("x", 5000)
	for at := uint32(1); at < 500; at++ {
		write(s, at, sound, sound, sound)
		if st := c.step(); s.log.size == maxBlock && (!st.last || len(st.packed.Ends) != 3) {
			t.Fatalf("at %d: %d messages in one piece", at, len(st.packed.Ends))
		}
		serve(t, c)
		s.Settle()
	}
}

// A follower that joins where no key frame is kept waits for one.
func TestFollowWithoutKeyFrame(t *testing.T) {
	s := New("cam")
	s.Publish()
	write(s, 0, avcHead, aac)
	f := &follower{room: 1000}
	c := s.Follow(f)
	serve(t, c)
	write(s, 20, aac)
	serve(t, c)
	expect(t, &f.player, "")
	write(s, 40, avcKey)
	serve(t, c)
	expect(t, &f.player, "avcHead@40 key@40")
}

// A stream without video is played from now.
func TestFollowAudio(t *testing.T) {
	s := New("radio")
	s.Publish()
	write(s, 0, aacHead, aac)
	f := &follower{room: 1000}
	c := s.Follow(f)
	serve(t, c)
	write(s, 20, aac)
	serve(t, c)
	expect(t, &f.player, "aacHead@0 aac@20")
}

// A follower that wants messages of its own gets them one by one, in order.
func TestFollowPlainly(t *testing.T) {
	s := New("cam")
	s.Publish()
	write(s, 0, avcHead, avcKey, aac)
	f := &follower{room: 1000, plain: true}
	c := s.Follow(f)
	serve(t, c)
	write(s, 20, aac)
	f.plain = false
	write(s, 40, avcNext)
	serve(t, c)
	expect(t, &f.player, "avcHead@0 key@0 aac@0 aac@20 next@40")
	f.gone = errors.New("gone")
	write(s, 60, avcNext)
	if err := serve(t, c); err != f.gone {
		t.Errorf("got %v", err)
	}
}

// A follower that falls off the end of the log begins again at the newest key
// frame and is told. When it falls off again soon, it must go. The others
// notice nothing.
func TestFallingBehind(t *testing.T) { synctest.Test(t, testFallingBehind) }

func testFallingBehind(t *testing.T) {
	s := New("cam")
	s.Publish()
	write(s, 0, avcHead, avcKey)
	healthy, slow := &follower{room: 1 << 30}, &follower{room: 1}
	ch, cs := s.Follow(healthy), s.Follow(slow)
	serve(t, cs)
	expect(t, &slow.player, "avcHead@0 key@0")
	at := uint32(0)
	play := func(seconds uint32) {
		for end := at + 1000*seconds; at < end; {
			at += 500
			time.Sleep(500 * time.Millisecond)
			write(s, at, map[bool]string{true: avcKey, false: avcNext}[at%1000 == 0])
			serve(t, ch)
		}
	}
	play(10)
	slow.room = 3
	serve(t, cs)
	expect(t, &slow.player, "InsufficientBW:The connection is too slow for this stream: some of it was left out. "+
		"avcHead@10000 key@10000")
	play(20)
	slow.room = 1
	serve(t, cs) // falls again, but late
	if slow.closed != nil {
		t.Fatal("closed too early")
	}
	play(5)
	if err := serve(t, cs); err != rtmp.ErrSlow || slow.closed == nil {
		t.Errorf("got %v, closed by %v", err, slow.closed)
	}
	if got := strings.Count(healthy.take(), "@"); got != 72 {
		t.Errorf("the healthy one got %d messages", got)
	}
}

// Messages that a publisher held back come at once: whole seconds of ffmpeg's, when a
// timecode track keeps it waiting, or after a pause of the network. Nobody is
// too slow for that.
func TestBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New("cam")
		s.Publish()
		f := &follower{room: 1000}
		c := s.Follow(f)
		serve(t, c)
		write(s, 0, avcHead)
		for at := uint32(0); at < MaxLogTime; at += 1000 {
			write(s, at, avcKey, aac)
		}
		serve(t, c)
		if got := f.take(); strings.Count(got, "key@") != MaxLogTime/1000 || strings.Contains(got, "InsufficientBW") {
			t.Errorf("got %s", got)
		}
		time.Sleep((MaxLag + 1) * time.Millisecond)
		write(s, MaxLogTime, avcKey)
		if n := s.log.entries[s.log.head]; n.at+MaxLag < MaxLogTime {
			t.Errorf("the log begins at %d", n.at)
		}
	})
}

// A follower that takes nothing for a while must go, even though nobody
// publishes any more.
func TestStandingStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New("cam")
		s.Publish()
		write(s, 0, avcKey, avcNext)
		f := &follower{room: 1}
		c := s.Follow(f)
		for begun := time.Now(); ; time.Sleep(50 * time.Millisecond) {
			if _, err := c.Serve(); err != nil {
				if d := time.Since(begun); err != rtmp.ErrSlow || d < patience || d > patience+time.Second {
					t.Errorf("%v after %v", err, d)
				}
				break
			}
		}
		if f.closed == nil {
			t.Error("not closed")
		}
	})
}

// Times are those of the stream's first publisher, and wrap as they do.
func TestClock(t *testing.T) {
	var c clock
	in := []rtmp.Message{
		{Type: rtmp.TypeDataAMF0, Timestamp: 7}, {Type: rtmp.TypeVideo, Timestamp: 0xFFFFFFF0}, {Type: rtmp.TypeAudio, Timestamp: 0xFFFFFFE8},
		{Type: rtmp.TypeVideo, Timestamp: 0x10}, {Type: rtmp.TypeDataAMF3}, {Type: rtmp.TypeVideo, Timestamp: 0x40000000},
	}
	for i, want := range []uint32{7, 0xFFFFFFF0, 0xFFFFFFE8, 0x10, 0, 0x11} {
		if got := c.stamp(&in[i]); got != want {
			t.Errorf("message %d: got %#x, want %#x", i, got, want)
		}
	}
	if c.now() != 0x11 {
		t.Errorf("now it is %#x", c.now())
	}
}

// Key frames of 4 MiB, all the time: the log stays within its bounds, and a
// follower that keeps up sees no gap.
func TestHugeKeyFrames(t *testing.T) {
	s := New("cam")
	s.Publish()
	f := &follower{room: 1 << 30}
	c := s.Follow(f)
	huge := append([]byte(avcKey), make([]byte, rtmp.MaxMessage-len(avcKey))...)
	for i := range uint32(20) {
		s.WriteMessage(rtmp.Message{Type: rtmp.TypeVideo, Timestamp: i * 40, Payload: huge})
		serve(t, c)
		if s.log.bytes > MaxLogBytes {
			t.Fatalf("the log has %d bytes", s.log.bytes)
		}
	}
	if got := len(strings.Fields(f.take())); got != 20 {
		t.Errorf("%d of 20 came", got)
	}
	if n := len(s.log.blocks); n > 5 {
		t.Errorf("%d blocks", n)
	}
}

// Empty messages, and notices, take up room too.
func TestLogOfLittle(t *testing.T) {
	s := New("cam")
	s.Publish()
	write(s, 0, avcKey)
	for range 300_000 {
		s.WriteMessage(rtmp.Message{Type: rtmp.TypeAudio})
	}
	if n := s.log.next() - s.log.first; s.log.bytes > MaxLogBytes || n > MaxLogBytes/entryOverhead {
		t.Errorf("%d bytes of %d messages", s.log.bytes, n)
	}
	for range 300_000 {
		s.Unpublish()
		s.Publish()
	}
	if s.log.bytes > MaxLogBytes {
		t.Errorf("%d bytes of notices", s.log.bytes)
	}
}

// Twelve hours of a stream with a player and one that comes again and again:
// nothing grows, and no time is lost.
func TestTwelveHours(t *testing.T) {
	s := New("cam")
	s.Publish()
	f := &follower{room: math.MaxInt}
	c := s.Follow(f)
	frame := func(head string, n int) []byte { return append([]byte(head), bytes.Repeat([]byte("x"), n)...) }
	key, next := frame(avcKey, 3000), frame(avcNext, 400)
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	const frames = 12 * 3600 * 10 // ten a second
	var early uint64
	for i := range uint32(frames) {
		payload := next
		if i%20 == 0 {
			payload = key
		}
		s.WriteMessage(rtmp.Message{Type: rtmp.TypeVideo, Timestamp: i * 100, Payload: payload})
		serve(t, c)
		if i%1000 == 0 {
			late := &follower{room: 1 << 30}
			cl := s.Follow(late)
			serve(t, cl)
			cl.Leave()
			if n := strings.Count(f.take(), "@"); i > 0 && n != 1000 {
				t.Fatalf("%d of 1000 came", n)
			}
		}
		if i == frames/12 {
			early = heap()
		}
	}
	if at := s.clock.now(); at != (frames-1)*100 {
		t.Errorf("ends at %d", at)
	}
	if now := heap(); now > early+1<<20 {
		t.Errorf("the heap has grown from %d to %d bytes", early, now)
	}
}

// quiet is a follower that only counts.
type quiet struct{ n int }

func (q *quiet) WriteMessage(rtmp.Message) error { q.n++; return nil }
func (q *quiet) Status(string, string)           {}
func (q *quiet) Close(error)                     {}
func (q *quiet) WritePacked(p rtmp.Packed) (n int, _ error) {
	q.n += len(p.Ends)
	return len(p.Ends), nil
}

// benchmarkMessage passes messages of 10 KB to followers that are served every
// third message, and to one player that takes messages.
func benchmarkMessage(b interface{ Fatal(...any) }, followers int) (one func(), check func(int)) {
	s := New("cam")
	s.Publish()
	all := make([]*Cursor, followers)
	q := &quiet{}
	s.Join(q)
	for i := range all {
		all[i] = s.Follow(&quiet{})
	}
	payload := append([]byte(avcKey), make([]byte, 10000)...)
	i := 0
	return func() {
			copyOf := payload[:len(payload):len(payload)]
			copyOf[0] = "\x27\x17"[min(1, i%60/59)]
			if i == 0 {
				copyOf[0] = 0x17
			}
			s.WriteMessage(rtmp.Message{Type: rtmp.TypeVideo, Timestamp: uint32(i * 33), Payload: copyOf})
			if i++; i%3 == 0 {
				for _, c := range all {
					c.Serve()
				}
			}
		}, func(n int) {
			if q.n < n {
				b.Fatal("messages are missing")
			}
		}
}

// The allocations of a message do not depend on the number of followers.
func TestAllocations(t *testing.T) {
	for _, followers := range []int{1, 1000} {
		one, check := benchmarkMessage(t, followers)
		for range 200 {
			one()
		}
		if n := testing.AllocsPerRun(500, one); n > 3 {
			t.Errorf("%v allocations a message for %d followers", n, followers)
		}
		check(700)
	}
}

func BenchmarkMessage(b *testing.B) {
	for _, followers := range []int{1, 100, 1000} {
		b.Run(fmt.Sprint(followers), func(b *testing.B) {
			one, check := benchmarkMessage(b, followers)
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				one()
				n++
			}
			check(n)
		})
	}
}
