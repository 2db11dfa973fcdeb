package room_test

import (
	"testing"
	"testing/synctest"
	"time"

	"foyer/room"
	"foyer/server/amf"
	"foyer/server/rtmp"
	"foyer/server/rtmp/rtmptest"
)

const grace = 30 * time.Second

// Messages of an encoder of Sorenson video, which needs no header.
const keyFrame, nextFrame = "\x12key", "\x22next"

func graceful() room.Config {
	cfg := config()
	cfg.Grace = grace
	return cfg
}

// TestPublisherLost: viewers stay, the room tells them, and an encoder with the same key
// continues.
func TestPublisherLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, graceful())
		ann := join(t, s.host, "ann")
		ann.use(room.ObjectRoom, false)
		viewer := s.player()
		first := s.encoder()
		first.must("live")
		first.send(rtmp.TypeVideo, 0, keyFrame)
		if got := viewer.take(); got != "PublishNotify video" {
			t.Errorf("the viewer got %s", got)
		}
		ann.heard()
		first.crash()
		if got := viewer.take(); got != "" {
			t.Errorf("the viewer got %s", got)
		}
		if got, want := ann.heard(), "notice({text:The connection of live broke. Please wait: the broadcast may continue within 30s.})"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if streams, away := ann.slot(room.ObjectRoom, "streams"), ann.slot(room.ObjectRoom, "away"); streams != "[live]" || away != "{live:9.466848e+11}" {
			t.Errorf("streams are %s, away %s", streams, away)
		}
		if ann.slot(room.ObjectRoom, "ingest") != "" {
			t.Error("somebody looks at a stream that is not there")
		}

		time.Sleep(grace - time.Millisecond)
		second := s.encoder()
		second.must("live")
		second.send(rtmp.TypeVideo, 0, nextFrame)
		second.send(rtmp.TypeVideo, 40, keyFrame)
		if got := viewer.take(); got != "video" {
			t.Errorf("the viewer got %s, want the picture to continue at a key frame", got)
		}
		if got := ann.heard(); got != "notice({text:live is back.})" {
			t.Errorf("got %s", got)
		}
		if away := ann.slot(room.ObjectRoom, "away"); away != "" {
			t.Errorf("away is %s", away)
		}
		time.Sleep(2 * grace)
		if got := viewer.take(); got != "" {
			t.Errorf("the viewer got %s: the first wait is over", got)
		}
	})
}

// TestGraceEnds: after the grace time everything is as if the publisher had said goodbye.
func TestGraceEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, graceful())
		ann := join(t, s.host, "ann")
		ann.use(room.ObjectRoom, false)
		viewer, encoder := s.player(), s.encoder()
		encoder.must("live")
		encoder.crash()
		viewer.take()
		ann.heard()
		time.Sleep(grace - time.Millisecond)
		if got := viewer.take(); got != "" {
			t.Errorf("the viewer got %s too early", got)
		}
		time.Sleep(time.Millisecond)
		if got := viewer.take(); got != "UnpublishNotify" {
			t.Errorf("the viewer got %s", got)
		}
		if got := ann.heard(); got != "notice({text:live has ended.})" {
			t.Errorf("got %s", got)
		}
		if streams, away := ann.slot(room.ObjectRoom, "streams"), ann.slot(room.ObjectRoom, "away"); streams != "[]" || away != "" {
			t.Errorf("streams are %s, away %s", streams, away)
		}
	})
}

// TestPublisherStops: nobody waits for a publisher that stops by itself, or without a
// grace time.
func TestPublisherStops(t *testing.T) {
	for name, test := range map[string]struct {
		cfg   room.Config
		leave func(*studio, *device)
	}{
		"it stops": {graceful(), func(_ *studio, d *device) { d.stop() }},
		"no grace": {config(), func(_ *studio, d *device) { d.crash() }},
		"released": {graceful(), func(s *studio, _ *device) { moderate(s.t, s.host).must("release", amf.String("live")) }},
		"goodbye":  {graceful(), func(_ *studio, d *device) { d.session.Close(nil) }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStudio(t, test.cfg)
				ann := join(t, s.host, "ann")
				ann.use(room.ObjectRoom, false)
				viewer, encoder := s.player(), s.encoder()
				encoder.must("live")
				viewer.take()
				test.leave(s, encoder)
				if got := viewer.take(); got != "UnpublishNotify" {
					t.Errorf("the viewer got %s", got)
				}
				if streams, away := ann.slot(room.ObjectRoom, "streams"), ann.slot(room.ObjectRoom, "away"); streams != "[]" || away != "" {
					t.Errorf("streams are %s, away %s", streams, away)
				}
			})
		})
	}
}

