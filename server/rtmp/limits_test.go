package rtmp_test

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"foyer/server/amf"
	"foyer/server/backlog"
	"foyer/server/guard"
	"foyer/server/rtmp"
	"foyer/server/rtmp/rtmptest"
)

// withPeer runs test with a session of h and a scripted peer connected to it,
// in a bubble, and checks how the session ended.
func withPeer(t *testing.T, h rtmp.Handler, want error, test func(*rtmptest.Peer, *rtmp.Session)) {
	t.Helper()
	withClient(t, &rtmp.ConnectRequest{App: "app"}, h, want, test)
}

// withClient is withPeer for a peer that says more about itself.
func withClient(t *testing.T, r *rtmp.ConnectRequest, h rtmp.Handler, want error, test func(*rtmptest.Peer, *rtmp.Session)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		cnc, snc := rtmptest.Pipe()
		made := make(chan *rtmp.Session, 1) // one is made
		ended := make(chan error, 1)        // it ends once
		go func() {
			s := accept(t, snc, nil, h)
			made <- s
			ended <- s.Run(t.Context())
		}()
		p := rtmptest.NewPeer(t, cnc)
		if _, err := rtmp.Connect(t.Context(), p.Conn, r); err != nil {
			t.Fatalf("connect: %v", err)
		}
		test(p, <-made)
		if want == rtmp.ErrClosed {
			p.Close()
		}
		if err := <-ended; !errors.Is(err, want) {
			if _, ok := errors.AsType[*rtmp.ProtocolError](err); !ok || want != errProtocol {
				t.Errorf("session ended with %v, want %v", err, want)
			}
		}
		p.Close()
	})
}

// errProtocol stands for any *ProtocolError.
var errProtocol = errors.New("a protocol error")

func TestStreamLimit(t *testing.T) {
	withPeer(t, newStation(t), rtmp.ErrClosed, func(p *rtmptest.Peer, _ *rtmp.Session) {
		p.Expect("onBWDone", 0)
		for i := 1; i <= rtmp.MaxStreams; i++ {
			p.Command(0, "createStream", float64(i), amf.Null{})
			c := p.Expect("_result", float64(i))
			if len(c.Args) != 2 || c.Args[0] != (amf.Null{}) || c.Args[1] != amf.Number(i) {
				t.Errorf("createStream answered %v", c.Args)
			}
		}
		p.Command(0, "createStream", 17, amf.Null{})
		p.Expect("_error", 17)
		p.Command(0, "deleteStream", 0, amf.Null{}, amf.Number(3))
		p.Command(0, "createStream", 18, amf.Null{})
		if c := p.Expect("_result", 18); c.Args[1] != amf.Number(3) {
			t.Errorf("after deleteStream: %v", c.Args)
		}
		for _, odd := range []amf.Value{amf.Number(-1), amf.Number(99), amf.Null{}} {
			p.Command(0, "deleteStream", 0, amf.Null{}, odd)
		}
	})
}

