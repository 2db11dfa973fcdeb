package rtmp_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"foyer/server/amf"
	"foyer/server/rtmp"
	"foyer/server/rtmp/rtmptest"
)

// tape is a Sink that keeps its messages.
type tape struct {
	messages []rtmp.Message
	statuses []string
	closed   []error
}

func (tp *tape) WriteMessage(m rtmp.Message) { tp.messages = append(tp.messages, m) }
func (tp *tape) Close(err error)             { tp.closed = append(tp.closed, err) }
func (tp *tape) ServeStatus(info amf.Object) {
	code, _ := amf.AsString(amf.Lookup(info, "code"))
	tp.statuses = append(tp.statuses, code)
}

// desk is a StreamHandler made of functions.
type desk struct {
	publish func(*rtmp.Publish)
	play    func(*rtmp.Play)
}

func (d desk) ServeCall(c *rtmp.Call)       { echo(c) }
func (d desk) ServePublish(p *rtmp.Publish) { d.publish(p) }
func (d desk) ServePlay(p *rtmp.Play)       { d.play(p) }

func data(stream uint32, values ...amf.Value) rtmp.Message {
	m := rtmp.Message{Type: rtmp.TypeDataAMF0, StreamID: stream}
	for _, v := range values {
		m.Payload = amf.Append(m.Payload, v)
	}
	return m
}

func TestPublishOnTheWire(t *testing.T) {
	tp := &tape{}
	var got *rtmp.Publish
	h := desk{publish: func(p *rtmp.Publish) { got = p; p.Accept(tp) }}
	withPeer(t, h, rtmp.ErrClosed, func(p *rtmptest.Peer, s *rtmp.Session) {
		p.Expect("onBWDone", 0)
		p.Command(0, "createStream", 4, amf.Null{})
		p.Expect("_result", 4)
		p.Command(1, "publish", 5, amf.Null{}, amf.String("live?key=x"), amf.String("record"))
		p.ExpectStatus(1, rtmp.CodePublishStart)
		synctest.Wait()
		if got.Name != "live?key=x" || got.Kind != "record" {
			t.Errorf("publish %q %q", got.Name, got.Kind)
		}
		p.Command(1, "publish", 5, amf.Null{}, amf.String("twice"))
		p.ExpectStatus(1, rtmp.CodePublishBadName)

		meta := amf.Object{{Name: "width", Value: amf.Number(64)}}
		p.Send(data(1, amf.String("@setDataFrame"), amf.String("onMetaData"), meta))
		p.Send(data(0, amf.String("@setDataFrame"), amf.String("onMetaData"), meta))
		amf3 := data(1, amf.String("text"), amf.String("x"))
		amf3.Type, amf3.Payload = rtmp.TypeDataAMF3, append([]byte{0}, amf3.Payload...)
		p.Send(amf3)
		p.Send(data(1, amf.String("@clearDataFrame"), amf.String("onMetaData")))
		p.Send(audio(1, 10, "a"))
		p.Send(audio(0, 10, "on no stream"))
		p.Send(audio(2, 10, "on no stream"))
		p.Send(rtmp.Message{Type: rtmp.TypeAggregate, StreamID: 1, Timestamp: 1000, Payload: bytesOf(t,
			"08 000001 000064 00 000000 62 0000000c"+"09 000002 000065 01 000000 6364 0000000d"+"99 000000 000066 00 000000")})

		p.Command(1, "closeStream", 0, amf.Null{})
		p.ExpectStatus(1, rtmp.CodeUnpublishSuccess)
		p.Command(1, "publish", 5, amf.Null{}, amf.String("again"))
		p.ExpectStatus(1, rtmp.CodePublishStart)
		p.Command(0, "FCUnpublish", 6, amf.Null{}, amf.String("again"))
		p.Expect("_result", 6)
		p.ExpectStatus(1, rtmp.CodeUnpublishSuccess)
		p.Command(0, "deleteStream", 0, amf.Null{}, amf.Number(1))
		synctest.Wait()

		want := []rtmp.Message{
			data(1, amf.String("onMetaData"), amf.ECMAArray(meta)), data(1, amf.String("onMetaData"), amf.ECMAArray(meta)),
			data(1, amf.String("text"), amf.String("x")),
			data(1, amf.String("@clearDataFrame"), amf.String("onMetaData")),
			audio(1, 10, "a"), audio(1, 1000, "b"),
			{Type: rtmp.TypeVideo, StreamID: 1, Timestamp: 1000 + 1 + 1<<24, Payload: []byte("cd")},
		}
		if d := cmp.Diff(want, tp.messages); d != "" {
			t.Errorf("(-want +got)\n%s", d)
		}
		if n := s.Stats().Dropped; n != 2 {
			t.Errorf("%d dropped, want 2", n)
		}
	})
	if d := cmp.Diff([]string{"<nil>", "<nil>"}, texts(tp.closed)); d != "" {
		t.Errorf("closed: (-want +got)\n%s", d)
	}
}

