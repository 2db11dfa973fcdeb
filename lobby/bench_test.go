package lobby_test

import (
	"fmt"
	"log/slog"
	"testing"

	"foyer/lobby"
	"foyer/server"
	"foyer/server/amf"
)

// The lobby answers a report with news, from one of a thousand rooms. A thousand rooms
// without news send 200 reports a second.
func BenchmarkReport(b *testing.B) {
	h := &server.Host{Log: slog.New(slog.DiscardHandler)}
	h.Handle("lobby", func() server.Application { return lobby.New(lobby.Config{Secret: secret}) })
	b.Cleanup(func() { h.Stop(b.Context()) })
	var rooms []*server.Client
	for i := range 1000 {
		c, err := h.Connect(b.Context(), &peer{}, server.Request{
			Path: "lobby", Args: amf.Args{amf.String(fmt.Sprint("r", i)), amf.String(secret)},
		})
		if err != nil {
			b.Fatal(err)
		}
		rooms = append(rooms, c)
	}
	done := make(chan bool, 1)
	reply := func(amf.Value, error) { done <- true }
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n++
		s := full
		s.Users, s.Unlisted = n, false
		rooms[n%len(rooms)].ServeCall(lobby.MethodReport, amf.Args{s.Value()}, reply)
		<-done
	}
}
