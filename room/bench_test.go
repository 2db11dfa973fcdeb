package room_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"testing"

	"foyer/room"
	"foyer/server"
	"foyer/server/amf"
	"foyer/server/rtmp"
	"foyer/server/sharedobject"
)

// mute is a peer that ignores everything.
type mute struct{}

func (mute) Push(*server.Push) error                                   { return nil }
func (mute) Request(string, []amf.Value, func(amf.Value, error)) error { return rtmp.ErrClosed }
func (mute) Close(error)                                               {}

func benchHost(b *testing.B) *server.Host {
	h := &server.Host{Log: slog.New(slog.DiscardHandler)}
	h.Handle("room", func() server.Application { return room.New(config()) })
	b.Cleanup(func() { h.Stop(context.Background()) })
	return h
}

func benchCome(b *testing.B, h *server.Host, nick string) *server.Client {
	c, err := h.Connect(b.Context(), mute{}, server.Request{Path: "room/blue", Protocol: "rtmp", Addr: netip.MustParseAddrPort("127.0.0.1:1"), Args: amf.Args{amf.String(nick)}})
	if err != nil {
		b.Fatal(err)
	}
	return c
}

// BenchmarkCome has somebody come into a room of 100 people, and leave.
func BenchmarkCome(b *testing.B) {
	h := benchHost(b)
	for i := range 100 {
		c := benchCome(b, h, fmt.Sprint("user", i))
		c.ServeSharedObject(&sharedobject.Message{Name: room.ObjectUsers, Events: []sharedobject.Event{{Type: sharedobject.Use}}})
	}
	b.ReportAllocs()
	for b.Loop() {
		benchCome(b, h, "Marie").Leave(rtmp.ErrClosed)
	}
}

// BenchmarkSay has somebody come, say as much as is allowed at once, and leave.
func BenchmarkSay(b *testing.B) {
	h := benchHost(b)
	benchCome(b, h, "ann")
	done := make(chan error, 1)
	b.ReportAllocs()
	for b.Loop() {
		c := benchCome(b, h, "Marie")
		for range room.Burst {
			c.ServeCall("say", amf.Args{amf.String("hello everybody, how are you?")}, func(_ amf.Value, err error) { done <- err })
			if err := <-done; err != nil {
				b.Fatal(err)
			}
		}
		c.Leave(rtmp.ErrClosed)
	}
}
