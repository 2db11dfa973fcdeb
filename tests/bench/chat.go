//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
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
	conns := make([]*conn, 0, chatters)
	defer func() { closeAll(conns) }()
	for i := range chatters {
		c, err := dial(p.rtmp, "room/bench", amf.String(fmt.Sprintf("chatter %d", i)))
		if err != nil {
			return 0, 0, err
		}
		conns = append(conns, c)
	}
	if err := sleep(ctx, 3*time.Second); err != nil {
		return 0, 0, err
	}
	bytes := drain(conns)
	say := command(0, "say", 0, amf.String("a sentence as people write them in a room, of some sixty characters"))
	before := p.cpu()
	for i := range says {
		if _, err := conns[i%chatters].nc.Write(say); err != nil {
			return 0, 0, err
		}
		if err := sleep(ctx, time.Second); err != nil {
			return 0, 0, err
		}
	}
	return p.cpu() - before, bytes.Load() / says / chatters, nil
}

func chatFloor(ctx context.Context, b *builder, size int64) (time.Duration, error) {
	p, err := b.floor("chat", strconv.FormatInt(size, 10))
	if err != nil {
		return 0, err
	}
	defer p.stop()
	for range chatters {
		nc, err := net.Dial("tcp", p.rtmp)
		if err != nil {
			return 0, err
		}
		defer nc.Close()
		go io.Copy(io.Discard, nc) // ends when nc is closed
	}
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
		go c.drain(func(bytes int) { n.Add(int64(bytes)) }) // ends when its connection is closed, which is before the process ends
	}
	return &n
}

// floor accepts connections at addr. The floor "relay" is one for streams (see
// relayfloor.go). The floor "chat" writes a message of so many bytes to all of
// them once a second, in one loop.
func floor(addr, kind, value string) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	probe, err := ln.Accept() // start checks whether something listens
	if err != nil {
		return err
	}
	probe.Close()
	if kind == "relay" {
		pause, err := time.ParseDuration(value)
		if err != nil {
			return err
		}
		return relayFloor(ln, pause)
	}
	size, err := strconv.Atoi(value)
	if err != nil {
		return err
	}
	message := make([]byte, size)
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