func TestRequestLimit(t *testing.T) {
	withPeer(t, nil, rtmp.ErrClosed, func(p *rtmptest.Peer, s *rtmp.Session) {
		failed := 0
		for range rtmp.MaxRequests {
			if err := s.Request("m", nil, func(_ amf.Value, err error) {
				if err == rtmp.ErrClosed {
					failed++
				}
			}); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Request("m", nil, func(amf.Value, error) { t.Error("answered") }); err != rtmp.ErrBusy {
			t.Errorf("one more: %v", err)
		}
		if err := s.Request("m", nil, nil); err != nil {
			t.Errorf("without an answer: %v", err)
		}
		p.Close()
		<-s.Done()
		if failed != rtmp.MaxRequests {
			t.Errorf("%d of %d were told the end", failed, rtmp.MaxRequests)
		}
	})
}

// A peer that stops reading is disconnected after backlog.Patience, however
// much or little it is sent, and nothing ever waits for it.
func TestBombReaderStops(t *testing.T) {
	for _, size := range []int{1000, rtmptest.PipeBuffer + 1, 3 << 20} {
		withPeer(t, nil, rtmp.ErrSlow, func(p *rtmptest.Peer, s *rtmp.Session) {
			packed := rtmp.Pack(rtmp.CallMessage(0, "m", amf.String(string(make([]byte, 1000)))))
			begun := time.Now()
			for range max(size, 2*rtmptest.PipeBuffer) / len(packed) {
				if err := s.Send(packed); err != nil {
					t.Fatal(err)
				}
			}
			if d := time.Since(begun); d != 0 {
				t.Errorf("sending took %v", d)
			}
			<-s.Done()
			if d := time.Since(begun); d < backlog.Patience || d > backlog.Patience+3*time.Second {
				t.Errorf("ended after %v", d)
			}
			if err := s.Send(packed); err != rtmp.ErrSlow {
				t.Errorf("after the end: %v", err)
			}
		})
	}
}

// A peer that reads stays connected, however slowly it reads and however much
// it is sent at once, and it gets everything in order.
func TestSlowReaderStays(t *testing.T) {
	for _, rate := range []int{4 << 10, 10e6 / 8, 48e6 / 8} { // bytes a second
		withPeer(t, nil, rtmp.ErrClosed, func(p *rtmptest.Peer, s *rtmp.Session) {
			p.Expect("onBWDone", 0)
			const each, total = 16 << 10, 3 << 20
			for i := range total / each {
				m := rtmp.CallMessage(0, "m", amf.Number(i), amf.String(string(make([]byte, each))))
				if err := s.Send(rtmp.Pack(m)); err != nil {
					t.Fatal(err)
				}
			}
			if got := s.Level(); got != backlog.Far {
				t.Errorf("level %v", got)
			}
			caughtUp := make(chan time.Time, 1) // it happens once
			s.WhenInStep(func() { caughtUp <- time.Now() })
			begun := time.Now()
			for i := range total / each {
				time.Sleep(each * time.Second / time.Duration(rate))
				if c := p.Expect("m", 0); c.Args[1] != amf.Number(i) {
					t.Fatalf("message %d is %v", i, c.Args[1])
				}
			}
			if d := (<-caughtUp).Sub(begun); d < time.Second*total/2/time.Duration(rate) {
				t.Errorf("caught up after %v", d)
			}
			if got := s.Level(); got != backlog.InStep {
				t.Errorf("level %v at the end", got)
			}
		})
	}
}

// The outboxes of a process are bounded together: the worst peers go first, and
// bytes that wait in many outboxes count once.
func TestBombManyReadersStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const sessions = 100
		budget := &backlog.Budget{Limit: 8 << 20}
		cfg := &rtmp.Config{Outboxes: budget}
		shared := backlog.Share(rtmp.Pack(rtmp.CallMessage(0, "m", amf.String(string(make([]byte, 1<<20))))))
		own := rtmp.Pack(rtmp.CallMessage(0, "m", amf.String(string(make([]byte, 200<<10)))))
		var all []*rtmp.Session
		ended := make(chan error, sessions) // each ends once
		for range sessions {
			cnc, snc := rtmptest.Pipe()
			made := make(chan *rtmp.Session)
			go func() {
				s := accept(t, snc, cfg, nil)
				made <- s
				ended <- s.Run(t.Context())
			}()
			rtmptest.NewPeer(t, cnc).Connect("app")
			all = append(all, <-made)
		}
		begun := time.Now()
		for range 3 {
			for _, s := range all {
				s.SendShared(shared)
			}
		}
		synctest.Wait()
		if n := budget.Used(); n > 2*len(shared.Bytes()) || len(ended) > 0 {
			t.Errorf("%d bytes count as %d, %d sessions have ended", sessions*3*len(shared.Bytes()), n, len(ended))
		}
		for _, s := range all {
			s.Send(own)
			synctest.Wait()
			if n := budget.Used(); n > budget.Limit+len(own) {
				t.Fatalf("%d bytes wait", n)
			}
		}
		if n := len(ended); n == 0 || n == sessions || time.Since(begun) != 0 {
			t.Errorf("%d sessions have ended after %v", n, time.Since(begun))
		}
		for range sessions { // the others go by Patience
			if err := <-ended; err != rtmp.ErrSlow {
				t.Errorf("ended with %v", err)
			}
		}
		if n := budget.Used(); n != 0 {
			t.Errorf("%d bytes are left", n)
		}
	})
}

