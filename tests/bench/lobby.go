//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"foyer/server/amf"
)

const (
	rooms       = 1000
	browsers    = 100
	reportEvery = 5 * time.Second
	watchFor    = 60 * time.Second
)

// lobby measures 1,000 rooms that report every 5 s to one lobby that 100
// browsers watch: the CPU of the lobby, and the time of a change from the
// room's write to a browser.
func lobby(ctx context.Context, b *builder) error {
	p, err := b.foyer()
	if err != nil {
		return err
	}
	defer p.stop()
	secret, err := os.ReadFile(filepath.Join(p.data, "lobby-secret"))
	if err != nil {
		return err
	}
	links, err := linkRooms(p, strings.TrimSpace(string(secret)))
	defer closeAll(links)
	if err != nil {
		return err
	}
	drain(links)
	var watchers sync.WaitGroup
	delays := make([][]time.Duration, browsers)
	var sockets []*websocket.Conn
	for i := range browsers {
		ws, _, err := websocket.DefaultDialer.Dial("ws://"+p.http+"/ws/lobby", nil)
		if err != nil {
			return err
		}
		sockets = append(sockets, ws)
		if err := watch(ws); err != nil {
			return err
		}
		watchers.Go(func() { delays[i] = readDelays(ws, i == 0) }) // ended by closing ws
	}
	if err := sleep(ctx, 2*reportEvery); err != nil {
		return err
	}
	stop, reporting := context.WithTimeout(ctx, watchFor)
	defer reporting()
	before, began := p.cpu(), time.Now()
	if err := report(stop, links); err != nil {
		return err
	}
	load := (p.cpu() - before).Seconds() / time.Since(began).Seconds()
	for _, ws := range sockets {
		ws.Close()
	}
	watchers.Wait()
	d := delays[0]
	fmt.Printf("%d rooms, %d browsers: %.1f %% of a core, %.1f MiB; a change reaches a browser in %v (median), %v (99th percentile) of %d\n",
		rooms, browsers, 100*load, float64(p.memory())/(1<<20), percentile(d, 50).Round(time.Millisecond), percentile(d, 99).Round(time.Millisecond), len(d))
	return nil
}

func linkRooms(p *process, secret string) ([]*conn, error) {
	links := make([]*conn, 0, rooms)
	for i := range rooms {
		c, err := dial(p.rtmp, "lobby", amf.String(fmt.Sprintf("room-%d", i)), amf.String(secret))
		if err != nil {
			return links, err
		}
		links = append(links, c)
	}
	return links, nil
}

func watch(ws *websocket.Conn) error {
	if err := ws.WriteMessage(websocket.TextMessage, []byte(`{"type":"connect","args":[]}`)); err != nil {
		return err
	}
	return ws.WriteMessage(websocket.TextMessage, []byte(`{"type":"so","name":"rooms","persistent":false,"version":0,"events":[{"event":"use"}]}`))
}

// report has every room report once in reportEvery, spread evenly, until ctx
// ends. The time of the report is in the topic.
func report(ctx context.Context, links []*conn) error {
	tick := time.NewTicker(reportEvery / rooms)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if _, err := links[i%rooms].nc.Write(command(0, "report", 0, status(i))); err != nil {
			return err
		}
	}
}

func status(i int) amf.Object {
	return amf.Object{
		{Name: "epoch", Value: amf.Number(1)},
		{Name: "seq", Value: amf.Number(i + 1)},
		{Name: "title", Value: amf.String("A room like many others")},
		{Name: "topic", Value: amf.String(fmt.Sprintf("sent %d.", time.Now().UnixMicro()))},
		{Name: "tags", Value: amf.StrictArray{amf.String("music"), amf.String("late")}},
		{Name: "users", Value: amf.Number(i % 40)},
		{Name: "spectators", Value: amf.Number(i % 7)},
		{Name: "viewers", Value: amf.Number(i % 90)},
		{Name: "publishers", Value: amf.Number(i % 2)},
		{Name: "messagesPerMinute", Value: amf.Number(i % 60)},
		{Name: "activity", Value: amf.Number(float64(i%100) / 100)},
		{Name: "lastActive", Value: amf.Number(time.Now().UnixMilli())},
		{Name: "live", Value: amf.Bool(i%2 == 1)},
		{Name: "streams", Value: amf.StrictArray{amf.String("live")}},
		{Name: "capacity", Value: amf.Number(1000)},
		{Name: "locked", Value: amf.Bool(false)},
		{Name: "unlisted", Value: amf.Bool(false)},
		{Name: "node", Value: amf.String("bench")},
		{Name: "rtmp", Value: amf.String("rtmp://rooms.example/room/room")},
		{Name: "http", Value: amf.String("http://rooms.example/room/room")},
	}
}

// readDelays reads frames until the socket ends. If it looks into them, it
// returns how long each change took.
func readDelays(ws *websocket.Conn, look bool) []time.Duration {
	var delays []time.Duration
	began := time.Now()
	for {
		_, frame, err := ws.ReadMessage()
		if err != nil {
			return delays
		}
		now := time.Now()
		for look {
			_, rest, found := bytes.Cut(frame, []byte("sent "))
			if !found {
				break
			}
			digits, after, _ := bytes.Cut(rest, []byte("."))
			frame = after
			if sent, err := strconv.ParseInt(string(digits), 10, 64); err == nil && time.UnixMicro(sent).After(began) {
				delays = append(delays, now.Sub(time.UnixMicro(sent)))
			}
		}
	}
}

// startTime measures the time from exec to the first good answer of /readyz.
func startTime(ctx context.Context, b *builder) error {
	var times []time.Duration
	for range 10 {
		began := time.Now()
		p, err := b.foyer()
		if err != nil {
			return err
		}
		times = append(times, time.Since(began))
		p.stop()
	}
	fmt.Printf("start to ready: median %v, worst %v of %d (polled every 10 ms)\n", median(times), percentile(times, 100), len(times))
	return ctx.Err()
}
