//go:build linux

package main

import (
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"foyer/server/rtmp"
)

const (
	delayStep      = 200 * time.Microsecond
	firstFrameWait = 10 * time.Second
)

// A viewer is a player that only looks at the beginnings of messages: to put
// them together would cost more than it costs a server to send them. It is the
// connection under a conn until play is sent, and is read alone from then on.
type viewer struct {
	net.Conn
	asked time.Time
	bytes atomic.Int64

	// owned by whoever reads
	handshake int // bytes of it that are left
	chunk     int
	head      []byte // of the chunk, as far as it has been read
	current   *lane
	left      int // of the chunk
	lanes     [64]*lane
	next      [2]uint32 // number of the next message: audio, video
	frames    int

	mu    sync.Mutex
	seen  [5000]uint32 // messages by delay
	gaps  int
	ended bool
}

// lane is a viewer's state of a chunk stream.
type lane struct {
	length, got int
	kind        rtmp.MessageType
	marker      [markerSize]byte
}

func (v *viewer) run() {
	buf := make([]byte, 64<<10)
	for {
		if _, err := v.Read(buf); err != nil {
			return
		}
	}
}

// Read implements net.Conn, and looks at what it has read.
func (v *viewer) Read(b []byte) (int, error) {
	n, err := v.Conn.Read(b)
	v.bytes.Add(int64(n))
	v.mu.Lock()
	defer v.mu.Unlock()
	skip := min(v.handshake, n)
	v.handshake -= skip
	v.feed(b[skip:n], time.Since(clockBegan))
	v.ended = err != nil
	return n, err
}

// firstFrame reads up to the first picture.
func (v *viewer) firstFrame() (time.Duration, error) {
	buf := make([]byte, 64<<10)
	v.SetReadDeadline(time.Now().Add(firstFrameWait))
	for v.frames == 0 {
		if _, err := v.Read(buf); err != nil {
			return 0, errors.New("no picture came")
		}
	}
	return time.Since(v.asked), nil
}

func (v *viewer) feed(b []byte, now time.Duration) {
	for len(b) > 0 {
		if v.left == 0 {
			v.head = append(v.head, b[0])
			b = b[1:]
			v.begin()
		}
		n := min(v.left, len(b))
		if n == 0 {
			continue
		}
		if l := v.current; l.got < markerSize {
			copy(l.marker[l.got:], b[:n])
		}
		v.current.got += n
		v.left -= n
		b = b[n:]
		if v.current.got == v.current.length {
			v.message(v.current, now)
			v.current.got = 0
		}
	}
}

// begin checks whether the header of a chunk is complete.
func (v *viewer) begin() {
	h := v.head
	if len(h) < 1+[4]int{11, 7, 3, 0}[h[0]>>6] {
		return
	}
	id := h[0] & 63
	if v.lanes[id] == nil {
		v.lanes[id] = new(lane)
	}
	l := v.lanes[id]
	if h[0]>>6 < 2 {
		l.length, l.kind = int(h[4])<<16|int(h[5])<<8|int(h[6]), rtmp.MessageType(h[7])
	}
	v.head = h[:0]
	v.current, v.left = l, min(v.chunk, l.length-l.got)
}

// message notes the delay of a message, and whether one is missing.
func (v *viewer) message(l *lane, now time.Duration) {
	if l.kind == rtmp.TypeSetChunkSize {
		v.chunk = int(binary.BigEndian.Uint32(l.marker[:]))
	}
	if l.kind != rtmp.TypeAudio && l.kind != rtmp.TypeVideo || l.length < 100 {
		return
	}
	kind := l.kind - rtmp.TypeAudio
	v.frames += int(kind)
	number := binary.BigEndian.Uint32(l.marker[tagSize+8:])
	if v.next[kind] != 0 && v.next[kind] != number {
		v.gaps++
	}
	v.next[kind] = number + 1
	delay := now - time.Duration(binary.BigEndian.Uint64(l.marker[tagSize:]))
	v.seen[min(max(0, int(delay/delayStep)), len(v.seen)-1)]++
}
