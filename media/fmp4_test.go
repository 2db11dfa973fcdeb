package media

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"foyer/server/relay"
	"foyer/server/rtmp"
)

// TestFMP4 is a stream that is joined before its publisher comes, and still after
// the publisher has gone. Run ends with its context and has left the stream by then.
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

// TestFMP4Backlog: what waits for a remux that stands still is bounded, and
// afterwards it continues with a key frame. The messages that the stream has at
// hand when it begins are all taken, headers included.
func TestFMP4Backlog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stream := relay.New("live")
		stream.Publish()
		stream.WriteMessage(meta(metaVideo))
		stream.WriteMessage(video(0, avcHeader))
		stream.WriteMessage(video(0, avcKey))
		huge := string(pictureOf(avcInter, 1<<20, strings.Repeat("x", 1<<20)))
		for at := range uint32(5) {
			stream.WriteMessage(video(at+1, huge))
			stream.WriteMessage(video(at+1, avcHeader))
		}
		f := NewFMP4(stream)
		ctx, cancel := context.WithCancel(t.Context())
		var got []Segment
		var stands atomic.Bool
		still := make(chan struct{})
		ended := make(chan error)
		go func() {
			ended <- f.Run(ctx, func(s Segment) {
				if got = append(got, s); stands.Load() {
					<-still
				}
			})
		}()
		synctest.Wait()
		if len(got) < 5 {
			t.Errorf("got %v at once", show(t, got))
		}
		stands.Store(true)
		for at := range uint32(100) {
			stream.WriteMessage(video(at+100, huge))
		}
		if f.queue.bytes > 2*MaxBacklog {
			t.Errorf("%d bytes wait", f.queue.bytes)
		}
		close(still)
		synctest.Wait()
		taken := len(got)
		stream.WriteMessage(video(5000, avcInter))
		stream.WriteMessage(video(5000, avcKey))
		for at := range uint32(10) {
			stream.WriteMessage(video(5040+40*at, avcInter))
		}
		synctest.Wait()
		last := got[taken:]
		if taken > 20 || !slices.ContainsFunc(last, func(s Segment) bool { return s.Key }) {
			t.Errorf("got %v, and then %v", show(t, got[:taken]), show(t, last))
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
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
