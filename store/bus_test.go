package store

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// TestAsk: a question goes to the node of that name. It fails at once if the
// node is gone, and in time if the node does not answer.
func TestAsk(t *testing.T) {
	t.Parallel()
	e := startExternal(t)
	a, b := e.node("a.example"), e.node("b")
	stop, err := a.Answer("size", func(question []byte) []byte { return bytes.Repeat(question, 2) })
	if err != nil {
		t.Fatal(err)
	}
	if err := a.nc().Flush(); err != nil {
		t.Fatal(err)
	}
	ask := func(node, question string) ([]byte, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		return b.Ask(ctx, node, "size", []byte(question))
	}
	if got, err := ask("a.example", "ab"); err != nil || string(got) != "abab" {
		t.Errorf("got %q, %v", got, err)
	}
	most := make([]byte, a.nc().MaxPayload())
	if got, err := ask("a.example", string(most[:len(most)/2])); err != nil || len(got) != len(most) {
		t.Errorf("the longest answer: %d bytes, %v", len(got), err)
	}
	if got, err := ask("a.example", string(most[:len(most)/2+1])); err != nil || len(got) != 0 {
		t.Errorf("a longer one: %d bytes, %v", len(got), err)
	}
	if _, err := ask("b", "ab"); !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("a node that answers nothing: %v", err)
	}
	stop()
	if err := a.nc().Flush(); err != nil {
		t.Fatal(err)
	}
	if _, err := ask("a.example", "ab"); !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("a node that does not answer any more: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Ask(ended, "b", "size", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("without time: %v", err)
	}
}