// A peer that asks (by pings, calls, seeks) and does not read the answers is no
// longer read, and disconnected in the end.
func TestBombReaderStopsAndAsks(t *testing.T) {
	ping := rtmp.Message{Type: rtmp.TypeUserControl, Payload: []byte{0, 6, 0, 0, 0, 1}}
	call := rtmp.CommandMessage(0, false, "echo", 5, amf.Null{}, amf.String(string(make([]byte, 1000))))
	seek := rtmp.CommandMessage(1, false, "seek", 5, amf.Null{}, amf.Number(5))
	for _, m := range []rtmp.Message{ping, call, seek} {
		withPeer(t, newStation(t), rtmp.ErrSlow, func(p *rtmptest.Peer, s *rtmp.Session) {
			p.Command(0, "createStream", 2, amf.Null{})
			p.Command(1, "play", 3, amf.Null{}, amf.String("x"))
			begun := time.Now()
			for p.WriteMessage(m) == nil {
			}
			if d := time.Since(begun); d > backlog.Patience+3*time.Second {
				t.Errorf("ended after %v", d)
			}
			if n := s.Stats().BytesIn; n > rtmp.MaxMediaOutbox+2<<20 {
				t.Errorf("%d bytes of %v were read", n, m.Type)
			}
		})
	}
}

// A peer that is not read does not count as silent.
func TestNotReadIsNotSilent(t *testing.T) {
	var served atomic.Int32
	count := handler(func(c *rtmp.Call) { served.Add(1); echo(c) })
	withPeer(t, count, rtmp.ErrClosed, func(p *rtmptest.Peer, s *rtmp.Session) {
		p.Expect("onBWDone", 0)
		const each = 2 << 20
		s.Send(rtmp.Pack(rtmp.CallMessage(0, "m", amf.String(string(make([]byte, each))))))
		p.Command(0, "echo", 9, amf.Null{}, amf.String("one"))
		p.Command(0, "echo", 10, amf.Null{}, amf.String("two"))
		part := make([]byte, 8<<10)
		var got []byte
		for begun := time.Now(); time.Since(begun) < 2*time.Minute; time.Sleep(time.Second) {
			n, err := p.Raw().Read(part)
			if err != nil {
				t.Fatalf("after %v: %v", time.Since(begun), err)
			}
			got = append(got, part[:n]...)
		}
		for len(got) < each {
			n, err := p.Raw().Read(part)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, part[:n]...)
		}
		synctest.Wait()
		if n := served.Load(); s.Err() != nil || n != 2 {
			t.Errorf("%v after %d calls", s.Err(), n)
		}
	})
}

func TestBombReplyToNothing(t *testing.T) {
	withPeer(t, handler(echo), rtmp.ErrClosed, func(p *rtmptest.Peer, s *rtmp.Session) {
		p.Expect("onBWDone", 0)
		for _, tx := range []float64{0, 1, 2, 77, -1, 1.5, 1e300} {
			p.Command(0, "_result", tx, amf.Null{}, amf.String("x"))
			p.Command(0, "_error", tx, amf.Null{})
		}
		p.Command(0, "echo", 9, amf.Null{}, amf.String("still here"))
		if c := p.Expect("_result", 9); c.Args[1] != amf.String("still here") {
			t.Errorf("echo: %v", c.Args)
		}
	})
}

func TestSilence(t *testing.T) {
	withPeer(t, nil, rtmp.ErrSilent, func(p *rtmptest.Peer, s *rtmp.Session) {
		begun := time.Now()
		<-s.Done()
		if d := time.Since(begun); d != 30*time.Second {
			t.Errorf("let go after %v", d)
		}
	})
}

// dripping runs test with the raw end of a connection whose other end has a
// session. It returns how that session ended, and how long after the beginning
// of test.
func dripping(t *testing.T, cfg *rtmp.Config, h rtmp.Handler, test func(nc net.Conn)) (dur time.Duration, err error) {
	synctest.Test(t, func(t *testing.T) {
		cnc, snc := rtmptest.Pipe()
		ended := make(chan error, 1) // it ends once
		go func() { ended <- accept(t, snc, cfg, h).Run(t.Context()) }()
		p := rtmptest.NewPeer(t, cnc)
		p.Connect("app")
		go io.Copy(io.Discard, cnc)
		cnc.Write(rtmp.Pack(rtmp.Message{Type: rtmp.TypeSetChunkSize, Payload: []byte{0, 0x10, 0, 0}}))
		time.Sleep(time.Second)
		begun := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() { test(cnc) })
		err = <-ended
		dur = time.Since(begun)
		cnc.Close()
		wg.Wait()
	})
	return dur, err
}

