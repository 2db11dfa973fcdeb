package guard

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

func TestAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
		var g Guard
		if g.Ask(one, 2*AnswerBurst) != nil {
			t.Error("the zero Guard limits answers")
		}
		g.Set(Limits{Exempt: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
		asked := 0
		for g.Ask(one, 4<<10) == nil {
			asked++
		}
		if want := AnswerBurst / (4 << 10); asked < want-1 || asked > want+1 {
			t.Errorf("%d small answers at once, want %d", asked, want)
		}
		if r := g.Ask(one, 4<<10); r == nil || r.Limit != "answers" || r.RetryAfter < time.Second {
			t.Errorf("got %+v", r)
		}
		if g.Ask(other, 4<<10) != nil || g.Ask(netip.MustParseAddr("127.0.0.1"), 4<<10) != nil {
			t.Error("another address, or an exempt one, waits")
		}
		time.Sleep(10 * time.Second)
		g.Answered(one, 30<<20) // was sent, whatever it cost
		if r := g.Ask(one, 1); r == nil || r.RetryAfter < 19*time.Second || r.RetryAfter > 21*time.Second {
			t.Errorf("after a large answer: %+v", r)
		}
		time.Sleep(21 * time.Second)
		if r := g.Ask(one, 1); r != nil {
			t.Errorf("later: %+v", r)
		}
		time.Sleep(time.Hour)
		if n := g.Known(); n != 0 {
			t.Errorf("%d addresses are remembered for ever", n)
		}
	})
}