// TestEndsThatAreSaid: whatever an encoder calls it, an end is one although the
// connection breaks a moment later.
func TestEndsThatAreSaid(t *testing.T) {
	stream := "live?key=" + key + "-blue"
	for name, say := range map[string]func(*rtmptest.Peer){
		"FCUnpublish":              func(p *rtmptest.Peer) { p.Command(0, "FCUnpublish", 6, amf.Null{}, amf.String(stream)) },
		"FCUnpublish, bare name":   func(p *rtmptest.Peer) { p.Command(0, "FCUnpublish", 6, amf.Null{}, amf.String("live")) },
		"FCUnpublish without name": func(p *rtmptest.Peer) { p.Command(0, "FCUnpublish", 6, amf.Null{}) },
		"deleteStream":             func(p *rtmptest.Peer) { p.Command(0, "deleteStream", 6, amf.Null{}, amf.Number(1)) },
		"deleteStream on it":       func(p *rtmptest.Peer) { p.Command(1, "deleteStream", 6, amf.Null{}) },
		"closeStream by number":    func(p *rtmptest.Peer) { p.Command(0, "closeStream", 6, amf.Null{}, amf.Number(1)) },
		"closeStream":              func(p *rtmptest.Peer) { p.Command(1, "closeStream", 0, amf.Null{}) },
		"publish(false)":           func(p *rtmptest.Peer) { p.Command(1, "publish", 0, amf.Null{}, amf.Bool(false)) },
		"publish(null)":            func(p *rtmptest.Peer) { p.Command(1, "publish", 0, amf.Null{}, amf.Null{}) },
		"close":                    func(p *rtmptest.Peer) { p.Command(0, "close", 0, amf.Null{}) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStudio(t, graceful())
				ann := join(t, s.host, "ann")
				ann.use(room.ObjectRoom, false)
				viewer, encoder := s.player(), s.peer()
				if got := obs(encoder, stream); got.Code() != rtmp.CodePublishStart {
					t.Fatalf("got %s", got.Code())
				}
				viewer.take()
				ann.heard()
				say(encoder)
				encoder.Close()
				if got := viewer.take(); got != "UnpublishNotify" {
					t.Errorf("the viewer got %s", got)
				}
				if streams, away, heard := ann.slot(room.ObjectRoom, "streams"), ann.slot(room.ObjectRoom, "away"), ann.heard(); streams != "[]" || away != "" || heard != "" {
					t.Errorf("streams are %s, away %s; ann heard %s", streams, away, heard)
				}
			})
		})
	}
}

// TestRelease: a moderator ends a stream, and the wait for a lost one.
func TestRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, graceful())
		mod, ann := moderate(t, s.host), join(t, s.host, "ann")
		if got := ann.refused("release", amf.String("live")).Description; got != "Not allowed." {
			t.Errorf("got %s", got)
		}
		for _, none := range []amf.Value{amf.String("live"), amf.Null{}, amf.Number(1)} {
			if got := mod.refused("release", none).Description; got != "Nobody publishes a stream of this name." {
				t.Errorf("got %s", got)
			}
		}
		encoder := s.peer()
		if got := obs(encoder, "live?key="+key+"-blue"); got.Code() != rtmp.CodePublishStart {
			t.Fatalf("got %s", got.Code())
		}
		ann.heard()
		mod.must("release", amf.String("live"))
		if got := encoder.ExpectStatus(1, rtmp.CodePublishBadName); why(got) != "error: Released by a moderator." {
			t.Errorf("the encoder was told %s", why(got))
		}
		encoder.Expect("close", 0)
		if got := ann.heard(); got != "notice({text:live was ended by a moderator.})" {
			t.Errorf("got %s", got)
		}

		time.Sleep(room.ReleaseTime)
		again := s.encoder()
		again.must("live")
		viewer := s.player()
		again.crash()
		viewer.take()
		mod.must("release", amf.String("live"))
		if got := viewer.take(); got != "UnpublishNotify" {
			t.Errorf("the viewer got %s", got)
		}
		ann.heard()
		time.Sleep(2 * grace)
		if got := ann.heard(); got != "" {
			t.Errorf("after that: %s", got)
		}
	})
}

