package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"foyer/server/amf"
)

const (
	chatters = 1000
	says     = 30 // one a second
)

// chat compares one say a second in a room of 1,000 with a floor that writes
// the same bytes to as many sockets in a loop.
func chat(ctx context.Context, b *builder) error {
	var ratios []float64
	for range rounds {
		foyer, size, err := chatFoyer(ctx, b)
		if err != nil {
			return fmt.Errorf("foyer: %w", err)
		}
		floor, err := chatFloor(ctx, b, size)
		if err != nil {
			return fmt.Errorf("floor: %w", err)
		}
		ratios = append(ratios, foyer.Seconds()/floor.Seconds())
		fmt.Printf("%d messages to %d clients: foyer %v, floor %v of CPU (%d bytes a message)\n", says, chatters, foyer, floor, size)
	}
	fmt.Printf("median ratio foyer/floor %.2f\n", median(ratios))
	return nil
}

func chatFoyer(ctx context.Context, b *builder) (cpu time.Duration, size int64, err error) {
	p, err := b.foyer()
	if err != nil {
		return 0, 0, err
	}
	defer p.stop()
	p.app = "room/bench"
	conns := make([]*conn, 0, chatters)
	defer func() { closeAll(conns) }()
	for i := range chatters {
		c, err := dial(p.rtmp)
		if err != nil {
			return 0, 0, err
		}
		conns = append(conns, c)
		if err := c.connect(p.app, amf.String(fmt.Sprintf("chatter %d", i))); err != nil {
			return 0, 0, err
		}
	}
	if err := sleep(ctx, 3*time.Second); err != nil {
		return 0, 0, err
	}
	bytes := drain(conns)
	say := command("say", 0, amf.Null{}, amf.String("a sentence as people write them in a room, of some sixty characters"))
	before := p.cpu()
	for i := range says {
		if _, err := conns[i%chatters].Write(say); err != nil {
			return 0, 0, err
		}
		if err := sleep(ctx, time.Second); err != nil {
			return 0, 0, err
		}
	}
	return p.cpu() - before, bytes.Load() / says / chatters, nil
}

func chatFloor(ctx context.Context, b *builder, size int64) (time.Duration, error) {
	p, err := b.floor()
	if err != nil {
		return 0, err
	}
	defer p.stop()
	control, err := net.Dial("tcp", p.rtmp)
	if err != nil {
		return 0, err
	}
	defer control.Close()
	if _, err := control.Write([]byte{byte(size >> 8), byte(size)}); err != nil {
		return 0, err
	}
	var conns []*conn
	defer func() { closeAll(conns) }()
	for range chatters {
		nc, err := net.Dial("tcp", p.rtmp)
		if err != nil {
			return 0, err
		}
		conns = append(conns, &conn{Conn: nc})
	}
	drain(conns)
	if err := sleep(ctx, 3*time.Second); err != nil {
		return 0, err
	}
	before := p.cpu()
	if err := sleep(ctx, says*time.Second); err != nil {
		return 0, err
	}
	return p.cpu() - before, nil
}

// drain reads from the connections until they are closed, and counts the bytes.
func drain(conns []*conn) *atomic.Int64 {
	var n atomic.Int64
	for _, c := range conns {
		go func() { // ends when its connection is closed, which is before the process ends
			io.Copy(counter{&n}, c.Conn)
		}()
	}
	return &n
}

type counter struct{ n *atomic.Int64 }

func (c counter) Write(b []byte) (int, error) { c.n.Add(int64(len(b))); return len(b), nil }

// floor accepts connections at addr. With arguments it is a floor for streams
// (see relayfloor.go). Without, the first connection says how many bytes a
// message has, and all others are written a message once a second, in one loop.
func floor(addr string, args ...string) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	probe, err := ln.Accept() // start checks whether something listens
	if err != nil {
		return err
	}
	probe.Close()
	if len(args) == 2 {
		pause, err := time.ParseDuration(args[1])
		if err != nil {
			return err
		}
		return relayFloor(ln, pause)
	}
	control, err := ln.Accept()
	if err != nil {
		return err
	}
	var size [2]byte
	if _, err := io.ReadFull(control, size[:]); err != nil {
		return err
	}
	message := make([]byte, int(size[0])<<8|int(size[1]))
	var mu sync.Mutex
	var conns []net.Conn
	go func() { // ends with the process
		for nc, err := ln.Accept(); err == nil; nc, err = ln.Accept() {
			mu.Lock()
			conns = append(conns, nc)
			mu.Unlock()
		}
	}()
	for range time.Tick(time.Second) {
		mu.Lock()
		for _, nc := range conns {
			nc.Write(message)
		}
		mu.Unlock()
	}
	return nil
}
