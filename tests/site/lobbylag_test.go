package site

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"golang.org/x/sync/errgroup"

	"foyer/client"
	"foyer/lobby"
	"foyer/server/amf"
	"foyer/server/rtmp"
)

// What TestLobbyLag measures: so many rooms a node, of which so many at the
// first node are real ones, that change so often.
const (
	lagRooms   = 1000
	lagReal    = 100
	lagChanges = 300
	lagPause   = 100 * time.Millisecond
	lagLimit   = 700 * time.Millisecond
)

// TestLobbyLag measures how soon a change of a room at one node is on the lobby
// page of another one, in a browser, with 3,000 rooms at three nodes that all
// report something new every 5 s. The rooms take turns: what changes twice
// within half a second is reported with the second change half a second later,
// by design.
func TestLobbyLag(t *testing.T) {
	if os.Getenv("FOYER_SLOW") == "" {
		t.Skip("keeps the machine busy for a minute; FOYER_SLOW=1 runs it")
	}
	url := startNATS(t)
	nodes := make([]*victim, 3)
	for i := range nodes {
		var err error
		if nodes[i], err = startVictim(t.TempDir(), []string{"--nats=" + url, fmt.Sprintf("--node=node%d", i), "--lobby-secret=s", "--admin-token=a", "--stream-secret=k", "--node-secret=n"}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nodes[i].kill)
		if err := nodes[i].await(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	var reals []*client.NetConnection
	for i := range lagReal {
		nc, err := client.Dial(t.Context(), fmt.Sprintf("%s/room/real%d", nodes[0].rtmp, i), client.Options{}, amf.String("ann"), amf.String("a"))
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		reals = append(reals, nc)
	}
	ctx, stop := context.WithCancel(t.Context())
	var reporting errgroup.Group
	for i, n := range nodes {
		count := lagRooms
		if i == 0 {
			count -= lagReal
		}
		links := linkRooms(t, n.rtmp, i, count)
		reporting.Go(func() error { return keepReporting(ctx, links) })
	}
	defer func() {
		stop()
		if err := reporting.Wait(); err != nil {
			t.Error(err)
		}
	}()

	page := openLobby(t, nodes[1].http)
	sent := make([]time.Time, lagChanges)
	tick := time.NewTicker(lagPause)
	defer tick.Stop()
	where := make([]int, lagChanges)
	var calling errgroup.Group
	for i := range sent {
		<-tick.C
		where[i], sent[i] = i%lagReal, time.Now()
		calling.Go(func() error {
			_, err := reals[where[i]].Call(ctx, "topic", amf.String(fmt.Sprintf("change %d", i)))
			return err
		})
	}
	if err := calling.Wait(); err != nil {
		t.Fatal(err)
	}
	var seen map[string]float64
	eventually(t, "the page shows the last change of each room", func() bool {
		seen = look[map[string]float64](page, t, `seen`)
		last := make(map[int]int)
		for i, room := range where {
			last[room] = i
		}
		for _, i := range last {
			if seen[strconv.Itoa(i)] == 0 {
				return false
			}
		}
		return true
	})
	var lags []time.Duration
	shown := make(map[int]time.Time) // by room: that change, or a later one
	for i := range slices.Backward(sent) {
		if ms := seen[strconv.Itoa(i)]; ms > 0 {
			shown[where[i]] = time.UnixMicro(int64(ms * 1000))
		}
		lags = append(lags, shown[where[i]].Sub(sent[i]))
	}
	slices.Sort(lags)
	p99 := lags[len(lags)*99/100]
	t.Logf("%d changes on the page after %v (median), %v (99th percentile), %v at most", len(lags), lags[len(lags)/2], p99, lags[len(lags)-1])
	t.Logf("tasks of more than 50 ms: %s", look[string](page, t, `String(tasks.map(Math.round))`))
	t.Logf("time between two frames, in ms: %s", look[string](page, t,
		`(frames.sort((a, b) => a - b), ["median", 0.5, "95", 0.95, "99", 0.99, "most", 1].map((p) => p.at ? p : Math.round(frames[Math.min(frames.length - 1, Math.floor(frames.length * p))])).join(" "))`))
	if p99 > lagLimit {
		t.Errorf("that is more than %v", lagLimit)
	}
}

// linkRooms connects rooms to the lobby of a node, as rooms do.
func linkRooms(t *testing.T, node string, number, count int) []*rtmp.Session {
	t.Helper()
	links := make([]*rtmp.Session, count)
	for i := range links {
		args := amf.Args{amf.String(fmt.Sprintf("room%d-%d", number, i)), amf.String("s")}
		s, _, err := rtmp.Dial(t.Context(), node+"/lobby", &rtmp.ConnectRequest{Args: args}, rtmp.DialOptions{Handler: unasked{}})
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() { // until the cleanup, which waits
			defer close(ended)
			s.Run(context.Background())
		}()
		t.Cleanup(func() { s.Close(nil); <-ended })
		links[i] = s
	}
	return links
}

// unasked is a room that the lobby tells nothing.
type unasked struct{}

// ServeCall implements rtmp.Handler.
func (unasked) ServeCall(k *rtmp.Call) { k.Reply(amf.Null{}) }

// keepReporting has each room report something new in every interval, until ctx ends.
func keepReporting(ctx context.Context, links []*rtmp.Session) error {
	tick := time.NewTicker(lobby.ReportInterval / time.Duration(len(links)))
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		status := lobby.Status{
			Epoch: 1, Seq: float64(i + 1), Title: "A room like many others", Topic: "Something to talk about", Tags: []string{"music", "late"},
			Users: i / len(links) % 40, Spectators: i % 7, MessagesPerMinute: float64(i % 60), Activity: float64((7*i+i/len(links))%20) / 1000,
		}
		if err := links[i%len(links)].Request(lobby.MethodReport, []amf.Value{status.Value()}, nil); err != nil {
			return err
		}
	}
}

// openLobby opens the lobby page of a node in Chromium and waits until it has
// all rooms. It notes when topics change, long tasks, and frames.
func openLobby(t *testing.T, base string) context.Context {
	t.Helper()
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.DisableGPU, chromedp.NoSandbox)
	if path := os.Getenv("CHROME"); path != "" {
		opts = append(opts, chromedp.ExecPath(path))
	}
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), opts...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(1280, 800), chromedp.Navigate(base+"/")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { chromedp.Cancel(ctx) })
	eventually(t, "the page has all rooms", func() bool {
		return look[bool](ctx, t, fmt.Sprintf(`document.querySelector("h1").textContent.endsWith("in %d rooms")`, 3*lagRooms))
	})
	look[bool](ctx, t, `(window.seen = {}, window.tasks = [], window.frames = [],
		new MutationObserver((records) => {
			const at = performance.timeOrigin + performance.now();
			for (const { target } of records) {
				const change = /^change (\d+)$/.exec(target.textContent);
				if (change) seen[change[1]] ??= at;
			}
		}).observe(document.querySelector(".rooms"), { subtree: true, childList: true }),
		new PerformanceObserver((list) => { for (const { duration } of list.getEntries()) tasks.push(duration); }).observe({ type: "longtask" }),
		requestAnimationFrame(function next(last) { requestAnimationFrame((at) => { frames.push(at - last); next(at); }); }), true)`)
	return ctx
}

// look returns what an expression is in the page.
func look[T any](page context.Context, t *testing.T, expression string) T {
	t.Helper()
	v, err := chromedp.Run(page, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return v
}