func texts(errs []error) (all []string) {
	for _, err := range errs {
		if err == nil {
			all = append(all, "<nil>")
		} else {
			all = append(all, err.Error())
		}
	}
	return all
}

func TestAggregateErrors(t *testing.T) {
	for _, s := range []string{"08", "08 000009 000000 00 000000 61", "08 000000 000000 00 000000 00000000 09"} {
		err := rtmp.SplitAggregate(rtmp.Message{Payload: bytesOf(t, s)}, func(rtmp.Message) {})
		if err == nil {
			t.Errorf("%s: no error", s)
		}
	}
}

func TestPublisherLeaves(t *testing.T) {
	tp := &tape{}
	withPeer(t, desk{publish: func(p *rtmp.Publish) { p.Accept(tp) }}, rtmp.ErrClosed, func(p *rtmptest.Peer, s *rtmp.Session) {
		p.Command(0, "createStream", 4, amf.Null{})
		p.Command(1, "publish", 5, amf.Null{}, amf.String("x"))
		p.Send(audio(1, 0, "x")) // without waiting
		synctest.Wait()
	})
	if len(tp.messages) != 1 || len(tp.closed) != 1 || tp.closed[0] != rtmp.ErrClosed {
		t.Errorf("tape: %v", tp)
	}
}

// The messages that a publisher sends while the application decides are held
// back, not lost.
func TestPublishDecidedLater(t *testing.T) {
	tp := &tape{}
	asked := make(chan *rtmp.Publish, 1) // one publish
	withPeer(t, desk{publish: func(p *rtmp.Publish) { asked <- p }}, rtmp.ErrClosed, func(p *rtmptest.Peer, s *rtmp.Session) {
		p.Command(0, "createStream", 4, amf.Null{})
		p.Command(1, "publish", 5, amf.Null{}, amf.String("x"))
		p.Send(audio(1, 0, "x"))
		(<-asked).Accept(tp)
		synctest.Wait()
		if len(tp.messages) != 1 {
			t.Errorf("tape: %v", tp)
		}
	})
	late := &tape{}
	withPeer(t, desk{publish: func(p *rtmp.Publish) { asked <- p }}, rtmp.ErrClosed, func(p *rtmptest.Peer, s *rtmp.Session) {
		p.Command(0, "createStream", 4, amf.Null{})
		p.Command(1, "publish", 5, amf.Null{}, amf.String("x"))
		synctest.Wait()
		s.Close(nil) // while it waits for the decision
		<-s.Done()
		(<-asked).Accept(late)
	})
	if len(late.closed) != 1 {
		t.Errorf("accepted too late: %v", late)
	}
}