// drip writes b, then one byte each time d has passed.
func drip(nc net.Conn, b []byte, d time.Duration) {
	for n := 0; ; n++ {
		if _, err := nc.Write(b); err != nil {
			return
		}
		time.Sleep(d)
		b = []byte{0}
	}
}

// TestBombDrip: a message that has begun makes progress, or the connection ends.
func TestBombDrip(t *testing.T) {
	ping := rtmp.Pack(rtmp.Message{Type: rtmp.TypeUserControl, Payload: []byte{0, 6, 0, 0, 0, 1}})
	small := rtmp.Pack(rtmp.Message{Type: rtmp.TypeSetChunkSize, Payload: []byte{0, 0, 0, 128}})
	partial := func(length, n int) []byte {
		return append(header(4, rtmp.TypeCommandAMF0, length), make([]byte, n)...)
	}
	for _, c := range []struct {
		name  string
		test  func(nc net.Conn)
		after time.Duration // when the session ends; after that the peer is silent
	}{
		{"nothing but a header", func(nc net.Conn) { nc.Write(partial(100, 0)) }, rtmp.MaxStall},
		{"a part of it", func(nc net.Conn) { nc.Write(partial(100_000, 50_000)) }, rtmp.MaxStall},
		{"a part, later", func(nc net.Conn) { time.Sleep(7 * time.Second); nc.Write(partial(100, 10)) }, 7*time.Second + rtmp.MaxStall},
		{"a byte a second of a long one", func(nc net.Conn) { drip(nc, partial(100_000, 50_000), time.Second) }, rtmp.MaxStall},
		{"a part, and signs of life", func(nc net.Conn) {
			nc.Write(append(small, partial(1000, 128)...))
			for {
				time.Sleep(time.Second)
				if _, err := nc.Write(ping); err != nil {
					return
				}
			}
		}, rtmp.MaxStall},
		{"one of two", func(nc net.Conn) {
			nc.Write(append(small, partial(1000, 128)...))
			for {
				time.Sleep(time.Second)
				if _, err := nc.Write(append(header(5, rtmp.TypeVideo, 0), header(5, rtmp.TypeAudio, 0)...)); err != nil {
					return
				}
			}
		}, rtmp.MaxStall},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := dripping(t, nil, nil, c.test)
			if !errors.Is(err, rtmp.ErrStalled) || got != c.after {
				t.Errorf("ended after %v with %v, want %v", got, err, c.after)
			}
		})
	}
}

// TestSlowIsNotStalled: a peer on a slow line makes progress, and stays
// connected.
func TestSlowIsNotStalled(t *testing.T) {
	calls := 0
	count := handler(func(c *rtmp.Call) { calls++ })
	_, err := dripping(t, nil, count, func(nc net.Conn) {
		call := rtmp.AppendChunks(nil, &rtmp.Message{Type: rtmp.TypeCommandAMF0, Payload: append([]byte{2, 0, 1, 'x', 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0x0C, 0, 3, 0, 0}, make([]byte, 3<<16)...)}, 1<<20)
		for len(call) > 0 { // 10 kbit/s
			n := min(len(call), 1250)
			nc.Write(call[:n])
			call = call[n:]
			time.Sleep(time.Second)
		}
		for _, c := range rtmp.Pack(rtmp.CallMessage(0, "y")) {
			nc.Write([]byte{c})
			time.Sleep(9 * time.Second)
		}
		nc.Close()
	})
	if calls != 2 || !errors.Is(err, rtmp.ErrClosed) {
		t.Errorf("%d calls arrived, then %v", calls, err)
	}
}

// TestHeldBackIsNotStalled: a message does not count as stalled while its peer
// is held back.
func TestHeldBackIsNotStalled(t *testing.T) {
	slow := handler(func(c *rtmp.Call) {
		if c.Method == "wait" {
			time.Sleep(15 * time.Second)
		}
	})
	got, err := dripping(t, nil, slow, func(nc net.Conn) {
		nc.Write(rtmp.Pack(rtmp.Message{Type: rtmp.TypeSetChunkSize, Payload: []byte{0, 0, 0, 128}}))
		nc.Write(append(header(4, rtmp.TypeVideo, 1000), make([]byte, 128)...))
		time.Sleep(time.Second)
		nc.Write(rtmp.Pack(rtmp.CallMessage(0, "wait")))
	})
	if want := 15*time.Second + rtmp.MaxStall; !errors.Is(err, rtmp.ErrStalled) || got != want {
		t.Errorf("ended after %v with %v, want %v", got, err, want)
	}
}

