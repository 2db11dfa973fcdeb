//go:build linux

package main

import (
	"io"
	"net"
	"sync"
	"syscall"
	"time"
)

// relayFloor only passes bytes on: those of a publisher ('p', number) go to its
// players ('v', number), every pause, in one write each.
func relayFloor(ln net.Listener, pause time.Duration) error {
	f := &floorStreams{}
	go func() { // ends with the process
		for nc, err := ln.Accept(); err == nil; nc, err = ln.Accept() {
			go f.add(nc)
		}
	}()
	for range time.Tick(pause) {
		f.write()
	}
	return nil
}

type floorStreams struct {
	mu      sync.Mutex
	streams [256]floorStream
}

type floorStream struct {
	log     []byte
	players []floorPlayer
}

type floorPlayer struct {
	raw  syscall.RawConn
	rest []byte // bytes that there was no room for
}

func (f *floorStreams) add(nc net.Conn) {
	var hello [2]byte
	if _, err := io.ReadFull(nc, hello[:]); err != nil {
		return
	}
	s := &f.streams[hello[1]]
	if hello[0] == 'v' {
		raw, _ := nc.(*net.TCPConn).SyscallConn()
		f.mu.Lock()
		defer f.mu.Unlock()
		s.players = append(s.players, floorPlayer{raw: raw})
		return
	}
	buf := make([]byte, 256<<10)
	for {
		n, err := nc.Read(buf)
		if err != nil {
			return
		}
		f.mu.Lock()
		s.log = append(s.log, buf[:n]...)
		f.mu.Unlock()
	}
}

// write gives every player all bytes since the last time. A player that joins
// late may begin within a message, so players of a floor must be there from the
// start.
func (f *floorStreams) write() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.streams {
		s := &f.streams[i]
		if len(s.log) == 0 {
			continue
		}
		for k := range s.players {
			p := &s.players[k]
			b := s.log
			if len(p.rest) > 0 {
				b = append(p.rest, b...)
			}
			p.raw.Write(func(fd uintptr) bool {
				n, _ := syscall.Write(int(fd), b)
				p.rest = append([]byte(nil), b[max(n, 0):]...)
				return true
			})
		}
		s.log = s.log[:0]
	}
}
