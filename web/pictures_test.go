package web

import (
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"
)

// picture returns the picture of room blue from a node.
func (s *studio) picture(t *testing.T, have string) (status int, tag string, data []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", s.web.URL+"/live/blue/live.mp4", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("If-None-Match", have)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err) // not Fatal: it may be on a goroutine of the test's
		return 0, "", nil
	}
	defer resp.Body.Close()
	if data, err = io.ReadAll(resp.Body); err != nil {
		t.Error(err)
	}
	return resp.StatusCode, resp.Header.Get("ETag"), data
}

// TestPictureElsewhere: the picture of a room on another node is requested once for all,
// and nothing else is fetched.
func TestPictureElsewhere(t *testing.T) {
	t.Parallel()
	all := newTwoNodes()
	b := newNode(t, all, "b")
	a := newNode(t, all, "a") // ends first
	if status, _, _ := b.picture(t, ""); status != http.StatusNotFound {
		t.Errorf("before it runs: %d", status)
	}
	send, stop := a.publish(t, "live")
	send(0, showMeta, showHeader)
	second(send, 0)
	wait(t, func() bool { status, _, _ := a.picture(t, ""); return status == http.StatusOK })
	_, tag, want := a.picture(t, "")
	wait(t, func() bool { status, _, _ := b.picture(t, ""); return status == http.StatusOK })
	var many sync.WaitGroup
	for range 20 {
		many.Go(func() {
			if status, theirs, data := b.picture(t, ""); status != http.StatusOK || theirs != tag || tag == "" || string(data) != string(want) {
				t.Errorf("%d, %s of %s, %d bytes of %d", status, theirs, tag, len(data), len(want))
			}
		})
	}
	many.Wait()
	for name, s := range map[string]*studio{"a": a, "b": b} {
		if status, _, data := s.picture(t, tag); status != http.StatusNotModified || len(data) > 0 {
			t.Errorf("%s, to whom has it: %d, %d bytes", name, status, len(data))
		}
	}
	all.mu.Lock()
	if all.asked != 1 {
		t.Errorf("asked %d times", all.asked)
	}
	all.mu.Unlock()
	if n := b.host.Stats().Instances["room"]; n != 0 {
		t.Errorf("b has %d tunnels", n)
	}
	if n := a.host.Stats().Accepted["room"]; n != 1 {
		t.Errorf("a has let in %d clients, want the publisher", n)
	}

	all.answer("a", func([]byte) []byte { return make([]byte, MaxFarPicture) })
	wait(t, func() bool { _, _, data := b.picture(t, ""); return len(data) == MaxFarPicture })
	all.answer("a", func([]byte) []byte { return make([]byte, MaxFarPicture+1) })
	wait(t, func() bool { status, _, _ := b.picture(t, ""); return status == http.StatusNotFound })
	all.answer("a", a.handler.answerPicture)
	stop()
	wait(t, func() bool { status, _, _ := a.picture(t, ""); return status == http.StatusNotFound })
	if got := a.handler.answerPicture([]byte(`{"room":"blue","stream":"live"}`)); got != nil {
		t.Errorf("when nobody publishes, a answers %d bytes", len(got))
	}
}

// A node that does not answer costs a card its picture, and nobody more than a moment.
func TestPictureNodeSilent(t *testing.T) {
	t.Parallel()
	all := newTwoNodes()
	b := newNode(t, all, "b")
	a := newNode(t, all, "a")
	send, _ := a.publish(t, "live")
	send(0, showMeta, showHeader)
	second(send, 0)
	all.answer("a", nil)
	began := time.Now()
	status, _, _ := b.picture(t, "")
	if took := time.Since(began); status != http.StatusNotFound || took < pictureAsk || took > pictureAsk+30*time.Second {
		t.Errorf("%d after %v", status, took)
	}
	ended := time.Now()
	if status, _, _ = b.picture(t, ""); status != http.StatusNotFound || all.asked != 1 && time.Since(ended) < pictureNone {
		t.Errorf("asked %d times at once: %d", all.asked, status)
	}
	if n := len(b.handler.pictures.asking); n != 0 {
		t.Errorf("%d questions on their way", n)
	}
}

// A node answers only proper questions about rooms that it runs.
func TestPictureAnswers(t *testing.T) {
	all := newTwoNodes()
	b := newNode(t, all, "b")
	a := newNode(t, all, "a")
	send, _ := a.publish(t, "live")
	send(0, showMeta, showHeader)
	second(send, 0)
	wait(t, func() bool { return len(a.handler.answerPicture([]byte(`{"room":"blue","stream":"live"}`))) > 0 })
	for _, question := range []string{"", "{", `{"room":"blue"}`, `{"room":"blue","stream":"other"}`, `{"room":"red","stream":"live"}`, `{"room":"../blue","stream":"live"}`} {
		if got := a.handler.answerPicture([]byte(question)); got != nil {
			t.Errorf("%q: %d bytes", question, len(got))
		}
	}
	if got := b.handler.answerPicture([]byte(`{"room":"blue","stream":"live"}`)); got != nil {
		t.Errorf("b has %d bytes of what a runs", len(got))
	}
}

// TestPicturesKept: the pictures that are kept are bounded.
func TestPicturesKept(t *testing.T) {
	p := newPictures()
	slow, last := p.take(streamName{"slow", "live"})
	if last == nil {
		t.Fatal("nobody looks for it")
	}
	add := func(i, size int) {
		s, _ := p.take(streamName{fmt.Sprint("room", i), "live"})
		s.data = make([]byte, size)
		p.keep(s, time.Minute)
	}
	for i := range MaxPictures + 10 {
		add(i, 10)
	}
	if len(p.kept) != MaxPictures || p.bytes != 10*(MaxPictures-1) {
		t.Errorf("%d kept, of %d bytes", len(p.kept), p.bytes)
	}
	for i := range 100 {
		add(2*MaxPictures+i, MaxFarPicture)
	}
	if p.bytes > MaxPictureBytes || p.bytes < MaxPictureBytes/2 {
		t.Errorf("%d bytes kept", p.bytes)
	}
	if again, last := p.take(streamName{"slow", "live"}); again != slow || last != nil {
		t.Error("what is looked for was forgotten, or is looked for twice")
	}
}