// TestPartialBudget: when all unfinished messages take too much memory, the
// peer that has held the most for longest goes, and its memory is given back.
func TestPartialBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := &rtmp.Config{Partial: &guard.Budget{Max: 250 << 10}}
		ended := make(chan int, 3) // each ends once
		errs := make([]error, 3)
		peers := make([]net.Conn, 3)
		for i := range peers {
			cnc, snc := rtmptest.Pipe()
			peers[i] = cnc
			go func() {
				errs[i] = accept(t, snc, cfg, nil).Run(t.Context())
				ended <- i
			}()
			rtmptest.NewPeer(t, cnc).Connect("app")
			go io.Copy(io.Discard, cnc)
			cnc.Write(rtmp.Pack(rtmp.Message{Type: rtmp.TypeSetChunkSize, Payload: []byte{0, 0x10, 0, 0}}))
			cnc.Write(append(header(4, rtmp.TypeCommandAMF0, 200_000), make([]byte, 100_000)...))
			time.Sleep(time.Second)
		}
		if first := <-ended; first != 0 || !errors.Is(errs[0], guard.ErrBudget) {
			t.Errorf("peer %d went first, with %v", first, errs[0])
		}
		for _, p := range peers {
			p.Close()
		}
		<-ended
		<-ended
		if got := cfg.Partial.Used(); got != 0 {
			t.Errorf("%d bytes are still held when all have gone", got)
		}
	})
}

// TestLongMessagesNeedARight: a peer may send long pictures while it publishes.
// Otherwise it is told why not before it is disconnected.
func TestLongMessagesNeedARight(t *testing.T) {
	long := rtmp.Message{Type: rtmp.TypeVideo, StreamID: 1, Payload: append([]byte{0x17, 1}, make([]byte, rtmp.MaxMessageOfSpectator)...)}
	withPeer(t, newStation(t), rtmp.ErrMessageSize, func(p *rtmptest.Peer, _ *rtmp.Session) {
		p.Expect("onBWDone", 0)
		p.Command(0, "createStream", 2, amf.Null{})
		p.Expect("_result", 2)
		p.Command(1, "publish", 3, amf.Null{}, amf.String("x"), amf.String("live"))
		p.Send(long)
		p.ExpectStatus(1, rtmp.CodePublishStart)
		p.Command(1, "closeStream", 0, amf.Null{})
		p.ExpectStatus(1, rtmp.CodeUnpublishSuccess)
		p.Command(5, "publish", 3, amf.Null{}, amf.String("x"), amf.String("live")) // no such stream
		p.WriteMessage(long)
		p.ExpectStatus(5, rtmp.CodePublishBadName)
		p.Expect("close", 0)
		p.Close()
	})
}

func TestAcknowledgements(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cnc, snc := rtmptest.Pipe()
		ended := make(chan error, 1) // it ends once
		go func() { ended <- accept(t, snc, nil, handler(echo)).Run(t.Context()) }()
		rtmptest.NewPeer(t, cnc).Connect("app")
		cnc.Write(rtmp.Pack(rtmp.Message{Type: rtmp.TypeWindowAckSize, Payload: []byte{0, 0, 0x40, 0}}))
		r := rtmp.NewChunkReader(rtmp.ChunkSize, rtmp.Publisher)
		b := make([]byte, 4096)
		acks := 0
		for range 100 {
			cnc.Write(rtmp.Pack(audio(1, 0, string(make([]byte, 4000)))))
			synctest.Wait()
			cnc.SetReadDeadline(time.Now().Add(time.Millisecond))
			n, _ := cnc.Read(b)
			ms, err := r.Feed(b[:n])
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range ms {
				if m.Type == rtmp.TypeAcknowledgement {
					acks++
				}
			}
		}
		if acks < 100*4000/0x4000-5 || acks > 100*4012/0x4000 {
			t.Errorf("%d acknowledgements of 16 KiB for 400 KB", acks)
		}
		cnc.Close()
		<-ended
	})
}

