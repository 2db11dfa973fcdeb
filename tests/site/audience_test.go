package site

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"foyer/client"
	"foyer/demo"
	"foyer/server/amf"
	"foyer/server/rtmp"
)

// comeBack is how long people stay away whose connection has ended.
const comeBack = 500 * time.Millisecond

// An audience is people in rooms. In each room two people talk, two watch, one
// broadcasts, and one never leaves when asked to.
type audience struct {
	t          *testing.T
	viewers    []*viewer
	unanswered atomic.Int64
	stop       context.CancelFunc
	people     sync.WaitGroup
}

// startAudience brings them in; key is the key of a room, for the broadcast. The
// audience ends with end.
func startAudience(t *testing.T, base string, ledgers []*ledger, key func(room string) string) *audience {
	a := &audience{t: t}
	var ctx context.Context
	ctx, a.stop = context.WithCancel(t.Context())
	t.Cleanup(a.end)
	for _, l := range ledgers {
		uri := base + "/room/" + l.room
		a.people.Go(func() { broadcast(ctx, t, uri, "live?key="+key(l.room)) })
		a.people.Go(func() { linger(ctx, uri) })
		for i := range 2 {
			k := &talker{uri: uri, nick: fmt.Sprintf("talker%d", i+1), person: visitors + i + 1, ledger: l}
			a.people.Go(func() { a.unanswered.Add(int64(k.talk(ctx))) })
			v := &viewer{uri: uri, follows: i == 0}
			a.viewers = append(a.viewers, v)
			a.people.Go(func() { v.watch(ctx) })
		}
	}
	return a
}

// watching waits until everybody sees pictures.
func (a *audience) watching(what string) {
	a.t.Helper()
	began := time.Now()
	for _, v := range a.viewers {
		for !v.sees(began) {
			if time.Since(began) > 3*takeover {
				a.t.Fatalf("never: %s: %v", what, v)
			}
			<-time.After(20 * time.Millisecond)
		}
	}
	a.t.Logf("%s after %v", what, time.Since(began).Round(time.Millisecond))
}

// forget has the longest time without a picture begin again.
func (a *audience) forget() {
	for _, v := range a.viewers {
		v.mu.Lock()
		v.longest = 0
		v.mu.Unlock()
	}
}

// check checks that nobody was without pictures for longer than limit.
func (a *audience) check(limit time.Duration) {
	a.t.Helper()
	for _, v := range a.viewers {
		gap, when := v.gap()
		a.t.Logf("%v: %v without pictures until %s", v, gap.Round(time.Millisecond), when.Format("15:04:05.000"))
		if gap > limit {
			a.t.Errorf("%v was %v without pictures", v, gap)
		}
	}
}

// end lets everybody go. Pictures after that do not count.
func (a *audience) end() {
	a.stop()
	a.people.Wait()
}

// A viewer watches the pictures of a room, and comes back when they end.
type viewer struct {
	uri     string
	follows bool // understands ReconnectRequest

	// guarded by mu
	mu      sync.Mutex
	last    time.Time // when there was a picture last; zero before the first
	longest time.Duration
	when    time.Time // the end of the longest time without one
}

