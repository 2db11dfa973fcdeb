package lobby_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"foyer/lobby"
	"foyer/server/amf"
	"foyer/server/rtmp"
)

// trends returns the answer of trends().
func (p *peer) trends() lobby.Trends {
	p.t.Helper()
	v, err := p.call(lobby.MethodTrends)
	if err != nil {
		p.t.Fatal(err)
	}
	t := lobby.ParseTrends(v)
	if t.Step != 10_000 {
		p.t.Errorf("step: got %v", t.Step)
	}
	return t
}

func TestTrends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, lobby.Config{Secret: secret, AdminToken: token, StaleAfter: time.Hour})
		visitor, operator := must(t, h), must(t, h, amf.String("admin"), amf.String(token))
		is := func(who *peer, want map[string]string) {
			t.Helper()
			synctest.Wait()
			if d := cmp.Diff(want, who.trends().Rooms); d != "" {
				t.Error(d)
			}
		}
		time.Sleep(time.Minute)
		is(visitor, map[string]string{})
		blue := mustRoom(t, h, "blue", "n1")
		blue.report(lobby.Status{Activity: 1})
		is(visitor, map[string]string{}) // listed a moment ago
		time.Sleep(25 * time.Second)
		is(visitor, map[string]string{"blue": "zz"})
		if got, want := visitor.trends().At, float64(time.Now().Add(-5*time.Second).UnixMilli()); got != want {
			t.Errorf("at: got %v, want %v", got, want)
		}
		blue.report(lobby.Status{Activity: 0.5})
		red := mustRoom(t, h, "red", "n1")
		red.report(lobby.Status{Unlisted: true})
		time.Sleep(10 * time.Second)
		is(visitor, map[string]string{"blue": "zzi"})
		is(operator, map[string]string{"blue": "zzi", "red": "0"})
		blue.client.Leave(rtmp.ErrGoodbye)
		red.client.Leave(rtmp.ErrGoodbye)
		is(operator, map[string]string{})
		mustRoom(t, h, "blue", "n1") // whatever it was before
		time.Sleep(10 * time.Second)
		is(visitor, map[string]string{"blue": "0"})
	})
}

// Ten minutes are kept, however long a room is listed.
func TestTrendLength(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, lobby.Config{Secret: secret, StaleAfter: 24 * time.Hour})
		blue := mustRoom(t, h, "blue", "n1")
		blue.report(lobby.Status{Activity: 1})
		time.Sleep(time.Hour + lobby.TrendStep/2)
		blue.report(lobby.Status{})
		time.Sleep(time.Minute)
		synctest.Wait()
		if got, want := blue.trends().Rooms["blue"], strings.Repeat("z", lobby.TrendLength-6)+"000000"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// The samples of a thousand rooms fit well into a message of 128 KiB.
func TestTrendsOfThousand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, lobby.Config{Secret: secret, StaleAfter: 24 * time.Hour})
		for i := range 1000 {
			mustRoom(t, h, fmt.Sprint("room", i), "n1")
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		v, err := must(t, h).call(lobby.MethodTrends)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(amf.Append(nil, v)); n > 128<<10 {
			t.Errorf("%d bytes", n)
		}
	})
}

func TestParseTrends(t *testing.T) {
	v := amf.Object{{Name: "at", Value: amf.Number(math.Inf(1))}, {Name: "rooms", Value: amf.Object{
		{Name: "good", Value: amf.String("09az")}, {Name: "upper", Value: amf.String("A")}, {Name: "number", Value: amf.Number(1)},
		{Name: "long", Value: amf.String(long(lobby.TrendLength + 1))}, {Name: "longest", Value: amf.String(long(lobby.TrendLength))},
	}}}
	want := lobby.Trends{At: lobby.MaxWhole, Rooms: map[string]string{"good": "09az", "longest": long(lobby.TrendLength)}}
	if d := cmp.Diff(want, lobby.ParseTrends(v)); d != "" {
		t.Error(d)
	}
	for sample, want := range map[byte]float64{'0': 0, 'z': 1, 'a': 10. / 35, '-': 0} {
		if got := lobby.Activity(sample); got != want {
			t.Errorf("%c: got %v, want %v", sample, got, want)
		}
	}
}
