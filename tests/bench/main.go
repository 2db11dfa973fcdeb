//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"syscall"
	"time"
)

var commands = map[string]func(context.Context, *builder) error{
	"connects": connects,
	"calls":    calls,
	"idle":     idle,
	"chat":     chat,
	"lobby":    lobby,
	"relay":    relay,
	"live":     live,
	"start":    startTime,
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 4 && args[0] == "floor" {
		return floor(args[1], args[2], args[3])
	}
	if len(args) == 0 || len(args) > 1 && args[0] != "relay" || commands[args[0]] == nil {
		return fmt.Errorf("usage: go run ./tests/bench connects|calls|idle|chat|lobby|start|live|relay [players|xpublishers …]")
	}
	if err := raiseFileLimit(); err != nil {
		return err
	}
	pin := exec.Command("taskset", "-a", "-p", "-c", loadCore, strconv.Itoa(os.Getpid()))
	if out, err := pin.CombinedOutput(); err != nil {
		return fmt.Errorf("taskset: %w: %s", err, out)
	}
	b, err := newBuilder(ctx)
	if err != nil {
		return fmt.Errorf("building foyer: %w", err)
	}
	defer b.close()
	b.args = args[1:]
	return commands[args[0]](ctx, b)
}

// raiseFileLimit lets this process and the servers open a file for each client.
func raiseFileLimit() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("reading the limit of open files: %w", err)
	}
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("raising the limit of open files: %w", err)
	}
	if limit.Max < 12000 {
		fmt.Fprintf(os.Stderr, "bench: only %d files may be open here, so idle will not reach 10,000 clients\n", limit.Max)
	}
	return nil
}

func median[T int | float64 | time.Duration](v []T) T {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

// percentile returns the value that p percent of the values do not exceed.
func percentile(v []time.Duration, p int) time.Duration {
	if len(v) == 0 {
		return 0
	}
	v = slices.Sorted(slices.Values(v))
	return v[min(len(v)-1, len(v)*p/100)]
}

// inTurn runs measure for foyer (0), and then for nginx-rtmp (1).
func (b *builder) inTurn(measure func(i int, p *process) error) error {
	foyer := func() (*process, error) { return b.foyer() }
	nginx := func() (*process, error) { return b.nginx("") }
	for i, start := range []func() (*process, error){foyer, nginx} {
		p, err := start()
		if err != nil {
			return err
		}
		err = measure(i, p)
		p.stop()
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

// rounds is how often the servers take turns.
const rounds = 3

// compare runs measure for foyer and for nginx-rtmp in turn. It prints the
// medians of the results (more is better), and their ratio.
func compare(ctx context.Context, b *builder, what string, measure func(context.Context, *process) (float64, error)) error {
	var results [2][]float64
	for range rounds {
		err := b.inTurn(func(i int, p *process) error {
			v, err := measure(ctx, p)
			if err == nil {
				fmt.Printf("%-12s %10.0f %s\n", p.name, v, what)
				results[i] = append(results[i], v)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	foyer, nginx := median(results[0]), median(results[1])
	fmt.Printf("median: foyer %.0f, nginx-rtmp %.0f %s; ratio %.2f\n", foyer, nginx, what, foyer/nginx)
	return nil
}
