package room_test

import (
	"testing"
	"testing/synctest"
	"time"

	"foyer/room"
	"foyer/server/amf"
	"foyer/server/rtmp"
)

// Messages of an encoder of H.264.
const (
	avcHeader = "\x17\x00\x00\x00\x00\x01\x42\xc0\x1e\xff\xe1\x00\x19\x67\x42\xc0\x1e\xd9\x00\xa0\x2f\xf9\x70\x11" +
		"\x00\x00\x03\x00\x01\x00\x00\x03\x00\x32\x0f\x16\x2e\x48"
	avcKey  = "\x17\x01\x00\x00\x00"
	avcNext = "\x27\x01\x00\x00\x00"
)

// meta sends the onMetaData of an encoder with a name of two lines.
func (d *device) meta() {
	d.send(rtmp.TypeDataAMF0, 0, string(amf.Append(amf.Append(nil, amf.String("onMetaData")), amf.Object{
		{Name: "encoder", Value: amf.String("obs-output\nmodule\u202e")},
	})))
}

// film sends pictures for a while, 25 a second, with a key frame in each second.
func (d *device) film(from, length time.Duration) {
	d.send(rtmp.TypeVideo, uint32(from.Milliseconds()), avcHeader)
	for at := from; at < from+length; at += 40 * time.Millisecond {
		payload := avcNext
		if at%time.Second == 0 {
			payload = avcKey
		}
		d.send(rtmp.TypeVideo, uint32(at.Milliseconds()), payload+string(make([]byte, 4995)))
		time.Sleep(40 * time.Millisecond)
	}
	synctest.Wait()
}

// TestHealth: the shared object says in short how a stream is doing, and the method at
// length.
func TestHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, config())
		ann := join(t, s.host, "ann")
		ann.use(room.ObjectRoom, false)
		if got := brief(ann.must("ingest")); got != "{streams:[]}" {
			t.Errorf("got %s", got)
		}
		encoder := s.encoder()
		encoder.must("live")
		encoder.meta()
		encoder.film(0, 12*time.Second)
		const sentence = "There is no sound. If there should be some, add an audio source in the encoder."
		want := "{live:{video:H.264 audio: width:640 height:360 fps:25 bitrate:1e+06 advice:[" + sentence + "]}}"
		if got := ann.slot(room.ObjectRoom, "ingest"); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		want = "{streams:[{stream:live encoder:obs-output module video:{codec:H.264 profile:Baseline width:640 height:360 fps:25 bitrate:1e+06 " +
			"keyFrames:1000 bFrames:false} audio:null drift:0 speed:1 silent:40 tracks:1 advice:[" + sentence + "]}]}"
		for _, args := range [][]amf.Value{nil, {amf.Null{}}, {amf.String("live")}} {
			if got := brief(ann.must("ingest", args...)); got != want {
				t.Errorf("%v: got  %s\nwant %s", args, got, want)
			}
		}
		if got := ann.refused("ingest", amf.String("other")).Description; got != "Nobody publishes a stream of this name." {
			t.Errorf("got %s", got)
		}
		if got := brief(spectate(t, s.host).must("ingest")); got != want {
			t.Errorf("a spectator got %s", got)
		}
		encoder.stop()
		if got := ann.slot(room.ObjectRoom, "ingest"); got != "" {
			t.Errorf("got %s", got)
		}
	})
}
