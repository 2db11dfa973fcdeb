package hostile

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"foyer/client"
	"foyer/server/amf"
)

// couples is the number of rooms, in each of which two people talk.
const couples = 8

// people talk during an attack: each of them says something every second or so,
// and the other one must hear it.
type people struct {
	t      *testing.T
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu    sync.Mutex // guards what follows
	waits []time.Duration
	said  map[string]bool // and not yet heard
	lost  error
}

// invite connects people, and has them talk until sendHome.
func invite(t *testing.T, s *site) *people {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	p := &people{t: t, cancel: cancel, said: make(map[string]bool)}
	for i := range couples {
		for j, nick := range []string{"ann", "bob"} {
			from := fmt.Sprintf("127.0.9.%d", 1+2*i+j)
			nc, err := s.connect(ctx, from, fmt.Sprintf("room/calm%d", i), client.Options{
				Methods: map[string]func(amf.Args) (amf.Value, error){"message": p.hear(nick)},
			}, amf.String(nick))
			if err != nil {
				cancel()
				t.Fatalf("people cannot come in: %v", err)
			}
			p.wg.Go(func() { p.talk(ctx, nc, fmt.Sprintf("%s in %d", nick, i)) })
		}
	}
	return p
}

// hear takes a message of a room.
func (p *people) hear(nick string) func(amf.Args) (amf.Value, error) {
	return func(args amf.Args) (amf.Value, error) {
		text, _ := amf.AsString(amf.Lookup(args.At(0), "text"))
		from, _ := amf.AsString(amf.Lookup(amf.Lookup(args.At(0), "user"), "nick"))
		if from != nick {
			p.mu.Lock()
			delete(p.said, text)
			p.mu.Unlock()
		}
		return nil, nil
	}
}

// talk says something again and again.
func (p *people) talk(ctx context.Context, nc *client.NetConnection, who string) {
	defer nc.Close()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-nc.Done():
			p.fail(fmt.Errorf("%s was thrown out: %w", who, nc.Err()))
			return
		case <-time.After(1100 * time.Millisecond):
		}
		text := fmt.Sprintf("%s, number %d", who, i)
		p.mu.Lock()
		p.said[text] = true
		p.mu.Unlock()
		began := time.Now()
		call, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		_, err := nc.Call(call, "say", amf.String(text))
		cancel()
		if err != nil {
			p.fail(fmt.Errorf("%s cannot talk: %w", who, err))
			return
		}
		p.mu.Lock()
		p.waits = append(p.waits, time.Since(began))
		p.mu.Unlock()
	}
}

func (p *people) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lost == nil {
		p.lost = err
	}
}

// sendHome ends the talk, and returns how long it took until a message was
// stored, at the 99th percentile.
func (p *people) sendHome() (p99 time.Duration) {
	p.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for p.unheard() > 0 && time.Now().Before(deadline) {
		time.Sleep(20 * time.Millisecond)
	}
	p.cancel()
	p.wg.Wait()
	if p.lost != nil {
		p.t.Error(p.lost)
	}
	if n := p.unheard(); n > couples { // one message of each may have been on its way
		p.t.Errorf("%d messages were not heard by the other one", n)
	}
	if len(p.waits) == 0 {
		p.t.Error("nobody said anything")
		return 0
	}
	slices.Sort(p.waits)
	return p.waits[(len(p.waits)-1)*99/100]
}

func (p *people) unheard() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.said)
}
