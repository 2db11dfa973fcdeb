package web

import (
	"fmt"
	"io"
	"net"
	"testing"

	"foyer/lobby"
	"foyer/server"
	"foyer/server/amf"
	"foyer/server/sharedobject"
)

func change() *sharedobject.Message {
	e := lobby.Entry{Name: "blue", State: "live", Since: 1790000000000, Status: lobby.Status{
		Epoch: 1790000000000, Seq: 17, Title: "The blue room", Topic: "What are you reading?", Tags: []string{"books", "tea"},
		Users: 12, Spectators: 3, MessagesPerMinute: 7, Activity: 0.42, LastActive: 1790000100000, Capacity: 1000,
		Streams: []string{}, Node: "n1", RTMP: "rtmp://n1.example/room/blue", HTTP: "http://n1.example/room/blue",
	}}
	return &sharedobject.Message{Name: "rooms", Version: 12345, Events: []sharedobject.Event{
		{Type: sharedobject.Change, Slot: "blue", Value: e.Value()},
	}}
}

// BenchmarkEncodeChange is a lobby entry as a frame.
func BenchmarkEncodeChange(b *testing.B) {
	p := &server.Push{SharedObject: change()}
	b.ReportAllocs()
	for b.Loop() {
		b.SetBytes(int64(len(encodePush(p))))
	}
}

// BenchmarkChangeTo100 is one change of the lobby's list written to 100 pages
// over loopback TCP: encoded once.
func BenchmarkChangeTo100(b *testing.B) {
	const pages = 100
	th := newTheatre(b)
	for range pages {
		p := th.join(b)
		nc := p.conn.NetConn()
		go func() { io.Copy(io.Discard, nc) }() // ends with the connection
	}
	sockets := make([]*socket, 0, pages)
	th.handler.bridge.mu.Lock()
	for s := range th.handler.bridge.sockets {
		sockets = append(sockets, s)
	}
	th.handler.bridge.mu.Unlock()
	m := change()
	b.ReportAllocs()
	for b.Loop() {
		p := &server.Push{SharedObject: m}
		for _, s := range sockets {
			s.Push(p)
		}
		for _, s := range sockets {
			s.writer.Wait()
		}
	}
}

// BenchmarkWriteTo100 is the floor for BenchmarkChangeTo100: it writes the same bytes to
// as many connections in a loop.
func BenchmarkWriteTo100(b *testing.B) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	var conns []net.Conn
	for range 100 {
		there, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		here, err := ln.Accept()
		if err != nil {
			b.Fatal(err)
		}
		defer there.Close()
		defer here.Close()
		go func() { io.Copy(io.Discard, there) }() // ends with the connection
		conns = append(conns, here)
	}
	frame := encodePush(&server.Push{SharedObject: change()})
	for b.Loop() {
		for _, c := range conns {
			if _, err := c.Write(frame); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// TestEncodedOnce: a change is encoded once for all pages, which get the same bytes.
func TestEncodedOnce(t *testing.T) {
	p := &server.Push{SharedObject: change()}
	first := p.Bytes(server.JSON, encodePush)
	if again := p.Bytes(server.JSON, func(*server.Push) []byte { panic("twice") }); again != first {
		t.Error("other bytes")
	}
}

// BenchmarkParseCall parses a chat message.
func BenchmarkParseCall(b *testing.B) {
	text := []byte(`{"type":"call","id":7,"method":"say","args":["` + fmt.Sprintf("%0100d", 7) + `"]}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parseFrame(text); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkHistory encodes a page of 50 messages as JSON.
func BenchmarkHistory(b *testing.B) {
	var messages amf.StrictArray
	for i := range 50 {
		messages = append(messages, amf.Object{
			{Name: "id", Value: amf.Number(i)}, {Name: "at", Value: amf.Number(1790000000000 + float64(i))},
			{Name: "user", Value: amf.Object{{Name: "id", Value: amf.String("u7")}, {Name: "nick", Value: amf.String("ann")}, {Name: "role", Value: amf.String("user")}}},
			{Name: "text", Value: amf.String("Good evening, everybody. How was the day?")},
		})
	}
	b.ReportAllocs()
	for b.Loop() {
		b.SetBytes(int64(len(appendValue(nil, messages))))
	}
}