func TestPublishRejectedAndEnded(t *testing.T) {
	var got *rtmp.Publish
	taken := &rtmp.StatusError{Level: "status", Code: rtmp.CodePublishBadName, Description: "Taken over."}
	h := desk{publish: func(p *rtmp.Publish) {
		if got = p; p.Name == "no" {
			p.Reject(errors.New("a secret"))
			return
		}
		p.Accept(&tape{})
	}}
	withPeer(t, h, taken, func(p *rtmptest.Peer, s *rtmp.Session) {
		p.Expect("onBWDone", 0)
		p.Command(0, "createStream", 4, amf.Null{})
		p.Expect("_result", 4)
		p.Command(1, "publish", 5, amf.Null{}, amf.String("no"))
		c := p.ExpectStatus(1, rtmp.CodePublishBadName)
		info := rtmp.ParseStatus(c.Args[1])
		if info.Level != "error" || info.Description != "no cannot be published." {
			t.Errorf("rejected with %v", info)
		}
		p.Command(1, "publish", 5, amf.Null{}, amf.String("yes"))
		p.ExpectStatus(1, rtmp.CodePublishStart)
		synctest.Wait()
		got.End(taken)
		if c := p.ExpectStatus(1, rtmp.CodePublishBadName); amf.Lookup(c.Args[1], "level") != amf.String("error") {
			t.Errorf("ended with %v", c.Args)
		}
		p.Expect("close", 0)
	})
}

func TestPlayOnTheWire(t *testing.T) {
	var got *rtmp.Play
	var player *rtmp.Player
	ended := 0
	h := desk{play: func(p *rtmp.Play) {
		got = p
		switch p.Name {
		case "missing":
			p.Reject(nil)
		case "broken":
			p.Reject(errors.New("a secret"))
		default:
			player = p.Accept(func() { ended++ })
		}
	}}
	withPeer(t, h, rtmp.ErrClosed, func(p *rtmptest.Peer, s *rtmp.Session) {
		p.Expect("onBWDone", 0)
		p.Command(0, "createStream", 4, amf.Null{})
		p.Expect("_result", 4)
		p.Command(1, "play", 5, amf.Null{}, amf.String("missing"))
		p.ExpectStatus(1, rtmp.CodePlayNotFound)
		p.Command(1, "play", 5, amf.Null{}, amf.String("broken"))
		p.ExpectStatus(1, rtmp.CodePlayFailed)
		p.Command(1, "play", 5, amf.Null{}, amf.String("x"), amf.Number(-2000))
		p.ExpectStatus(1, rtmp.CodePlayReset)
		p.ExpectStatus(1, rtmp.CodePlayStart)
		synctest.Wait()
		watch(t, p, player)

		first := player
		p.Command(1, "play", 5, amf.Null{}, amf.String("y"), amf.Number(-1), amf.Number(5), amf.Bool(false))
		p.ExpectStatus(1, rtmp.CodePlayStart)
		synctest.Wait()
		if ended != 1 || got.Start != rtmp.StartLive || got.Duration != 5 || got.Reset {
			t.Errorf("%d ended, %+v", ended, got)
		}
		if err := first.WriteMessage(audio(1, 0, "a")); err != rtmp.ErrClosed {
			t.Errorf("the first player: %v", err)
		}
	})
	if ended != 2 {
		t.Errorf("ended %d times, want 2", ended)
	}
}

// Only a Flash Player is told in data messages that it plays.
func TestFlashPlayerPlays(t *testing.T) {
	h := desk{play: func(p *rtmp.Play) { p.Accept(nil).WriteMessage(audio(1, 0, "a")) }}
	flash := &rtmp.ConnectRequest{App: "app", FlashVer: "WIN 11,2,202,235"}
	withClient(t, flash, h, rtmp.ErrClosed, func(p *rtmptest.Peer, s *rtmp.Session) {
		p.Command(0, "createStream", 4, amf.Null{})
		p.Command(1, "play", 5, amf.Null{}, amf.String("x"))
		for p.NextCommand().Code() != rtmp.CodePlayStart {
		}
		start := amf.Object{{Name: "code", Value: amf.String("NetStream.Data.Start")}}
		for _, want := range []rtmp.Message{
			data(1, amf.String("|RtmpSampleAccess"), amf.Bool(false), amf.Bool(false)),
			data(1, amf.String("onStatus"), start), audio(1, 0, "a"),
		} {
			if d := cmp.Diff(want, p.Next()); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		}
	})
}

