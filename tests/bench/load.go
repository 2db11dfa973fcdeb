//go:build linux

package main

import (
	"encoding/binary"
	"io"
	"net"
	"sync"
	"time"

	"foyer/server/amf"
	"foyer/server/rtmp"
)

// The stream: 30 pictures a second, a key frame every 2 s, and sound as in AAC.
const (
	frameTime  = time.Second / 30
	soundTime  = time.Second * 1024 / 44100
	keyEvery   = 60
	keySize    = 60000
	frameSize  = 9400
	soundSize  = 370
	tagSize    = 5 + 4        // tag, length of the NAL unit
	markerSize = tagSize + 12 // and the time it was sent, and its number
)

// clockBegan is the origin of the times in the messages.
var clockBegan = time.Now()

// load has the publishers and players of one measurement.
type load struct {
	p       *process
	viewers []*viewer
	conns   []net.Conn
	running sync.WaitGroup
}

// close ends everything and waits for it.
func (l *load) close() {
	for _, c := range l.conns {
		c.Close()
	}
	l.running.Wait()
}

// startStream connects over nc, and sends cmd on its message stream 1.
func startStream(nc net.Conn, app, cmd string, args ...amf.Value) (*conn, error) {
	c, err := connect(nc, app)
	if err != nil {
		return nil, err
	}
	nc.Write(command(0, "createStream", 2))
	if err := c.await(amf.String("_result")); err != nil {
		return nil, err
	}
	_, err = nc.Write(command(1, cmd, 3, args...))
	return c, err
}

func (l *load) publishAll(n int) error {
	for i := range n {
		if err := l.publish(i); err != nil {
			return err
		}
	}
	return nil
}

// publish starts a publisher.
func (l *load) publish(i int) error {
	nc, err := net.Dial("tcp", l.p.rtmp)
	if err != nil {
		return err
	}
	l.conns = append(l.conns, nc)
	if l.p.name == "floor" {
		nc.Write([]byte{'p', byte(i)})
		l.running.Go(func() { send(nc, i) })
		return nil
	}
	app, stream := l.p.names(i)
	name, err := l.p.publishName(app, stream)
	if err != nil {
		return err
	}
	c, err := startStream(nc, app, "publish", amf.String(name), amf.String("live"))
	if err != nil {
		return err
	}
	if err := c.await(amf.String("onStatus")); err != nil {
		return err
	}
	l.running.Go(func() { send(nc, i) })
	l.running.Go(func() { c.drain(func(int) {}) })
	return nil
}

// send publishes until the connection is closed.
func send(w io.Writer, seed int) {
	video := rtmp.Message{Type: rtmp.TypeVideo, StreamID: 1, Payload: []byte(avcHeader)}
	sound := rtmp.Message{Type: rtmp.TypeAudio, StreamID: 1, Payload: []byte("\xaf\x00\x12\x10")}
	if _, err := w.Write(rtmp.Pack(video, sound)); err != nil {
		return
	}
	began := time.Now()
	var frames, sounds uint32
	rest := make([]byte, 2*keySize)
	for i := range rest {
		rest[i] = byte(i*7 + i>>8)
	}
	for {
		at := min(time.Duration(frames)*frameTime, time.Duration(sounds)*soundTime)
		time.Sleep(time.Until(began.Add(at + time.Duration(seed)*time.Millisecond)))
		m := rtmp.Message{Type: rtmp.TypeAudio, StreamID: 1, Timestamp: uint32(at / time.Millisecond)}
		if time.Duration(sounds)*soundTime == at {
			m.Payload = marked("\xaf\x01\x00\x00\x00", sounds, rest[:soundSize])
			sounds++
		} else {
			m.Type = rtmp.TypeVideo
			m.Payload = marked("\x27\x01\x00\x00\x00", frames, rest[:frameSize*(70+int(frames*37%60))/100])
			if frames%keyEvery == 0 {
				m.Payload = marked("\x17\x01\x00\x00\x00", frames, rest[:keySize])
			}
			frames++
		}
		if _, err := w.Write(rtmp.Pack(m)); err != nil {
			return
		}
	}
}

// avcHeader is the configuration of a decoder for 1920x1080, which a remux
// needs.
const avcHeader = "\x17\x00\x00\x00\x00\x01\x42\xc0\x28\xff\xe1\x00\x19\x67\x42\xc0\x28\xd9\x00\x78\x02\x27\xe5\x84\x00\x00\x03\x00\x04" +
	"\x00\x00\x03\x00\xf0\x3c\x60\xc9\x20\x01\x00\x04\x68\xcb\x8c\xb2"

// marked makes a payload that has the time of sending in it. A picture is one
// NAL unit.
func marked(tag string, number uint32, rest []byte) []byte {
	b := append(make([]byte, 0, markerSize+len(rest)), tag...)
	b = binary.BigEndian.AppendUint32(b, uint32(markerSize-tagSize+len(rest)))
	b = binary.BigEndian.AppendUint64(b, uint64(time.Since(clockBegan)))
	b = binary.BigEndian.AppendUint32(b, number)
	return append(b, rest...)
}

// playAll starts the players of all publishers.
func (l *load) playAll(publishers, players int) error {
	const parallel = 10
	all := make([]*viewer, publishers*players)
	err := inParallel(parallel, func(k int) error {
		for i := k; i < len(all); i += parallel {
			v, err := l.open(i % publishers)
			if err != nil {
				return err
			}
			all[i] = v
		}
		return nil
	})
	for _, v := range all {
		if v != nil {
			l.viewers, l.conns = append(l.viewers, v), append(l.conns, v)
		}
	}
	if err != nil {
		return err
	}
	for _, v := range l.viewers {
		l.running.Go(v.run)
	}
	return nil
}

// open starts one player without reading from it.
func (l *load) open(publisher int) (*viewer, error) {
	nc, err := net.Dial("tcp", l.p.rtmp)
	if err != nil {
		return nil, err
	}
	if l.p.name == "floor" {
		nc.Write([]byte{'v', byte(publisher)})
		return &viewer{Conn: nc, chunk: rtmp.ChunkSize}, nil
	}
	app, name := l.p.names(publisher)
	v := &viewer{Conn: nc, chunk: 128, handshake: 1 + 2*1536}
	_, err = startStream(v, app, "play", amf.String(name), amf.Number(-1000))
	v.asked = time.Now()
	return v, err
}

func (l *load) bytes() (n int64) {
	for _, v := range l.viewers {
		n += v.bytes.Load()
	}
	return n
}

func (l *load) reset() {
	for _, v := range l.viewers {
		v.mu.Lock()
		v.seen, v.gaps = [len(v.seen)]uint32{}, 0
		v.mu.Unlock()
	}
}

// delays returns percentiles of all messages since reset, and the gaps. A
// player that lost its connection counts as a gap, too.
func (l *load) delays() (p50, p99 time.Duration, gaps int) {
	var sum [len(viewer{}.seen)]uint32
	total := uint32(0)
	for _, v := range l.viewers {
		v.mu.Lock()
		for i, n := range v.seen {
			sum[i] += n
			total += n
		}
		gaps += v.gaps
		if v.ended {
			gaps++
		}
		v.mu.Unlock()
	}
	at := func(part uint32) time.Duration {
		n := uint32(0)
		for i := range sum {
			if n += sum[i]; uint64(n) >= uint64(total)*uint64(part)/100 {
				return time.Duration(i) * delayStep
			}
		}
		return 0
	}
	return at(50), at(99), gaps
}
