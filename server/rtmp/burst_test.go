package rtmp_test

import (
	"bytes"
	"crypto/tls"
	"net"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"foyer/server/amf"
	"foyer/server/rtmp"
	"foyer/server/rtmp/rtmptest"
)

// packed packs video messages for all players. Message i has the number i in it
// and is n bytes long.
func packed(first, count, n int) rtmp.Packed {
	var p rtmp.Packed
	for i := range count {
		m := rtmp.Message{Type: rtmp.TypeVideo, StreamID: rtmp.SharedStream, Timestamp: uint32(first + i), Payload: make([]byte, n)}
		m.Payload[0], m.Payload[n-1] = 0x17, byte(first+i)
		p.Bytes = rtmp.AppendPacked(p.Bytes, &m)
		p.Ends = append(p.Ends, int32(len(p.Bytes)))
	}
	return p
}

func after(p rtmp.Packed, messages int) rtmp.Packed {
	if messages == 0 {
		return p
	}
	end := p.Ends[messages-1]
	return rtmp.Packed{Bytes: p.Bytes[end-p.Base:], Ends: p.Ends[messages:], Base: end}
}

// playing plays over nc and returns the server's player and session.
func playing(t *testing.T, cnc, snc net.Conn, dst rtmp.Sink) (*rtmp.Player, *rtmp.Session, *rtmp.Session) {
	t.Helper()
	players := make(chan *rtmp.Player, 1) // one play
	client, server := pairOver(t, cnc, snc, nil, nil, desk{play: func(p *rtmp.Play) { players <- p.Accept(nil) }})
	st, err := client.CreateStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Play(t.Context(), "x", rtmp.StartAny, dst); err != nil {
		t.Fatal(err)
	}
	return <-players, client, server
}

// lastBytes is a Sink that checks that each message follows the last one.
type lastBytes struct {
	t    *testing.T
	want int
	done chan struct{} // closed after message end
	end  int
	hold chan struct{} // if not nil, the first message waits for it
}

func (l *lastBytes) Close(error) {}
func (l *lastBytes) WriteMessage(m rtmp.Message) {
	if m.Type != rtmp.TypeVideo {
		return
	}
	if l.want == 0 && l.hold != nil {
		<-l.hold
	}
	if m.Timestamp != uint32(l.want) || m.Payload[len(m.Payload)-1] != byte(l.want) {
		l.t.Errorf("message %d came as %d", l.want, m.Timestamp)
	}
	if l.want++; l.want == l.end {
		close(l.done)
	}
}

// A write that the socket takes in part is finished before anything else, and
// other messages come between two whole messages.
func TestPartialWrites(t *testing.T) {
	const count, size = 400, 100_001 // more than a socket holds, in two chunks each
	cnc, snc := loopback(t)
	cnc.(*net.TCPConn).SetReadBuffer(64 << 10)
	snc.(*net.TCPConn).SetWriteBuffer(64 << 10)
	sink := &lastBytes{t: t, end: count, done: make(chan struct{}), hold: make(chan struct{})}
	player, _, server := playing(t, cnc, snc, sink)
	all, full := packed(0, count, size), 0
	for left := all; len(left.Ends) > 0; {
		n, err := player.WritePacked(left)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			if full++; full == 3 {
				close(sink.hold)
			}
			if full%10 == 2 { // the outbox has a message in the middle of it
				server.Send(rtmp.Pack(rtmp.CallMessage(0, "meanwhile")))
			}
			time.Sleep(time.Millisecond) // for the kernel to move bytes
			continue
		}
		left = after(left, n)
	}
	server.Send(rtmp.Pack(rtmp.CallMessage(0, "the end"))) // it has the rest written, too
	<-sink.done
	if full < 3 {
		t.Errorf("the socket was full %d times", full)
	}
}

// Over TLS, packed messages go through the outbox in batches, by reference.
func TestPackedOverTLS(t *testing.T) {
	cnc, snc := loopback(t)
	web := httptest.NewUnstartedServer(nil) // has a certificate
	web.StartTLS()
	defer web.Close()
	client := tls.Client(cnc, &tls.Config{InsecureSkipVerify: true})
	server := tls.Server(snc, &tls.Config{Certificates: web.TLS.Certificates})
	sink := &lastBytes{t: t, end: 300, done: make(chan struct{})}
	player, _, _ := playing(t, client, server, sink)
	for left := packed(0, 300, 5000); len(left.Ends) > 0; {
		n, err := player.WritePacked(left)
		if err != nil {
			t.Fatal(err)
		}
		left = after(left, n)
		time.Sleep(100 * time.Microsecond)
	}
	<-sink.done
}