func TestCloseWithReason(t *testing.T) {
	reason := &rtmp.StatusError{Level: "status", Code: rtmp.CodeConnectShutdown, Description: "Bye."}
	withPeer(t, nil, reason, func(p *rtmptest.Peer, s *rtmp.Session) {
		p.Expect("onBWDone", 0)
		s.Send(rtmp.Pack(rtmp.CallMessage(0, "before")))
		s.Close(reason)
		if err := s.Send(nil); err != reason {
			t.Errorf("after Close: %v", err)
		}
		p.Expect("before", 0)
		c := p.ExpectStatus(0, rtmp.CodeConnectShutdown)
		if level := amf.Lookup(c.Args[1], "level"); level != amf.String("error") {
			t.Errorf("level %v", level)
		}
		p.Expect("close", 0)
		if _, err := p.ReadMessage(); err != rtmp.ErrClosed {
			t.Errorf("after close: %v", err)
		}
	})
}

// Last words to a peer that does not read, or does not leave, take a bounded
// time.
func TestCloseIsBounded(t *testing.T) {
	for name, fill := range map[string]int{"stays": 0, "does not read": 200 << 10} {
		withPeer(t, nil, rtmp.ErrClosed, func(p *rtmptest.Peer, s *rtmp.Session) {
			begun := time.Now()
			s.Send(make([]byte, fill))
			s.Close(nil)
			<-s.Done()
			if d := time.Since(begun); d > rtmp.FlushTimeout+rtmp.LingerTimeout || d == 0 {
				t.Errorf("%s: took %v", name, d)
			}
		})
	}
}

func TestBrokenCommand(t *testing.T) {
	for _, b := range [][]byte{{0xEE}, {5}, {2, 0, 1, 'x', 0}, {2, 0, 1, 'x', 0, 0, 0, 0, 0, 0, 0, 0, 0, 3}} {
		withPeer(t, handler(echo), errProtocol, func(p *rtmptest.Peer, s *rtmp.Session) {
			p.Send(rtmp.Message{Type: rtmp.TypeCommandAMF0, Payload: b})
		})
	}
}

func TestHarmlessMessages(t *testing.T) {
	withPeer(t, newStation(t), rtmp.ErrClosed, func(p *rtmptest.Peer, s *rtmp.Session) {
		p.Expect("onBWDone", 0)
		p.Send(rtmp.Message{Type: rtmp.TypeCommandAMF0})
		p.Send(rtmp.Message{Type: rtmp.TypeVideo, StreamID: 9})
		p.Send(rtmp.Message{Type: rtmp.TypeAggregate})
		p.Send(rtmp.Message{Type: rtmp.TypeDataAMF0})
		p.Send(rtmp.Message{Type: rtmp.TypeSharedObjectAMF0})
		p.Send(rtmp.Message{Type: 99})
		p.Send(rtmp.Message{Type: rtmp.TypeUserControl, Payload: []byte{0, 31, 0, 0, 0, 1}})
		for i, name := range []string{"onBWDone", "onBWCheck", "_checkbw", "releaseStream", "FCPublish", "FCUnpublish", "FCSubscribe", "FCUnsubscribe", "getStreamLength"} {
			p.Command(0, name, float64(i+2), amf.Null{}, amf.String("key"))
			p.Expect("_result", float64(i+2))
			switch name {
			case "FCPublish", "FCSubscribe":
				p.Expect("on"+name, 0)
			}
		}
		for _, name := range []string{"closeStream", "pause", "pauseRaw", "seek", "receiveAudio", "receiveVideo"} {
			p.Command(5, name, 0, amf.Null{}, amf.Bool(true)) // on no stream at all
		}
		p.Command(5, "publish", 0, amf.Null{}, amf.String("key"))
		p.ExpectStatus(5, rtmp.CodePublishBadName)
		p.Command(5, "play", 0, amf.Null{}, amf.String("key"))
		p.ExpectStatus(5, rtmp.CodePlayFailed)
		p.Command(0, "FCWhatever", 40, amf.Null{})
		p.Expect("_error", 40)
		p.Command(0, "onBWWhatever", 41, amf.Null{})
		p.Expect("_error", 41)
	})
}
