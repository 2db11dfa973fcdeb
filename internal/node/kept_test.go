package node

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"

	"foyer/room"
	"foyer/store"
)

// TestStoreIsAsMemory does the same things at random to a room in the store and
// to one in memory, which has to tell the same of it: rooms are tested with the
// one, and live with the other.
func TestStoreIsAsMemory(t *testing.T) {
	for seed, history := range []int{20, 1000} {
		t.Run(fmt.Sprint(history), func(t *testing.T) {
			c, err := store.Open(t.Context(), store.Config{
				Dir: t.TempDir(), Node: "test", Sync: store.Second, History: history, HistoryAge: 1 << 50, Log: slog.New(slog.DiscardHandler),
			})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			store := Node{store: c}
			memory := room.Memory{History: history}
			p := &pair{t: t, rnd: rand.New(rand.NewPCG(uint64(seed), 1)), full: history < 600}
			p.open(store.openRoom, memory.Open)
			for range 600 {
				switch n := p.rnd.IntN(100); {
				case n < 55:
					p.append()
				case n < 58:
					p.appendNothing()
				case n < 65:
					p.remove()
				case n < 97:
					p.page()
				default:
					p.open(store.openRoom, memory.Open)
				}
			}
			p.close()
		})
	}
}

// pair is a room in two places.
type pair struct {
	t     *testing.T
	rnd   *rand.Rand
	rooms []room.Store
	last  uint64
	full  bool // more is said than is kept
}

type opener = func(context.Context, string, func([]byte)) (room.Store, error)

func (p *pair) close() {
	for _, r := range p.rooms {
		r.Close()
	}
	p.rooms = nil
}

// open opens both, also again, and compares what they begin with.
func (p *pair) open(openers ...opener) {
	p.t.Helper()
	p.close()
	for _, open := range openers {
		r, err := open(p.t.Context(), "blue", func(m []byte) { p.t.Errorf("found %s", m) })
		if err != nil {
			p.t.Fatal(err)
		}
		p.rooms = append(p.rooms, r)
	}
	p.same("newest", func(r room.Store) string { return fmt.Sprintf("%s last %d state %s", r.Newest(), r.Last(), r.State()) })
	p.same("saving", func(r room.Store) string {
		done := make(chan error, 1)
		r.Save(fmt.Appendf(nil, `{"last":%d}`, p.last), func(err error) { done <- err })
		return fmt.Sprint(<-done)
	})
}

// same does something to both and compares what comes of it.
func (p *pair) same(what string, do func(room.Store) string) {
	p.t.Helper()
	if got, want := do(p.rooms[0]), do(p.rooms[1]); got != want {
		p.t.Fatalf("%s: the store says\n%s\nand the memory\n%s", what, got, want)
	}
}

func (p *pair) appendNothing() {
	p.same("append nothing", func(r room.Store) string {
		done := make(chan string, 1)
		r.Append(func(uint64) []byte { return nil }, func(id uint64, err error) { done <- fmt.Sprint(id, err != nil) })
		return <-done
	})
}

func (p *pair) append() {
	p.last++
	p.same("append", func(r room.Store) string {
		done := make(chan string, 1)
		r.Append(func(id uint64) []byte { return fmt.Appendf(nil, `{"id":%d}`, id) }, func(id uint64, err error) { done <- fmt.Sprint(id, err) })
		return <-done
	})
}

func (p *pair) remove() {
	id := p.last + 1 - min(p.last, p.rnd.Uint64N(30))
	if p.full && id == p.last {
		return // the store puts a mark in its place, which counts as one message
	}
	p.same(fmt.Sprint("removing ", id), func(r room.Store) string {
		done := make(chan string, 1)
		r.Remove(id, func(found bool, err error) { done <- fmt.Sprint(found, err) })
		return <-done
	})
}

func (p *pair) page() {
	after, before, limit := int64(-1), int64(-1), 1+p.rnd.IntN(room.MaxLimit)
	if p.rnd.IntN(2) == 0 {
		after = p.rnd.Int64N(int64(p.last) + 2)
	}
	if p.rnd.IntN(3) == 0 {
		before = p.rnd.Int64N(int64(p.last) + 3)
	}
	p.same(fmt.Sprintf("page after %d before %d limit %d", after, before, limit), func(r room.Store) string {
		messages, complete, more, err := r.Page(p.t.Context(), after, before, limit)
		return fmt.Sprintf("%s complete %v more %v, %v", messages, complete, more, err)
	})
}
