package guard

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// sleeper is a Peer that notes when it is woken.
type sleeper struct{ woken bool }

func (s *sleeper) SetReadDeadline(time.Time) error { s.woken = true; return nil }

func TestBudgetShedsTheWorst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := Budget{Max: 1 << 20}
		var old, large, honest, tiny Share
		var oldPeer, largePeer, honestPeer sleeper
		hold := func(s *Share, n int, p Peer) {
			t.Helper()
			if err := b.Hold(s, n, p); err != nil {
				t.Fatalf("holding %d: %v", n, err)
			}
		}
		hold(&old, 400<<10, &oldPeer)
		time.Sleep(5 * time.Second)
		hold(&large, 500<<10, &largePeer)
		time.Sleep(100 * time.Millisecond)
		hold(&tiny, 100, nil)
		hold(&honest, 200<<10, &honestPeer) // more than there is: the one that holds longest has to go
		if !oldPeer.woken || largePeer.woken || honestPeer.woken {
			t.Errorf("woken: old %v, large %v, honest %v", oldPeer.woken, largePeer.woken, honestPeer.woken)
		}
		if err := b.Hold(&old, 401<<10, &oldPeer); !errors.Is(err, ErrBudget) || !b.Over(&old) {
			t.Errorf("the worst one holds more: %v", err)
		}
		if got, want := b.Used(), int64(700<<10+100); got != want {
			t.Errorf("used %d, want %d: what has to go no longer counts", got, want)
		}
		for _, s := range []*Share{&old, &large, &honest, &tiny} {
			b.Release(s)
		}
		if b.Used() != 0 || len(b.listed) != 0 {
			t.Errorf("used %d with %d listed when all have gone", b.Used(), len(b.listed))
		}
	})
}

// TestBudgetOfMany: when nobody holds much, the peer that asks has to go.
func TestBudgetOfMany(t *testing.T) {
	b := Budget{Max: 100 << 10}
	shares := make([]Share, 11)
	for i := range shares[:10] {
		if err := b.Hold(&shares[i], 10<<10, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Hold(&shares[10], 10<<10, nil); !errors.Is(err, ErrBudget) {
		t.Errorf("one more: %v", err)
	}
	if err := b.Hold(&shares[0], 0, nil); err != nil {
		t.Error(err)
	}
	if err := b.Hold(&shares[10], 10<<10, nil); err != nil {
		t.Errorf("when there is room again: %v", err)
	}
}

func TestBudgetConcurrently(t *testing.T) {
	b := Budget{Max: 1 << 20}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 200 {
				var s Share
				for n := range 20 {
					if b.Hold(&s, (n*(i+j)*997)%(200<<10), &deaf{}) != nil {
						break
					}
				}
				b.Release(&s)
			}
		})
	}
	wg.Wait()
	if b.Used() != 0 || len(b.listed) != 0 {
		t.Errorf("used %d with %d listed in the end", b.Used(), len(b.listed))
	}
}

// deaf is a Peer that is not woken; its next Hold tells it.
type deaf struct{}

func (*deaf) SetReadDeadline(time.Time) error { return nil }
