package media

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"foyer/server/relay"
	"foyer/server/rtmp"
)

// TestFMP4 is a stream that is joined before its publisher comes, and after he
// has gone. Run ends with its context and has left the stream by then.
func TestFMP4(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stream := relay.New("live")
		f := NewFMP4(stream)
		ctx, cancel := context.WithCancel(t.Context())
		var got []Segment
		ended := make(chan error)
		go func() { ended <- f.Run(ctx, func(s Segment) { got = append(got, s) }) }()
		synctest.Wait()
		stream.Publish()
		for _, m := range slices.Concat([]rtmp.Message{meta(metaVideo), video(0, avcHeader)}, pictures(0)) {
			stream.WriteMessage(m)
		}
		synctest.Wait()
		if f.Still() == nil {
			t.Error("no key frame to show")
		}
		stream.Unpublish()
		synctest.Wait()
		if f.Still() != nil {
			t.Error("a key frame of nobody")
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if n := stream.Players(); n != 0 {
			t.Errorf("%d players left", n)
		}
		words := show(t, got)
		if words[0] != "init:avc1.42c028" || words[1] != "K" || words[len(words)-1] != "end" {
			t.Errorf("got %v", words)
		}
	})
}

// TestFMP4Backlog: what waits for a remux that does not run is bounded, and
// what goes on begins with a key frame.
func TestFMP4Backlog(t *testing.T) {
	f := NewFMP4(relay.New("live"))
	body := string(make([]byte, 1<<20))
	for range 100 {
		f.WriteMessage(video(0, avcInter+body))
		f.WriteMessage(video(0, avcHeader+body[:1000]))
	}
	if f.queued > 2*MaxBacklog {
		t.Errorf("%d bytes wait", f.queued)
	}
	f.queue, f.queued = nil, 0
	f.WriteMessage(video(0, avcInter))
	f.WriteMessage(audio(0, aacFrame))
	f.WriteMessage(video(0, avcKey))
	f.WriteMessage(video(0, avcInter))
	if len(f.queue) != 3 {
		t.Errorf("%d messages wait, want a sound, a key frame and a picture", len(f.queue))
	}
}

func TestLastKeyFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stream := relay.New("live")
		stream.Publish()
		stream.WriteMessage(video(0, avcHeader))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := LastKeyFrame(ctx, stream); err != ErrNoPicture {
			t.Errorf("without a key frame: %v", err)
		}
		time.AfterFunc(time.Second, func() { stream.WriteMessage(video(40, avcKey)) })
		still, err := LastKeyFrame(t.Context(), stream)
		if err != nil {
			t.Fatal(err)
		}
		first, err := still.MP4()
		if again, _ := still.MP4(); err != nil || &again[0] != &first[0] {
			t.Errorf("made twice, or %v", err)
		}
		if now, err := LastKeyFrame(ctx, stream); err != nil || !now.Same(still) || ctx.Err() == nil {
			t.Errorf("without time to wait: %v, %v", err, ctx.Err())
		}
		stream.Unpublish()
		stream.Publish()
		time.AfterFunc(time.Second, stream.Unpublish)
		if _, err := LastKeyFrame(t.Context(), stream); stream.Live() || err != ErrNoPicture {
			t.Errorf("when the stream ends: %v", err)
		}
		if n := stream.Players(); n != 0 {
			t.Errorf("%d players left", n)
		}
	})
}
