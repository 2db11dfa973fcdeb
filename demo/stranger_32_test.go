//go:build 386 || arm || mips || mipsle

package demo

import (
	"errors"
	"testing"
)

// A build that cannot broadcast says so, and opens no connection first.
func TestCannotBroadcast(t *testing.T) {
	if err := (&Broadcast{URL: "rtmp://127.0.0.1:1/room/blue"}).Run(t.Context()); !errors.Is(err, ErrCannot) {
		t.Errorf("got %v", err)
	}
}
