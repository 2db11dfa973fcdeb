package terminal

import (
	"bufio"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// maxPipeWait is the longest that a piped line waits to be said again
	// after the room refused it. A mute lasts longer: that is an answer.
	maxPipeWait = 15 * time.Second
	// maxPipeLine bounds an input line; the room takes 500 code points.
	maxPipeLine = 64 << 10
)

// Pipe says what comes in and prints what happens, as lines or as JSON, until
// the input ends, ctx ends or the room says no.
func Pipe(ctx context.Context, in io.Reader, w io.Writer, o Options, asJSON bool) error {
	c, out := o.conversation(), &printer{w: w, json: asJSON}
	c.emit = out.print
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	lines := make(chan string)
	// Reading the input cannot be interrupted. Nobody waits for this goroutine: it
	// ends with the input, or with the program.
	go readLines(ctx, in, lines)
	g, ctx := errgroup.WithContext(ctx)
	// When one ends well it ends the other. An error does so too, but it is the
	// group's first: the reason, and not that the other one was stopped.
	g.Go(func() error { return leaving(leave, c.run(ctx)) })
	g.Go(func() error { return leaving(leave, sayLines(ctx, c, out, lines)) })
	err := g.Wait()
	return cmp.Or(out.failed(), err)
}

func leaving(leave func(), err error) error {
	if err == nil {
		leave()
	}
	return err
}

// readLines sends the lines of r that have something in them.
func readLines(ctx context.Context, r io.Reader, lines chan<- string) {
	defer close(lines)
	scan := bufio.NewScanner(r)
	scan.Buffer(nil, maxPipeLine)
	for scan.Scan() {
		line := strings.TrimSpace(scan.Text())
		if line == "" {
			continue
		}
		select {
		case lines <- line:
		case <-ctx.Done():
			return
		}
	}
}

// sayLines says every line and waits for its answer. It fails when the room
// refused some for good.
func sayLines(ctx context.Context, c *conversation, out *printer, lines <-chan string) error {
	refused := 0
	for {
		select {
		case line, ok := <-lines:
			if !ok && refused > 0 {
				return fmt.Errorf("the room refused %d of the lines", refused)
			}
			if !ok {
				// The history may still come in: a program that only listens
				// gets it, and does not wait for more.
				return c.await(ctx, func() bool { return c.nc != nil })
			}
			said, err := sayLine(ctx, c, out, line)
			if err != nil {
				return err
			}
			if !said {
				refused++
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// sayLine says one line, however long it takes: it waits when the room says that it
// comes too fast, and says it again, with its key, when the connection was lost or the
// room was not sure.
func sayLine(ctx context.Context, c *conversation, out *printer, line string) (said bool, err error) {
	for key := rand.Text(); ; {
		err := c.say(ctx, line, key)
		if err == nil {
			return true, nil
		}
		wait := minReconnect
		if no, refused := errors.AsType[*errRefused](err); refused {
			wait = no.retryAfter
			final := wait <= 0 || wait > maxPipeWait
			answer := event{Type: "refused", Text: line, Reason: no.reason}
			if !final {
				answer.RetryAfter = float64(wait.Milliseconds())
			}
			if out.print(answer); final {
				return false, nil
			}
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return false, nil
		}
	}
}

// A printer prints events, a line each.
type printer struct {
	w    io.Writer
	json bool

	// guarded by mu
	mu  sync.Mutex
	err error // the first failed write
}

// print prints one event.
func (p *printer) print(e event) {
	line := e.String()
	if p.json {
		b, err := json.Marshal(e)
		if err != nil {
			panic(err) // an event has only strings and numbers
		}
		line = string(b)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		_, p.err = fmt.Fprintln(p.w, line)
	}
}

// failed is the first error of writing.
func (p *printer) failed() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}
