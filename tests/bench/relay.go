//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	relayFor   = 12 * time.Second // a measurement
	settle     = 4 * time.Second  // before it: everybody plays
	floorPause = 47 * time.Millisecond
	joiners    = 7
)

// A contender is a server that passes pictures on.
type contender struct {
	name  string
	start func(*builder) (*process, error)
}

func contenders() []contender {
	nginx := func(extra string) func(*builder) (*process, error) {
		return func(b *builder) (*process, error) { return b.nginx(extra) }
	}
	return []contender{
		{"nginx", nginx("")},
		{"nginx 65536", nginx("chunk_size 65536;")},
		{"floor", func(b *builder) (*process, error) { return b.floor("relay", floorPause.String()) }},
		{"foyer", func(b *builder) (*process, error) { return b.foyer() }},
	}
}

// relay measures the cost of passing pictures on, beside nginx-rtmp with its
// default and with its best chunk size, and beside a floor that only writes the
// same bytes every 47 ms. Each argument is a measurement: a number of players
// of one publisher, or x100 for 100 publishers with 5 players each.
func relay(ctx context.Context, b *builder) error {
	what := b.args
	if len(what) == 0 {
		what = []string{"100", "500", "1000", "x100"}
	}
	for _, w := range what {
		publishers, players := 1, 0
		n, err := strconv.Atoi(strings.TrimPrefix(w, "x"))
		if err != nil {
			return fmt.Errorf("%s is not a number of players", w)
		}
		if players = n; strings.HasPrefix(w, "x") {
			publishers, players = n, 5
		}
		if err := relayRounds(ctx, b, publishers, players); err != nil {
			return err
		}
	}
	return nil
}

// A figure is the result of one measurement of one server.
type figure struct {
	cost       float64 // CPU seconds for each GB
	p50, p99   time.Duration
	gaps       int
	memory     float64 // KiB for each player
	late, last time.Duration
}

func relayRounds(ctx context.Context, b *builder, publishers, players int) error {
	fmt.Printf("%d publishers of 2.6 Mbit/s, %d players each, %v:\n", publishers, players, relayFor)
	all := make(map[string][]figure)
	for range rounds {
		for _, c := range contenders() {
			f, err := relayOnce(ctx, b, c, publishers, players)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			fmt.Println(f.line(c.name))
			all[c.name] = append(all[c.name], f)
		}
	}
	cost := func(name string) float64 {
		var v []float64
		for _, f := range all[name] {
			v = append(v, f.cost)
		}
		return median(v)
	}
	foyer := cost("foyer")
	fmt.Printf("median: foyer %.2f CPU-s/GB; of nginx %.2f, of nginx 65536 %.2f, of the floor %.2f\n\n",
		foyer, foyer/cost("nginx"), foyer/cost("nginx 65536"), foyer/cost("floor"))
	return nil
}

func (f figure) line(name string) string {
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	return fmt.Sprintf("  %-12s %5.2f CPU-s/GB, delay %5.1f / %5.1f ms, %d gaps, %6.1f KiB a player, first frame %5.1f (at most %.1f) ms",
		name, f.cost, ms(f.p50), ms(f.p99), f.gaps, f.memory, ms(f.late), ms(f.last))
}

func relayOnce(ctx context.Context, b *builder, c contender, publishers, players int) (f figure, err error) {
	p, err := c.start(b)
	if err != nil {
		return f, err
	}
	defer p.stop()
	l := &load{p: p}
	defer l.close()
	if p.name != "floor" { // its players must be there from the start
		if err := l.publishAll(publishers); err != nil {
			return f, fmt.Errorf("publishing: %w", err)
		}
		if err := sleep(ctx, 3*time.Second); err != nil {
			return f, err
		}
	}
	before := p.memory()
	if err := l.playAll(publishers, players); err != nil {
		return f, fmt.Errorf("playing: %w", err)
	}
	if p.name == "floor" {
		if err := l.publishAll(publishers); err != nil {
			return f, fmt.Errorf("publishing: %w", err)
		}
	}
	if err := sleep(ctx, settle); err != nil {
		return f, err
	}
	l.reset()
	cpu, got := p.cpu(), l.bytes()
	if err := sleep(ctx, relayFor); err != nil {
		return f, err
	}
	f.cost = (p.cpu() - cpu).Seconds() / (float64(l.bytes()-got) / 1e9)
	f.p50, f.p99, f.gaps = l.delays()
	f.memory = float64(p.memory()-before) / float64(publishers*players) / 1024
	if p.name != "floor" {
		f.late, f.last = l.join(joiners)
	}
	return f, nil
}

// names returns the application of a publisher's stream, and its name for
// players.
func (p *process) names(publisher int) (app, stream string) {
	if p.name == "foyer" {
		return "room/bench" + strconv.Itoa(publisher), "live"
	}
	return "live", "s" + strconv.Itoa(publisher)
}

// publishName returns the name that a publisher needs.
func (p *process) publishName(app, stream string) (string, error) {
	if p.name != "foyer" {
		return stream, nil
	}
	out, err := exec.Command(p.program, "key", strings.TrimPrefix(app, "room/"), "--data", p.data).Output()
	if err != nil {
		return "", fmt.Errorf("foyer key: %w", err)
	}
	_, name, _ := bytes.Cut(out, []byte("\nkey "))
	return strings.TrimSpace(string(name)), nil
}

// join has players come one after the other, and returns the median and the
// longest time from the command play to the first frame. A player that gets
// none, because the server is overloaded, counts as firstFrameWait.
func (l *load) join(n int) (middle, last time.Duration) {
	var all []time.Duration
	for range n {
		d := firstFrameWait
		if v, err := l.open(0); err == nil {
			if got, err := v.firstFrame(); err == nil {
				d = got
			}
			v.Close()
		}
		all = append(all, d)
	}
	return median(all), slices.Max(all)
}