// watch watches until ctx ends.
func (v *viewer) watch(ctx context.Context) {
	for ctx.Err() == nil {
		wait := v.visit(ctx)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
}

// visit is one connection. It returns when to come back.
func (v *viewer) visit(ctx context.Context) time.Duration {
	asked := make(chan struct{}, 1)
	req := &rtmp.ConnectRequest{FlashVer: "viewer/1"}
	if v.follows {
		req.Object = amf.Object{rtmp.Reconnecting()}
	}
	dial, cancel := context.WithTimeout(ctx, 2*takeover)
	defer cancel()
	s, _, err := rtmp.Dial(dial, v.uri, req, rtmp.DialOptions{Handler: requests{asked}})
	if err != nil {
		return comeBack
	}
	var running sync.WaitGroup
	running.Go(func() { s.Run(context.WithoutCancel(ctx)) })
	defer running.Wait()
	defer s.Close(nil)
	st, err := s.CreateStream(dial)
	if err == nil {
		err = st.Play(dial, "live", rtmp.StartLive, v)
	}
	if err != nil {
		return comeBack
	}
	select {
	case <-asked:
		return time.Second // as the server has said
	case <-s.Done():
	case <-ctx.Done():
	}
	return comeBack
}

// WriteMessage takes a picture.
func (v *viewer) WriteMessage(m rtmp.Message) {
	if m.Type != rtmp.TypeVideo || len(m.Payload) < 2 || m.Payload[1] != 1 {
		return // the sequence header is no picture
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.seeLocked()
}

func (v *viewer) seeLocked() {
	now := time.Now()
	if gap := now.Sub(v.last); !v.last.IsZero() && gap > v.longest {
		v.longest, v.when = gap, now
	}
	v.last = now
}

// Close implements rtmp.Sink.
func (v *viewer) Close(error) {}

// sees reports whether there was a picture since then.
func (v *viewer) sees(since time.Time) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.last.After(since)
}

// gap is the longest time without a picture, up to now.
func (v *viewer) gap() (time.Duration, time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	last := v.last
	v.seeLocked()
	v.last = last
	return v.longest, v.when
}

// requests hears that the server asks to come back.
type requests struct{ asked chan struct{} }

// ServeCall implements rtmp.Handler.
func (requests) ServeCall(c *rtmp.Call) { c.Fail(rtmp.MethodNotFound(c.Method)) }

// ServeStatus implements rtmp.StatusHandler.
func (r requests) ServeStatus(info amf.Object) {
	if rtmp.ParseStatus(info).Code == rtmp.CodeReconnectRequest {
		select {
		case r.asked <- struct{}{}:
		default:
		}
	}
}

// broadcast publishes into a room as a stranger to ReconnectRequest does, until
// ctx ends.
func broadcast(ctx context.Context, t *testing.T, uri, stream string) {
	for ctx.Err() == nil { // at first there may be nobody
		b := demo.Broadcast{URL: uri, Stream: stream}
		if err := b.Run(ctx); err != nil {
			t.Logf("broadcast to %s: %v", uri, err)
		}
		select {
		case <-time.After(comeBack):
		case <-ctx.Done():
		}
	}
}

// A talker stays in a room and says something now and then. When asked to come
// back, a talker waits for the answer first, and so is never without one.
type talker struct {
	uri    string
	nick   string
	person int
	ledger *ledger
}

// talk talks until ctx ends. It returns how often there was no answer.
func (k *talker) talk(ctx context.Context) (unanswered int) {
	for ctx.Err() == nil {
		wait := comeBack
		asked := make(chan client.Reconnect, 1)
		dial, cancel := context.WithTimeout(ctx, 2*takeover)
		nc, err := client.Dial(dial, k.uri, client.Options{OnReconnect: func(r client.Reconnect) { asked <- r }}, amf.String(k.nick))
		cancel()
		if err == nil {
			var lost bool
			wait, lost = k.stay(ctx, nc, asked)
			if lost {
				unanswered++
			}
			nc.Close()
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
	return unanswered
}

// linger is somebody who claims to understand ReconnectRequest, and stays until
// cut off.
func linger(ctx context.Context, uri string) {
	for ctx.Err() == nil {
		dial, cancel := context.WithTimeout(ctx, 2*takeover)
		nc, err := client.Dial(dial, uri, client.Options{OnReconnect: func(client.Reconnect) {}}, amf.String("stubborn"))
		cancel()
		if err == nil {
			select {
			case <-nc.Done():
			case <-ctx.Done():
			}
			nc.Close()
		}
		select {
		case <-time.After(comeBack):
		case <-ctx.Done():
		}
	}
}

// sayPause keeps a talker below what a room lets people say.
const sayPause = 1200 * time.Millisecond

// stay is one connection. It returns when to come back, and whether something
// that was said had no answer.
func (k *talker) stay(ctx context.Context, nc *client.NetConnection, asked chan client.Reconnect) (wait time.Duration, lost bool) {
	for {
		text := k.ledger.ask(k.person)
		answer, err := nc.Call(context.WithoutCancel(ctx), "say", amf.String(text))
		if err != nil {
			return comeBack, true
		}
		k.ledger.answered(text, int(number(answer, "id")))
		select {
		case r := <-asked:
			return r.RetryAfter, false
		case <-nc.Done():
			return comeBack, false
		case <-ctx.Done():
			return 0, false
		case <-time.After(sayPause):
		}
	}
}

// name is for logs.
func (v *viewer) String() string { return fmt.Sprintf("%s, follows %v", v.uri, v.follows) }
