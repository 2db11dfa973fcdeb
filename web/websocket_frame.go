package web

import (
	"encoding/binary"

	"github.com/gorilla/websocket"
)

// maxHeader is the longest header of a frame that is not masked (RFC 6455 §5.2).
const maxHeader = 10

// startFrame starts a frame: space for the header, then text.
func startFrame(text string) []byte {
	return append(make([]byte, maxHeader, 256), text...)
}

// finishFrame puts the header before the payload that was appended after
// startFrame, and returns the whole frame. A server does not mask its frames, so the
// same bytes are good for every peer.
func finishFrame(opcode int, b []byte) []byte {
	n := len(b) - maxHeader
	start := maxHeader - 2
	switch {
	case n >= 1<<16:
		start = 0
		b[1] = 127
		binary.BigEndian.PutUint64(b[2:], uint64(n))
	case n > maxControl:
		start = maxHeader - 4
		b[start+1] = 126
		binary.BigEndian.PutUint16(b[start+2:], uint16(n))
	default:
		b[start+1] = byte(n)
	}
	b[start] = 0x80 | byte(opcode) // first and last fragment
	return b[start:]
}

// maxControl is the longest payload of a control frame (RFC 6455 §5.5).
const maxControl = 125

func controlFrame(opcode int, payload []byte) []byte {
	return finishFrame(opcode, append(startFrame(""), payload[:min(len(payload), maxControl)]...))
}

// closeFrame says why the socket ends. A text that is too long is cut.
func closeFrame(code int, text string) []byte {
	if n := maxControl - 2; len(text) > n {
		for text[n]&0xC0 == 0x80 { // not in the middle of a character
			n--
		}
		text = text[:n]
	}
	return controlFrame(websocket.CloseMessage, websocket.FormatCloseMessage(code, text))
}
