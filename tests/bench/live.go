//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

const (
	liveViewers = 200
	liveFor     = 10 * time.Second
)

// live measures the cost of viewers that watch a stream in a browser, over
// /ws/live as fragmented MP4, beside as many RTMP players of the same stream.
func live(ctx context.Context, b *builder) error {
	var costs [2][]float64
	for range rounds {
		for i, measure := range []func(context.Context, *load) (float64, error){playersCost, browsersCost} {
			cost, err := liveOnce(ctx, b, measure)
			if err != nil {
				return err
			}
			fmt.Printf("%-22s %.2f CPU-s/GB\n", []string{"RTMP players", "WebSockets, fMP4"}[i], cost)
			costs[i] = append(costs[i], cost)
		}
	}
	rtmp, fmp4 := median(costs[0]), median(costs[1])
	fmt.Printf("%d viewers of one stream: RTMP %.2f, fMP4 %.2f CPU-s/GB; ratio %.2f\n", liveViewers, rtmp, fmp4, fmp4/rtmp)
	return nil
}

func liveOnce(ctx context.Context, b *builder, measure func(context.Context, *load) (float64, error)) (float64, error) {
	p, err := b.foyer()
	if err != nil {
		return 0, err
	}
	defer p.stop()
	l := &load{p: p}
	defer l.close()
	if err := l.publish(0); err != nil {
		return 0, fmt.Errorf("publishing: %w", err)
	}
	if err := sleep(ctx, settle); err != nil {
		return 0, err
	}
	return measure(ctx, l)
}

func playersCost(ctx context.Context, l *load) (float64, error) {
	if err := l.playAll(1, liveViewers); err != nil {
		return 0, fmt.Errorf("playing: %w", err)
	}
	return l.costOf(ctx, l.bytes)
}

// browsersCost measures viewers over WebSockets, of which some join late.
func browsersCost(ctx context.Context, l *load) (float64, error) {
	var got atomic.Int64
	for range liveViewers {
		ws, err := l.watch()
		if err != nil {
			return 0, err
		}
		l.conns = append(l.conns, ws.NetConn())
		l.running.Go(func() { // ended by close
			for {
				_, r, err := ws.NextReader()
				if err != nil {
					return
				}
				n, _ := io.Copy(io.Discard, r)
				got.Add(n)
			}
		})
	}
	cost, err := l.costOf(ctx, got.Load)
	if err != nil {
		return 0, err
	}
	var late []time.Duration
	for range joiners {
		d, err := l.joinLive()
		if err != nil {
			return 0, err
		}
		late = append(late, d)
	}
	fmt.Printf("first fragment after %v (at most %v)\n", median(late).Round(100*time.Microsecond), slices.Max(late).Round(100*time.Microsecond))
	return cost, nil
}

// costOf returns the CPU seconds of the server for each GB that bytes counts.
func (l *load) costOf(ctx context.Context, bytes func() int64) (float64, error) {
	if err := sleep(ctx, settle); err != nil {
		return 0, err
	}
	cpu, before := l.p.cpu(), bytes()
	if err := sleep(ctx, liveFor); err != nil {
		return 0, err
	}
	got := bytes() - before
	if least := int64(liveViewers * liveFor.Seconds() * 200e3); got < least {
		return 0, fmt.Errorf("%d bytes came, want at least %d", got, least)
	}
	return (l.p.cpu() - cpu).Seconds() / (float64(got) / 1e9), nil
}

// watch opens a viewer's WebSocket.
func (l *load) watch() (*websocket.Conn, error) {
	app, stream := l.p.names(0)
	ws, _, err := websocket.DefaultDialer.Dial("ws://"+l.p.http+"/ws/live/"+app[len("room/"):]+"/"+stream, nil)
	return ws, err
}

// joinLive returns the time from dialling to the first fragment, which follows
// the init segment.
func (l *load) joinLive() (time.Duration, error) {
	asked := time.Now()
	ws, err := l.watch()
	if err != nil {
		return 0, err
	}
	defer ws.Close()
	ws.SetReadDeadline(asked.Add(10 * time.Second))
	for binary := 0; binary < 2; {
		kind, _, err := ws.ReadMessage()
		if err != nil {
			return 0, err
		}
		if kind == websocket.BinaryMessage {
			binary++
		}
	}
	return time.Since(asked), nil
}
