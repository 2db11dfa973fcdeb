//go:build linux

package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"foyer/server/amf"
)

// connects counts handshakes with connect and its answer for each second of
// CPU of the server.
func connects(ctx context.Context, b *builder) error {
	return compare(ctx, b, "connects per CPU-second", func(ctx context.Context, p *process) (float64, error) {
		const total, parallel = 20000, 50
		before := p.cpu()
		err := inParallel(parallel, func(int) error {
			for range total / parallel {
				c, err := dial(p.rtmp, p.app)
				if err != nil {
					return err
				}
				c.Close()
			}
			return ctx.Err()
		})
		return total / (p.cpu() - before).Seconds(), err
	})
}

// calls counts calls for each second of CPU of the server, one at a time on
// each of many connections. In foyer it calls a missing method, so that the
// call goes through the instance and comes back as an error; in nginx-rtmp
// createStream, since that answers only the calls it knows.
func calls(ctx context.Context, b *builder) error {
	return compare(ctx, b, "calls per CPU-second", func(ctx context.Context, p *process) (float64, error) {
		const clients, each = 100, 3000
		call := command(0, "reportUsers", 7)
		if p.name == "nginx-rtmp" {
			call = command(0, "createStream", 7)
		}
		conns, err := connectAll(p, clients)
		defer closeAll(conns)
		if err != nil {
			return 0, err
		}
		before := p.cpu()
		err = inParallel(clients, func(i int) error {
			for range each {
				if _, err := conns[i].nc.Write(call); err != nil {
					return err
				}
				if err := conns[i].await(amf.String("_error"), amf.String("_result")); err != nil {
					return err
				}
			}
			return ctx.Err()
		})
		return clients * each / (p.cpu() - before).Seconds(), err
	})
}

// idle measures the cost of clients that only answer pings.
func idle(ctx context.Context, b *builder) error {
	return b.inTurn(func(_ int, p *process) error { return idleAt(ctx, p) })
}

func idleAt(ctx context.Context, p *process) error {
	const clients, rest = 10000, 60 * time.Second
	before := p.memory()
	conns, err := connectAll(p, clients)
	var readers sync.WaitGroup
	for _, c := range conns {
		readers.Go(func() { c.drain(func(int) {}) }) // ended by closeAll
	}
	defer readers.Wait()
	defer closeAll(conns)
	if err != nil {
		return err
	}
	if err := sleep(ctx, 15*time.Second); err != nil {
		return err
	}
	cpu, began := p.cpu(), time.Now()
	if err := sleep(ctx, rest); err != nil {
		return err
	}
	load := (p.cpu() - cpu).Seconds() / time.Since(began).Seconds()
	each := float64(p.memory()-before) / clients / 1024
	fmt.Printf("%-12s %d idle clients: %.1f KiB of memory each, %.1f %% of a core\n", p.name, clients, each, 100*load)
	return nil
}

// connectAll connects n clients, several at a time: nginx-rtmp takes 40 ms for
// each. Those that are connected are returned with an error, too.
func connectAll(p *process, n int, args ...amf.Value) ([]*conn, error) {
	const parallel = 50
	conns := make([]*conn, n)
	err := inParallel(parallel, func(k int) error {
		for i := k; i < n; i += parallel {
			c, err := dial(p.rtmp, p.app, args...)
			if err != nil {
				return err
			}
			conns[i] = c
		}
		return nil
	})
	return slices.DeleteFunc(conns, func(c *conn) bool { return c == nil }), err
}

func closeAll(conns []*conn) {
	for _, c := range conns {
		c.Close()
	}
}

func inParallel(n int, f func(i int) error) error {
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { errs[i] = f(i) })
	}
	all.Wait()
	return cmp.Or(errs...)
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
