package media

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"foyer/server/relay"
	"foyer/server/rtmp"
)

// words takes what is in the queue.
func words(q *Queue) string {
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	var all []string
	for {
		items, err := q.Next(ctx, 1)
		if err != nil {
			if !errors.Is(err, context.DeadlineExceeded) {
				all = append(all, err.Error())
			}
			return strings.Join(all, " ")
		}
		for _, it := range items {
			word := it.Code
			if word == "" {
				word = fmt.Sprint(it.Message.Timestamp)
			}
			if it.Dropped > 0 {
				word += fmt.Sprintf("(-%d)", it.Dropped)
			}
			all = append(all, word)
		}
	}
}

func TestQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := NewQueue(len(tagKey)*4, 10*time.Second)
		put := func(at uint32, bodies ...string) {
			for i, body := range bodies {
				if err := q.WriteMessage(message(at+uint32(i), body)); err != nil {
					t.Errorf("message %d: %v", at+uint32(i), err)
				}
			}
		}
		put(1, tagKey, tagInter, tagInter, tagInter, tagInter, tagSound)
		put(7, tagAVC, tagKey) // the header is kept, the key frame finds no room yet
		if got, want := words(q), "1 2 3 4 7(-2)"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		put(10, tagSound, tagInter, tagKey, tagSound)
		if got, want := words(q), "12(-3) 13"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		// A frame that is longer than all of the queue fits when it is alone.
		put(20, tagKey+strings.Repeat("-", 1000), tagInter)
		q.Status(rtmp.CodePlayStart, "")
		q.Status(rtmp.CodeUnpublishNotify, "")
		if got, want := words(q), "20 NetStream.Play.UnpublishNotify"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		// An end stays an end, whoever comes next. Publishers that send nothing are
		// not heard of.
		for range 3 {
			q.Status(rtmp.CodePublishNotify, "")
			q.Status(rtmp.CodeUnpublishNotify, "")
		}
		q.Status(rtmp.CodePublishNotify, "")
		q.Status(rtmp.CodePublishNotify, "")
		put(30, tagSound) // without video there is no key frame to wait for
		if got, want := words(q), "NetStream.Play.UnpublishNotify NetStream.Play.PublishNotify 30(-1)"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		q.Close(context.Canceled)
		if got, want := words(q), "context canceled"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

func TestQueueHopeless(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, patience := range []time.Duration{10 * time.Second, 0} {
			q := NewQueue(30, patience)
			var err error
			for range 1000 {
				if err = q.WriteMessage(message(0, tagKey)); err != nil {
					break
				}
				time.Sleep(40 * time.Millisecond)
			}
			if want := patience > 0; errors.Is(err, ErrBehind) != want {
				t.Errorf("patience %v: %v", patience, err)
			}
			if q.bytes > 30 {
				t.Errorf("%d bytes", q.bytes)
			}
		}
	})
}

// Headers are never dropped, but not without end.
func TestQueueReserve(t *testing.T) {
	q := NewQueue(0, 0)
	for range queueReserve/len(tagAVC) + 1 {
		if err := q.WriteMessage(message(0, tagAVC)); err != nil {
			break
		}
	}
	if err := q.WriteMessage(message(0, tagAVC)); !errors.Is(err, ErrBehind) {
		t.Errorf("got %v", err)
	}
	if q.bytes > queueReserve {
		t.Errorf("%d bytes", q.bytes)
	}
}

// TestQueueJoin: however much the stream has at hand, the messages that follow
// find room as well.
func TestQueueJoin(t *testing.T) {
	stream := relay.New("live")
	stream.Publish()
	stream.WriteMessage(message(0, tagKey))
	for at := range uint32(20) {
		stream.WriteMessage(message(at+1, tagInter))
	}
	q := NewQueue(3*len(tagInter), 0)
	q.join(stream)
	stream.WriteMessage(message(21, tagInter))
	if got, want := len(q.items), 22; got != want || q.bytes != len(tagInter) {
		t.Errorf("%d messages of %d, %d bytes", got, want, q.bytes)
	}
	for len(q.items) > 0 {
		q.take(1)
	}
	if q.bytes != 0 {
		t.Errorf("%d bytes of nothing", q.bytes)
	}
}