// A player that has paused, plays on another message stream or has gone does
// not take bytes that others share. Little waits in its outbox.
func TestPackedRefused(t *testing.T) {
	players := make(chan *rtmp.Player, 2) // two plays
	h := desk{play: func(p *rtmp.Play) { players <- p.Accept(nil) }}
	withPeer(t, h, rtmp.ErrClosed, func(p *rtmptest.Peer, s *rtmp.Session) {
		p.Command(0, "createStream", 4, amf.Null{})
		p.Command(0, "createStream", 5, amf.Null{})
		p.Command(1, "play", 6, amf.Null{}, amf.String("x"))
		p.Command(2, "play", 7, amf.Null{}, amf.String("x"))
		first, second := <-players, <-players
		synctest.Wait()
		one := packed(7, 1, 10)
		if _, err := second.WritePacked(one); err != rtmp.ErrMessages {
			t.Errorf("on another message stream: %v", err)
		}
		taken, all := 0, packed(0, 1000, 10_000)
		for n := -1; n != 0; taken += n {
			n, _ = first.WritePacked(after(all, taken))
		}
		if bytes := taken * 10_000; bytes < 100_000 || bytes > 600_000 {
			t.Errorf("%d bytes wait in the outbox", bytes)
		}
		p.Command(1, "pause", 0, amf.Null{}, amf.Bool(true), amf.Number(0))
		for m := p.Next(); m.Type != rtmp.TypeVideo || m.Timestamp != uint32(taken-1); m = p.Next() {
		}
		p.ExpectStatus(1, rtmp.CodePauseNotify)
		if _, err := first.WritePacked(one); err != rtmp.ErrMessages {
			t.Errorf("paused: %v", err)
		}
		p.Command(1, "pause", 0, amf.Null{}, amf.Bool(false), amf.Number(0))
		p.ExpectStatus(1, rtmp.CodeUnpauseNotify)
		if _, err := first.WritePacked(one); err != rtmp.ErrMessages {
			t.Errorf("before the key frame: %v", err)
		}
		first.WriteMessage(rtmp.Message{Type: rtmp.TypeVideo, Payload: []byte{0x17, 1, 0, 0, 0}})
		if n, err := first.WritePacked(one); n != 1 || err != nil {
			t.Errorf("goes on: %d, %v", n, err)
		}
		p.Next()
		m := p.Next()
		if m.Timestamp != 7 || !bytes.HasSuffix(m.Payload, []byte{7}) {
			t.Errorf("got %v", m)
		}
		p.Command(1, "closeStream", 0, amf.Null{})
		synctest.Wait()
		if _, err := first.WritePacked(one); err != rtmp.ErrClosed {
			t.Errorf("gone: %v", err)
		}
	})
}

// A player that is closed is warned before, and told why with the level error.
func TestPlayerClosed(t *testing.T) {
	players := make(chan *rtmp.Player, 1) // one play
	slow := &rtmp.StatusError{Code: rtmp.CodePlaySlow, Description: "Too slow."}
	h := desk{play: func(p *rtmp.Play) { players <- p.Accept(nil) }}
	withPeer(t, h, slow, func(p *rtmptest.Peer, s *rtmp.Session) {
		p.Command(0, "createStream", 4, amf.Null{})
		p.Command(1, "play", 6, amf.Null{}, amf.String("x"))
		player := <-players
		player.Status(rtmp.CodePlaySlow, "Slow.")
		player.Close(slow)
		p.Expect("onBWDone", 0)
		p.Expect("_result", 4)
		p.ExpectStatus(1, rtmp.CodePlayReset)
		p.ExpectStatus(1, rtmp.CodePlayStart)
		for _, want := range []string{rtmp.LevelWarning, rtmp.LevelError} {
			c := p.ExpectStatus(1, rtmp.CodePlaySlow)
			if got := amf.Lookup(c.Args[1], "level"); got != amf.String(want) {
				t.Errorf("level %v, want %v", got, want)
			}
		}
		p.Expect("close", 0)
	})
}
