package room

import (
	"net/netip"
	"testing"
	"time"
)

func TestActivity(t *testing.T) {
	now := time.Unix(1e9, 0)
	var a activity
	if got := a.level(now); got != 0 {
		t.Errorf("a new room: got %v", got)
	}
	for range 10 {
		a.message(now)
	}
	last := a.level(now)
	if last != 0.25 {
		t.Errorf("ten messages at once: got %v, want 0.25", last)
	}
	for i := range 15 {
		now = now.Add(time.Minute)
		level := a.level(now)
		if level > last {
			t.Errorf("after %d minutes: %v, before %v", i+1, level, last)
		}
		last = level
	}
	now = now.Add(time.Minute)
	if got := a.level(now); got != 0 {
		t.Errorf("after a quarter of an hour: got %v", got)
	}
	for range 600 {
		now = now.Add(time.Second)
		a.message(now)
	}
	if got := a.level(now); got < 0.8 || got > 0.9 {
		t.Errorf("a message a second: got %v", got)
	}
	now = now.Add(time.Hour)
	a.hold(heatPublish, now)
	if got := a.level(now); got < 0.3 || got > 0.4 {
		t.Errorf("publishing: got %v", got)
	}
	if got := a.level(now.Add(-time.Hour)); got < 0 || got > 1 {
		t.Errorf("a clock that goes back: got %v", got)
	}
}

func TestMessagesPerMinute(t *testing.T) {
	now := time.Unix(1e9, 0)
	var a activity
	for range 90 {
		a.message(now)
		a.message(now)
		now = now.Add(time.Second)
	}
	now = now.Add(-time.Second)
	if got := a.perMinute(now); got != 120 {
		t.Errorf("got %v, want 120", got)
	}
	for wait, want := range map[time.Duration]float64{30 * time.Second: 60, 59 * time.Second: 2, time.Minute: 0, time.Hour: 0} {
		b := a
		if got := b.perMinute(now.Add(wait)); got != want {
			t.Errorf("after %v: got %v, want %v", wait, got, want)
		}
	}
	if got := a.perMinute(now.Add(-time.Hour)); got != 120 {
		t.Errorf("a clock that goes back: got %v", got)
	}
}

func TestRetryDelay(t *testing.T) {
	for attempts := 1; attempts < 100; attempts++ {
		longest := min(MinRetry<<min(attempts, 10), MaxRetry)
		var least, most time.Duration = time.Hour, 0
		for range 200 {
			d := retryDelay(attempts)
			least, most = min(least, d), max(most, d)
		}
		if least < MinRetry || most > longest {
			t.Errorf("attempt %d: between %v and %v", attempts, least, most)
		}
		if most-least < (longest-MinRetry)/2 {
			t.Errorf("attempt %d: no jitter, between %v and %v", attempts, least, most)
		}
	}
}

func TestSourcesAreBounded(t *testing.T) {
	var ss sources
	now := time.Unix(1e9, 0)
	addr := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}) }
	for i := range 3 * MaxSources {
		ss.of(addr(i), now, 0).speech.take(now, talking)
	}
	if n := len(ss.all); n > MaxSources {
		t.Errorf("%d addresses are remembered", n)
	}
	now = now.Add(time.Minute)
	for i := range 100 { // the others are rested
		ss.of(addr(i), now, 0).speech.take(now, talking)
	}
	if n := len(ss.all); n > 100+16 {
		t.Errorf("%d addresses are remembered when all but 100 are rested", n)
	}
	ss.of(addr(5), now, 0).spoke = now
	ss.forget(now.Add(30*time.Second), time.Minute)
	if n := len(ss.all); n != 1 {
		t.Errorf("%d addresses are remembered, of which one is slowed down", n)
	}
}

func TestReportInterval(t *testing.T) {
	for asked, want := range map[time.Duration]time.Duration{
		0: 5 * time.Second, time.Millisecond: MinReport, 7 * time.Second: 7 * time.Second, time.Hour: MaxReport,
	} {
		r := Room{link: link{interval: asked}}
		if got := r.reportPause(); got != want {
			t.Errorf("asked for %v: got %v, want %v", asked, got, want)
		}
	}
}
