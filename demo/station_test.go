package demo

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// A station leaves the room to a person who broadcasts there already, and to
// one who comes later. It is back when they have gone.
func TestStationGivesWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		host, stop := start(t, n)
		person := func() *running {
			return run(t, &Broadcast{URL: "rtmp://h/room/blue", Stream: "live?key=key-blue", dial: n.dial})
		}
		here := func(r *running, when string) {
			t.Helper()
			select {
			case err := <-r.ended:
				t.Fatalf("%s, the person's broadcast ended: %v", when, err)
			default:
			}
		}
		leave := func(r *running) {
			t.Helper()
			r.cancel()
			if err := <-r.ended; err != nil {
				t.Error(err)
			}
		}
		one := person()
		time.Sleep(5 * time.Second)
		s := &station{url: "rtmp://h/room/blue", room: "blue", key: keyNow, dial: n.dial, log: slog.New(slog.NewTextHandler(t.Output(), nil))}
		r := &running{ended: make(chan error, 1)}
		ctx, cancel := context.WithCancel(t.Context())
		r.cancel = cancel
		go func() { s.run(ctx); r.ended <- nil }()
		time.Sleep(time.Minute)
		here(one, "after a minute")
		leave(one)
		time.Sleep(refusedPause + 2*time.Second)
		if host.Stream("room/blue", "live") == nil {
			t.Error("the station did not begin")
		}
		two := person()
		time.Sleep(5 * time.Minute)
		here(two, "after taking over")
		leave(two)
		time.Sleep(refusedPause + 2*time.Second)
		if host.Stream("room/blue", "live") == nil {
			t.Error("the station did not come back")
		}
		leave(r)
		stop()
	})
}

// A room that refuses is asked again now and then, not in a hurry.
func TestStationRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		host, stop := start(t, n)
		s := &station{url: "rtmp://h/room/blue", room: "blue", key: func(context.Context, string) (string, error) { return "old key", nil }, dial: n.dial, log: slog.New(slog.NewTextHandler(t.Output(), nil))}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); s.run(ctx) }()
		time.Sleep(time.Minute)
		if host.Stream("room/blue", "live") != nil {
			t.Error("published with a wrong key")
		}
		cancel()
		<-ended
		stop()
	})
}

// The rooms with pictures are rooms of the demo.
func TestOnAir(t *testing.T) {
	for _, name := range onAir {
		if !slices.Contains(names, name) {
			t.Errorf("%s is no room of the demo", name)
		}
	}
	if len(onAir) < 2 || len(onAir) >= len(names) {
		t.Errorf("%d rooms have pictures", len(onAir))
	}
}