// TestKickedPublisher: nobody waits for somebody who was thrown out.
func TestKickedPublisher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, graceful())
		mod := moderate(t, s.host)
		viewer := s.player()
		bob := s.peerAs(amf.String("bob"))
		if got := obs(bob, "live?key="+key+"-blue"); got.Code() != rtmp.CodePublishStart {
			t.Fatalf("got %s", got.Code())
		}
		viewer.take()
		mod.must("kick", amf.String("bob"), amf.String(""))
		bob.Close()
		if got := viewer.take(); got != "UnpublishNotify" {
			t.Errorf("the viewer got %s", got)
		}
	})
}

// TestHalfOpen: a publisher whose network is gone is dropped by the pings, and
// until then does not keep a newer one from taking over.
func TestHalfOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, graceful())
		ann := join(t, s.host, "ann")
		ann.use(room.ObjectRoom, false)
		viewer, dead := s.player(), s.peer() // nobody answers the pings for it
		obs(dead, "live?key="+key+"-blue")
		viewer.take()
		time.Sleep(29 * time.Second)
		if away := ann.slot(room.ObjectRoom, "away"); away != "" {
			t.Errorf("away after 29 s: %s", away)
		}
		time.Sleep(2 * time.Second)
		if away := ann.slot(room.ObjectRoom, "away"); away == "" {
			t.Error("not dropped after 31 s")
		}

		dead = s.peer()
		obs(dead, "live?key="+key+"-blue")
		time.Sleep(15 * time.Second)
		living := s.encoder()
		living.must("live")
		told := dead.NextCommand()
		for told.Name == "notice" {
			told = dead.NextCommand()
		}
		if told.Code() != rtmp.CodePublishBadName || why(told) != "error: Taken over by a newer publisher." {
			t.Errorf("the older one was told %s", why(told))
		}
		if got := viewer.take(); got != "" {
			t.Errorf("the viewer got %s", got)
		}
	})
}

// TestManyAway: streams that are waited for count as streams, so they are bounded.
func TestManyAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, graceful())
		for i := range room.DefaultStreams {
			e := s.encoder()
			e.must("s" + string(rune('a'+i)))
			e.crash()
		}
		e := s.encoder()
		if e.publish("another") == nil {
			t.Error("one stream more than there may be")
		}
		e.must("sa")
	})
}

// why returns the level and the description of a status.
func why(c *rtmptest.Command) string {
	level, _ := amf.AsString(amf.Lookup(c.Args.At(1), "level"))
	description, _ := amf.AsString(amf.Lookup(c.Args.At(1), "description"))
	return level + ": " + description
}

// TestOBS: the description says what OBS should show.
func TestOBS(t *testing.T) {
	for key, want := range map[string]string{
		"live?key=stream-key-blue": "status: live is now published.",
		"live?key=wrong":           "error: Wrong stream key for room blue.",
		"live":                     "error: The stream key is missing: publish as live?key=KEY.",
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newStudio(t, config())
			p := s.peer()
			if got := why(obs(p, key)); got != want {
				t.Errorf("%s: got %s, want %s", key, got, want)
			}
			if want[0] == 'e' {
				return
			}
			p.Command(0, "FCUnpublish", 6, amf.Null{}, amf.String(key))
			p.Command(0, "deleteStream", 7, amf.Null{}, amf.Number(1))
			p.Expect("_result", 6)
			p.ExpectStatus(1, rtmp.CodeUnpublishSuccess)
		})
	}
}
