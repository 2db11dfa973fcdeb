package web

import (
	"encoding/binary"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gorilla/websocket"
)

// TestFinishFrame tries the three forms of a length (RFC 6455 §5.2). In
// bridge_test.go, gorilla reads the frames.
func TestFinishFrame(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 65535, 65536, 200000} {
		b := finishFrame(websocket.TextMessage, append(startFrame(""), strings.Repeat("x", n)...))
		head, length := 2, int(b[1])
		switch b[1] {
		case 126:
			head, length = 4, int(binary.BigEndian.Uint16(b[2:]))
		case 127:
			head, length = 10, int(binary.BigEndian.Uint64(b[2:]))
		}
		if b[0] != 0x81 || length != n || len(b) != head+n || head == 4 && n < 126 || head == 10 && n < 1<<16 {
			t.Errorf("%d bytes: got header % x, %d bytes in all", n, b[:head], len(b))
		}
	}
}

func TestCloseFrame(t *testing.T) {
	b := closeFrame(1008, strings.Repeat("ü", 100))
	if text := b[4:]; len(b) > 2+maxControl || !utf8.Valid(text) || len(text) < maxControl-3 {
		t.Errorf("got %d bytes: %q", len(b), b)
	}
	if b := closeFrame(1000, "bye"); string(b) != "\x88\x05\x03\xe8bye" {
		t.Errorf("got %q", b)
	}
}