// Requests of the peer for a stream are kept until its play is accepted, if they come
// in the same write as play, or before it. The receive commands hold for the
// plays that follow, pause and seek for one.
func TestWishes(t *testing.T) {
	var asked *rtmp.Play
	h := desk{play: func(p *rtmp.Play) { asked = p }}
	withPeer(t, h, rtmp.ErrClosed, func(p *rtmptest.Peer, s *rtmp.Session) {
		p.Expect("onBWDone", 0)
		p.Command(0, "createStream", 4, amf.Null{})
		p.Expect("_result", 4)
		accept := func(codes ...string) *rtmp.Player {
			t.Helper()
			synctest.Wait()
			player := asked.Accept(nil)
			for _, code := range append([]string{rtmp.CodePlayReset, rtmp.CodePlayStart}, codes...) {
				p.ExpectStatus(1, code)
			}
			return player
		}
		// passes reports which of a picture and a sound reach the peer.
		passes := func(player *rtmp.Player, want ...rtmp.MessageType) {
			t.Helper()
			player.WriteMessage(rtmp.Message{Type: rtmp.TypeVideo, Payload: []byte("\x17\x01\x00\x00\x00k")})
			player.WriteMessage(audio(1, 0, "a"))
			player.WriteMessage(data(1, amf.String("end")))
			var got []rtmp.MessageType
			for {
				m := p.Next()
				if m.Type == rtmp.TypeDataAMF0 && strings.Contains(string(m.Payload), "end") {
					break
				}
				if m.Type != rtmp.TypeDataAMF0 {
					got = append(got, m.Type)
				}
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		}

		p.Command(1, "receiveVideo", 0, amf.Null{}, amf.Bool(false))
		p.Command(1, "play", 0, amf.Null{}, amf.String("x"))
		passes(accept(), rtmp.TypeAudio)

		p.Command(1, "play", 0, amf.Null{}, amf.String("x"))
		p.Command(1, "receiveVideo", 0, amf.Null{}, amf.Bool(true))
		p.Command(1, "receiveAudio", 0, amf.Null{}, amf.Bool(false))
		passes(accept(), rtmp.TypeVideo)

		p.Command(1, "pause", 0, amf.Null{}, amf.Bool(true), amf.Number(0))
		p.ExpectStatus(1, rtmp.CodePauseNotify)
		p.Command(1, "play", 0, amf.Null{}, amf.String("x")) // plays again
		passes(accept(), rtmp.TypeVideo)

		p.Command(1, "play", 0, amf.Null{}, amf.String("x"))
		p.Command(1, "pause", 0, amf.Null{}, amf.Bool(true), amf.Number(0))
		p.Command(1, "seek", 0, amf.Null{}, amf.Number(0))
		player := accept(rtmp.CodePauseNotify, rtmp.CodeSeekNotify)
		passes(player)
		p.Command(1, "pause", 0, amf.Null{}, amf.Bool(false), amf.Number(0))
		p.ExpectStatus(1, rtmp.CodeUnpauseNotify)
		synctest.Wait()
		passes(player, rtmp.TypeVideo)

		p.Command(1, "closeStream", 0, amf.Null{})
		p.Command(1, "pauseRaw", 0, amf.Null{}, amf.Bool(true), amf.Number(0))
		p.Command(1, "play", 0, amf.Null{}, amf.String("x"))
		player = accept(rtmp.CodePauseNotify)
		p.Command(1, "pauseRaw", 0, amf.Null{}, amf.Bool(false), amf.Number(0))
		p.ExpectStatus(1, rtmp.CodeUnpauseNotify)
		synctest.Wait()
		passes(player, rtmp.TypeVideo, rtmp.TypeAudio)

		p.Command(1, "play", 0, amf.Null{}, amf.String("x"))
		p.Command(1, "pause", 0, amf.Null{}, amf.Bool(true), amf.Number(0))
		synctest.Wait()
		asked.Reject(nil)
		p.ExpectStatus(1, rtmp.CodePlayNotFound)
		p.Command(1, "play", 0, amf.Null{}, amf.String("x"))
		passes(accept(), rtmp.TypeVideo, rtmp.TypeAudio)

		p.Command(9, "pause", 0, amf.Null{}, amf.Bool(true)) // there is no such stream
		p.Command(9, "receiveVideo", 0, amf.Null{}, amf.Bool(true))
		p.Command(9, "seek", 0, amf.Null{}, amf.Number(0))
	})
}

// A player gets nothing of what it does not want, and what that is decoded with
// once it does.
func TestHeldHeaders(t *testing.T) {
	const header, other, key, sound, config = "\x17\x00\x00\x00\x00h", "\x17\x00\x00\x00\x00o", "\x17\x01\x00\x00\x00k", "\xaf\x01s", "\xaf\x00\x12\x10"
	for _, tt := range []struct {
		off, on func(*rtmptest.Peer)
		codes   []string
		want    string // of what was sent before, and after
	}{
		{
			func(p *rtmptest.Peer) { p.Command(1, "receiveVideo", 0, amf.Null{}, amf.Bool(false)) },
			func(p *rtmptest.Peer) { p.Command(1, "receiveVideo", 0, amf.Null{}, amf.Bool(true)) },
			[]string{rtmp.CodeSeekNotify, rtmp.CodePlayStart}, config + sound + "|" + other + key + sound,
		},
		{
			func(p *rtmptest.Peer) { p.Command(1, "receiveAudio", 0, amf.Null{}, amf.Bool(false)) },
			func(p *rtmptest.Peer) { p.Command(1, "receiveAudio", 0, amf.Null{}, amf.Bool(true)) },
			[]string{rtmp.CodeSeekNotify, rtmp.CodePlayStart}, header + other + key + "|" + config + key + sound,
		},
		{
			func(p *rtmptest.Peer) { p.Command(1, "pause", 0, amf.Null{}, amf.Bool(true)) },
			func(p *rtmptest.Peer) { p.Command(1, "pause", 0, amf.Null{}, amf.Bool(false)) },
			[]string{rtmp.CodeUnpauseNotify}, "|" + config + other + key + sound,
		},
	} {
		players := make(chan *rtmp.Player, 1) // one play
		h := desk{play: func(p *rtmp.Play) { players <- p.Accept(nil) }}
		withPeer(t, h, rtmp.ErrClosed, func(p *rtmptest.Peer, s *rtmp.Session) {
			p.Command(0, "createStream", 4, amf.Null{})
			p.Command(1, "play", 5, amf.Null{}, amf.String("x"))
			tt.off(p)
			player := <-players
			synctest.Wait()
			send := func(at uint32, payloads ...string) {
				for _, b := range payloads {
					m := rtmp.Message{Type: rtmp.TypeVideo, Timestamp: at, Payload: []byte(b)}
					if b[0] == 0xaf {
						m.Type = rtmp.TypeAudio
					}
					player.WriteMessage(m)
				}
				player.WriteMessage(data(1, amf.String("end")))
			}
			got := func() (all string, first uint32) {
				for {
					switch m := p.Next(); {
					case m.Type == rtmp.TypeDataAMF0:
						return all, first
					case m.Type == rtmp.TypeVideo || m.Type == rtmp.TypeAudio:
						if all == "" {
							first = m.Timestamp
						}
						all += string(m.Payload)
					}
				}
			}
			send(1, header, config, other)
			send(40, key, sound)
			before, _ := got()
			more, _ := got()
			tt.on(p)
			for _, code := range tt.codes {
				p.ExpectStatus(1, code)
			}
			synctest.Wait()
			send(80, key, sound)
			after, first := got()
			if all := before + more + "|" + after; all != tt.want || first != 40 {
				t.Errorf("got %q from %d, want %q", all, first, tt.want)
			}
		})
	}
}

// No more headers are held than there may be.
func TestHeldHeadersLimit(t *testing.T) {
	players := make(chan *rtmp.Player, 1) // one play
	h := desk{play: func(p *rtmp.Play) { players <- p.Accept(nil) }}
	withPeer(t, h, rtmp.ErrClosed, func(p *rtmptest.Peer, s *rtmp.Session) {
		p.Command(0, "createStream", 4, amf.Null{})
		p.Command(1, "receiveVideo", 0, amf.Null{}, amf.Bool(false))
		p.Command(1, "play", 5, amf.Null{}, amf.String("x"))
		player := <-players
		synctest.Wait()
		for track := range byte(100) {
			player.WriteMessage(rtmp.Message{Type: rtmp.TypeVideo, Payload: []byte("\x96\x00hvc1" + string(rune(track)))})
		}
		p.Command(1, "receiveVideo", 0, amf.Null{}, amf.Bool(true))
		synctest.Wait()
		player.WriteMessage(data(1, amf.String("end")))
		n := 0
		for m := p.Next(); m.Type != rtmp.TypeDataAMF0; m = p.Next() {
			if m.Type == rtmp.TypeVideo {
				n++
			}
		}
		if n != rtmp.MaxHeld {
			t.Errorf("%d headers, want %d", n, rtmp.MaxHeld)
		}
	})
}

// publish(false), publish(null) and play(false) stop, and leave the stream for
// other uses.
func TestStops(t *testing.T) {
	tp := &tape{}
	ended := 0
	h := desk{
		publish: func(p *rtmp.Publish) {
			if p.Name == "" {
				p.Reject(nil)
				return
			}
			p.Accept(tp)
		},
		play: func(p *rtmp.Play) {
			if p.Name == "later" {
				return
			}
			p.Accept(func() { ended++ }).WriteMessage(audio(1, 0, "last"))
		},
	}
	withPeer(t, h, rtmp.ErrClosed, func(p *rtmptest.Peer, s *rtmp.Session) {
		p.Expect("onBWDone", 0)
		p.Command(0, "createStream", 4, amf.Null{})
		p.Expect("_result", 4)
		publishing := [][]amf.Value{{amf.Null{}, amf.Bool(false)}, {amf.Null{}, amf.Null{}}, {amf.Null{}, amf.Undefined{}}, {amf.Null{}}, {}}
		for i, stop := range publishing {
			p.Command(1, "publish", 0, amf.Null{}, amf.String("live?key=x"))
			p.ExpectStatus(1, rtmp.CodePublishStart)
			p.Command(1, "publish", 0, stop...)
			c := p.ExpectStatus(1, rtmp.CodeUnpublishSuccess)
			if info := rtmp.ParseStatus(c.Args[1]); info.Description != "live is now unpublished." || info.Level != "status" {
				t.Errorf("stopped with %v", info)
			}
			synctest.Wait()
			if len(tp.closed) != i+1 || tp.closed[i] != nil {
				t.Fatalf("closed %v", tp.closed)
			}
		}
		p.Command(1, "publish", 0, amf.Null{}, amf.Bool(false)) // there is nothing to stop
		p.Command(1, "play", 0, amf.Null{}, amf.Bool(false))
		p.Command(1, "publish", 0, amf.Null{}, amf.Null{}) // a name is missing
		p.ExpectStatus(1, rtmp.CodePublishBadName)
		p.Command(7, "publish", 0, amf.Null{}, amf.Bool(false))
		p.ExpectStatus(7, rtmp.CodePublishBadName)

		for i, stop := range []amf.Value{amf.Bool(false), amf.Null{}} {
			p.Command(1, "play", 0, amf.Null{}, amf.String("x"))
			p.ExpectStatus(1, rtmp.CodePlayReset)
			p.ExpectStatus(1, rtmp.CodePlayStart)
			p.Command(1, "play", 0, amf.Null{}, stop)
			for p.Next().Type != rtmp.TypeAudio { // everything before the stop still comes
			}
			p.ExpectStatus(1, rtmp.CodePlayStop)
			synctest.Wait()
			if ended != i+1 {
				t.Fatalf("ended %d", ended)
			}
		}
		p.Command(1, "play", 0, amf.Null{}, amf.String("later"))
		p.Command(1, "play", 0, amf.Null{}, amf.Bool(false))
		p.ExpectStatus(1, rtmp.CodePlayStop)
		p.Command(1, "publish", 0, amf.Null{}, amf.String("x"))
		p.ExpectStatus(1, rtmp.CodePublishStart)
	})
}

// watch has a player on message stream 1 pause, resume, and do without video.
func watch(t *testing.T, p *rtmptest.Peer, player *rtmp.Player) {
	t.Helper()
	key, inter := "\x17\x01\x00\x00\x00k", "\x27\x01\x00\x00\x00i"
	video := func(s string) rtmp.Message {
		return rtmp.Message{Type: rtmp.TypeVideo, StreamID: 7, Payload: []byte(s)}
	}
	synctest.Wait()
	player.WriteMessage(video(key))
	player.WriteMessage(audio(7, 1, "a"))
	p.Command(1, "pause", 0, amf.Null{}, amf.Bool(true), amf.Number(0))
	if m := p.Next(); m.StreamID != 1 || string(m.Payload) != key {
		t.Errorf("got %v", m)
	}
	p.Next() // the sound
	p.ExpectStatus(1, rtmp.CodePauseNotify)
	player.WriteMessage(video(key))
	player.WriteMessage(audio(7, 1, "a"))
	p.Command(1, "pause", 0, amf.Null{}, amf.Bool(false), amf.Number(0))
	p.ExpectStatus(1, rtmp.CodeUnpauseNotify)
	synctest.Wait()
	player.WriteMessage(video(inter)) // not before a key frame
	player.WriteMessage(video(key))
	player.WriteMessage(video(inter))
	for _, want := range []string{key, inter} {
		if m := p.Next(); string(m.Payload) != want {
			t.Errorf("after pause: got %q, want %q", m.Payload, want)
		}
	}
	p.Command(1, "receiveVideo", 0, amf.Null{}, amf.Bool(false))
	p.Command(1, "receiveAudio", 0, amf.Null{}, amf.Bool(true))
	p.ExpectStatus(1, rtmp.CodeSeekNotify)
	p.ExpectStatus(1, rtmp.CodePlayStart)
	synctest.Wait()
	player.WriteMessage(video(key))
	player.WriteMessage(audio(7, 1, "a"))
	if m := p.Next(); m.Type != rtmp.TypeAudio {
		t.Errorf("got %v without wanting it", m.Type)
	}
	player.Status(rtmp.CodeUnpublishNotify, "gone")
	p.ExpectStatus(1, rtmp.CodeUnpublishNotify)
}

// A player that does not read loses video up to a key frame, then sound, and
// keeps its connection.
func TestSlowPlayer(t *testing.T) {
	players := make(chan *rtmp.Player, 1) // one play
	h := desk{play: func(p *rtmp.Play) { players <- p.Accept(nil) }}
	withPeer(t, h, rtmp.ErrClosed, func(p *rtmptest.Peer, s *rtmp.Session) {
		p.Command(0, "createStream", 4, amf.Null{})
		p.Command(1, "play", 5, amf.Null{}, amf.String("x"))
		player := <-players
		frame := append([]byte{0x27, 1}, make([]byte, 10000)...)
		frames := 0
		for s.Stats().Dropped == 0 {
			player.WriteMessage(rtmp.Message{Type: rtmp.TypeVideo, Payload: frame})
			frames++
		}
		if n := frames * len(frame); n < rtmp.MaxMediaOutbox-len(frame) || n > rtmp.MaxMediaOutbox+4*rtmptest.PipeBuffer {
			t.Errorf("dropped after %d bytes", n)
		}
		player.WriteMessage(audio(0, 0, "sound"))
		if n := s.Stats().Dropped; n != 1 {
			t.Errorf("sound was dropped: %d", n)
		}
		for s.Stats().Dropped == 1 {
			player.WriteMessage(audio(0, 0, string(make([]byte, 1000))))
			frames++
		}
		if err := s.Err(); err != nil {
			t.Fatal(err)
		}
		s.Send(rtmp.Pack(rtmp.CallMessage(0, "still here"))) // overtakes the media
		for p.NextCommand().Name != "still here" {
		}
		s.Send(rtmp.Pack(rtmp.CallMessage(0, "nearly done")))
		for n := 0; n < rtmp.MaxMediaOutbox/2; {
			n += len(p.Next().Payload)
		}
		synctest.Wait()
		inter, key := []byte{0x27, 1, 0, 0, 0, 99}, []byte{0x17, 1, 0, 0, 0, 99}
		player.WriteMessage(rtmp.Message{Type: rtmp.TypeVideo, Payload: inter})
		player.WriteMessage(rtmp.Message{Type: rtmp.TypeVideo, Payload: key})
		player.WriteMessage(rtmp.Message{Type: rtmp.TypeVideo, Payload: inter})
		for {
			m := p.Next()
			if len(m.Payload) == len(key) {
				if m.Payload[0] != key[0] {
					t.Error("a frame came that cannot be decoded")
				}
				break
			}
		}
	})
}

func TestOwnStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStation(t)
		publisher, _ := pair(t, nil, st)
		viewer, _ := pair(t, nil, st)
		ctx := t.Context()
		open := func(s *rtmp.Session) *rtmp.Stream {
			ns, err := s.CreateStream(ctx)
			if err != nil {
				t.Fatal(err)
			}
			return ns
		}
		out, in, tp := open(publisher), open(viewer), &tape{}
		if err := out.Publish(ctx, "x", "live"); err != nil {
			t.Fatal(err)
		}
		if err := in.Play(ctx, "x", rtmp.StartAny, tp); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // the answer leaves before the station has noted its player
		second := open(publisher)
		if info, ok := errors.AsType[*rtmp.StatusError](second.Publish(ctx, "x", "live")); !ok || info.Code != rtmp.CodePublishBadName {
			t.Errorf("publishing twice: %v", info)
		}
		out.WriteMessage(data(0, amf.String("@setDataFrame"), amf.String("onMetaData"), amf.ECMAArray{}))
		out.WriteMessage(audio(0, 5, "sound"))
		if err := out.Close(); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		var got []string
		for _, m := range tp.messages {
			got = append(got, m.Type.String())
		}
		if d := cmp.Diff([]string{"data", "audio"}, got); d != "" {
			t.Errorf("(-want +got)\n%s", d)
		}
		if d := cmp.Diff([]string{rtmp.CodeUnpublishNotify}, tp.statuses[len(tp.statuses)-1:]); d != "" {
			t.Errorf("(-want +got)\n%s", d)
		}
		viewer.Close(nil)
		<-viewer.Done()
		if len(tp.closed) != 1 || tp.closed[0] != rtmp.ErrClosed {
			t.Errorf("closed %v", tp.closed)
		}
		canceled, cancel := context.WithCancel(ctx)
		cancel()
		if _, err := publisher.Call(canceled, "echo"); err == nil {
			t.Error("a call whose context has ended")
		}
	})
}
