package cli

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/user"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"foyer/internal/folder"
	"foyer/room"
	"foyer/room/nick"
)

const (
	// screenHistory is how many messages a screen begins with.
	screenHistory = 50
	// maxPipeWait is the longest that a piped line waits to be said again
	// after the room refused it. A mute lasts longer: that is an answer.
	maxPipeWait = 15 * time.Second
	// perhapsWait is the least that a piped line waits when the room does not
	// know whether it has stored it.
	perhapsWait = 5 * time.Second
	// maxPipeLine bounds an input line; the room takes 500 code points.
	maxPipeLine = 64 << 10
)

// joinCommand is being in a room: on a terminal with a screen, else piped.
type joinCommand struct {
	URL string `arg:"" help:"The room: rtmp://host/room/NAME, or just NAME for one on this machine."`

	Nick    string        `placeholder:"NAME" help:"Who to be. Default: your user name."`
	Token   folder.Secret `placeholder:"SECRET" help:"The admin token, to be a moderator; - asks for it at the terminal. Other users of this machine see what is on a command line."`
	File    string        `name:"token-file" placeholder:"FILE" typed:"" help:"File with the token."`
	JSON    bool          `name:"json" help:"Print every event as a JSON object; no screen."`
	History *int          `placeholder:"N" help:"Begin with that many of the newest messages. Default: 50 on a screen, else none."`
}

// Help is shown by join --help.
func (joinCommand) Help() string {
	return `On a terminal this is a screen: type to chat, /help for more.

Piped, every line of the input is said and every event is printed as a line. A line that comes too fast for the room waits and is said again, so that none is lost; one that the room refuses for good is printed with the reason. At the end of the input, when everything was answered, join leaves: with status 1 if something was refused.`
}

// Run stays in the room until the input ends, the user leaves or ctx ends.
func (cmd *joinCommand) Run(ctx context.Context, p *program) error {
	screen := !cmd.JSON && isTerminal(p.stdin) && isTerminal(p.stdout)
	token, err := p.givenToken(ctx, cmd.Token, cmd.File)
	if err != nil {
		return err
	}
	c := &conversation{uri: cmd.URL, token: string(token), nick: cmp.Or(cmd.Nick, userName(p.getenv))}
	if shown, wrong := nick.Parse(c.nick); wrong == "" {
		c.nick = shown // as the room will
	}
	if !strings.Contains(c.uri, "://") {
		if !room.ValidName(c.uri) {
			return usagef("%q is neither the address of a room, such as rtmp://host/room/NAME, nor its name: 1 to 64 of A-Z a-z 0-9 . _ -, a letter or digit first", c.uri)
		}
		c.uri = "rtmp://localhost/room/" + c.uri
	}
	if screen {
		c.history = screenHistory
	}
	if cmd.History != nil {
		c.history = min(max(0, *cmd.History), historyPage)
	}
	if screen {
		return runScreen(ctx, p, c)
	}
	return runPipe(ctx, p, c, cmd.JSON)
}

// userName is the nick of somebody who did not say one.
func userName(getenv func(string) string) string {
	if name := cmp.Or(getenv("USER"), getenv("USERNAME")); name != "" {
		return name
	}
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return "guest"
}

// runPipe says what comes in and prints what happens.
func runPipe(ctx context.Context, p *program, c *conversation, asJSON bool) error {
	out := &printer{w: p.stdout, json: asJSON}
	c.emit = out.print
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	lines := make(chan string)
	// Reading standard input cannot be interrupted. This is the one goroutine
	// nobody waits for: it ends with the input, or with the program.
	go readLines(ctx, p.stdin, lines)
	g, ctx := errgroup.WithContext(ctx)
	// Who ends well ends the other. An error does so too, but as the group's
	// first one: it is the reason, not that the other one was stopped.
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
				// What is here already may still come in: a program that only
				// listens is not kept waiting for more.
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

// sayLine says one line, however long it takes: it waits when the room says
// that it comes too fast, and tries again when the connection was lost, or the
// room was not sure, and the line is not among what was said meanwhile.
func sayLine(ctx context.Context, c *conversation, out *printer, line string) (said bool, err error) {
	for {
		c.mu.Lock()
		before := c.own.ID
		c.mu.Unlock()
		there := func() bool { return c.own.ID > before && c.own.Text == line } // mu is held
		err := c.say(ctx, line)
		no, refused := errors.AsType[*errRefused](err)
		switch {
		case err == nil:
			return true, nil
		case ctx.Err() != nil:
			return false, nil
		case refused && (no.retryAfter <= 0 || no.retryAfter > maxPipeWait):
			out.print(event{Type: "refused", Text: line, Reason: no.reason})
			return false, nil
		case refused:
			out.print(event{Type: "refused", Text: line, Reason: no.reason, RetryAfter: float64(no.retryAfter.Milliseconds())})
			wait := no.retryAfter
			if no.perhaps {
				wait = max(wait, perhapsWait)
			}
			waiting, cancel := context.WithTimeout(ctx, wait)
			err := c.await(waiting, there)
			cancel()
			if err == nil || ctx.Err() != nil {
				return err == nil, nil
			}
		default:
			if err := c.await(ctx, func() bool { return c.nc != nil }); err != nil {
				return false, nil
			}
			c.mu.Lock()
			found := there()
			c.mu.Unlock()
			if found {
				return true, nil
			}
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
