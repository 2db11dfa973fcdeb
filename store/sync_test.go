package store

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
)

// With Always, a message is answered after its file was flushed, and all
// messages that come meanwhile share the next flush.
func TestFlushBeforeAnswer(t *testing.T) {
	var mu sync.Mutex
	var flushed []string // the contents of the chat's blocks when they were flushed
	gate := make(chan bool)
	c, err := Open(t.Context(), Config{Dir: t.TempDir(), Node: "test", Sync: Always, fsync: func(f *os.File) error {
		if !strings.Contains(f.Name(), "CHAT") || !isBlock(f.Name()) {
			return nil
		}
		data, err := os.ReadFile(f.Name())
		if err != nil {
			return err
		}
		mu.Lock()
		flushed = append(flushed, string(data))
		first := len(flushed) == 1
		mu.Unlock()
		if first && bytes.Contains(data, []byte("one")) {
			gate <- true // the flush is on
			<-gate       // until the test lets it end
		}
		return f.Sync()
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r, other := open(t, c, "blue"), open(t, c, "red")
	mu.Lock()
	flushed = nil
	mu.Unlock()
	answers := make(chan error, 200)
	done := func(_ uint64, err error) { answers <- err }
	text := func(s string) func(uint64) []byte { return func(uint64) []byte { return []byte(s) } }
	r.Append(text("one"), done)
	<-gate
	for range 50 {
		r.Append(text("more"), done)
		other.Append(text("more"), done)
	}
	eventually(t, "all to be written", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		other.mu.Lock()
		defer other.mu.Unlock()
		return r.index.last == 51 && other.index.last == 50
	})
	if len(answers) != 0 {
		t.Error("answered before the flush ended")
	}
	gate <- true
	for range 101 {
		if err := <-answers; err != nil {
			t.Error(err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if n := strings.Count(flushed[len(flushed)-1], "more"); n != 100 || len(flushed) > 3 {
		t.Errorf("%d flushes, the last with %d messages, want 2 and 100", len(flushed), n)
	}
}

// When a flush fails so does the message, although it is in the stream.
func TestFlushFails(t *testing.T) {
	sick := errors.New("sick disk")
	var mu sync.Mutex
	var fail error
	c, err := Open(t.Context(), Config{Dir: t.TempDir(), Node: "test", Sync: Always, fsync: func(f *os.File) error {
		mu.Lock()
		defer mu.Unlock()
		return fail
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	found := make(chan string, 1)
	r, err := c.OpenRoom(t.Context(), "blue", func(m []byte) { found <- string(m) })
	if err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	fail = sick
	mu.Unlock()
	if _, err := say(r, "hi"); !errors.Is(err, sick) {
		t.Errorf("got %v", err)
	}
	if m := <-found; m != "1 hi" {
		t.Errorf("found %q", m)
	}
	mu.Lock()
	fail = nil
	mu.Unlock()
	eventually(t, "the store to be well", func() bool { return c.Ready() == nil })
	mustSay(t, r, 2, 3)
}
