package room_test

import (
	"context"
	"sync"
	"time"

	"foyer/room"
)

// vault is a Memory that can be slow, out of reach, or unsure.
type vault struct {
	room.Memory

	mu      sync.Mutex
	away    bool     // nothing is stored
	silent  bool     // messages are stored, but the answer says that they are not
	held    []func() // calls that wait for let; nil while nothing is held
	queue   []func() // calls in progress
	working bool
	pages   chan bool
	found   func([]byte)
	lost    [][]byte // messages that were stored while silent
	saves   int
	closed  int
	on      int // pages being read
	most    int
	broken  bool // it was used after Close
}

func (v *vault) Open(ctx context.Context, name string, found func([]byte)) (room.Store, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.away {
		return nil, errAway
	}
	v.found = found
	k, err := v.Memory.Open(ctx, name, found)
	return &box{k, v}, err
}

func (v *vault) set(f func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	f()
}

// hold makes all calls wait.
func (v *vault) hold() { v.set(func() { v.held = []func(){} }) }

// let does them.
func (v *vault) let() {
	var held []func()
	v.set(func() { held, v.held = v.held, nil })
	for _, f := range held {
		v.do(f)
	}
}

// do runs f now, or at the next let.
func (v *vault) do(f func()) {
	v.mu.Lock()
	if v.held != nil {
		v.held = append(v.held, f)
		v.mu.Unlock()
		return
	}
	v.queue = append(v.queue, f)
	if !v.working {
		v.working = true
		go v.work()
	}
	v.mu.Unlock()
}

// work does the calls in order, on a goroutine of its own.
func (v *vault) work() {
	for {
		v.mu.Lock()
		if len(v.queue) == 0 {
			v.working = false
			v.mu.Unlock()
			return
		}
		f := v.queue[0]
		v.queue = v.queue[1:]
		v.mu.Unlock()
		f()
	}
}

type box struct {
	room.Store
	v *vault
}

func (b *box) Save(state []byte, done func(error)) {
	b.v.do(func() {
		away := false
		b.v.set(func() { away = b.v.away; b.v.saves++ })
		if away {
			done(errAway)
			return
		}
		b.Store.Save(state, done)
	})
}

func (b *box) Append(message func(uint64) []byte, done func(uint64, error)) {
	b.v.do(func() {
		var away, silent bool
		b.v.set(func() { away, silent = b.v.away, b.v.silent })
		switch {
		case silent:
			b.Store.Append(func(id uint64) []byte {
				data := message(id)
				b.v.set(func() { b.v.lost = append(b.v.lost, data) })
				return data
			}, func(uint64, error) {})
			done(0, errAway)
		case away:
			done(0, errAway)
		default:
			b.Store.Append(message, done)
		}
	})
}

func (b *box) Remove(id uint64, done func(bool, error)) {
	b.v.do(func() {
		away := false
		b.v.set(func() { away = b.v.away })
		if away {
			done(false, errAway)
			return
		}
		b.Store.Remove(id, done)
	})
}

func (b *box) Page(ctx context.Context, after, before int64, limit int) ([][]byte, bool, bool, error) {
	b.v.mu.Lock()
	b.v.broken = b.v.broken || b.v.closed > 0
	b.v.on++
	b.v.most = max(b.v.most, b.v.on)
	gate, away := b.v.pages, b.v.away
	b.v.mu.Unlock()
	defer b.v.set(func() { b.v.on-- })
	if away {
		return nil, false, false, errAway
	}
	list, complete, more, err := b.Store.Page(ctx, after, before, limit)
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return nil, false, false, context.Cause(ctx)
		}
	}
	return list, complete, more, err
}

func (b *box) Close() {
	b.v.let()
	for working := true; working; { // all calls are answered
		time.Sleep(time.Millisecond)
		b.v.set(func() { working = b.v.working })
	}
	b.v.set(func() { b.v.broken = b.v.broken || b.v.on > 0; b.v.closed++ })
	b.Store.Close()
}
